//! Which headers cross between client and provider. Both directions are lists of what may pass; everything else stays
//! behind: credentials, cookies, addresses, hop-by-hop headers, our own, and what tells of the operator's account. The
//! provider's credential is added by whoever sends, not here.

use actix_web::http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER, USER_AGENT,
};

use super::dialect::Dialect;
use super::trace::{TRACEPARENT, TRACESTATE};
use super::upstream::SentHeaders;

/// Request headers that pass to every provider.
const REQUEST: [HeaderName; 5] = [
    CONTENT_TYPE,
    ACCEPT,
    HeaderName::from_static("idempotency-key"),
    TRACEPARENT,
    TRACESTATE,
];

/// Those that only providers of one dialect understand.
const OPENAI_REQUEST: [HeaderName; 1] = [HeaderName::from_static("openai-beta")];
const ANTHROPIC_REQUEST: [HeaderName; 2] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
];

/// Those of calls of which nothing is read: they ask for a part of a file, or for one that has changed.
const UNREAD_REQUEST: [HeaderName; 6] = [
    RANGE,
    IF_RANGE,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    CONTENT_ENCODING,
];
/// And what such calls are answered.
const UNREAD_RESPONSE: [HeaderName; 4] = [ACCEPT_RANGES, CONTENT_RANGE, ETAG, LAST_MODIFIED];

/// Response headers that pass to the client.
const RESPONSE: [HeaderName; 13] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_DISPOSITION,
    CACHE_CONTROL,
    RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("openai-version"),
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("x-simulated-provider"),
];

/// The version that Anthropic requires, for clients that name none.
const ANTHROPIC_VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("anthropic-version"),
    HeaderValue::from_static("2023-06-01"),
);

/// The headers of a request to a provider, but for its credential. Compressed answers are not asked for, because usage
/// is read from them.
pub fn request_headers(dialect: Dialect, from: &HeaderMap) -> SentHeaders {
    let mut headers = Vec::with_capacity(REQUEST.len() + 6);
    headers.extend(picked(&REQUEST, from));
    match dialect {
        Dialect::OpenAi | Dialect::Responses => headers.extend(picked(&OPENAI_REQUEST, from)),
        Dialect::Google | Dialect::Bedrock => {}
        Dialect::Anthropic => headers.extend(picked(&ANTHROPIC_REQUEST, from)),
    }
    headers.push((ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    let agent = HeaderValue::from_static(concat!("caldera/", env!("CARGO_PKG_VERSION")));
    headers.push((USER_AGENT, agent));
    let (name, version) = ANTHROPIC_VERSION;
    if dialect == Dialect::Anthropic && !headers.iter().any(|(named, _)| *named == name) {
        headers.push((name, version));
    }
    headers
}

/// Copies the headers of a provider's answer that the client may see.
pub fn copy_response_headers(from: &HeaderMap, into: &mut HeaderMap) {
    copy(&RESPONSE, from, into);
}

/// Copies those of a call of which nothing is read.
pub fn copy_unread_request_headers(from: &HeaderMap, into: &mut SentHeaders) {
    into.extend(picked(&UNREAD_REQUEST, from));
}

/// Copies those of its answer.
pub fn copy_unread_response_headers(from: &HeaderMap, into: &mut HeaderMap) {
    copy(&UNREAD_RESPONSE, from, into);
}

fn copy(names: &[HeaderName], from: &HeaderMap, into: &mut HeaderMap) {
    for (name, value) in picked(names, from) {
        into.append(name, value);
    }
}

fn picked<'a>(names: &'a [HeaderName], from: &'a HeaderMap) -> impl Iterator<Item = (HeaderName, HeaderValue)> + 'a {
    let values = |name: &'a HeaderName| from.get_all(name).map(move |value| (name.clone(), value.clone()));
    names.iter().flat_map(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<String> {
        let mut names: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_listed_request_headers_pass() {
        let secret = [
            "authorization",
            "x-api-key",
            "x-goog-api-key",
            "xi-api-key",
            "cookie",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-real-ip",
            "x-lava-metadata",
            "x-lava-fallbacks",
            "connection",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "proxy-authorization",
            "content-length",
            "host",
            "expect",
            "origin",
            "referer",
            "user-agent",
            "accept-encoding",
            "openai-organization",
            "openai-project",
            "x-stainless-lang",
            "content-encoding",
        ];
        let mut client = map(&[
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
            ("anthropic-beta", "a"),
            ("openai-beta", "b"),
            ("idempotency-key", "k"),
            ("anthropic-version", "2026-10-21"),
        ]);
        for name in secret {
            client.append(HeaderName::from_static(name), HeaderValue::from_static("canary"));
        }
        let sent: HeaderMap = request_headers(Dialect::Anthropic, &client).into_iter().collect();
        assert!(!format!("{sent:?}").contains("canary"));
        assert_eq!(
            names(&sent),
            [
                "accept",
                "accept-encoding",
                "anthropic-beta",
                "anthropic-version",
                "content-type",
                "idempotency-key",
                "user-agent",
            ]
        );
        assert_eq!(sent.get("anthropic-version").unwrap(), "2026-10-21");
        assert_eq!(sent.get("accept-encoding").unwrap(), "identity");
    }

    #[test]
    fn anthropic_gets_the_version_that_it_requires() {
        let sent = |dialect| -> HeaderMap { request_headers(dialect, &HeaderMap::new()).into_iter().collect() };
        let version = sent(Dialect::Anthropic).get("anthropic-version").cloned();
        assert_eq!(version.unwrap(), "2023-06-01");
        assert!(!sent(Dialect::OpenAi).contains_key("anthropic-version"));
    }

    #[test]
    fn the_operators_account_does_not_show_in_answers() {
        let provider = map(&[
            ("content-type", "application/json"),
            ("retry-after", "1"),
            ("x-request-id", "r"),
            ("set-cookie", "canary"),
            ("server", "canary"),
            ("alt-svc", "canary"),
            ("openai-organization", "canary"),
            ("openai-project", "canary"),
            ("anthropic-organization-id", "canary"),
            ("x-ratelimit-limit-requests", "canary"),
            ("anthropic-ratelimit-requests-limit", "canary"),
            ("transfer-encoding", "canary"),
            ("content-length", "canary"),
            ("connection", "canary"),
            ("x-lava-request-id", "canary"),
            ("access-control-allow-origin", "canary"),
            ("location", "canary"),
        ]);
        let mut answer = HeaderMap::new();
        copy_response_headers(&provider, &mut answer);
        assert_eq!(names(&answer), ["content-type", "retry-after", "x-request-id"]);
    }
}
