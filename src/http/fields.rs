//! Reading the fields of a body or of an object within it, each with its type, its range and its name. A field that is
//! not known is refused, because a typing error in a limit would cost money; every refusal names the parameter, as the
//! caller spelled it where it has older names.
//! A number where a decimal string belongs is refused too: it has been through a float already.

use chrono::DateTime;
use serde_json::{Map, Value};

use crate::domain::money::Money;

use super::error::{ApiError, ErrorCode};
use super::vocabulary::{is_older_name_of, spellings};

/// What a body says of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// It is not there.
    Keep,
    /// It is null.
    Clear,
    Set(T),
}

impl<T> Change<T> {
    /// The value, where null and absence mean the same.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Keep | Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Changes a setting that may be cleared.
    pub fn apply(self, setting: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *setting = None,
            Self::Set(value) => *setting = Some(value),
        }
    }

    /// Changes a setting that goes back to `default` when it is cleared.
    pub fn apply_or(self, setting: &mut T, default: T) {
        match self {
            Self::Keep => {}
            Self::Clear => *setting = default,
            Self::Set(value) => *setting = value,
        }
    }
}

/// A whole number's least and largest value.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub least: u64,
    pub most: u64,
}

/// An object's fields; `path` stands before their names in refusals.
pub struct Fields<'a> {
    fields: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    /// The fields of a body; one that is not among `known` is refused.
    pub fn of_body(fields: &'a Map<String, Value>, known: &[&str]) -> Result<Self, ApiError> {
        Self::of_object(fields, "", known)
    }

    /// The fields of a body that sets neither a limit nor a price: those that are not known are ignored.
    pub fn of_open_body(fields: &'a Map<String, Value>) -> Self {
        Self { fields, path: "" }
    }

    fn of_object(fields: &'a Map<String, Value>, path: &'a str, known: &[&str]) -> Result<Self, ApiError> {
        let object = Self { fields, path };
        let is_known = |name: &str| known.contains(&name) || is_older_name_of(name, known);
        match fields.keys().find(|name| !is_known(name)) {
            None => Ok(object),
            Some(unknown) => {
                // Long names are cut, so that an answer is never as large as what it refuses.
                let param = object.param(&unknown.chars().take(100).collect::<String>());
                let message = format!("`{param}` is not a known field; known are {}.", known.join(", "));
                Err(ApiError::new(ErrorCode::UnknownField).say(message).param(&param))
            }
        }
    }

    /// An object within this one.
    pub fn object(&self, name: &'a str, known: &[&str]) -> Result<Change<Fields<'a>>, ApiError> {
        self.read(name, |value| match value {
            Value::Object(fields) => Fields::of_object(fields, name, known),
            _ => Err(self.wrong(name, "must be an object")),
        })
    }

    /// A list of at most 100 objects, each read by `read`; refusals name their place, as `tiers[1].start`.
    pub fn objects<T>(
        &self,
        name: &str,
        known: &[&str],
        read: impl Fn(&Fields) -> Result<T, ApiError>,
    ) -> Result<Change<Vec<T>>, ApiError> {
        self.read(name, |value| {
            let entries = value
                .as_array()
                .filter(|entries| entries.len() <= 100)
                .ok_or_else(|| self.wrong(name, "must be an array of at most 100 objects"))?;
            let read = |(place, entry): (usize, &Value)| {
                let path = self.param(&format!("{name}[{place}]"));
                match entry {
                    Value::Object(fields) => read(&Fields::of_object(fields, &path, known)?),
                    _ => Err(ApiError::invalid(&path, "must be an object")),
                }
            };
            entries.iter().enumerate().map(read).collect()
        })
    }

    /// An object of the caller's own, as it stands.
    pub fn map(&self, name: &str) -> Result<Change<Map<String, Value>>, ApiError> {
        self.read(name, |value| match value {
            Value::Object(fields) => Ok(fields.clone()),
            _ => Err(self.wrong(name, "must be an object")),
        })
    }

    /// A text of 1 to `most` characters without control characters.
    pub fn text(&self, name: &str, most: usize) -> Result<Change<String>, ApiError> {
        self.read(name, |value| {
            let text = value.as_str().ok_or_else(|| self.wrong(name, "must be a string"))?;
            check_text(text, most).map_err(|why| self.wrong(name, &why))?;
            Ok(text.to_owned())
        })
    }

    /// One of these words.
    pub fn word<T>(&self, name: &str, words: &[&str], find: impl Fn(&str) -> Option<T>) -> Result<Change<T>, ApiError> {
        self.read(name, |value| {
            let found = value.as_str().and_then(find);
            found.ok_or_else(|| self.wrong(name, &format!("must be one of {}", words.join(", "))))
        })
    }

    /// A text that `parse` understands; `what` says what it must be.
    pub fn parsed<T>(&self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Change<T>, ApiError> {
        self.read(name, |value| {
            value.as_str().and_then(parse).ok_or_else(|| self.wrong(name, what))
        })
    }

    /// A list of 1 to 100 texts of at most 255 characters, each of which `parse` must understand.
    pub fn list<T>(
        &self,
        name: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Change<Vec<T>>, ApiError> {
        match self.texts(name, what, parse)? {
            Change::Set(entries) if entries.is_empty() => {
                Err(self.wrong(name, "must have 1 to 100 entries; null takes the restriction away"))
            }
            change => Ok(change),
        }
    }

    /// As [`Fields::list`], but it may be empty.
    pub fn texts<T>(
        &self,
        name: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Change<Vec<T>>, ApiError> {
        self.read(name, |value| {
            let entries = value
                .as_array()
                .ok_or_else(|| self.wrong(name, "must be an array of strings"))?;
            if entries.len() > 100 {
                return Err(self.wrong(name, "must have at most 100 entries"));
            }
            let read = |(place, entry): (usize, &Value)| {
                let place = format!("{name}[{place}]");
                let text = entry.as_str().ok_or_else(|| self.wrong(&place, "must be a string"))?;
                check_text(text, 255).map_err(|why| self.wrong(&place, &why))?;
                parse(text).ok_or_else(|| self.wrong(&place, what))
            };
            entries.iter().enumerate().map(read).collect()
        })
    }

    /// True or false.
    pub fn flag(&self, name: &str) -> Result<Change<bool>, ApiError> {
        self.read(name, |value| {
            value.as_bool().ok_or_else(|| self.wrong(name, "must be true or false"))
        })
    }

    /// A whole number within the range.
    pub fn integer(&self, name: &str, range: Range) -> Result<Change<u64>, ApiError> {
        self.read(name, |value| {
            let number = value
                .as_u64()
                .filter(|number| (range.least..=range.most).contains(number));
            number.ok_or_else(|| {
                self.wrong(
                    name,
                    &format!("must be an integer from {} to {}", range.least, range.most),
                )
            })
        })
    }

    /// A whole number, as a decimal string or as a number.
    pub fn whole(&self, name: &str) -> Result<Change<u64>, ApiError> {
        self.read(name, |value| {
            let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
            let number = match value.as_str() {
                Some(text) => Some(text).filter(digits).and_then(|text| text.parse().ok()),
                None => value.as_u64(),
            };
            number.ok_or_else(|| self.wrong(name, "must be a whole number such as \"1000000\""))
        })
    }

    /// An amount above zero, as a decimal string.
    pub fn amount(&self, name: &str) -> Result<Change<Money>, ApiError> {
        match self.amount_or_zero(name)? {
            Change::Set(Money::ZERO) => Err(self.wrong(name, "must be above zero")),
            change => Ok(change),
        }
    }

    /// An amount that is not negative, as a decimal string.
    pub fn amount_or_zero(&self, name: &str) -> Result<Change<Money>, ApiError> {
        self.read(name, |value| {
            let text = value
                .as_str()
                .ok_or_else(|| self.wrong(name, "must be a decimal string such as \"5.00\""))?;
            text.parse()
                .map_err(|error| ApiError::invalid(&self.param(name), error))
        })
    }

    /// An instant after `now_ms`, as unix milliseconds.
    pub fn future(&self, name: &str, now_ms: i64) -> Result<Change<i64>, ApiError> {
        self.read(name, |value| {
            let instant = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            let instant = instant.map(|instant| instant.timestamp_millis());
            let what = "must be an instant such as \"2030-01-31T00:00:00Z\"";
            let instant = instant.ok_or_else(|| self.wrong(name, what))?;
            if instant > now_ms {
                Ok(instant)
            } else {
                Err(self.wrong(name, "must be in the future"))
            }
        })
    }

    /// Refuses a change of what stays as it was made.
    pub fn refuse_change(&self, names: &[&str]) -> Result<(), ApiError> {
        match names.iter().find(|name| spellings(self.fields, name).next().is_some()) {
            None => Ok(()),
            Some(name) => Err(self.wrong(name, "cannot be changed")),
        }
    }

    /// The value of a field that must be there.
    pub fn required<T>(&self, name: &str, change: Change<T>) -> Result<T, ApiError> {
        change.value().ok_or_else(|| self.wrong(name, "is required"))
    }

    /// The change of a field that cannot be null.
    pub fn not_null<T>(&self, name: &str, change: Change<T>) -> Result<Option<T>, ApiError> {
        match change {
            Change::Keep => Ok(None),
            Change::Clear => Err(self.wrong(name, "must not be null")),
            Change::Set(value) => Ok(Some(value)),
        }
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(&'a Value) -> Result<T, ApiError>) -> Result<Change<T>, ApiError> {
        match self.find(name)? {
            None => Ok(Change::Keep),
            Some(Value::Null) => Ok(Change::Clear),
            Some(value) => read(value).map(Change::Set),
        }
    }

    /// The value under whichever of its names the caller used.
    fn find(&self, name: &str) -> Result<Option<&'a Value>, ApiError> {
        let mut named = spellings(self.fields, name);
        let Some(first) = named.next() else { return Ok(None) };
        let value = self.fields.get(first);
        match named.find(|spelling| self.fields.get(*spelling) != value) {
            None => Ok(value),
            Some(other) => Err(ApiError::invalid(
                &self.path_of(other),
                format!("says something else than `{}`", self.path_of(first)),
            )),
        }
    }

    /// The refusal of a field for what it says.
    pub fn wrong(&self, name: &str, what: &str) -> ApiError {
        ApiError::invalid(&self.param(name), what)
    }

    /// The path of a field, or of a place in one, as the caller spelled it.
    fn param(&self, name: &str) -> String {
        let (field, place) = name.split_at(name.find('[').unwrap_or(name.len()));
        let field = spellings(self.fields, field).next().unwrap_or(field);
        self.path_of(&format!("{field}{place}"))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

/// Whether a text may be stored and shown: Postgres takes no NUL, and nothing that is shown has use for the rest.
pub fn check_text(text: &str, most: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.chars().count() > most {
        return Err(format!("must have at most {most} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    Ok(())
}
