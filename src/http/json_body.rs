//! A management body as a JSON object. It is read up to the limit and no further; what is not JSON, not an object, or
//! says one thing twice is refused. An empty body counts as an empty object under any content type, because the
//! official clients send `content-type: application/json` with no body at all.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt as _;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::audit;
use super::error::{ApiError, ErrorCode};
use super::state::AppState;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_LIMIT_BYTES: usize = 65_536;

/// The fields of the body; none where the body is empty.
#[derive(Debug)]
pub struct JsonBody(pub Map<String, Value>);

impl FromRequest for JsonBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read_bytes(&request, payload).await?;
            if body.is_empty() {
                return Ok(Self(Map::new()));
            }
            require_json(&request)?;
            let fields = parse(&body)?;
            audit::note_body(&request, &fields);
            Ok(Self(fields))
        })
    }
}

/// The whole body, up to the limit and within the time that a body has.
pub async fn read_bytes(request: &HttpRequest, payload: Payload) -> Result<Bytes, ApiError> {
    let state = request.app_data::<web::Data<AppState>>();
    let limit = state.map_or(DEFAULT_LIMIT_BYTES, |state| state.edge().options.body_limit_bytes);
    read_up_to(request, payload, limit).await
}

/// As [`read_bytes`], up to another limit.
pub async fn read_up_to(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let body = tokio::time::timeout(BODY_TIMEOUT, read(request, payload, limit)).await;
    body.map_err(|_| ApiError::new(ErrorCode::RequestTimeout))?
}

/// The object that these bytes spell.
pub fn parse(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice::<UniqueValue>(body) {
        Ok(UniqueValue(Value::Object(fields))) => Ok(fields),
        Ok(UniqueValue(_)) => Err(ApiError::new(ErrorCode::InvalidRequest).say("The body must be a JSON object.")),
        Err(error) => {
            Err(ApiError::new(ErrorCode::InvalidRequest).say(format!("The body is not valid JSON: {error}.")))
        }
    }
}

async fn read(request: &HttpRequest, mut payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::new(ErrorCode::PayloadTooLarge)
            .say(format!("The body is larger than {limit} bytes."))
            .field("limit", limit)
    };
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::new(ErrorCode::InvalidRequest).say("The body broke off."))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn require_json(request: &HttpRequest) -> Result<(), ApiError> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    let media_type = header(CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    let is_json =
        media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    let encoding = header(CONTENT_ENCODING).trim();
    if is_json && (encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::UnsupportedMediaType))
}

/// A JSON value in which no object names a field twice.
struct UniqueValue(Value);

impl<'de> Deserialize<'de> for UniqueValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = UniqueValue;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<UniqueValue, E> {
        Ok(UniqueValue(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<UniqueValue, E> {
        Ok(UniqueValue(Value::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<UniqueValue, E> {
        Ok(UniqueValue(Value::from(value)))
    }

    /// Kept only to be refused where it stands: no field takes one.
    fn visit_f64<E>(self, value: f64) -> Result<UniqueValue, E> {
        Ok(UniqueValue(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<UniqueValue, E> {
        Ok(UniqueValue(Value::from(value)))
    }

    fn visit_string<E>(self, value: String) -> Result<UniqueValue, E> {
        Ok(UniqueValue(Value::from(value)))
    }

    fn visit_unit<E>(self) -> Result<UniqueValue, E> {
        Ok(UniqueValue(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<UniqueValue, A::Error> {
        let mut array = Vec::new();
        while let Some(UniqueValue(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(UniqueValue(Value::Array(array)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<UniqueValue, A::Error> {
        let mut object = Map::new();
        while let Some((name, UniqueValue(value))) = entries.next_entry::<String, UniqueValue>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the field `{name}` is there twice")));
            }
            object.insert(name, value);
        }
        Ok(UniqueValue(Value::Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_that_says_everything_once_is_taken() {
        assert_eq!(parse(br#"{"a": [1, {"b": null}], "c": "d"}"#).unwrap().len(), 2);
        let deep = "[".repeat(200);
        let refused = [
            "",
            "{",
            "[]",
            "1",
            "null",
            "\"x\"",
            "{\"a\":1,\"a\":2}",
            "{\"a\":{\"b\":1,\"b\":1}}",
            "{\"a\":NaN}",
            "{} x",
            &deep,
        ];
        for text in refused {
            assert_eq!(
                parse(text.as_bytes()).unwrap_err().code(),
                ErrorCode::InvalidRequest,
                "{text}"
            );
        }
        assert!(parse(b"\xff{}").is_err());
    }
}
