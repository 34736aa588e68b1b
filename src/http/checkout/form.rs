//! The fields of a posted form. Values are wiped from memory when the form is dropped: among them may be a test card.

use std::collections::HashMap;

use crate::domain::secret::Secret;

/// See the module.
pub struct Form(HashMap<String, Secret<String>>);

impl Form {
    pub fn read(body: &[u8]) -> Self {
        let fields = url::form_urlencoded::parse(body).into_owned().take(32);
        Self(fields.map(|(name, value)| (name, Secret::new(value))).collect())
    }

    /// The field without blanks around it; empty where it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.expose().trim())
    }

    pub fn secret(&self, name: &str) -> Secret<String> {
        Secret::new(self.text(name).to_owned())
    }
}

/// A month and a year of four digits, from `12 / 34`, `12/2034` or `1234`.
pub fn read_expiry(text: &str) -> Option<(u32, u32)> {
    let (month, year) = match text.split_once('/') {
        Some((month, year)) => (month.trim(), year.trim()),
        None => text.split_at_checked(2)?,
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(month) || !is_number(year) {
        return None;
    }
    let month = month.parse().ok()?;
    match (year.len(), year.parse::<u32>()) {
        (2, Ok(year)) => Some((month, 2000 + year)),
        (4, Ok(year)) => Some((month, year)),
        (_, _) => None,
    }
}

/// A number as E.164 has it, from how people write one; it needs its country's prefix.
pub fn read_phone(text: &str) -> Option<String> {
    let text = text
        .strip_prefix("00")
        .map_or_else(|| text.to_owned(), |rest| format!("+{rest}"));
    let is_blank = |character: char| matches!(character, ' ' | '-' | '(' | ')' | '.' | '/');
    let phone: String = text.chars().filter(|character| !is_blank(*character)).collect();
    crate::domain::customer::is_phone(&phone).then_some(phone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_numbers_are_read_as_people_write_them() {
        let dates = [
            ("12 / 34", Some((12, 2034))),
            ("12/2034", Some((12, 2034))),
            ("1234", Some((12, 2034))),
            ("1/34", Some((1, 2034))),
            ("12/3", None),
            ("12/034", None),
            ("+1/34", None),
            ("ä", None),
            ("", None),
        ];
        for (text, date) in dates {
            assert_eq!(read_expiry(text), date, "{text}");
        }
        let phones = [
            ("+49 (30) 123-456", Some("+4930123456")),
            ("0049 30/123456", Some("+4930123456")),
            ("030 123456", None),
            ("+", None),
        ];
        for (text, phone) in phones {
            assert_eq!(read_phone(text).as_deref(), phone, "{text}");
        }
    }
}
