//! Where models and URLs go, by the shipped catalogue and price book.

use super::super::tests::{KEYS, book, catalogue, chat, messages};
use super::*;

#[test]
fn a_model_goes_to_the_provider_that_the_price_book_lists() {
    let providers = catalogue(&KEYS);
    let table = [
        (
            chat("gpt-4o-mini"),
            "openai",
            "gpt-4o-mini",
            true,
            "https://api.openai.com/v1/chat/completions",
        ),
        (
            chat("openai/gpt-4o-mini"),
            "openai",
            "gpt-4o-mini",
            true,
            "https://api.openai.com/v1/chat/completions",
        ),
        (
            messages("claude-sonnet-4-6"),
            "anthropic",
            "claude-sonnet-4-6",
            true,
            "https://api.anthropic.com/v1/messages",
        ),
        (
            chat("llama-guard-3-8b"),
            "groq",
            "llama-guard-3-8b",
            true,
            "https://api.groq.com/openai/v1/chat/completions",
        ),
        (
            chat("groq/brand-new"),
            "groq",
            "brand-new",
            false,
            "https://api.groq.com/openai/v1/chat/completions",
        ),
        (
            chat("brand-new"),
            "openai",
            "brand-new",
            false,
            "https://api.openai.com/v1/chat/completions",
        ),
        (
            messages("brand-new"),
            "anthropic",
            "brand-new",
            false,
            "https://api.anthropic.com/v1/messages",
        ),
        (
            chat("meta-llama/brand-new"),
            "openai",
            "meta-llama/brand-new",
            false,
            "https://api.openai.com/v1/chat/completions",
        ),
    ];
    for (wanted, provider, model, priced, url) in table {
        let target = providers.resolve_model(book(), wanted).unwrap();
        assert_eq!(
            (&*target.provider.name, target.model.as_deref()),
            (provider, Some(model)),
            "{wanted:?}"
        );
        assert_eq!(
            (target.price.is_some(), target.url.to_string().as_str()),
            (priced, url),
            "{wanted:?}"
        );
    }
}

#[test]
fn a_model_with_nowhere_to_go_says_why() {
    let providers = catalogue(&KEYS);
    let code = |wanted| {
        let error = providers.resolve_model(book(), wanted).unwrap_err();
        (error.code(), error.status(), error.to_string())
    };
    // Only conversations are translated.
    let (name, status, text) = code(Wanted {
        endpoint: EndpointKind::Completions,
        ..chat("claude-sonnet-4-6")
    });
    assert_eq!((name, status), ("forward_model_not_supported", 400), "{text}");
    let (name, _, text) = code(Wanted {
        endpoint: EndpointKind::CountTokens,
        ..messages("gpt-4o-mini")
    });
    assert_eq!(name, "forward_model_not_supported", "{text}");
    let (name, status, text) = code(chat("mistral/mistral-large-latest"));
    assert_eq!((name, status), ("model_not_found", 404));
    assert!(text.contains("MISTRAL_API_KEY"), "{text}");
    let error = catalogue(&[]).resolve_model(book(), chat("gpt-4o-mini")).unwrap_err();
    assert!(error.to_string().contains("OPENAI_API_KEY"), "{error}");
}

#[test]
fn the_operators_credential_reaches_named_endpoints_only() {
    let providers = catalogue(&KEYS);
    let resolve = |method, url: &str, owner| providers.resolve_url(&Url::parse(url).unwrap(), method, owner);
    use CredentialOwner::{Caller, Operator};
    let reached = [
        (
            "POST",
            "https://api.openai.com/v1/chat/completions",
            Operator,
            EndpointKind::Chat,
        ),
        (
            "GET",
            "https://api.openai.com/v1/models?limit=2",
            Operator,
            EndpointKind::Models,
        ),
        (
            "GET",
            "https://api.openai.com/v1/models/gpt-4o",
            Operator,
            EndpointKind::Models,
        ),
        (
            "POST",
            "https://API.OpenAI.com/v1/x/../embeddings",
            Operator,
            EndpointKind::Embeddings,
        ),
        (
            "POST",
            "https://api.anthropic.com/v1/messages?beta=true",
            Operator,
            EndpointKind::Chat,
        ),
        (
            "POST",
            "https://api.anthropic.com/v1/messages/count_tokens",
            Operator,
            EndpointKind::CountTokens,
        ),
        (
            "POST",
            "https://api.openai.com/v1/batches",
            Caller,
            EndpointKind::Opaque,
        ),
        (
            "POST",
            "https://api.elevenlabs.io/v1/text-to-speech/x/stream",
            Caller,
            EndpointKind::TextToSpeech,
        ),
        (
            "POST",
            "https://api.elevenlabs.io/v1/text-to-speech/x/y/stream",
            Caller,
            EndpointKind::Opaque,
        ),
        (
            "POST",
            "https://api.cerebras.ai/v1/audio/speech",
            Caller,
            EndpointKind::Opaque,
        ),
    ];
    for (method, url, owner, kind) in reached {
        assert_eq!(resolve(method, url, owner).unwrap().endpoint, kind, "{url}");
    }
    let refused = [
        ("POST", "https://api.openai.com/v1/batches", Operator),
        ("GET", "https://api.openai.com/v1/chat/completions", Operator),
        ("POST", "https://api.openai.com/v1/chat/completions/", Operator),
        ("POST", "https://api.openai.com/v1/chat%2Fcompletions", Operator),
        ("GET", "https://api.openai.com/v1/models/a/b", Operator),
        ("POST", "https://api.openai.com/v2/chat/completions", Operator),
        ("POST", "https://api.openai.com/v1x/chat/completions", Operator),
        ("POST", "https://api.openai.com:8443/v1/chat/completions", Caller),
        ("POST", "https://api.openai.com.evil.test/v1/chat/completions", Caller),
        ("POST", "https://api.openai.com./v1/chat/completions", Caller),
        ("POST", "https://evil.test/v1/chat/completions", Caller),
    ];
    for (method, url, owner) in refused {
        let error = resolve(method, url, owner).unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            ("forward_endpoint_not_supported", 400),
            "{url}"
        );
    }
}

