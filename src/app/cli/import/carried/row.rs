//! A row of the catalogue for a deployment with an address of its own, in the form of the provider whose calls it takes.

use std::net::IpAddr;

use url::Url;

use crate::app::cli::import::deployment::{Deployment, KeyPlace};

use super::capitals;

/// Whether rows of this provider's form can be written; others are moved by their variable.
pub fn has_form_of_its_own(provider: &str) -> bool {
    matches!(provider, "openai" | "anthropic" | "azure" | "ollama")
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    form: String,
    base_url: String,
    key: KeyPlace,
    /// Its models have prices of their own.
    pub has_prices: bool,
}

impl Row {
    /// A row with a name that is not taken.
    pub fn new(deployment: &Deployment, base_url: &str, is_taken: impl Fn(&str) -> bool) -> Self {
        let wanted = name_of(&deployment.provider, base_url);
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        Self {
            name: names.find(|name| !is_taken(name)).unwrap_or(wanted),
            form: deployment.provider.clone(),
            base_url: base_url.to_owned(),
            key: deployment.key.clone(),
            has_prices: false,
        }
    }

    pub fn serves(&self, deployment: &Deployment, base_url: &str) -> bool {
        self.form == deployment.provider && self.base_url == base_url && self.key == deployment.key
    }

    /// The variable of its key, and what it must hold.
    pub fn variable(&self) -> Option<(String, String)> {
        let variable = match &self.key {
            KeyPlace::None | KeyPlace::Usual => return None,
            KeyPlace::Variable(name) => name.clone(),
            KeyPlace::InFile => format!("{}_API_KEY", capitals(&self.name)),
        };
        let holds = match self.key {
            KeyPlace::InFile => format!("the key of {} that stands in the file", self.name),
            KeyPlace::None | KeyPlace::Usual | KeyPlace::Variable(_) => format!("the key of {}", self.name),
        };
        Some((variable, holds))
    }

    pub fn as_toml(&self) -> toml::Table {
        let mut row = toml::Table::new();
        let mut set = |name: &str, value: toml::Value| {
            row.insert(name.to_owned(), value);
        };
        let texts = |list: &[&str]| toml::Value::Array(list.iter().map(|text| toml::Value::from(*text)).collect());
        set("name", toml::Value::from(self.name.as_str()));
        set("base_url", toml::Value::from(self.base_url.as_str()));
        match self.form.as_str() {
            "anthropic" => {
                set("dialect", toml::Value::from("anthropic"));
                set("credential", toml::Value::from("x-api-key"));
                set("takes_stream_options", toml::Value::from(false));
            }
            "azure" => {
                let responses = toml::Table::from_iter([("dialect".to_owned(), toml::Value::from("responses"))]);
                set("credential", toml::Value::from("api-key"));
                set("also", toml::Value::Array(vec![toml::Value::Table(responses)]));
                set("output_cap_field", toml::Value::from("max_completion_tokens"));
            }
            // What needs no key takes one all the same.
            _ if self.key == KeyPlace::None => set("credential", toml::Value::from("none")),
            _ => {}
        }
        if let KeyPlace::Variable(name) = &self.key {
            set("key_variables", texts(&[name]));
        }
        let (own, known) = (self.name.as_str(), self.form.as_str());
        // A bare name of the book's would come before an own price.
        let is_bare = matches!(known, "openai" | "anthropic");
        let words = if known == "ollama" || (self.has_prices && is_bare) {
            vec![own]
        } else {
            vec![own, known]
        };
        set("price_tags", texts(&words));
        set("price_prefixes", texts(&words));
        if is_private(&self.base_url) {
            set("private", toml::Value::from(true));
        }
        row
    }
}

impl KeyPlace {
    /// What a variable must hold for it; nothing where the usual one has it.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::None | Self::Usual => None,
            Self::Variable(name) => Some(format!("what {name} holds")),
            Self::InFile => Some("the key that stands in the file".to_owned()),
        }
    }
}

/// A name by the host, or by the variable that says it.
fn name_of(provider: &str, base_url: &str) -> String {
    let host = match base_url.strip_prefix("${").and_then(|rest| rest.split_once(":-")) {
        Some((variable, _)) => variable.to_owned(),
        None => Url::parse(base_url).ok().map_or_else(String::new, |url| {
            let host = url.host_str().unwrap_or_default().to_owned();
            url.port().map_or(host.clone(), |port| format!("{host}-{port}"))
        }),
    };
    let host = match provider {
        "azure" => format!("azure-{}", host.split('.').next().unwrap_or_default()),
        "ollama" => "ollama-host".to_owned(),
        _ => host,
    };
    let letter = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let slug: String = host.chars().map(letter).collect();
    match slug.trim_matches('-') {
        "" => "litellm".to_owned(),
        slug => slug.to_owned(),
    }
}

/// Whether an address is of one's own network, by its form.
fn is_private(base_url: &str) -> bool {
    let Ok(url) = Url::parse(base_url) else { return true };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    url.scheme() == "http"
        || host.parse::<IpAddr>().is_ok()
        || !host.contains('.')
        || [".local", ".internal", ".lan"].iter().any(|end| host.ends_with(end))
}
