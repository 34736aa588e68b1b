//! AWS's keys and the signature that each call carries (Signature Version 4). A key of Bedrock's own goes as a bearer
//! instead. The region is that of the host that is called, or the environment's. Nothing here prints a secret.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_web::http::Uri;
use actix_web::http::header::{HeaderName, HeaderValue};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;

use super::credentials::WeightedKey;
use super::row::Env;
use super::style::Sending;

/// The name by which AWS knows the service.
const SERVICE: &str = "bedrock";

/// The region of a host that does not name one.
const DEFAULT_REGION: &str = "us-east-1";

/// A pair of keys: `ID:SECRET`, or `ID:SECRET:SESSION_TOKEN`.
#[derive(Clone)]
pub struct AwsKeys {
    credentials: Arc<Credentials>,
}

/// A call could not be signed: its address or headers are none.
#[derive(Debug, thiserror::Error)]
#[error("the call cannot be signed")]
pub struct Unsignable;

impl fmt::Debug for AwsKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AwsKeys").finish_non_exhaustive()
    }
}

impl AwsKeys {
    /// Reads a pair; `None` for a text that is none, such as a key of Bedrock's own.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (id, rest) = text.split_once(':')?;
        let (secret, session) = match rest.split_once(':') {
            Some((secret, session)) => (secret, Some(session.to_owned())),
            None => (rest, None),
        };
        let is_sent = session
            .as_ref()
            .is_none_or(|session: &String| session.bytes().all(|byte| byte.is_ascii_graphic()));
        if !is_sent || id.is_empty() || secret.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let credentials = Credentials::new(id, secret, session, None, "caldera");
        Some(Self {
            credentials: Arc::new(credentials),
        })
    }

    /// Adds the signature of a call that is about to go out.
    pub(super) fn sign(&self, sending: &mut Sending<'_>) -> Result<(), Unsignable> {
        let url = sending.url.to_string();
        let identity = self.credentials.as_ref().clone().into();
        let wall_ms = u64::try_from(sending.wall_ms).unwrap_or(0);
        let params = SigningParams::builder()
            .identity(&identity)
            .region(region(sending.url))
            .name(SERVICE)
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(wall_ms))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| Unsignable)?;
        let body = SignableBody::Bytes(sending.body);
        let request = SignableRequest::new(sending.method.as_str(), &url, std::iter::empty(), body);
        let signed = sign(request.map_err(|_| Unsignable)?, &params.into()).map_err(|_| Unsignable)?;
        let (instructions, _) = signed.into_parts();
        for (name, value) in instructions.headers() {
            let name: HeaderName = name.parse().map_err(|_| Unsignable)?;
            let mut value = HeaderValue::from_str(value).map_err(|_| Unsignable)?;
            value.set_sensitive(true);
            sending.headers.insert(name, value);
        }
        Ok(())
    }
}

/// `bedrock-runtime.eu-central-1.amazonaws.com` is in eu-central-1.
fn region(url: &Uri) -> &str {
    let host = url.host().unwrap_or_default();
    let named = host
        .strip_prefix("bedrock-runtime.")
        .or(host.strip_prefix("bedrock-runtime-fips."));
    let region = named.and_then(|rest| rest.split('.').next());
    region.unwrap_or(DEFAULT_REGION)
}

/// The pair that AWS's own tools read from the environment, with the variable that holds the secret.
pub(super) fn keys_of_environment(env: Env<'_>) -> Option<(String, Vec<WeightedKey>)> {
    const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
    let set = |name: &str| {
        env(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    let (id, secret) = (set("AWS_ACCESS_KEY_ID")?, set(SECRET)?);
    let key = match set("AWS_SESSION_TOKEN") {
        Some(session) => format!("{id}:{secret}:{session}"),
        None => format!("{id}:{secret}"),
    };
    Some((SECRET.to_owned(), vec![WeightedKey::alone(key)]))
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::http::header::HeaderMap;

    use super::*;

    const URL: &str = "https://bedrock-runtime.eu-central-1.amazonaws.com/model/anthropic.claude%3A0/converse";

    fn signed(keys: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut url: Uri = URL.parse().unwrap();
        let mut sending = Sending {
            method: &Method::POST,
            headers: &mut headers,
            url: &mut url,
            body: b"{}",
            wall_ms: 1_700_000_000_000,
        };
        AwsKeys::read(keys).unwrap().sign(&mut sending).unwrap();
        headers
    }

    #[test]
    fn the_signature_names_the_scope_of_the_host() {
        let headers = signed("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG");
        let value = headers.get("authorization").unwrap().to_str().unwrap();
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/eu-central-1/bedrock/aws4_request, ";
        assert!(value.starts_with(scope), "{value}");
        assert_eq!(headers.get("x-amz-date").unwrap(), "20231114T221320Z");
        assert!(!headers.contains_key("x-amz-security-token"));
        let session = signed("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG:session+token=");
        assert_eq!(session.get("x-amz-security-token").unwrap(), "session+token=");
        assert!(headers.iter().all(|(_, value)| value.is_sensitive()));
    }

    #[test]
    fn what_is_no_pair_is_another_kind_of_key() {
        for text in ["ABSKQmVkcm9jaw==", "", ":secret", "id:", "sk-a b:c"] {
            assert!(AwsKeys::read(text).is_none(), "{text}");
        }
        assert!(!format!("{:?}", AwsKeys::read("AKID:hidden")).contains("hidden"));
    }
}
