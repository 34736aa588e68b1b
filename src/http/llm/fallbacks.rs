//! The header `x-lava-fallbacks`: a JSON array of `{url, model}`, the targets that a call goes on to where its own fails.
//! It is read strictly: a typing error here would show only on the day when the fallback is needed. A target's address
//! is read as that of `/v1/forward`, and its host must be one that this server reaches.

use std::fmt;
use std::rc::Rc;

use actix_web::http::header::HeaderMap;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use crate::gateway::Fallback;
use crate::gateway::provider::{Catalogue, CredentialOwner};
use crate::gateway::target::ForwardTarget;
use crate::http::error::{ApiError, ErrorCode};

const HEADER: &str = "x-lava-fallbacks";
const HEADER_LIMIT_BYTES: usize = 8_192;
const COUNT_LIMIT: usize = 5;
const MODEL_LIMIT_BYTES: usize = 255;

/// The fallbacks of a call; none where the header is not there.
pub fn read(headers: &HeaderMap, catalogue: &Catalogue) -> Result<Rc<[Fallback]>, ApiError> {
    let mut values = headers.get_all(HEADER);
    let Some(value) = values.next() else {
        return Ok(Rc::default());
    };
    if values.next().is_some() {
        return Err(ApiError::invalid(HEADER, "stands there twice"));
    }
    if value.len() > HEADER_LIMIT_BYTES {
        return Err(ApiError::invalid(HEADER, "must have at most 8,192 bytes"));
    }
    let unreadable = || ApiError::invalid(HEADER, "must be a JSON array of objects {url, model}");
    let items: Vec<&RawValue> = serde_json::from_slice(value.as_bytes()).map_err(|_| unreadable())?;
    if items.len() > COUNT_LIMIT {
        return Err(ApiError::invalid(HEADER, "must have at most 5 elements"));
    }
    let item = |(place, item): (usize, &&RawValue)| read_item(&format!("{HEADER}[{place}]"), item.get(), catalogue);
    items.iter().enumerate().map(item).collect()
}

fn read_item(path: &str, item: &str, catalogue: &Catalogue) -> Result<Fallback, ApiError> {
    let members: Members =
        serde_json::from_str(item).map_err(|_| ApiError::invalid(path, "must be an object {url, model}"))?;
    let (mut url, mut model) = (None, None);
    for (name, value) in members.0 {
        let path = format!("{path}.{name}");
        let twice = match name.as_str() {
            "url" => url.replace(read_url(&path, &value, catalogue)?).is_some(),
            "model" => model.replace(read_model(&path, &value)?).is_some(),
            _ => {
                let unknown = ApiError::new(ErrorCode::UnknownField);
                return Err(unknown.say(format!("`{path}` is not known")).param(&path));
            }
        };
        if twice {
            return Err(ApiError::invalid(&path, "stands there twice"));
        }
    }
    if url.is_none() && model.is_none() {
        return Err(ApiError::invalid(path, "must have a url or a model"));
    }
    Ok(Fallback { url, model })
}

fn read_model(path: &str, value: &Value) -> Result<String, ApiError> {
    let model = value
        .as_str()
        .ok_or_else(|| ApiError::invalid(path, "must be a string"))?;
    if model.is_empty() || model.len() > MODEL_LIMIT_BYTES || model.chars().any(char::is_control) {
        return Err(ApiError::invalid(path, "must be the name of a model"));
    }
    Ok(model.to_owned())
}

fn read_url(path: &str, value: &Value, catalogue: &Catalogue) -> Result<Url, ApiError> {
    let text = value
        .as_str()
        .ok_or_else(|| ApiError::invalid(path, "must be a string"))?;
    let base = |name: &str| catalogue.public_base(name);
    let target = ForwardTarget::parse(&format!("/v1/forward/{text}"), "", base)
        .map_err(|error| ApiError::invalid(path, format!("is not an address to forward to: {error}")))?;
    if target.own.key.is_some() {
        return Err(ApiError::invalid(path, "must not hold a key"));
    }
    // Whether the operator's credential reaches it shows when it is tried; a foreign host is never reached.
    catalogue
        .resolve_url(&target.url, "POST", CredentialOwner::Caller)
        .map_err(|error| ApiError::invalid(path, format!("cannot be reached: {error}")))?;
    Ok(target.url)
}

