//! One entry of LiteLLM's `model_list`: the name that callers use, and the deployment that serves it. Where it names an
//! address of its own it becomes a row of the catalogue, and else it is a model of a provider that is shipped.

use serde_json::Value;

use crate::gateway::provider::{Catalogue, Provider};

/// LiteLLM's words for hosts that speak OpenAI's format at an address of their own.
const OPENAI_LIKE: [&str; 12] = [
    "openai",
    "custom_openai",
    "openai_like",
    "text-completion-openai",
    "hosted_vllm",
    "vllm",
    "lm_studio",
    "litellm_proxy",
    "xinference",
    "llamafile",
    "docker_model_runner",
    "nvidia_nim",
];
/// Where a shipped provider's address is put by the operator, and what LiteLLM leaves out of its end.
const ADDRESSED: [(&str, &str); 3] = [("azure", "/openai/v1"), ("anthropic", "/v1"), ("ollama", "/v1")];

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPlace {
    /// The deployment needs none, or the provider's usual variable has it.
    Usual,
    Variable(String),
    /// In the file, in clear.
    InFile,
}

/// What serves a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// What callers say.
    pub name: String,
    /// The shipped provider whose form its calls have.
    pub provider: String,
    pub model: String,
    /// An address of its own.
    pub base_url: Option<String>,
    pub key: KeyPlace,
    /// Which of several of one name comes first.
    pub order: i64,
}

impl Deployment {
    /// Reads an entry, or says why nothing here serves it.
    pub fn read(entry: &Value, shipped: &Catalogue) -> Result<Self, String> {
        let params = &entry["litellm_params"];
        let name = entry["model_name"].as_str().ok_or("it has no model_name")?;
        let model = params["model"].as_str().ok_or("it has no litellm_params.model")?;
        let given = params["custom_llm_provider"].as_str();
        let (word, model) = match (given, model.split_once('/')) {
            (Some(word), _) => (word, model.strip_prefix(&format!("{word}/")).unwrap_or(model)),
            (None, Some((word, rest))) if is_word(word, shipped) => (word, rest),
            (None, Some((word, _))) if params["api_base"].is_null() => {
                return Err(format!("there is no provider {word}"));
            }
            (None, Some(_) | None) => (guessed(model), model),
        };
        let provider = provider_of(word, shipped).ok_or_else(|| format!("there is no provider {word}"))?;
        // LiteLLM says the way to Azure's newer interfaces in the model.
        let model = model.strip_prefix("responses/").unwrap_or(model);
        Ok(Self {
            name: name.to_owned(),
            provider: provider.name.to_string(),
            model: model.to_owned(),
            base_url: base_url(&params["api_base"], &provider.name)?,
            key: key_place(&params["api_key"]),
            order: params["order"].as_i64().unwrap_or(i64::MAX),
        })
    }

    /// Whether it stands for every model of a pattern.
    pub fn is_pattern(&self) -> bool {
        self.name.contains('*') || self.model.contains('*')
    }
}

fn is_word(word: &str, shipped: &Catalogue) -> bool {
    provider_of(word, shipped).is_some()
}

fn provider_of<'c>(word: &str, shipped: &'c Catalogue) -> Option<&'c Provider> {
    let name = match word {
        "ollama_chat" => "ollama",
        "bedrock_converse" => "bedrock",
        "azure_text" => "azure",
        word if OPENAI_LIKE.contains(&word) => "openai",
        word => word,
    };
    shipped.find(name).map(AsRef::as_ref)
}

/// A model without a word for its provider, as LiteLLM knows it by its name.
fn guessed(model: &str) -> &'static str {
    if model.starts_with("claude") {
        "anthropic"
    } else if model.starts_with("gemini") {
        "gemini"
    } else {
        "openai"
    }
}

fn key_place(value: &Value) -> KeyPlace {
    match value.as_str() {
        None | Some("" | "none" | "None" | "fake-key" | "dummy" | "EMPTY") => KeyPlace::Usual,
        Some(text) => match text.strip_prefix("os.environ/") {
            Some(name) => KeyPlace::Variable(name.to_owned()),
            None => KeyPlace::InFile,
        },
    }
}

/// The address in the catalogue's form: a variable stands in it by its name.
fn base_url(value: &Value, provider: &str) -> Result<Option<String>, String> {
    let Some(text) = value.as_str().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let end = ADDRESSED
        .iter()
        .find(|(name, _)| *name == provider)
        .map_or("", |(_, end)| *end);
    let complete = |base: &str| {
        let base = base.trim_end_matches('/');
        match base.strip_suffix(end) {
            Some(base) => format!("{base}{end}"),
            None => format!("{base}{end}"),
        }
    };
    match text.strip_prefix("os.environ/") {
        // A catalogue whose address is none is refused; the default is one that nobody has.
        Some(name) => Ok(Some(format!("${{{name}:-https://unset.invalid}}{end}"))),
        None => match url::Url::parse(text) {
            Ok(url) if url.has_host() && url.query().is_none() => Ok(Some(complete(url.as_str()))),
            Ok(_) | Err(_) => Err(format!("its api_base {text:?} is no address")),
        },
    }
}
