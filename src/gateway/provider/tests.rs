//! The shipped catalogue with the shipped price book, and made-up environments.

use super::*;
use crate::domain::price::PriceBook;
use crate::domain::secret::Secret;

const SHIPPED: &str = include_str!("../../../config/providers.toml");

pub(super) fn book() -> &'static PriceBook {
    static BOOK: std::sync::OnceLock<PriceBook> = std::sync::OnceLock::new();
    BOOK.get_or_init(|| PriceBook::parse(include_str!("../../../config/prices.json")).unwrap().0)
}

pub(super) fn catalogue(env: &[(&str, &str)]) -> Catalogue {
    let find = |name: &str| {
        env.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Catalogue::load(SHIPPED, find, Demo::Off).unwrap()
}

pub(super) const KEYS: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "sk-operator"),
    ("ANTHROPIC_API_KEY", "sk-ant"),
    ("GROQ_API_KEY", "gsk"),
];

pub(super) fn chat(model: &str) -> Wanted<'_> {
    Wanted {
        model,
        dialect: Dialect::OpenAi,
        endpoint: EndpointKind::Chat,
    }
}

pub(super) fn messages(model: &str) -> Wanted<'_> {
    Wanted {
        dialect: Dialect::Anthropic,
        ..chat(model)
    }
}

#[test]
fn a_credential_takes_its_providers_style_and_never_shows() {
    let catalogue = catalogue(&KEYS);
    let (name, value) = catalogue.find("openai").unwrap().operator_credential().unwrap();
    assert_eq!(
        (name.as_str(), value.to_str().unwrap()),
        ("authorization", "Bearer sk-operator")
    );
    let (name, value) = catalogue.find("anthropic").unwrap().operator_credential().unwrap();
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-api-key", "sk-ant"));
    assert!(!format!("{catalogue:?} {value:?}").contains("sk-"));
    let native = Url::parse("https://generativelanguage.googleapis.com/v1beta/models/g:generateContent").unwrap();
    let target = catalogue.resolve_url(&native, "POST", CredentialOwner::Caller).unwrap();
    let own = Secret::new("mine".to_owned());
    assert_eq!(target.caller_credential(&own).unwrap().0.as_str(), "x-goog-api-key");
    let compatible = Url::parse("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions").unwrap();
    let target = catalogue
        .resolve_url(&compatible, "POST", CredentialOwner::Caller)
        .unwrap();
    assert_eq!(target.caller_credential(&own).unwrap().0.as_str(), "authorization");
}

#[test]
fn the_demo_sends_everything_to_the_simulated_provider() {
    let at = "127.0.0.1:4321".parse().unwrap();
    let catalogue = Catalogue::load(SHIPPED, |_| Some("sk-real".to_owned()), Demo::Simulated(at)).unwrap();
    let target = catalogue.resolve_model(book(), messages("claude-sonnet-4-6")).unwrap();
    assert!(target.provider.simulated);
    assert_eq!(target.url.to_string(), "http://127.0.0.1:4321/v1/messages");
    assert!(catalogue.providers().iter().all(|provider| provider.simulated));
    let (_, value) = target.provider.operator_credential().unwrap();
    assert_eq!(value.to_str().unwrap(), "simulated");
}

#[test]
fn the_list_has_the_chat_models_of_providers_with_a_credential() {
    let models = catalogue(&KEYS).models_for(book());
    let owner = |id: &str| {
        models
            .iter()
            .find(|model| model.id == id)
            .map(|model| model.owned_by.to_string())
    };
    assert_eq!(owner("gpt-4o-mini").as_deref(), Some("openai"));
    assert_eq!(owner("claude-sonnet-4-6").as_deref(), Some("anthropic"));
    assert_eq!(owner("llama-guard-3-8b").as_deref(), Some("groq"));
    assert!(
        !models
            .iter()
            .any(|model| model.id.starts_with("ft:") || *model.owned_by == *"mistral")
    );
    assert!(catalogue(&[]).models_for(book()).is_empty());
}

#[test]
fn listed_hosts_are_reached_with_the_callers_credential_only() {
    let catalogue = catalogue(&KEYS)
        .with_forward_hosts(&["api.example.com".to_owned()])
        .unwrap();
    let url = Url::parse("https://api.example.com/any?x=1").unwrap();
    let target = catalogue.resolve_url(&url, "DELETE", CredentialOwner::Caller).unwrap();
    assert_eq!(
        (target.endpoint, target.url.to_string().as_str()),
        (EndpointKind::Opaque, "https://api.example.com/any?x=1")
    );
    assert!(catalogue.resolve_url(&url, "POST", CredentialOwner::Operator).is_err());
    for host in ["127.0.0.1", "localhost", "a.test:80", "https://a.test", "0x7f.1", ""] {
        assert!(
            self::catalogue(&[]).with_forward_hosts(&[host.to_owned()]).is_err(),
            "{host}"
        );
    }
}

#[test]
fn a_broken_catalogue_or_environment_stops_the_start() {
    let load = |text: &str, env: &[(&str, &str)]| {
        let find = |name: &str| {
            env.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Catalogue::load(text, find, Demo::Off)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(load("x = 1", &[]).contains("x"));
    assert!(load("endpoint = []\nprovider = []", &[]).contains("openai"));
    let twice = format!("{SHIPPED}\n[[provider]]\nname = \"openai\"\nbase_url = \"https://x.test\"\n");
    assert!(load(&twice, &[]).contains("openai twice"));
    assert!(load(SHIPPED, &[("OPENAI_BASE_URL", "nonsense")]).contains("OPENAI_BASE_URL"));
    assert!(load(SHIPPED, &[("OPENAI_BASE_URL", "ftp://x.test")]).contains("http"));
    let key = load(SHIPPED, &[("OPENAI_API_KEY", "a\nb")]);
    assert!(key.contains("OPENAI_API_KEY") && !key.contains("a\nb"), "{key}");
}
