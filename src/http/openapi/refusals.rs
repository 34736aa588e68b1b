//! What the reference says of refusals, all of it out of the one table of errors: which codes a call may answer with,
//! and the answer of each of its statuses.

use utoipa::openapi::{AllOfBuilder, Content, Ref, Response, ResponseBuilder};

use crate::http::error::ErrorCode;

use super::envelope::Envelope;
use super::schema::{Shape, nested, object, the, word};

/// The server does not serve yet, or no more.
pub const NOT_READY: &[ErrorCode] = &[ErrorCode::Starting, ErrorCode::Stopping];

/// What every management call may be refused with.
pub const MANAGEMENT: &[ErrorCode] = &[
    ErrorCode::InvalidApiKey,
    ErrorCode::WrongKeyKind,
    ErrorCode::RateLimited,
    ErrorCode::Internal,
    ErrorCode::Unavailable,
    ErrorCode::Starting,
    ErrorCode::Stopping,
];

/// What a call with a JSON body may be refused with.
pub const BODY: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::RequestTimeout,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
];

/// What a management POST may be refused with for the sake of its `Idempotency-Key`, for which its body is read.
pub const IDEMPOTENCY: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::RequestTimeout,
    ErrorCode::PayloadTooLarge,
    ErrorCode::IdempotencyInProgress,
    ErrorCode::IdempotencyOutcomeUnknown,
    ErrorCode::IdempotencyKeyReused,
];

/// What becomes of a credential that is looked at where none is needed.
pub const OF_CALLER: &[ErrorCode] = &[
    ErrorCode::InvalidApiKey,
    ErrorCode::KeyPaused,
    ErrorCode::KeyExpired,
    ErrorCode::WrongKeyKind,
    ErrorCode::MeterNotOnPlan,
    ErrorCode::CustomerNotFound,
    ErrorCode::RateLimited,
];

/// What a call of the gateway may be refused with.
pub const GATEWAY: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::UnknownField,
    ErrorCode::PriceUnknown,
    ErrorCode::CostUnbounded,
    ErrorCode::ForwardUrlInvalid,
    ErrorCode::ForwardEndpointNotSupported,
    ErrorCode::ForwardModelNotSupported,
    ErrorCode::InvalidApiKey,
    ErrorCode::KeyPaused,
    ErrorCode::KeyExpired,
    ErrorCode::SpendLimitReached,
    ErrorCode::InsufficientBalance,
    ErrorCode::RequestShapeMismatch,
    ErrorCode::ModelNotAllowed,
    ErrorCode::ProviderNotAllowed,
    ErrorCode::IpNotAllowed,
    ErrorCode::CallEnded,
    ErrorCode::WrongKeyKind,
    ErrorCode::MeterNotOnPlan,
    ErrorCode::NotFound,
    ErrorCode::ModelNotFound,
    ErrorCode::CustomerNotFound,
    ErrorCode::RequestTimeout,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::BudgetBusy,
    ErrorCode::RequestLimitReached,
    ErrorCode::RateLimited,
    ErrorCode::TooManyParallel,
    ErrorCode::Internal,
    ErrorCode::NotSupported,
    ErrorCode::ProviderAuthFailed,
    ErrorCode::ProviderUnreachable,
    ErrorCode::ProviderTimeout,
    ErrorCode::ProviderUnavailable,
    ErrorCode::Overloaded,
    ErrorCode::BillingBacklog,
    ErrorCode::Starting,
    ErrorCode::Stopping,
];

/// The refusals of one status, as a component of the document.
pub struct Refusal {
    pub status: u16,
    /// Of the component: the status and the codes, so that what is the same is there once.
    pub name: String,
    pub response: Response,
}

/// The refusals with these codes, by their status.
pub fn by_status(codes: &[ErrorCode], envelope: Envelope) -> Vec<Refusal> {
    let mut statuses: Vec<u16> = codes.iter().map(|code| code.status().as_u16()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let refusal = |status: u16| {
        let of_status = |code: &&ErrorCode| code.status().as_u16() == status;
        let codes: Vec<ErrorCode> = codes.iter().filter(of_status).copied().collect();
        of(status, &codes, envelope)
    };
    statuses.into_iter().map(refusal).collect()
}

fn of(status: u16, codes: &[ErrorCode], envelope: Envelope) -> Refusal {
    let words: Vec<&str> = codes.iter().map(|code| code.word()).collect();
    let lines: Vec<String> = codes
        .iter()
        .map(|code| format!("- `{}`: {}", code.word(), code.message()))
        .collect();
    let response = ResponseBuilder::new().description(lines.join("\n"));
    let mut response = response.content("application/json", Content::new(Some(shape(&words, envelope))));
    if matches!(status, 429 | 503) {
        response = response.header_ref("retry-after", Ref::new("#/components/headers/retry-after"));
    }
    if matches!(status, 402 | 409 | 429 | 502 | 504) {
        response = response.header_ref("x-should-retry", Ref::new("#/components/headers/x-should-retry"));
    }
    Refusal {
        status,
        name: format!("{}.{status}.{}", envelope.schema_name(), words.join(".")),
        response: response.build(),
    }
}

/// Only our own envelope promises one of the codes: on the gateway's routes a provider's errors come with the same
/// statuses.
fn shape(words: &[&str], envelope: Envelope) -> Shape {
    let whole = the(envelope.schema_name());
    match envelope {
        Envelope::Lava => {
            let code = object(vec![word("code", words, "")]);
            let narrowed = object(vec![nested("error", code, "")]);
            AllOfBuilder::new().item(whole).item(narrowed).into()
        }
        Envelope::OpenAi | Envelope::Anthropic | Envelope::Google | Envelope::Bedrock | Envelope::Mcp => whole,
    }
}
