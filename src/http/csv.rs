//! Lists as CSV (RFC 4180), for `?format=csv`: what the list shows, page by page as the client reads it, so that no more than
//! a page is held. A cell that a spreadsheet would take for a formula begins with an apostrophe. An error before the first
//! page is answered as every other; one behind it ends the connection without a proper end, so that nobody takes a part for
//! the whole.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use serde_json::Value;

use crate::domain::cursor::Cursor;
use crate::storage::page::PageRequest;

use super::error::ApiError;
use super::query::Query;

/// How many rows are read at once.
const PAGE_ROWS: u32 = 1_000;

/// In which form a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
}

impl Format {
    /// `format`, which is `json` where it is not there.
    pub fn read(query: &Query) -> Result<Self, ApiError> {
        let word = |format| match format {
            Self::Json => "json",
            Self::Csv => "csv",
        };
        let format = query.one_of("format", &[Self::Json, Self::Csv], word)?;
        Ok(format.unwrap_or(Self::Json))
    }
}

/// Some rows of a table, and where the next ones begin.
pub struct Part {
    pub rows: Vec<Vec<String>>,
    pub next: Option<Cursor>,
}

/// A column: its head, and where its cells stand in what the list shows, as a JSON pointer.
pub type Column = (&'static str, &'static str);

/// The heads of columns.
pub fn heads(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().map(|(head, _)| *head).collect()
}

/// The cells of something that is shown.
pub fn cells(shown: &Value, columns: &[Column]) -> Vec<String> {
    let cell = |(_, pointer): &Column| shown.pointer(pointer).map(text).unwrap_or_default();
    columns.iter().map(cell).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) if fields.is_empty() => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// A table that is read as it is sent; `load` gives a page of it.
pub async fn stream<F, L>(name: &str, columns: &[Column], load: L) -> Result<HttpResponse, ApiError>
where
    L: Fn(PageRequest) -> F + 'static,
    F: Future<Output = Result<Part, ApiError>> + 'static,
{
    let page = |after| PageRequest {
        after,
        limit: PAGE_ROWS,
    };
    let first = load(page(None)).await?;
    let beginning = Bytes::from([encode([heads(columns)])?, encode(&first.rows)?].concat());
    let rest = try_unfold((first.next, load), move |(next, load)| async move {
        let Some(after) = next else {
            return Ok::<_, ApiError>(None);
        };
        let part = load(page(Some(after))).await?;
        let chunk = Bytes::from(encode(&part.rows)?);
        Ok(Some((chunk, (part.next, load))))
    });
    let start = futures_util::stream::once(async { Ok::<_, ApiError>(beginning) });
    Ok(answer(name).streaming(Box::pin(futures_util::StreamExt::chain(start, rest))))
}

/// A whole table.
pub fn whole(name: &str, head: &[&str], rows: &[Vec<String>]) -> Result<HttpResponse, ApiError> {
    let body = [encode([head])?, encode(rows)?].concat();
    Ok(answer(name).body(body))
}

fn answer(name: &str) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")));
    answer
}

fn encode<R, C>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, ApiError>
where
    R: AsRef<[C]>,
    C: AsRef<str>,
{
    let failed = |error: &dyn std::fmt::Display| ApiError::internal("writing a table", &error.to_string());
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        let cells = row.as_ref().iter().map(|cell| defused(cell.as_ref()));
        writer.write_record(cells).map_err(|error| failed(&error))?;
    }
    writer.into_inner().map_err(|error| failed(&error))
}

/// The cell as text: spreadsheets run what begins so.
fn defused(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_never_formulas() {
        let rows = [vec!["a", "b,c", "say \"x\""], vec!["=1+1", "@SUM(A1)", "two\nlines"]];
        let text = String::from_utf8(encode(rows).unwrap()).unwrap();
        assert_eq!(
            text,
            "a,\"b,c\",\"say \"\"x\"\"\"\r\n'=1+1,'@SUM(A1),\"two\nlines\"\r\n"
        );
        for cell in ["-5", "+1", "\tx", "\rx"] {
            assert_eq!(defused(cell), format!("'{cell}"));
        }
        assert_eq!(defused("0.25"), "0.25");
    }

    #[actix_rt::test]
    async fn a_table_ends_with_the_last_page_however_many_there_are() {
        const PAGES: u128 = 150;
        let load = |page: PageRequest| async move {
            let number = page.after.map_or(1, |Cursor(number)| number + 1);
            Ok(Part {
                rows: vec![vec![number.to_string()]; 1_000],
                next: (number < PAGES).then_some(Cursor(number)),
            })
        };
        let answer = stream("numbers", &[("number", "/number")], load).await.unwrap();
        let body = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert_eq!(text.lines().count(), 150_001);
        assert_eq!(text.lines().last(), Some("150"));
    }
}
