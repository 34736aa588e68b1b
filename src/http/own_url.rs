//! Where this server is, as browsers and clients know it: what the operator says (`checkout.public_url`), or else what the
//! request says of the way that it came, with what a proxy adds to it. A browser says by itself from where a form comes
//! and over what, and of that it is believed before any proxy.

use actix_web::HttpRequest;
use actix_web::http::header::ORIGIN;
use url::Url;

use super::state::AppState;

/// As `https://ai.example.com`, without a slash at its end.
pub fn own_url(state: &AppState, request: &HttpRequest) -> String {
    let configured = state.checkout.options.public_url.trim_end_matches('/');
    if configured.is_empty() {
        let connection = request.connection_info();
        format!("{}://{}", connection.scheme(), connection.host())
    } else {
        configured.to_owned()
    }
}

/// Whether a page of this server sends the request; one without an origin was not sent by a page.
pub fn is_of_own_page(state: &AppState, request: &HttpRequest) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else {
        return true;
    };
    let connection = request.connection_info();
    let known = [state.checkout.options.public_url.as_str(), connection.host()];
    origin
        .to_str()
        .is_ok_and(|origin| known.iter().any(|place| is_at(origin, place)))
}

/// Whether the browser came over TLS.
pub fn is_over_tls(request: &HttpRequest) -> bool {
    match request.headers().get(ORIGIN) {
        Some(origin) => origin.as_bytes().starts_with(b"https://"),
        None => request.connection_info().scheme() == "https",
    }
}

/// Whether this origin is that of an address, or of a host as a `Host` header names it: under the origin's own scheme, for
/// that is not in the header.
fn is_at(origin: &str, place: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    let place = if place.contains("://") {
        Url::parse(place)
    } else {
        Url::parse(&format!("{}://{place}", origin.scheme()))
    };
    place.is_ok_and(|place| place.origin() == origin.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_compared_as_browsers_write_it() {
        let table = [
            ("https://ai.example.com", "ai.example.com", true),
            ("https://ai.example.com", "AI.example.com:443", true),
            ("https://ai.example.com", "https://ai.example.com/", true),
            ("http://localhost:8787", "localhost:8787", true),
            ("https://ai.example.com", "http://ai.example.com", false),
            ("https://ai.example.com:8443", "ai.example.com", false),
            ("https://evil.example", "ai.example.com", false),
            ("https://ai.example.com.evil.example", "ai.example.com", false),
            ("https://ai.example.com", "", false),
            ("null", "ai.example.com", false),
            ("", "", false),
        ];
        for (origin, place, is_own) in table {
            assert_eq!(is_at(origin, place), is_own, "{origin:?} {place:?}");
        }
    }
}
