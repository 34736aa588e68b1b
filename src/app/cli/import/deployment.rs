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
/// Those of them whose key LiteLLM takes from a variable where the file names none, as it does for providers of its own.
const KEYED: [(&str, &str); 5] = [
    ("openai", "OPENAI_API_KEY"),
    ("custom_openai", "OPENAI_API_KEY"),
    ("text-completion-openai", "OPENAI_API_KEY"),
    ("litellm_proxy", "LITELLM_PROXY_API_KEY"),
    ("nvidia_nim", "NVIDIA_NIM_API_KEY"),
];
/// Where a shipped provider's address is put by the operator, and what LiteLLM leaves out of its end.
const ADDRESSED: [(&str, &str); 3] = [("azure", "/openai/v1"), ("anthropic", "/v1"), ("ollama", "/v1")];

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPlace {
    /// The deployment needs none.
    None,
    /// The provider's usual variable has it.
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
        // LiteLLM has two words for it.
        let base = ["api_base", "base_url"].into_iter().map(|word| &params[word]);
        let base = base.clone().find(|value| !value.is_null()).unwrap_or(&Value::Null);
        let (word, model) = match (given, model.split_once('/')) {
            (Some(word), _) => (word, model.strip_prefix(&format!("{word}/")).unwrap_or(model)),
            (None, Some((word, rest))) if is_word(word, shipped) => (word, rest),
            (None, Some((word, _))) if base.is_null() => {
                return Err(format!("there is no provider {word}"));
            }
            (None, Some(_) | None) => (guessed(model), model),
        };
        let provider = provider_of(word, shipped).ok_or_else(|| format!("there is no provider {word}"))?;
        // LiteLLM says the way to Azure's newer interfaces in the model.
        let model = model.strip_prefix("responses/").unwrap_or(model);
        let base_url = base_url(base, &provider.name)?;
        let key = match key_place(&params["api_key"], word) {
            // A row of its own would have a variable of its own.
            KeyPlace::Usual if base_url.is_some() => KeyPlace::Variable(provider.key_variable.clone()),
            key => key,
        };
        Ok(Self {
            name: name.to_owned(),
            provider: provider.name.to_string(),
            model: model.to_owned(),
            base_url,
            key,
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

fn key_place(value: &Value, word: &str) -> KeyPlace {
    match value.as_str() {
        None | Some("") => match KEYED.iter().find(|(keyed, _)| *keyed == word) {
            Some((_, variable)) => KeyPlace::Variable((*variable).to_owned()),
            None if OPENAI_LIKE.contains(&word) || word.starts_with("ollama") => KeyPlace::None,
            None => KeyPlace::Usual,
        },
        Some("none" | "None" | "fake-key" | "dummy" | "EMPTY") => KeyPlace::None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::catalogues::SHIPPED_PROVIDERS;
    use crate::gateway::provider::Demo;
    use serde_json::json;

    #[test]
    fn an_address_has_two_words_and_a_key_that_is_not_named_is_where_litellm_looks_for_it() {
        let shipped = Catalogue::load(SHIPPED_PROVIDERS, super::super::addresses, Demo::Off).unwrap();
        let variable = |name: &str| KeyPlace::Variable(name.to_owned());
        let table = [
            (
                json!({ "model": "openai/m", "base_url": "https://h.example.com/v1" }),
                variable("OPENAI_API_KEY"),
            ),
            (
                json!({ "model": "azure/m", "api_base": "https://h.example.com" }),
                variable("AZURE_API_KEY"),
            ),
            (
                json!({ "model": "anthropic/m", "base_url": "https://h.example.com" }),
                variable("ANTHROPIC_API_KEY"),
            ),
            (
                json!({ "model": "hosted_vllm/m", "api_base": "http://h:8000/v1" }),
                KeyPlace::None,
            ),
            (
                json!({ "model": "openai/m", "api_base": "http://h:8000/v1", "api_key": "none" }),
                KeyPlace::None,
            ),
            (
                json!({ "model": "ollama/m", "api_base": "http://h:11434" }),
                KeyPlace::None,
            ),
        ];
        for (params, key) in table {
            let entry = json!({ "model_name": "n", "litellm_params": params });
            let read = Deployment::read(&entry, &shipped).unwrap();
            assert_eq!((read.base_url.is_some(), read.key), (true, key), "{entry}");
        }
    }
}
