//! How a provider takes its credential, and a credential in that form, ready to go out. A key that cannot stand where
//! the provider wants it is refused here, once; no log and no debug output shows one.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use actix_web::http::{Method, Uri};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

use super::aws::{self, AwsKeys, Unsignable};
use super::credentials::WeightedKey;
use super::row::Env;
use crate::domain::secret::Secret;

/// How a provider takes its credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialStyle {
    #[default]
    Bearer,
    XApiKey,
    XGoogApiKey,
    XiApiKey,
    /// Azure's header.
    ApiKey,
    /// `?key=`, as Google's native address takes it.
    Query,
    /// A pair of AWS's keys signs each call; a key of Bedrock's own goes as a bearer.
    Sigv4,
    /// It needs none; one that is given all the same goes as a bearer.
    None,
}

/// A call that is about to go out.
pub struct Sending<'a> {
    pub method: &'a Method,
    pub headers: &'a mut HeaderMap,
    pub url: &'a mut Uri,
    pub body: &'a [u8],
    /// Unix milliseconds.
    pub wall_ms: i64,
}

/// A credential as it is sent.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Marked so that no log prints its value.
    Header((HeaderName, HeaderValue)),
    Query(Secret<String>),
    /// Signs each call.
    Aws(AwsKeys),
    /// The provider asks for none.
    Nothing,
}

impl CredentialStyle {
    /// What the environment holds for the style where no variable of ours is set.
    pub(super) fn keys_of_environment(self, env: Env<'_>) -> Option<(String, Vec<WeightedKey>)> {
        (self == Self::Sigv4).then(|| aws::keys_of_environment(env)).flatten()
    }

    /// The credential with this key.
    pub fn credential(self, key: &str) -> Result<Credential, InvalidHeaderValue> {
        let name = match self {
            Self::Query => {
                // What no header takes is no key, wherever it stands.
                HeaderValue::from_str(key)?;
                return Ok(Credential::Query(Secret::new(key.to_owned())));
            }
            Self::Sigv4 => match AwsKeys::read(key) {
                Some(keys) => return Ok(Credential::Aws(keys)),
                None => AUTHORIZATION,
            },
            Self::Bearer | Self::None => AUTHORIZATION,
            Self::XApiKey => HeaderName::from_static("x-api-key"),
            Self::XGoogApiKey => HeaderName::from_static("x-goog-api-key"),
            Self::XiApiKey => HeaderName::from_static("xi-api-key"),
            Self::ApiKey => HeaderName::from_static("api-key"),
        };
        let mut value = if name == AUTHORIZATION {
            HeaderValue::from_str(&format!("Bearer {key}"))?
        } else {
            HeaderValue::from_str(key)?
        };
        value.set_sensitive(true);
        Ok(Credential::Header((name, value)))
    }
}

impl Credential {
    /// Puts it on a call that is about to go out. The address may hold the key from here on: it is not for logs.
    pub fn apply(self, sending: &mut Sending<'_>) -> Result<(), Unsignable> {
        match self {
            Self::Header((name, value)) => {
                sending.headers.insert(name, value);
            }
            Self::Query(key) => {
                if let Some(with_key) = with_key(sending.url, &key) {
                    *sending.url = with_key;
                }
            }
            Self::Aws(keys) => keys.sign(sending)?,
            Self::Nothing => {}
        }
        Ok(())
    }
}

/// `None` only for an address that was none before.
fn with_key(url: &Uri, key: &Secret<String>) -> Option<Uri> {
    let between = if url.query().is_some() { '&' } else { '?' };
    let escaped: String = byte_serialize(key.expose().as_bytes()).collect();
    format!("{url}{between}key={escaped}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(credential: Credential, headers: &mut HeaderMap, url: &mut Uri) {
        let mut sending = Sending {
            method: &Method::POST,
            headers,
            url,
            body: b"",
            wall_ms: 0,
        };
        credential.apply(&mut sending).unwrap();
    }

    fn sent(style: CredentialStyle, url: &str) -> (Vec<(String, String)>, String) {
        let (mut headers, mut url) = (HeaderMap::new(), url.parse().unwrap());
        apply(style.credential("s3 +&").unwrap(), &mut headers, &mut url);
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            assert!(value.is_sensitive());
            (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
        };
        (headers.iter().map(pair).collect(), url.to_string())
    }

    #[test]
    fn each_style_puts_the_key_where_its_provider_looks() {
        const URL: &str = "https://x.test/v1/models";
        let table = [
            (CredentialStyle::Bearer, Some(("authorization", "Bearer s3 +&"))),
            (CredentialStyle::XApiKey, Some(("x-api-key", "s3 +&"))),
            (CredentialStyle::XGoogApiKey, Some(("x-goog-api-key", "s3 +&"))),
            (CredentialStyle::XiApiKey, Some(("xi-api-key", "s3 +&"))),
            (CredentialStyle::ApiKey, Some(("api-key", "s3 +&"))),
            (CredentialStyle::None, Some(("authorization", "Bearer s3 +&"))),
            (CredentialStyle::Sigv4, Some(("authorization", "Bearer s3 +&"))),
            (CredentialStyle::Query, None),
        ];
        for (style, header) in table {
            let (headers, url) = sent(style, URL);
            let header = header.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(headers, header.into_iter().collect::<Vec<_>>(), "{style:?}");
            let is_query = style == CredentialStyle::Query;
            assert_eq!(url == URL, !is_query, "{style:?}: {url}");
        }
        let (_, url) = sent(CredentialStyle::Query, "https://x.test/v1?alt=sse");
        assert_eq!(url, "https://x.test/v1?alt=sse&key=s3+%2B%26");
        let (mut headers, mut url) = (HeaderMap::new(), Uri::from_static("https://x.test/"));
        apply(Credential::Nothing, &mut headers, &mut url);
        assert!(headers.is_empty() && url == "https://x.test/");
    }

    #[test]
    fn a_key_that_no_header_takes_is_refused_in_every_style() {
        let styles = [
            CredentialStyle::Bearer,
            CredentialStyle::ApiKey,
            CredentialStyle::Query,
            CredentialStyle::None,
        ];
        for style in styles {
            assert!(style.credential("a\r\nb").is_err(), "{style:?}");
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        for style in [CredentialStyle::Bearer, CredentialStyle::Query] {
            let shown = format!("{:?}", style.credential("hidden").unwrap());
            assert!(!shown.contains("hidden"), "{shown}");
        }
    }
}
