//! Whether a call carries a credential that the simulated provider takes: any but `bad`, in any of the places where
//! some provider looks for one, or a signature that proves right. What is refused is refused as the provider would.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;

use super::provider::Provider;
use super::refusal::Refusal;
use super::signature;

/// The credential that no provider takes.
const BAD_CREDENTIAL: &[u8] = b"bad";

/// The headers that hold a key and nothing else.
const KEY_HEADERS: [&str; 4] = ["x-api-key", "api-key", "x-goog-api-key", "xi-api-key"];

/// Fails closed: a call without a credential is refused. `body` is what a signature is made over.
pub(super) fn check(provider: Provider, request: &HttpRequest, body: &[u8]) -> Result<(), Refusal> {
    let authorization = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    if authorization.is_some_and(|value| value.starts_with(signature::ALGORITHM.as_bytes())) {
        return signature::verify(request, body);
    }
    let bearer = authorization.and_then(|value| value.strip_prefix(b"Bearer "));
    let in_header = || {
        let values = KEY_HEADERS.iter().filter_map(|name| request.headers().get(*name));
        values.map(|value| value.as_bytes()).next()
    };
    let in_query = || {
        let mut pairs = request.query_string().split('&');
        pairs.find_map(|pair| pair.strip_prefix("key=")).map(str::as_bytes)
    };
    match bearer.or_else(in_header).or_else(in_query) {
        None | Some(b"") => Err(missing(provider)),
        Some(BAD_CREDENTIAL) => Err(wrong(provider)),
        Some(_) => Ok(()),
    }
}

fn missing(provider: Provider) -> Refusal {
    match provider {
        Provider::OpenAi | Provider::Anthropic => Refusal::unauthorized(),
        Provider::ElevenLabs => Refusal::unauthorized().coded("needs_authorization"),
        Provider::Google => Refusal {
            status: 403,
            message: "Method doesn't allow unregistered callers. Please use API Key or other form of API consumer \
                      identity to call this API."
                .to_owned(),
            code: None,
        },
        Provider::Bedrock => Refusal {
            status: 403,
            message: "Missing Authentication Token".to_owned(),
            code: Some("MissingAuthenticationTokenException"),
        },
    }
}

/// Google takes a wrong key for a wrong argument.
fn wrong(provider: Provider) -> Refusal {
    match provider {
        Provider::OpenAi | Provider::Anthropic => Refusal::unauthorized(),
        Provider::ElevenLabs => Refusal::unauthorized().coded("invalid_api_key"),
        Provider::Google => Refusal {
            status: 400,
            message: "API key not valid. Please pass a valid API key.".to_owned(),
            code: Some("API_KEY_INVALID"),
        },
        Provider::Bedrock => Refusal {
            status: 403,
            message: "Authentication failed: Please make sure your API Key is valid.".to_owned(),
            code: Some("AccessDeniedException"),
        },
    }
}
