//! Turns the gateway's refusals into rows of the error table.

use actix_web::http::header::{HeaderName, HeaderValue};

use crate::domain::rate::RateStatus;
use crate::domain::spend::Now;
use crate::gateway::dialect::{BodyError, Speech};
use crate::gateway::provider::ResolveError;
use crate::gateway::{Refusal, UpstreamFailure};
use crate::http::error::{ApiError, ErrorCode};

use super::answer::rate_headers;

/// The error that the caller sees.
pub fn of(refusal: Refusal, now: Now, speech: Speech) -> ApiError {
    match refusal {
        Refusal::Body(error) => of_body(error),
        Refusal::Resolve(error) => unresolved(&error),
        Refusal::Denied { denial, rate, named } => {
            let error = ApiError::denied(&denial, now);
            let error = match named.map(|named| *named) {
                Some((field, name)) => error.field(field, name),
                None => error,
            };
            with_rate(error, rate, speech)
        }
        Refusal::Account(refusal) => refusal.into(),
        Refusal::Credit(refusal) => refusal.into(),
        Refusal::PriceUnknown(model) => ApiError::new(ErrorCode::PriceUnknown)
            .field("model", model)
            .param("model"),
        Refusal::CostUnbounded(field) => ApiError::new(ErrorCode::CostUnbounded).param(field),
        Refusal::ProviderKeyInvalid => ApiError::invalid("provider_key", "has characters that no header takes"),
        Refusal::LeftAlone {
            provider,
            retry_after_s,
        } => ApiError::new(ErrorCode::ProviderUnavailable)
            .field("provider", &*provider)
            .retry_after(retry_after_s),
        Refusal::Overloaded => ApiError::new(ErrorCode::Overloaded),
        Refusal::Backlog => ApiError::new(ErrorCode::BillingBacklog),
        Refusal::Stopping => ApiError::new(ErrorCode::Stopping),
        Refusal::ProviderAuthFailed => ApiError::new(ErrorCode::ProviderAuthFailed),
        Refusal::ProviderRedirected => ApiError::new(ErrorCode::ProviderUnreachable)
            .say("The provider answered with a redirect, which is not followed."),
        // The provider may have run and billed the call: the same call again would be bought twice.
        Refusal::Upstream(UpstreamFailure::Broken) => ApiError::new(ErrorCode::ProviderUnreachable)
            .say("The provider's answer broke off.")
            .do_not_retry(),
        Refusal::Upstream(UpstreamFailure::TimedOut) => ApiError::new(ErrorCode::ProviderTimeout).do_not_retry(),
        Refusal::Ended => ApiError::new(ErrorCode::CallEnded).do_not_retry(),
        Refusal::Upstream(UpstreamFailure::Unreachable) => ApiError::new(ErrorCode::ProviderUnreachable),
    }
}

/// A body that cannot be read, or not in one way only.
pub fn of_body(error: BodyError) -> ApiError {
    let refused = ApiError::new(ErrorCode::InvalidRequest).say(error.message);
    match error.param {
        Some(param) => refused.param(&param),
        None => refused,
    }
}

/// The key's rate limit stands on refusals as it does on answers.
fn with_rate(error: ApiError, rate: Option<RateStatus>, speech: Speech) -> ApiError {
    let headers = rate.map(|rate| rate_headers(rate, speech)).into_iter().flatten();
    headers.fold(error, |error, (name, value)| match HeaderValue::from_str(&value) {
        Ok(value) => error.header(HeaderName::from_static(name), value),
        Err(_) => error,
    })
}

fn unresolved(error: &ResolveError) -> ApiError {
    let code = match error {
        ResolveError::CredentialMissing { .. } => ErrorCode::ModelNotFound,
        ResolveError::NotTranslated { .. } => ErrorCode::ForwardModelNotSupported,
        ResolveError::HostUnknown { .. } | ResolveError::EndpointUnknown { .. } | ResolveError::NotAnAddress => {
            ErrorCode::ForwardEndpointNotSupported
        }
    };
    ApiError::new(code).say(error.to_string()).param(error.param())
}
