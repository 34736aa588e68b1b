//! One page of a list, newest first. Ids begin with their time, so the id of the last item is the whole cursor, and a
//! page costs the same wherever it stands in the list.

use uuid::Uuid;

use crate::domain::cursor::Cursor;

/// Which page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The last item of the page before; `None` for the first page.
    pub after: Option<Cursor>,
    pub limit: u32,
}

/// What a list query found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

impl PageRequest {
    /// Every item of the page has an id below this one.
    pub(super) fn before(&self) -> Uuid {
        Uuid::from_u128(self.after.map_or(u128::MAX, |cursor| cursor.0))
    }

    /// One more than fits, to know whether there is another page.
    pub(super) fn fetch_count(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

impl<T> Page<T> {
    /// The page of rows that were fetched by [`PageRequest::fetch_count`]; `id` gives the bits of a row's id.
    pub(super) fn cut(mut rows: Vec<T>, request: PageRequest, id: impl Fn(&T) -> u128) -> Self {
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| Cursor(id(row)));
        Self { rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_next_one_only_where_there_is_one() {
        let request = PageRequest { after: None, limit: 2 };
        let page = |rows: &[u128]| Page::cut(rows.to_vec(), request, |row| *row);
        assert_eq!(
            page(&[3, 2, 1]),
            Page {
                rows: vec![3, 2],
                next: Some(Cursor(2))
            }
        );
        assert_eq!(
            page(&[3, 2]),
            Page {
                rows: vec![3, 2],
                next: None
            }
        );
        assert_eq!(
            page(&[]),
            Page {
                rows: vec![],
                next: None
            }
        );
        assert_eq!(request.before(), Uuid::max());
    }
}