#[test]
fn an_override_replaces_the_address_for_every_way_in() {
    let mut env = KEYS.to_vec();
    env.push(("OPENAI_BASE_URL", "http://127.0.0.1:9/mock/v1/"));
    let providers = catalogue(&env);
    let by_model = providers.resolve_model(book(), chat("gpt-4o-mini")).unwrap();
    assert_eq!(by_model.url.to_string(), "http://127.0.0.1:9/mock/v1/chat/completions");
    let url = Url::parse("https://api.openai.com/v1/models?limit=2").unwrap();
    let by_url = providers.resolve_url(&url, "GET", CredentialOwner::Operator).unwrap();
    assert_eq!(by_url.url.to_string(), "http://127.0.0.1:9/mock/v1/models?limit=2");
    let outside = Url::parse("https://api.openai.com/other").unwrap();
    let target = providers.resolve_url(&outside, "GET", CredentialOwner::Caller).unwrap();
    assert_eq!(target.url.to_string(), "http://127.0.0.1:9/other");
}

#[test]
fn the_callers_own_key_stands_over_the_stored_one_and_that_over_the_operators() {
    use crate::domain::ids::{MerchantId, Mode, ProviderKeyId};
    use crate::engine::provider_keys::{HeldKey, ProviderKeys};
    let [rich, poor] = [2, 4].map(|number| MerchantId::compose(Mode::Live, 0, number));
    let stored = Arc::new(ProviderKeys::default());
    for provider in ["openai", "mistral"] {
        let id = ProviderKeyId::compose(Mode::Live, 0, 2);
        let key = Secret::new(format!("stored-{provider}"));
        stored.insert(rich, provider, HeldKey { id, key });
    }
    let providers = catalogue(&KEYS).with_stored_keys(stored);
    let own = Secret::new("own".to_owned());
    use CredentialOwner::{Caller, Merchant, Operator};
    let table = [
        (rich, None, "gpt-4o-mini", Some((Merchant, Some("stored-openai")))),
        (
            rich,
            None,
            "mistral/mistral-large-latest",
            Some((Merchant, Some("stored-mistral"))),
        ),
        (rich, None, "groq/any", Some((Operator, None))),
        (rich, Some(&own), "gpt-4o-mini", Some((Caller, Some("own")))),
        (poor, None, "gpt-4o-mini", Some((Operator, None))),
        (poor, None, "mistral/mistral-large-latest", None),
        (
            poor,
            Some(&own),
            "mistral/mistral-large-latest",
            Some((Caller, Some("own"))),
        ),
    ];
    for (merchant, key, model, wanted) in table {
        let target = providers.target_of_model(book(), chat(model), &providers.means(merchant, key));
        let found = target.as_ref().ok().map(|target| {
            let key = target.key.as_ref().map(|key| key.expose().as_str());
            (target.owner, key)
        });
        assert_eq!(found, wanted, "{model}");
    }
    let files = Url::parse("https://api.mistral.ai/v1/files").unwrap();
    let to_files = |merchant| providers.target_of_url(&files, "GET", &providers.means(merchant, None));
    let target = to_files(rich).unwrap();
    assert_eq!((target.owner, target.endpoint), (Merchant, EndpointKind::Opaque));
    assert!(to_files(poor).is_err());
    let listed = |merchant| {
        let models = providers.models_with(book(), &providers.means(merchant, None));
        models.iter().any(|model| *model.owned_by == *"mistral")
    };
    assert!(listed(rich) && !listed(poor));
}
