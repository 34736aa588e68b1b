//! The one table of errors: a code, its status, and how it is shown. Everything that refuses or fails towards a caller
//! becomes an [`ApiError`]; the body is never empty and never says anything of the inside of a 5xx.
//! Management and the gateway share the table; a gateway route gives the same error in the dialect of its caller.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value};

use crate::storage::StorageError;

macro_rules! error_table {
    ($($code:ident = $status:literal $word:literal: $message:literal;)*) => {
        /// Every way to be refused; the word is on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($code),* }

        impl ErrorCode {
            pub const ALL: &'static [Self] = &[$(Self::$code),*];

            pub const fn word(self) -> &'static str {
                match self { $(Self::$code => $word),* }
            }

            pub fn status(self) -> StatusCode {
                let number: u16 = match self { $(Self::$code => $status),* };
                StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// What is said where nothing better is known.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$code => $message),* }
            }
        }
    };
}

error_table! {
    InvalidRequest = 400 "invalid_request": "The request is not valid.";
    UnknownField = 400 "unknown_field": "The request has a field that is not known.";
    PriceUnknown = 400 "price_unknown": "The model has no price, and this call must be covered before it runs.";
    CostUnbounded = 400 "cost_unbounded": "The cost of this call has no upper bound, and it must be covered before it runs.";
    ForwardUrlInvalid = 400 "forward_url_invalid": "The forward URL is not valid.";
    ForwardEndpointNotSupported = 400 "forward_endpoint_not_supported": "This endpoint cannot be forwarded to.";
    ForwardModelNotSupported = 400 "forward_model_not_supported": "This model cannot be reached from this endpoint.";
    InvalidApiKey = 401 "invalid_api_key": "Invalid API key";
    KeyPaused = 401 "key_paused": "This key is paused.";
    KeyExpired = 401 "key_expired": "This key has expired.";
    SpendLimitReached = 402 "spend_limit_reached": "The spend limit of this key is reached.";
    InsufficientBalance = 402 "insufficient_balance": "The balance cannot cover this call.";
    PaymentDeclined = 402 "payment_declined": "The payment was declined.";
    RequestShapeMismatch = 403 "request_shape_mismatch": "This key is for another request shape.";
    ModelNotAllowed = 403 "model_not_allowed": "Model not allowed for this key.";
    ProviderNotAllowed = 403 "provider_not_allowed": "Provider not allowed for this key.";
    IpNotAllowed = 403 "ip_not_allowed": "This key may not be used from this address.";
    CallEnded = 403 "call_ended": "This call was ended by the owner of its key before it was answered.";
    WrongKeyKind = 403 "wrong_key_kind": "This kind of key is not for this route.";
    MeterNotOnPlan = 403 "meter_not_on_plan": "The meter is not on the customer's plan.";
    OriginNotAllowed = 403 "origin_not_allowed": "Web pages of this origin may not call.";
    NotFound = 404 "not_found": "There is no such thing.";
    ModelNotFound = 404 "model_not_found": "The model cannot be reached.";
    CustomerNotFound = 404 "customer_not_found": "There is no such customer.";
    MethodNotAllowed = 405 "method_not_allowed": "This path does not take this method.";
    NotAcceptable = 406 "not_acceptable": "The client does not take what would be answered.";
    RequestTimeout = 408 "request_timeout": "The request did not arrive in time.";
    Conflict = 409 "conflict": "It is there already.";
    IdempotencyInProgress = 409 "idempotency_in_progress": "A call with this Idempotency-Key is under way; try again.";
    IdempotencyOutcomeUnknown = 409 "idempotency_outcome_unknown": "A call with this Idempotency-Key was broken off, and it is not known whether its work was done. Look for what it was to make, and if it is not there, call again with another key.";
    PayloadTooLarge = 413 "payload_too_large": "The body is too large.";
    UnsupportedMediaType = 415 "unsupported_media_type": "The body must be JSON (content-type: application/json).";
    IdempotencyKeyReused = 422 "idempotency_key_reused": "This Idempotency-Key stood on another request; each request needs a key of its own.";
    BudgetBusy = 429 "budget_busy": "What is left is held by calls in flight; try again when they have ended.";
    RequestLimitReached = 429 "request_limit_reached": "The request limit of this key is reached.";
    RateLimited = 429 "rate_limited": "Too many requests.";
    TooManyParallel = 429 "too_many_parallel": "This key has too many calls in flight.";
    Internal = 500 "internal": "Something went wrong here.";
    NotSupported = 501 "not_supported": "This is not supported.";
    ProviderAuthFailed = 502 "provider_auth_failed": "The provider refused the operator's credential.";
    ProviderUnreachable = 502 "provider_unreachable": "The provider cannot be reached.";
    ProviderTimeout = 504 "provider_timeout": "The provider did not answer in time.";
    ProviderUnavailable = 503 "provider_unavailable": "The provider fails again and again and is left alone for a while; try again later.";
    Overloaded = 503 "overloaded": "Too much is running at once; try again.";
    BillingBacklog = 503 "billing_backlog": "Usage cannot be recorded at the moment; try again.";
    PaymentsUnavailable = 503 "payments_unavailable": "Payments cannot be made at the moment; try again.";
    Unavailable = 503 "unavailable": "The database is not available at the moment; try again.";
    Starting = 503 "starting": "The server is starting; try again.";
    Stopping = 503 "stopping": "The server is stopping; try again.";
}

