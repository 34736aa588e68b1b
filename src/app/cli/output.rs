//! What a command writes: the server's JSON as it is, or tables for people, whose numbers stand on their points. Nothing
//! that a server says moves the terminal: control characters are shown as a mark. A reader who has gone away, as `head`
//! does, ends the writing and is no failure.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::failure::{Failure, Outcome};

/// For whom it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    People,
    Json,
}

impl Output {
    /// Writes an answer as it is, or as `show` puts it for people.
    pub fn answer(self, value: &Value, show: impl FnOnce(&Value) -> String) -> Outcome {
        match self {
            Self::People => write_line(&show(value)),
            Self::Json => write_line(&format!("{value:#}")),
        }
    }

    /// Writes one answer of many as one line.
    pub fn line(self, value: &Value, show: impl FnOnce(&Value) -> String) -> Outcome {
        match self {
            Self::People => write_line(&show(value)),
            Self::Json => write_line(&value.to_string()),
        }
    }

    /// A bar that grows on standard error while something takes time; none where nobody looks.
    pub fn progress(self, count: usize, what: &'static str) -> ProgressBar {
        let target = match self {
            Self::People if io::stderr().is_terminal() => ProgressDrawTarget::stderr(),
            Self::People | Self::Json => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(count as u64), target).with_message(what);
        match ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

/// Writes a text and the end of its line to standard output.
pub fn write_line(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| {
            if text.ends_with('\n') {
                Ok(())
            } else {
                out.write_all(b"\n")
            }
        })
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ReaderGone),
        Err(error) => Err(Failure::Failed(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Text(&'static str),
    /// To the right, the points below each other.
    Number(&'static str),
}

/// A table for people.
pub struct Sheet {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Sheet {
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| harmless(&cell)).collect());
    }

    /// The rows of a list.
    pub fn rows_of<const N: usize>(mut self, list: &[Value], cells: impl Fn(&Value) -> [String; N]) -> Self {
        for item in list {
            self.row(cells(item));
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn render(mut self) -> String {
        for (place, column) in self.columns.iter().enumerate() {
            if matches!(column, Column::Number(_)) {
                align_points(&mut self.rows, place);
            }
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(self.columns.iter().map(|column| match column {
            Column::Text(name) | Column::Number(name) => *name,
        }));
        for row in self.rows {
            table.add_row(row);
        }
        let last = self.columns.len().saturating_sub(1);
        for (place, column) in self.columns.iter().enumerate() {
            let Some(shown) = table.column_mut(place) else { continue };
            shown.set_padding((0, if place == last { 0 } else { 2 }));
            if matches!(column, Column::Number(_)) {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }
}

/// Names and values below each other, for one thing whole.
pub fn fields<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<(&str, String)> = pairs.into_iter().collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().fold(String::new(), |mut text, (name, value)| {
        let written = writeln!(text, "{name:width$}  {}", harmless(value));
        debug_assert!(written.is_ok());
        text
    })
}

/// The items of a list's envelope.
pub fn items(envelope: &Value) -> &[Value] {
    envelope["data"].as_array().map_or(&[], Vec::as_slice)
}

/// A value as people read it: nothing is a dash, lists have commas.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(_) => value.to_string(),
    }
}

/// An instant to the second.
pub fn instant(value: &Value) -> String {
    let shown = text(value);
    match shown.split_once('.') {
        Some((seconds, _)) => format!("{}Z", seconds.replace('T', " ")),
        None => shown,
    }
}

/// An amount and its cycle, as `5.00 daily`.
pub fn limit(value: &Value, amount: &str) -> String {
    if value.is_null() {
        return "-".to_owned();
    }
    format!("{} {}", text(&value[amount]), text(&value["cycle"]))
}

/// Control characters would move the cursor or change its colour, and change what is read.
pub fn harmless(text: &str) -> String {
    let mark = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().map(mark).collect()
}

/// Pads behind the numbers of a column, so that their points stand below each other.
fn align_points(rows: &mut [Vec<String>], place: usize) {
    let behind = |cell: &String| cell.split_once('.').map_or(0, |(_, decimals)| decimals.len() + 1);
    let widest = rows
        .iter()
        .filter_map(|row| row.get(place))
        .map(behind)
        .max()
        .unwrap_or(0);
    for cell in rows.iter_mut().filter_map(|row| row.get_mut(place)) {
        let missing = widest - behind(cell);
        cell.extend(std::iter::repeat_n(' ', missing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_stand_on_their_points_and_names_move_nothing() {
        let mut sheet = Sheet::new([Column::Text("NAME"), Column::Number("COST"), Column::Text("END")]);
        sheet.row(["a\u{1b}[2J".to_owned(), "12.5".to_owned(), "x".to_owned()]);
        sheet.row(["b".to_owned(), "0.000015".to_owned(), "y".to_owned()]);
        let shown = sheet.render();
        let points: Vec<usize> = shown.lines().skip(1).filter_map(|line| line.rfind('.')).collect();
        let chars = |line: &str, byte: usize| line[..byte].chars().count();
        let lines: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(chars(lines[0], points[0]), chars(lines[1], points[1]), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn values_read_as_people_write_them() {
        let table = [
            (json!(null), "-"),
            (json!([]), "-"),
            (json!(["a", 1]), "a, 1"),
            (json!(true), "yes"),
        ];
        for (value, shown) in table {
            assert_eq!(text(&value), shown);
        }
        assert_eq!(instant(&json!("2026-11-21T04:18:45.123Z")), "2026-11-21 04:18:45Z");
        assert_eq!(
            limit(&json!({"amount": "5.00", "cycle": "daily"}), "amount"),
            "5.00 daily"
        );
    }
}
