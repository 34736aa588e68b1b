//! The operator's own names for models: `fast` for `openai/gpt-4o-mini`, or `claude-haiku-*` for one model that serves a
//! whole family. A call by such a name is a call of the model behind it: that one's price, that one's permission. A
//! name that leads nowhere stops the start.

use std::collections::BTreeMap;

use super::CatalogueError;
use crate::domain::key::matches_wildcard;

/// Names and what they stand for.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    exact: BTreeMap<String, String>,
    /// The longest first, so that the narrowest counts.
    patterns: Vec<(String, String)>,
}

impl Aliases {
    /// Each target is `provider/model`; whether the provider is known, `is_provider` says.
    pub(super) fn read(
        table: BTreeMap<String, String>,
        is_provider: impl Fn(&str) -> bool,
    ) -> Result<Self, CatalogueError> {
        let mut aliases = Self::default();
        for (name, target) in table {
            let leads_somewhere = target
                .split_once('/')
                .is_some_and(|(provider, model)| is_provider(provider) && !model.is_empty());
            if name.is_empty() || !leads_somewhere {
                return Err(CatalogueError::Alias { name, target });
            }
            if name.contains('*') {
                aliases.patterns.push((name, target));
            } else {
                aliases.exact.insert(name, target);
            }
        }
        aliases
            .patterns
            .sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.len()));
        Ok(aliases)
    }

    /// What a name stands for, where it is one of these.
    pub(super) fn target(&self, name: &str) -> Option<&str> {
        if let Some(target) = self.exact.get(name) {
            return Some(target);
        }
        let mut patterns = self.patterns.iter();
        let found = patterns.find(|(pattern, _)| matches_wildcard(pattern, name));
        found.map(|(_, target)| target.as_str())
    }

    /// The names that are no patterns.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.exact.iter().map(|(name, target)| (name.as_str(), target.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(pairs: &[(&str, &str)]) -> Result<Aliases, CatalogueError> {
        let table = pairs
            .iter()
            .map(|(name, target)| ((*name).to_owned(), (*target).to_owned()));
        Aliases::read(table.collect(), |provider| provider == "openai")
    }

    #[test]
    fn the_narrowest_name_counts() {
        let aliases = aliases(&[
            ("fast", "openai/a"),
            ("claude-*", "openai/b"),
            ("claude-haiku-*", "openai/c"),
            ("claude-haiku-4", "openai/d/e"),
        ])
        .unwrap();
        let table = [
            ("fast", Some("openai/a")),
            ("claude-opus-5", Some("openai/b")),
            ("claude-haiku-3", Some("openai/c")),
            ("claude-haiku-4", Some("openai/d/e")),
            ("gpt-4o", None),
            ("", None),
        ];
        for (name, target) in table {
            assert_eq!(aliases.target(name), target, "{name}");
        }
    }

    #[test]
    fn a_name_that_leads_nowhere_is_refused() {
        for (name, target) in [("a", "b"), ("a", "other/b"), ("a", "openai/"), ("", "openai/b")] {
            let refused = aliases(&[(name, target)]).unwrap_err().to_string();
            assert!(refused.contains(target), "{refused}");
        }
    }
}
