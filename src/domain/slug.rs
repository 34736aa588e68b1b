//! Slugs: the short names by which callers name a meter. One is made from a name where none is given.

/// The most characters that a slug may have.
pub const LONGEST_SLUG: usize = 100;
/// A slug that is made leaves room for a number.
const LONGEST_MADE: usize = 80;

/// Whether a caller may choose this slug: letters, digits, `-`, `_` and `.`, all ASCII.
pub fn is_slug(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=LONGEST_SLUG).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// The slug of a name: its ASCII letters and digits, lower case, with a hyphen for whatever stands between them;
/// `fallback` where there are none.
pub fn slug_of(name: &str, fallback: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(LONGEST_MADE);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { fallback } else { slug }.to_owned()
}

/// The first of `base`, `base-2`, `base-3` and so on that is not taken.
pub fn free_slug(base: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2u64..).map(|number| format!("{base}-{number}"));
    let mut slugs = std::iter::once(base.to_owned()).chain(numbered);
    slugs.find(|slug| !is_taken(slug)).unwrap_or_else(|| base.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_of_the_letters_and_digits_of_a_name() {
        let long = "x".repeat(200);
        let table = [
            ("Chat (GPT-4o)", "chat-gpt-4o"),
            ("  Überraschung!  ", "berraschung"),
            ("日本", "meter"),
            ("--", "meter"),
            (&long, &long[..80]),
        ];
        for (name, slug) in table {
            assert_eq!(slug_of(name, "meter"), slug, "{name}");
            assert!(is_slug(&slug_of(name, "meter")));
        }
    }

    #[test]
    fn a_taken_slug_gets_the_next_number() {
        let taken = ["chat", "chat-2", "chat-4"];
        assert_eq!(free_slug("chat", |slug| taken.contains(&slug)), "chat-3");
        assert_eq!(free_slug("cat", |slug| taken.contains(&slug)), "cat");
    }

    #[test]
    fn a_slug_has_no_characters_that_a_path_would_change() {
        for slug in ["a", "A.b_c-9"] {
            assert!(is_slug(slug), "{slug}");
        }
        for text in ["", "a b", "a/b", "a%", "ä", &"x".repeat(101)] {
            assert!(!is_slug(text), "{text}");
        }
    }
}
