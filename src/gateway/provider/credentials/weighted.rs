//! The list of an `<NAME>_API_KEYS` variable: `key[*weight],key[*weight],...`. What is wrong is said by its place, for
//! a key must not stand in an error.

/// A key and its share of the calls.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway::provider) struct WeightedKey {
    pub(in crate::gateway::provider) key: String,
    pub(in crate::gateway::provider) weight: u32,
}

/// What is wrong with the entry at a place, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::gateway::provider) enum ListError {
    #[error("key {0} is empty")]
    Empty(usize),
    #[error("the weight of key {0} must be a whole number from 1 to 1000")]
    Weight(usize),
}

impl WeightedKey {
    /// A key that stands alone.
    pub(in crate::gateway::provider) fn alone(key: String) -> Self {
        Self { key, weight: 1 }
    }
}

/// Reads the list; a comma may stand at its end.
pub(in crate::gateway::provider) fn read_list(text: &str) -> Result<Vec<WeightedKey>, ListError> {
    let text = text.trim();
    let entries = text.strip_suffix(',').unwrap_or(text).split(',');
    entries
        .enumerate()
        .map(|(place, entry)| read_entry(entry, place + 1))
        .collect()
}

fn read_entry(entry: &str, place: usize) -> Result<WeightedKey, ListError> {
    let (key, weight) = match entry.rsplit_once('*') {
        None => (entry, 1),
        Some((key, weight)) => {
            let weight = weight.trim().parse().ok().filter(|weight| (1..=1000).contains(weight));
            (key, weight.ok_or(ListError::Weight(place))?)
        }
    };
    let key = key.trim();
    if key.is_empty() {
        return Err(ListError::Empty(place));
    }
    Ok(WeightedKey {
        key: key.to_owned(),
        weight,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_keys_and_their_weights() {
        let table: [(&str, Result<&str, ListError>); 12] = [
            ("a", Ok("a:1")),
            (" a*3 , b ", Ok("a:3 b:1")),
            ("a*1000,b*1,", Ok("a:1000 b:1")),
            ("a * 2", Ok("a:2")),
            ("a*b*2", Ok("a*b:2")),
            ("a*0", Err(ListError::Weight(1))),
            ("a,b*1001", Err(ListError::Weight(2))),
            ("a*-1", Err(ListError::Weight(1))),
            ("a*b", Err(ListError::Weight(1))),
            ("a*", Err(ListError::Weight(1))),
            ("a,,b", Err(ListError::Empty(2))),
            ("*2", Err(ListError::Empty(1))),
        ];
        for (text, wanted) in table {
            let shown = |entry: &WeightedKey| format!("{}:{}", entry.key, entry.weight);
            let read = read_list(text).map(|list| list.iter().map(shown).collect::<Vec<_>>().join(" "));
            assert_eq!(read, wanted.map(str::to_owned), "{text}");
        }
    }
}