/// An object's members in their order, those of one name too.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collector;
        impl<'de> Visitor<'de> for Collector {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collector)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::gateway::noise::Noise;
    use crate::gateway::provider::Demo;

    fn catalogue() -> Catalogue {
        Catalogue::load(include_str!("../../../config/providers.toml"), |_| None, Demo::Off).unwrap()
    }

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HeaderName::from_static(HEADER), HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn targets_are_read_in_every_spelling_of_an_address() {
        let table = [
            ("[]", ""),
            (r#"[{"model":"gpt-4o"}]"#, "- gpt-4o"),
            (
                r#" [ {"url":"api.openai.com/v1/chat/completions"}, {"url":"https://api.anthropic.com/v1/messages","model":"claude-haiku-4-5"} ] "#,
                "https://api.openai.com/v1/chat/completions -, https://api.anthropic.com/v1/messages claude-haiku-4-5",
            ),
            (
                r#"[{"url":"https%3A%2F%2Fapi.openai.com%2Fv1%2Fchat%2Fcompletions"},{"url":"anthropic/messages"}]"#,
                "https://api.openai.com/v1/chat/completions -, https://api.anthropic.com/v1/messages -",
            ),
            (r#"[{"model":"gl\u00e9m\u20ac"}]"#, "- glém€"),
        ];
        let catalogue = catalogue();
        for (value, wanted) in table {
            let read = read(&headers(&[value.as_bytes()]), &catalogue).unwrap();
            let shown = |fallback: &Fallback| {
                let url = fallback.url.as_ref().map_or("-", Url::as_str);
                format!("{url} {}", fallback.model.as_deref().unwrap_or("-"))
            };
            assert_eq!(read.iter().map(shown).collect::<Vec<_>>().join(", "), wanted, "{value}");
        }
        assert!(read(&HeaderMap::new(), &catalogue).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let six = format!("[{}]", [r#"{"model":"m"}"#; 6].join(","));
        let long = format!(r#"[{{"model":"m"}}{}]"#, " ".repeat(8_200));
        let model = format!(r#"[{{"model":"{}"}}]"#, "m".repeat(256));
        let table: [(&str, &str); 27] = [
            ("", HEADER),
            ("null", HEADER),
            ("{}", HEADER),
            ("[", HEADER),
            ("[] []", HEADER),
            (&six, HEADER),
            (&long, HEADER),
            ("[1]", "x-lava-fallbacks[0]"),
            ("[{}]", "x-lava-fallbacks[0]"),
            (r#"[{"model":"m"},[]]"#, "x-lava-fallbacks[1]"),
            (r#"[{"model":1}]"#, "x-lava-fallbacks[0].model"),
            (r#"[{"model":""}]"#, "x-lava-fallbacks[0].model"),
            (r#"[{"model":null}]"#, "x-lava-fallbacks[0].model"),
            (r#"[{"model":"a\nb"}]"#, "x-lava-fallbacks[0].model"),
            (&model, "x-lava-fallbacks[0].model"),
            (r#"[{"model":"a","model":"b"}]"#, "x-lava-fallbacks[0].model"),
            (r#"[{"model":"a"},{"Model":"b"}]"#, "x-lava-fallbacks[1].Model"),
            (r#"[{"model":"a","weight":1}]"#, "x-lava-fallbacks[0].weight"),
            (r#"[{"url":{}}]"#, "x-lava-fallbacks[0].url"),
            (r#"[{"url":""}]"#, "x-lava-fallbacks[0].url"),
            (r#"[{"url":"http://api.openai.com/v1"}]"#, "x-lava-fallbacks[0].url"),
            (
                r#"[{"url":"https://169.254.169.254/latest"}]"#,
                "x-lava-fallbacks[0].url",
            ),
            (r#"[{"url":"https://localhost/v1"}]"#, "x-lava-fallbacks[0].url"),
            (
                r#"[{"url":"https://evil.example/v1/chat/completions"}]"#,
                "x-lava-fallbacks[0].url",
            ),
            (
                r#"[{"url":"https://u:p@api.openai.com/v1"}]"#,
                "x-lava-fallbacks[0].url",
            ),
            (r#"[{"url":"api.openai.com:8443/v1"}]"#, "x-lava-fallbacks[0].url"),
            (
                r#"[{"url":"api.openai.com/v1/chat/completions?key=aks_live_x"}]"#,
                "x-lava-fallbacks[0].url",
            ),
        ];
        let catalogue = catalogue();
        let param = |values: &[&[u8]]| {
            let refused = read(&headers(values), &catalogue).unwrap_err();
            assert_eq!(refused.status().as_u16(), 400);
            refused.extra()["param"].as_str().unwrap().to_owned()
        };
        for (value, wanted) in table {
            assert_eq!(param(&[value.as_bytes()]), wanted, "{value}");
        }
        assert_eq!(param(&[b"[]", b"[]"]), HEADER);
        assert_eq!(param(&[b"[{\"model\":\"\xff\"}]"]), HEADER);
    }

    #[test]
    fn a_mutated_header_names_targets_of_the_catalogue_or_is_refused() {
        let golden = [
            r#"[{"url":"api.openai.com/v1/chat/completions"},{"url":"https://api.anthropic.com/v1/messages","model":"m"}]"#,
            r#"[{"model":"gpt-4o"},{"url":"https%3A%2F%2Fapi.openai.com%2Fv1%2Fchat%2Fcompletions"},{"url":"anthropic/messages"}]"#,
        ];
        let hosts = ["api.openai.com", "api.anthropic.com"];
        let catalogue = catalogue();
        let mut noise = Noise::new(0xBF58_476D_1CE4_E5B9);
        let mut accepted = 0;
        for case in 0..20_000 {
            let mut junk = noise.mutate_json(golden[case % 2]);
            if case % 3 > 0 {
                junk = noise.mutate(golden[case % 2].as_bytes());
            }
            let Ok(value) = HeaderValue::from_bytes(&junk) else {
                continue;
            };
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::from_static(HEADER), value);
            let Ok(fallbacks) = read(&headers, &catalogue) else {
                continue;
            };
            accepted += 1;
            assert!(fallbacks.len() <= COUNT_LIMIT);
            for fallback in fallbacks.iter() {
                let shown = String::from_utf8_lossy(&junk);
                assert!(fallback.url.is_some() || fallback.model.is_some(), "{shown}");
                if let Some(url) = &fallback.url {
                    assert!(hosts.contains(&url.host_str().unwrap()), "{url}: {shown}");
                    assert!(url.scheme() == "https" && url.port().is_none(), "{url}: {shown}");
                }
            }
        }
        assert!((1_000..19_000).contains(&accepted), "{accepted}");
    }
}
