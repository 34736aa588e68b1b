//! The layers of the configuration laid over each other, and the memory of which layer set what.
//! It refuses an option that the defaults do not have and a value of another type than the default's; what a value
//! may be beyond that is decided in `ranges`.

use std::collections::{BTreeMap, HashMap};

use toml::de::DeTable;
use toml::{Table, Value};

use super::super::environment::Environment;
use super::{Config, ConfigError};

/// Variables with names of their own, and the options that they set.
const NAMED_VARIABLES: [(&str, &str); 6] = [
    ("HOST", "server.host"),
    ("PORT", "server.port"),
    ("CALDERA_DATA_DIR", "data.dir"),
    ("CALDERA_PEPPER_FILE", "secrets.pepper_file"),
    ("CALDERA_SEAL_KEY_FILE", "secrets.seal_key_file"),
    ("RUST_LOG", "log.filter"),
];

/// Those that are secrets, which may stand in files.
const SECRET_VARIABLES: [(&str, &str); 1] = [("DATABASE_URL", "database.url")];

const OPTION_VARIABLE_PREFIX: &str = "CALDERA__";

/// The merged options, each with the place that set it.
pub(super) struct Layers {
    options: BTreeMap<String, Value>,
    places: HashMap<String, String>,
}

impl Layers {
    /// The shipped defaults, which say what options there are and of which type.
    pub(super) fn of_defaults(text: &str) -> Result<Self, ConfigError> {
        let mut options = BTreeMap::new();
        for (section, values) in parse("the defaults", text)? {
            let Value::Table(values) = values else {
                continue;
            };
            for (name, value) in values {
                options.insert(format!("{section}.{name}"), value);
            }
        }
        Ok(Self {
            options,
            places: HashMap::new(),
        })
    }

    /// Options that were laid over each other before.
    pub(super) fn of_values(options: BTreeMap<String, Value>) -> Self {
        Self {
            options,
            places: HashMap::new(),
        }
    }

    /// Lays a file over what is there.
    pub(super) fn add_file(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        for (section, values) in parse(path, text)? {
            let Value::Table(values) = values else {
                return Err(self.unknown(&section, place_of(path, text, &section, None)));
            };
            for (name, value) in values {
                let place = place_of(path, text, &section, Some(&name));
                self.set(format!("{section}.{name}"), value, place)?;
            }
            if !self.options.keys().any(|known| in_section(known, &section)) {
                return Err(self.unknown(&section, place_of(path, text, &section, None)));
            }
        }
        Ok(())
    }

    /// Lays the environment over what is there: the variables with names of their own, then `CALDERA__SECTION__NAME`.
    pub(super) fn add_environment(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        for (variable, option) in NAMED_VARIABLES {
            if let Some(text) = environment.plain(variable) {
                self.set_text(option.to_owned(), text, variable)?;
            }
        }
        for (variable, option) in SECRET_VARIABLES {
            if let Some(text) = environment.secret(variable)? {
                self.set_text(option.to_owned(), &text, variable)?;
            }
        }
        for (variable, text) in environment.variables() {
            if let Some(rest) = variable.strip_prefix(OPTION_VARIABLE_PREFIX) {
                let option = rest.to_ascii_lowercase().replacen("__", ".", 1);
                self.set_text(option, text, variable)?;
            }
        }
        Ok(())
    }

    /// Every option with its value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.options.iter().map(|(option, value)| (option.as_str(), value))
    }

    /// A refusal of the value that stands for this option.
    pub(super) fn refusal(&self, option: &str, why: String) -> ConfigError {
        let place = self.places.get(option).map_or("the defaults", String::as_str);
        ConfigError::Refused {
            option: option.to_owned(),
            place: place.to_owned(),
            why,
        }
    }

    /// The options as their types.
    pub(super) fn into_options(self) -> Result<Config, ConfigError> {
        let mut tree = Table::new();
        for (option, value) in self.options {
            let Some((section, name)) = option.split_once('.') else {
                continue;
            };
            let values = tree
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()))
                .as_table_mut();
            if let Some(values) = values {
                values.insert(name.to_owned(), value);
            }
        }
        tree.try_into().map_err(|error: toml::de::Error| ConfigError::Syntax {
            place: "the configuration".to_owned(),
            reason: error.message().to_owned(),
        })
    }

    fn set_text(&mut self, option: String, text: &str, variable: &str) -> Result<(), ConfigError> {
        let place = variable.to_owned();
        let value = match self.options.get(&option) {
            None => return Err(self.unknown(&option, place)),
            Some(Value::Integer(_)) => match text.trim().parse() {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::String(text.to_owned()),
            },
            Some(Value::Array(_)) => Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| Value::String(item.to_owned()))
                    .collect(),
            ),
            Some(_) => Value::String(text.to_owned()),
        };
        self.set(option, value, place)
    }

    fn set(&mut self, option: String, value: Value, place: String) -> Result<(), ConfigError> {
        let Some(known) = self.options.get_mut(&option) else {
            return Err(self.unknown(&option, place));
        };
        let expected = kind_of(known);
        let items_are_text = value.as_array().is_none_or(|items| items.iter().all(Value::is_str));
        if kind_of(&value) != expected || !items_are_text {
            let why = format!("must be {expected}");
            return Err(ConfigError::Refused { option, place, why });
        }
        *known = value;
        self.places.insert(option, place);
        Ok(())
    }

    fn unknown(&self, option: &str, place: String) -> ConfigError {
        let name = option.rsplit('.').next().unwrap_or(option);
        let is_namesake = |known: &&String| known.rsplit('.').next() == Some(name);
        let mut namesakes = self.options.keys().filter(is_namesake);
        let hint = match (namesakes.next(), namesakes.next()) {
            (Some(known), None) => format!(" (there is `{known}`)"),
            (_, _) => String::new(),
        };
        ConfigError::Unknown {
            option: option.to_owned(),
            place,
            hint,
        }
    }
}

fn parse(place: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        ConfigError::Syntax {
            place: format!("{place}, line {line},"),
            reason: error.message().to_owned(),
        }
    })
}

/// The file and the line where an option, or a whole section, stands.
fn place_of(path: &str, text: &str, section: &str, name: Option<&str>) -> String {
    match DeTable::parse(text)
        .ok()
        .and_then(|tree| offset_of(tree.get_ref(), section, name))
    {
        Some(offset) => format!("{path}, line {}", line_at(text, offset)),
        None => path.to_owned(),
    }
}

fn offset_of(tree: &DeTable<'_>, section: &str, name: Option<&str>) -> Option<usize> {
    let (key, values) = tree.iter().find(|(key, _)| key.get_ref().as_ref() == section)?;
    let Some(name) = name else {
        return Some(key.span().start);
    };
    let values = values.get_ref().as_table()?;
    let (key, _) = values.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
    Some(key.span().start)
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn in_section(option: &str, section: &str) -> bool {
    option.split_once('.').is_some_and(|(known, _)| known == section)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list of texts",
        Value::Table(_) => "a section",
    }
}
