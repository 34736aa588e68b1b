//! AWS Signature Version 4, verified as AWS does it: the canonical request is made again from what came in, and the
//! signature over it with the simulated secret must be the one that was sent.
//! As for every service but S3, the path is encoded once more than it was on the wire. Fails closed.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpRequest;
use chrono::{DateTime, NaiveDateTime, Utc};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::refusal::Refusal;

/// What the header `authorization` of a signed call begins with.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The one pair of keys that is known.
const ACCESS_KEY: &str = "AKIDSIMULATED";
const SECRET_KEY: &str = "simulated-secret";

const SERVICE: &str = "bedrock";
const TERMINATOR: &str = "aws4_request";
/// How far the signer's clock may be off.
const SKEW: Duration = Duration::from_secs(300);

/// The parts of the header `authorization`.
struct Claim<'header> {
    access_key: &'header str,
    date: &'header str,
    region: &'header str,
    service: &'header str,
    signed_headers: Vec<&'header str>,
    signature: &'header str,
}

/// Whether the call is signed with the simulated keys, for this service and just now.
pub(super) fn verify(request: &HttpRequest, body: &[u8]) -> Result<(), Refusal> {
    let claim = header(request, "authorization")
        .and_then(|value| Claim::read(&value).map(|claim| claim.check(request, body, Utc::now())));
    claim.unwrap_or_else(|| {
        Err(incomplete(
            "Authorization header requires Credential, SignedHeaders and Signature.",
        ))
    })
}

impl<'header> Claim<'header> {
    fn read(header: &'header str) -> Option<Self> {
        let fields: BTreeMap<&str, &str> = header
            .strip_prefix(ALGORITHM)?
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .collect();
        let scope: Vec<&str> = fields.get("Credential")?.split('/').collect();
        let [access_key, date, region, service, TERMINATOR] = scope[..] else {
            return None;
        };
        Some(Self {
            access_key,
            date,
            region,
            service,
            signed_headers: fields.get("SignedHeaders")?.split(';').collect(),
            signature: fields.get("Signature")?,
        })
    }

    fn check(&self, request: &HttpRequest, body: &[u8], now: DateTime<Utc>) -> Result<(), Refusal> {
        if self.access_key != ACCESS_KEY {
            return Err(Refusal {
                status: 403,
                message: "The security token included in the request is invalid.".to_owned(),
                code: Some("UnrecognizedClientException"),
            });
        }
        if self.service != SERVICE {
            return Err(mismatch(&format!(
                "Credential should be scoped to correct service: '{SERVICE}'."
            )));
        }
        let signed_at = header(request, "x-amz-date").ok_or_else(|| incomplete("x-amz-date is missing."))?;
        self.check_date(&signed_at, now)?;
        let unsigned = |name: &str| request.headers().contains_key(name) && !self.signed_headers.contains(&name);
        if !self.signed_headers.contains(&"host") || unsigned("x-amz-date") || unsigned("x-amz-security-token") {
            return Err(mismatch(
                "'Host', 'X-Amz-Date' and 'X-Amz-Security-Token' must be signed headers.",
            ));
        }
        let scope = format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service);
        let canonical = canonical_request(request, &self.signed_headers, body);
        let digest = hexadecimal(&Sha256::digest(canonical));
        let text = format!("{ALGORITHM}\n{signed_at}\n{scope}\n{digest}");
        let expected = hexadecimal(&mac(&self.signing_key(), &text));
        if expected == self.signature {
            Ok(())
        } else {
            Err(mismatch(
                "The request signature we calculated does not match the signature you provided. Check your AWS \
                 Secret Access Key and signing method. Consult the service documentation for details.",
            ))
        }
    }

    fn check_date(&self, signed_at: &str, now: DateTime<Utc>) -> Result<(), Refusal> {
        let instant = NaiveDateTime::parse_from_str(signed_at, "%Y%m%dT%H%M%SZ")
            .map_err(|_| incomplete("x-amz-date is no date."))?
            .and_utc();
        if !signed_at.starts_with(self.date) {
            return Err(mismatch(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date.",
            ));
        }
        if (now - instant).abs().to_std().is_ok_and(|skew| skew <= SKEW) {
            Ok(())
        } else {
            Err(mismatch(&format!(
                "Signature expired: {signed_at} is now too far from {}.",
                now.to_rfc3339()
            )))
        }
    }

    fn signing_key(&self) -> Vec<u8> {
        let first = mac(format!("AWS4{SECRET_KEY}").as_bytes(), self.date);
        let scope = [self.region, self.service, TERMINATOR];
        scope.iter().fold(first, |key, part| mac(&key, part))
    }
}

fn canonical_request(request: &HttpRequest, signed_headers: &[&str], body: &[u8]) -> String {
    let headers: String = signed_headers
        .iter()
        .map(|name| format!("{name}:{}\n", header(request, name).unwrap_or_default()))
        .collect();
    let mut query: Vec<String> = request
        .query_string()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            if pair.contains('=') {
                pair.to_owned()
            } else {
                format!("{pair}=")
            }
        })
        .collect();
    query.sort();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method(),
        encoded(request.uri().path()),
        query.join("&"),
        signed_headers.join(";"),
        hexadecimal(&Sha256::digest(body)),
    )
}

/// All values of a header as the canonical form writes them: trimmed, and joined by commas.
fn header(request: &HttpRequest, name: &str) -> Option<String> {
    let values: Vec<String> = request
        .headers()
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len() + 8);
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("an HMAC key may have any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mismatch(message: &str) -> Refusal {
    Refusal {
        status: 403,
        message: message.to_owned(),
        code: Some("InvalidSignatureException"),
    }
}

fn incomplete(message: &str) -> Refusal {
    Refusal {
        status: 403,
        message: message.to_owned(),
        code: Some("IncompleteSignatureException"),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// The worked example of the signing key in AWS' guide, with its own secret in the place of the simulated one.
    #[test]
    fn a_key_is_derived_as_the_guide_derives_it() {
        let first = mac(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830");
        let key = ["us-east-1", "iam", TERMINATOR]
            .iter()
            .fold(first, |key, part| mac(&key, part));
        assert_eq!(
            hexadecimal(&key),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }

    /// The worked example of a canonical request in AWS' guide.
    #[test]
    fn a_request_is_made_canonical_as_the_guide_does_it() {
        let request = TestRequest::get()
            .uri("/?Action=ListUsers&Version=2010-05-08")
            .insert_header(("host", "iam.amazonaws.com"))
            .insert_header(("content-type", "application/x-www-form-urlencoded; charset=utf-8"))
            .insert_header(("x-amz-date", "20150830T123600Z"))
            .to_http_request();
        let canonical = canonical_request(&request, &["content-type", "host", "x-amz-date"], b"");
        let digest = hexadecimal(&Sha256::digest(canonical));
        assert_eq!(
            digest,
            "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
        );
    }

    #[test]
    fn a_path_is_encoded_once_more_than_on_the_wire() {
        assert_eq!(encoded("/model/a.b-v1%3A0/converse"), "/model/a.b-v1%253A0/converse");
        assert_eq!(encoded("/model/a:0/converse"), "/model/a%3A0/converse");
    }
}
