//! LiteLLM's virtual keys as spend keys of the same limits. It stores only hashes, so each gets a new secret; what an
//! earlier import made is known by its tag and is not made twice. Where a limit has no equal the stricter one is taken,
//! and said; a key whose limits the export does not hold is paused.

mod limits;
mod minting;
mod wanted;

use std::collections::HashSet;
use std::path::Path;

use chrono::Utc;
use serde_json::{Value, json};

use crate::app::cli::failure::Failure;
use crate::app::cli::output::{Column, Sheet, text};
use crate::http::spend_keys::body::Creation;

use super::carried::Carried;
pub use minting::Minting;
use wanted::{Wanted, name_of, tag_of};

/// Keys to be made.
pub struct KeyImport {
    wanted: Vec<Wanted>,
    skipped: Vec<Value>,
}

impl KeyImport {
    /// Reads an export: the pages of it, which may come in any order.
    pub fn read(pages: &[String], carried: &Carried, request_shape: &str) -> Result<Self, Failure> {
        let mut import = Self {
            wanted: Vec::new(),
            skipped: Vec::new(),
        };
        for row in rows_of(pages)? {
            let wanted = Wanted::of(&row, carried, request_shape).and_then(acceptable);
            match wanted {
                Ok(wanted) => import.wanted.push(wanted),
                Err(why) => import.skipped.push(json!({ "name": name_of(&row), "why": why })),
            }
        }
        Ok(import)
    }

    pub fn as_json(&self) -> Value {
        let wanted = self.wanted.iter().map(|wanted| {
            json!({ "name": wanted.body["name"], "settings": wanted.body, "is_blocked": wanted.is_paused(), "notes": wanted.notes })
        });
        json!({ "wanted": wanted.collect::<Vec<_>>(), "skipped": self.skipped })
    }
}

/// What the server would refuse is known before it is asked.
fn acceptable(wanted: Wanted) -> Result<Wanted, String> {
    match Creation::read(&wanted.body, Utc::now().timestamp_millis()) {
        Ok(_) => Ok(wanted),
        Err(refusal) => Err(refusal.message().to_owned()),
    }
}

/// The rows of all pages, each once. LiteLLM gives ten at a time where nothing is said and a hundred at most, and whoever
/// has only the first page would lose the other keys.
fn rows_of(pages: &[String]) -> Result<Vec<Value>, Failure> {
    let (mut rows, mut known) = (Vec::new(), HashSet::new());
    let (mut row_count, mut total_count, mut page_count) = (0, 0, 0);
    for page in pages {
        let tree: Value =
            serde_json::from_str(page).map_err(|error| Failure::Failed(format!("the keys are not JSON: {error}")))?;
        let list = [&tree, &tree["keys"], &tree["data"]]
            .into_iter()
            .find_map(Value::as_array);
        let list = list.ok_or_else(|| Failure::Failed("a file of keys holds no list of them".to_owned()))?;
        total_count = total_count.max(tree["total_count"].as_u64().unwrap_or(0));
        page_count = page_count.max(tree["total_pages"].as_u64().unwrap_or(0));
        for row in list {
            let tag = tag_of(row);
            if tag.is_known() && !known.insert(tag.0) {
                continue;
            }
            row_count += 1;
            rows.push(row.clone());
        }
    }
    if total_count > row_count || page_count > pages.len() as u64 {
        return Err(Failure::Failed(format!(
            "the export holds {row_count} of {total_count} keys, on {} of {page_count} pages: ask for the others too, by \
             page=2 and so on, and name each file by a --keys of its own",
            pages.len()
        )));
    }
    Ok(rows)
}

/// What became of the keys, for people.
pub fn told(keys: &Value, secrets: Option<&Path>) -> Option<String> {
    let list = |name: &str| keys[name].as_array().cloned();
    let made = list("made").or_else(|| list("wanted"))?;
    let mut sheet = Sheet::new(["KEY", "ID", "SECRET", "NOTES"].map(Column::Text));
    for key in &made {
        sheet.row(["name", "spend_key_id", "key", "notes"].map(|name| text(&key[name])));
    }
    for key in list("skipped").unwrap_or_default() {
        sheet.row([
            text(&key["name"]),
            "-".to_owned(),
            "-".to_owned(),
            format!("not made: {}", text(&key["why"])),
        ]);
    }
    let table = sheet.render();
    Some(match secrets.filter(|_| keys["made"].is_array()) {
        Some(path) => format!("{table}\n\nThe secrets are in {}.", path.display()),
        None => table,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_read_when_all_of_its_pages_are_there() {
        let page = |tokens: &[&str]| {
            let keys: Vec<Value> = tokens.iter().map(|token| json!({ "token": token })).collect();
            json!({ "keys": keys, "total_count": 3, "current_page": 1, "total_pages": 2 }).to_string()
        };
        let (first, second) = (page(&["aa", "bb"]), page(&["bb", "cc"]));
        assert_eq!(rows_of(&[second.clone(), first.clone()]).unwrap().len(), 3);
        let table = [
            (vec![first.clone()], "2 of 3 keys, on 1 of 2 pages"),
            (vec![first.clone(), first], "2 of 3 keys"),
            (vec!["{}".to_owned()], "no list"),
            (vec!["[".to_owned()], "not JSON"),
        ];
        for (pages, why) in table {
            let said = rows_of(&pages).unwrap_err().message();
            assert!(said.contains(why), "{said}");
        }
        // Rows of the table itself have no pages, and a hash alone is no double of another.
        assert_eq!(rows_of(&["[{}, {}]".to_owned()]).unwrap().len(), 2);
    }
}