/// A refusal or a failure on its way to the caller.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: ErrorCode,
    message: String,
    param: Option<String>,
    /// Figures beside the message, such as `limit` and `resets_at`.
    fields: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// The error with the table's own message; a 503 asks to come back in a second.
    pub fn new(code: ErrorCode) -> Self {
        let error = Self {
            code,
            message: code.message().to_owned(),
            param: None,
            fields: Map::new(),
            headers: Vec::new(),
        };
        if code.status() == StatusCode::SERVICE_UNAVAILABLE {
            error.retry_after(1)
        } else {
            error
        }
    }

    /// A value that is wrong; `param` names it, as `spend_limit.amount`, and `what` goes on after the name.
    pub fn invalid(param: &str, what: impl fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidRequest)
            .say(format!("`{param}` {what}"))
            .param(param)
    }

    /// A thing that a parameter names and that is not there, or not this merchant's.
    pub fn missing(param: &str, noun: &str) -> Self {
        Self::new(ErrorCode::NotFound)
            .say(format!("There is no such {noun}."))
            .param(param)
    }

    /// Something broke; it is logged here and only here, and the caller learns nothing of it.
    pub fn internal(doing: &'static str, error: &dyn fmt::Display) -> Self {
        tracing::error!(error = %error, "{doing} failed");
        Self::new(ErrorCode::Internal)
    }

    pub fn say(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    pub fn param(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Asks the client to come back in this many seconds.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.headers.retain(|(name, _)| name != RETRY_AFTER);
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Tells the official clients that the same call will fail again.
    pub fn do_not_retry(self) -> Self {
        self.header(
            HeaderName::from_static("x-should-retry"),
            HeaderValue::from_static("false"),
        )
    }

    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// What stands beside message, code and status in every dialect: the figures, and `param`.
    pub fn extra(&self) -> Map<String, Value> {
        let mut extra = self.fields.clone();
        if let Some(param) = &self.param {
            extra.insert("param".to_owned(), Value::from(param.as_str()));
        }
        extra
    }

    /// The body in Lava's envelope.
    pub fn body(&self) -> Value {
        let mut error = self.extra();
        error.insert("message".to_owned(), Value::from(self.message.as_str()));
        error.insert("code".to_owned(), Value::from(self.code.word()));
        error.insert("status".to_owned(), Value::from(self.status().as_u16()));
        serde_json::json!({ "error": error })
    }

    /// The answer with this body, which a gateway route makes in its caller's dialect.
    pub fn response_with(&self, body: &Value) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        for header in &self.headers {
            response.insert_header(header.clone());
        }
        response.json(body)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code.word(), self.message)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.response_with(&self.body())
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(reason) => {
                tracing::warn!(reason, "the database is not available to a management call");
                Self::new(ErrorCode::Unavailable)
            }
            StorageError::NotFound => Self::new(ErrorCode::NotFound),
            StorageError::Conflict { constraint } => {
                tracing::debug!(constraint, "a management call conflicts with what is stored");
                Self::new(ErrorCode::Conflict)
            }
            StorageError::Query(error) => Self::internal("a query", &error),
            StorageError::Migration(reason) => Self::internal("a migration", &reason),
            StorageError::Corrupt { noun, reason } => Self::internal(noun, &reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_word_of_its_own_a_status_of_an_error_and_a_whole_body() {
        let mut words: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert!(
                code.status().is_client_error() || code.status().is_server_error(),
                "{code:?}"
            );
            let body = ApiError::new(*code).body();
            assert_eq!(body["error"]["code"], code.word());
            assert_eq!(body["error"]["status"], code.status().as_u16());
            assert_eq!(body["error"]["message"], code.message());
        }
    }

    #[test]
    fn a_failure_inside_says_nothing_of_the_inside() {
        let error = ApiError::from(StorageError::Corrupt {
            noun: "spend key",
            reason: "table spend_keys".to_owned(),
        });
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!error.body().to_string().contains("spend"), "{}", error.body());
        let away = ApiError::from(StorageError::Unavailable("host=/run password=x".to_owned()));
        assert_eq!(away.headers(), [(RETRY_AFTER, HeaderValue::from_static("1"))]);
        assert!(!away.body().to_string().contains("password"));
    }

    #[test]
    fn a_wrong_value_is_named() {
        let body = ApiError::invalid("spend_limit.amount", "must be above zero").body();
        assert_eq!(body["error"]["param"], "spend_limit.amount");
        assert_eq!(body["error"]["message"], "`spend_limit.amount` must be above zero");
    }
}
