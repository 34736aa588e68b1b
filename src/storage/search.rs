//! What somebody looks for in a list: a part of a name, in letters of either case, or the beginning of an id. A merchant's
//! own rows are read through for it, of which there are thousands, not millions; requests are looked for otherwise.

use uuid::Uuid;

/// A text that is looked for; nothing of it means anything but itself. The default finds all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search(String);

impl Search {
    /// `text` has been checked to hold nothing that Postgres cannot.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// As it was given, without blanks around it.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For `ILIKE`: the text anywhere.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::from("%");
        for letter in self.0.chars() {
            if matches!(letter, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('%');
        pattern
    }

    /// The first and the last id that are meant; where none is, the first stands behind the last. Without a text all are,
    /// so that rows without a name are found too.
    pub(super) fn ids<T: Into<Uuid>>(&self, beginning: impl Fn(&str) -> Option<(T, T)>) -> (Uuid, Uuid) {
        if self.is_empty() {
            return (Uuid::nil(), Uuid::max());
        }
        match beginning(&self.0) {
            Some((first, last)) => (first.into(), last.into()),
            None => (Uuid::max(), Uuid::nil()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::SpendKeyId;

    #[test]
    fn what_is_looked_for_means_only_itself() {
        assert_eq!(Search::new(" 100%_\\ ").pattern(), "%100\\%\\_\\\\%");
        assert_eq!(Search::default().pattern(), "%%");
    }

    #[test]
    fn the_beginning_of_an_id_means_ids_and_another_text_none() {
        let ids = |text: &str| Search::new(text).ids(SpendKeyId::beginning);
        assert_eq!(ids(""), (Uuid::nil(), Uuid::max()));
        assert_eq!(ids("spk_"), (Uuid::nil(), Uuid::max()));
        let (first, last) = ids("blue");
        assert!(first > last);
    }
}
