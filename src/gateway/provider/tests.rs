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

/// What the start says of this environment, or of these rows beside the shipped ones.
fn refusal(more: &str, env: &[(&str, &str)]) -> String {
    let find = |name: &str| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    match Catalogue::load_with(SHIPPED, more, find, Demo::Off) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
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
        streams: crate::gateway::Streams::No,
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
    let name = |target: &Target| match target.credential(&own).unwrap() {
        Credential::Header((name, _)) => name.as_str().to_owned(),
        Credential::Query(_) | Credential::Aws(_) | Credential::Nothing => String::new(),
    };
    assert_eq!(name(&target), "x-goog-api-key");
    let compatible = Url::parse("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions").unwrap();
    let target = catalogue
        .resolve_url(&compatible, "POST", CredentialOwner::Caller)
        .unwrap();
    assert_eq!(name(&target), "authorization");
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
fn an_alias_is_a_call_of_the_model_behind_it() {
    let aliases = "[aliases]\nfast = \"openai/gpt-4o-mini\"\n\"claude-*\" = \"groq/llama-guard-3-8b\"";
    let env = |name: &str| {
        KEYS.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, key)| (*key).to_owned())
    };
    let catalogue = Catalogue::load_with(SHIPPED, aliases, env, Demo::Off).unwrap();
    let target = catalogue.resolve_model(book(), chat("fast")).unwrap();
    assert_eq!(
        (&*target.provider.name, target.model.as_deref()),
        ("openai", Some("gpt-4o-mini"))
    );
    assert!(target.price.is_some());
    let target = catalogue.resolve_model(book(), messages("claude-haiku-4-5")).unwrap();
    assert_eq!(
        (&*target.provider.name, target.model.as_deref()),
        ("groq", Some("llama-guard-3-8b"))
    );
    let listed = catalogue.models_for(book());
    assert!(
        listed
            .iter()
            .any(|model| model.id == "fast" && *model.owned_by == *"openai")
    );
    assert!(refusal("[aliases]\nfast = \"nowhere/m\"", &[]).contains("fast"));
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

#[test]
fn a_list_of_keys_stands_over_the_single_one_and_is_refused_without_showing_a_key() {
    let both = catalogue(&[("OPENAI_API_KEY", "sk-single"), ("OPENAI_API_KEYS", "sk-one*2,sk-two")]);
    let (_, value) = both.find("openai").unwrap().operator_credential().unwrap();
    assert_eq!(value.to_str().unwrap(), "Bearer sk-one");
    let google = catalogue(&[("GOOGLE_API_KEYS", "g-one,g-two")]);
    assert!(google.find("google").unwrap().has_credential());
    for list in ["sk-one*0", "sk-one*1001", "sk-one,,sk-two", "sk-one*x"] {
        let said = refusal("", &[("OPENAI_API_KEYS", list)]);
        assert!(
            said.contains("OPENAI_API_KEYS") && !said.contains("sk-"),
            "{list}: {said}"
        );
    }
    let said = refusal("", &[("OPENAI_API_KEYS", "sk-one,sk\ntwo")]);
    assert!(said.contains("OPENAI_API_KEYS") && !said.contains("two"), "{said}");
}

#[test]
fn azure_and_ollama_are_there_where_they_have_an_address() {
    let none = catalogue(&[("AZURE_API_KEY", "azure-key")]);
    assert!(none.find("azure").is_none() && none.find("ollama").is_none());
    let there = catalogue(&[
        ("AZURE_API_KEY", "azure-key"),
        ("AZURE_BASE_URL", "https://mine.openai.azure.com/openai/v1"),
        ("OLLAMA_BASE_URL", "http://gpu.internal:11434/v1"),
    ]);
    let (name, value) = there.find("azure").unwrap().operator_credential().unwrap();
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("api-key", "azure-key"));
    let target = there.resolve_model(book(), chat("azure/gpt-4o")).unwrap();
    assert_eq!(
        target.url.to_string(),
        "https://mine.openai.azure.com/openai/v1/chat/completions"
    );
    assert!(target.price.is_some());
    let target = there.resolve_model(book(), chat("ollama/llama3")).unwrap();
    assert_eq!(target.url.to_string(), "http://gpu.internal:11434/v1/chat/completions");
    assert!(target.provider.operator_credential().is_none() && target.provider.has_credential());
    let private: Vec<_> = there.private_hosts().map(|(host, _)| host).collect();
    assert_eq!(private, ["mine.openai.azure.com", "gpu.internal"]);
    let proxied = catalogue(&[
        ("OLLAMA_BASE_URL", "http://gpu.internal/v1"),
        ("OLLAMA_API_KEY", "o-key"),
    ]);
    let (name, _) = proxied.find("ollama").unwrap().operator_credential().unwrap();
    assert_eq!(name.as_str(), "authorization");
}

#[test]
fn the_operators_rows_replace_those_of_their_name_and_stand_behind_the_others() {
    let more = r#"
        [[provider]]
        name = "my-host"
        base_url = "https://llm.example.com/v1"
        [[provider]]
        name = "groq"
        base_url = "https://groq.example.com/v1"
        credential = "query"
    "#;
    let env = |name: &str| (name == "MY_HOST_API_KEY" || name == "GROQ_API_KEY").then(|| "k".to_owned());
    let catalogue = Catalogue::load_with(SHIPPED, more, env, Demo::Off).unwrap();
    let names: Vec<&str> = catalogue.providers().iter().map(|provider| &*provider.name).collect();
    assert_eq!(names.last(), Some(&"my-host"));
    let shipped = Catalogue::load(SHIPPED, |_| None, Demo::Off).unwrap();
    let place = |catalogue: &Catalogue| {
        let mut providers = catalogue.providers().iter();
        providers.position(|provider| *provider.name == *"groq")
    };
    assert_eq!(place(&catalogue), place(&shipped));
    let target = catalogue.resolve_model(book(), chat("my-host/any")).unwrap();
    assert_eq!(target.url.to_string(), "https://llm.example.com/v1/chat/completions");
    let target = catalogue.resolve_model(book(), chat("groq/any")).unwrap();
    assert_eq!(target.url.to_string(), "https://groq.example.com/v1/chat/completions");
    assert!(
        catalogue.private_hosts().next().is_none(),
        "a row must say that it is private"
    );
    let table = [
        (
            "[[provider]]\nname = \"Mine\"\nbase_url = \"https://x.test\"",
            "\"Mine\"",
        ),
        ("[[provider]]\nname = \"\"\nbase_url = \"https://x.test\"", "\"\""),
        (
            "[[provider]]\nname = \"a\"\n[[provider]]\nname = \"a\"",
            "names a twice",
        ),
        ("[[provider]]\nname = \"a\"\nbase_url = \"x\"", "not a URL"),
        ("[[provider]]\nname = \"a\"\ncolour = 1", "colour"),
        ("[[endpoint]]\nkind = \"chat\"", "endpoint"),
    ];
    for (more, said) in table {
        let refusal = refusal(more, &[]);
        assert!(refusal.contains(said), "{more}: {refusal}");
    }
}
