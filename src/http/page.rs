//! Pages of lists: `limit` and `cursor` in, `{data, has_more, next_cursor}` out. Newest first, 10 at a time unless
//! asked otherwise, never more than 100; the cursor is opaque, and `null` on the last page.

use serde_json::{Value, json};

use crate::domain::cursor::Cursor;
use crate::storage::page::{Page, PageRequest};

use super::error::ApiError;
use super::query::Query;

const DEFAULT_LIMIT: u32 = 10;
const MAXIMUM_LIMIT: u32 = 100;

/// Which part of a list is asked for.
pub fn read_page(query: &Query) -> Result<PageRequest, ApiError> {
    let limit = match query.text("limit")? {
        None => DEFAULT_LIMIT,
        Some(text) => {
            let number = text.parse().ok().filter(|number| (1..=MAXIMUM_LIMIT).contains(number));
            number.ok_or_else(|| ApiError::invalid("limit", format!("must be an integer from 1 to {MAXIMUM_LIMIT}")))?
        }
    };
    let after = match query.text("cursor")? {
        None => None,
        Some(text) => {
            Some(Cursor::decode(text).ok_or_else(|| ApiError::invalid("cursor", "is not a cursor of a list"))?)
        }
    };
    Ok(PageRequest { after, limit })
}

/// The list's envelope; each row is shown by `show`.
pub fn envelope<T>(page: &Page<T>, show: impl FnMut(&T) -> Value) -> Value {
    let items: Vec<Value> = page.rows.iter().map(show).collect();
    json!({ "data": items, "has_more": page.next.is_some(), "next_cursor": page.next.map(Cursor::encode) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_cursors_out_of_range_are_refused_by_name() {
        let page = read_page(&Query::parse("")).unwrap();
        assert_eq!(page, PageRequest { limit: 10, after: None });
        let cursor = Cursor(7).encode();
        let page = read_page(&Query::parse(&format!("limit=100&cursor={cursor}"))).unwrap();
        assert_eq!(
            page,
            PageRequest {
                limit: 100,
                after: Some(Cursor(7))
            }
        );
        let refused = [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=x",
            "limit=1.5",
            "limit=1&limit=2",
            "cursor=x",
            "cursor=AAAA",
        ];
        for text in refused {
            let error = read_page(&Query::parse(text)).unwrap_err();
            assert_eq!(error.extra()["param"], text.split('=').next().unwrap(), "{text}");
        }
    }

    #[test]
    fn the_last_page_says_so() {
        let mut page: Page<u32> = Page {
            rows: vec![7],
            next: None,
        };
        let shown = envelope(&page, |row| Value::from(*row));
        assert_eq!(shown, json!({"data": [7], "has_more": false, "next_cursor": null}));
        page.next = Some(Cursor(1));
        let shown = envelope(&page, |row| Value::from(*row));
        assert_eq!(
            (&shown["has_more"], &shown["next_cursor"]),
            (&Value::from(true), &Value::from(Cursor(1).encode()))
        );
    }
}
