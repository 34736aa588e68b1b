//! What is known of a merchant's customer, and the rules of each field. The contact is a hint that a merchant gives, not
//! an identity: two customers may have the same. The reference id is the merchant's own name for him, good wherever an
//! id is; it must not look like one of ours. Nothing here is repaired or cut: what breaks a rule is refused.

use serde_json::{Map, Value};

/// The most characters of a name and of a reference id.
pub const TEXT_LENGTH_MAX: usize = 255;
/// The most fields of the metadata's object.
pub const METADATA_FIELDS_MAX: usize = 100;
/// The most bytes of the metadata, written as JSON.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// How a customer's id begins.
pub const ID_PREFIX: &str = "con_";

/// What a merchant says of his customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerFields {
    /// Unique among the merchant's customers.
    pub reference_id: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    /// As E.164 has it: `+` and digits.
    pub phone: Option<String>,
    /// Any JSON object of the merchant's; nothing here reads it.
    pub metadata: Option<Map<String, Value>>,
}

/// The rule that metadata breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataRule {
    #[error("must have at most {METADATA_FIELDS_MAX} pairs")]
    TooMany,
    #[error("must have keys of 1 to {TEXT_LENGTH_MAX} characters")]
    Key,
    #[error("must have at most {METADATA_BYTES_MAX} bytes as JSON")]
    TooLarge,
    #[error("must not contain the character U+0000")]
    Nul,
}

/// Whether a text may be a reference id: it must not begin as our ids do.
pub fn is_reference_id(text: &str) -> bool {
    !text.starts_with(ID_PREFIX)
}

/// Whether a text has the form of an address: a local part, `@`, and a domain of at least two labels.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_plain = |character: char| !character.is_whitespace() && !character.is_control() && character != '@';
    let is_local =
        (1..=64).contains(&local.len()) && local.chars().all(is_plain) && local.split('.').all(|atom| !atom.is_empty());
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .chars()
                .all(|character| character.is_alphanumeric() || character == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 254 && is_local && domain.contains('.') && domain.split('.').all(is_label)
}

/// Whether a text is a telephone number in the form of E.164.
pub fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (2..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Checks a customer's metadata.
pub fn check_metadata(metadata: &Map<String, Value>) -> Result<(), MetadataRule> {
    if metadata.len() > METADATA_FIELDS_MAX {
        return Err(MetadataRule::TooMany);
    }
    let is_key = |key: &String| !key.is_empty() && key.chars().count() <= TEXT_LENGTH_MAX;
    if !metadata.keys().all(is_key) {
        return Err(MetadataRule::Key);
    }
    if metadata.iter().any(|(key, value)| key.contains('\0') || has_nul(value)) {
        return Err(MetadataRule::Nul);
    }
    match serde_json::to_vec(metadata) {
        Ok(written) if written.len() <= METADATA_BYTES_MAX => Ok(()),
        Ok(_) | Err(_) => Err(MetadataRule::TooLarge),
    }
}

/// A name as its first word and the rest, as a contact shows it; both are empty where there is none.
pub fn split_name(name: Option<&str>) -> (&str, &str) {
    let name = name.unwrap_or_default().trim();
    match name.split_once(char::is_whitespace) {
        Some((first, last)) => (first, last.trim_start()),
        None => (name, ""),
    }
}

/// Postgres keeps no U+0000, neither in text nor in jsonb.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_email_has_a_local_part_and_a_domain_of_labels() {
        let long_local = format!("{}@example.com", "x".repeat(65));
        let long_domain = format!("a@{}.com", "x".repeat(64));
        let good = [
            "a@b.co",
            "jane.smith+tag@example.com",
            "o'hara@sub.example.org",
            "jörg@bücher.de",
        ];
        let bad = [
            "",
            "a",
            "@",
            "a@b",
            "@b.co",
            "a@",
            "a@.co",
            "a@b.",
            "a@b..co",
            "a b@c.de",
            "a@b@c.de",
            ".a@b.co",
            "a.@b.co",
            "a@-b.co",
            "a@b-.co",
            "a@b_c.co",
            "a@b.co\n",
            &long_local,
            &long_domain,
        ];
        for text in good {
            assert!(is_email(text), "{text}");
        }
        for text in bad {
            assert!(!is_email(text), "{text}");
        }
    }

    #[test]
    fn a_phone_is_a_plus_and_two_to_fifteen_digits() {
        for text in ["+12", "+15551234567", "+123456789012345"] {
            assert!(is_phone(text), "{text}");
        }
        for text in [
            "",
            "+",
            "+1",
            "15551234567",
            "+05551234567",
            "+1 555",
            "+1-555",
            "+1234567890123456",
            "+١٢٣",
        ] {
            assert!(!is_phone(text), "{text}");
        }
    }

    #[test]
    fn metadata_is_any_object_within_its_bounds() {
        let many = |count: usize| (0..count).map(|number| (format!("k{number}"), json!(number))).collect();
        let sized = |length: usize| Map::from_iter([("k".to_owned(), json!("x".repeat(length)))]);
        let table: [(Map<String, Value>, Result<(), MetadataRule>); 8] = [
            (Map::new(), Ok(())),
            (many(100), Ok(())),
            (many(101), Err(MetadataRule::TooMany)),
            (sized(METADATA_BYTES_MAX - 8), Ok(())),
            (sized(METADATA_BYTES_MAX - 7), Err(MetadataRule::TooLarge)),
            (Map::from_iter([(String::new(), json!(1))]), Err(MetadataRule::Key)),
            (Map::from_iter([("x".repeat(256), json!(1))]), Err(MetadataRule::Key)),
            (
                Map::from_iter([("a".to_owned(), json!([{ "b": "\0" }]))]),
                Err(MetadataRule::Nul),
            ),
        ];
        for (metadata, verdict) in table {
            assert_eq!(check_metadata(&metadata), verdict, "{} pairs", metadata.len());
        }
    }

    #[test]
    fn a_name_is_split_after_its_first_word() {
        let table = [
            (None, ("", "")),
            (Some("Jane"), ("Jane", "")),
            (Some("Jane Smith"), ("Jane", "Smith")),
            (Some(" Jane  van der Smith "), ("Jane", "van der Smith")),
        ];
        for (name, parts) in table {
            assert_eq!(split_name(name), parts, "{name:?}");
        }
    }

    #[test]
    fn a_reference_id_does_not_look_like_one_of_ours() {
        for (text, verdict) in [
            ("user-1", true),
            ("conrad", true),
            ("con_", false),
            ("con_test_x", false),
        ] {
            assert_eq!(is_reference_id(text), verdict, "{text}");
        }
    }
}
