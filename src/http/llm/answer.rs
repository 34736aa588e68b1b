//! Shapes what goes back to a gateway client: the provider's own answer with our headers, or a refusal in the caller's
//! dialect.

use actix_web::HttpResponse;
use actix_web::body::{BodyStream, BoxBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, SecondsFormat, Utc};

use crate::domain::ids::RequestId;
use crate::domain::rate::RateStatus;
use crate::gateway::dialect::{ErrorDetail, Speech, error_body};
use crate::gateway::{ReplyBody, Served};
use crate::http::error::ApiError;

/// To how many providers the call was sent, where it was more than one.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-lava-attempts");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-lava-request-id");
const SERVED_BY: HeaderName = HeaderName::from_static("x-lava-served-by");
const SIMULATED: HeaderName = HeaderName::from_static("x-lava-simulated");
const OUTPUT_CAP: HeaderName = HeaderName::from_static("x-lava-output-cap");
const DROPPED: HeaderName = HeaderName::from_static("x-lava-dropped");
const COST: HeaderName = HeaderName::from_static("x-lava-cost");

/// What the client asked for besides the answer.
pub struct Wishes {
    pub request_id: RequestId,
    pub speech: Speech,
    pub cost: bool,
}

/// The provider's answer.
pub fn served(served: Served, wishes: Wishes) -> HttpResponse {
    let answer = served.answer;
    let status = answer.reply.status;
    let mut headers = answer.reply.headers;
    headers.insert(REQUEST_ID, written(wishes.request_id));
    headers.insert(SERVED_BY, written(&answer.provider));
    if served.attempts > 1 {
        headers.insert(ATTEMPTS, HeaderValue::from(served.attempts));
    }
    if answer.simulated {
        headers.insert(SIMULATED, HeaderValue::from_static("true"));
    }
    if let Some(cap) = answer.output_cap {
        headers.insert(OUTPUT_CAP, HeaderValue::from(cap));
    }
    if let Some(dropped) = &answer.dropped {
        headers.insert(DROPPED, written(dropped));
    }
    for (name, value) in answer
        .rate
        .into_iter()
        .flat_map(|rate| rate_headers(rate, wishes.speech))
    {
        headers.insert(HeaderName::from_static(name), written(value));
    }
    let body = match answer.reply.body {
        ReplyBody::Whole(body, costs) => {
            if wishes.cost {
                headers.insert(COST, written(costs.total));
            }
            if body.is_empty() {
                return without_body(status, headers, &wishes);
            }
            BoxBody::new(body)
        }
        ReplyBody::Stream(chunks) => BoxBody::new(BodyStream::new(chunks.keep(served.place))),
    };
    with_headers(HttpResponse::with_body(status, body), headers)
}

fn with_headers(mut response: HttpResponse, headers: HeaderMap) -> HttpResponse {
    *response.headers_mut() = headers;
    response
}

/// A value of ours; what no header takes is left out of it.
fn written(value: impl ToString) -> HeaderValue {
    let text = value.to_string();
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What stands for a body that the provider left empty, because the official clients read JSON from every answer.
fn without_body(status: StatusCode, mut headers: HeaderMap, wishes: &Wishes) -> HttpResponse {
    if status == StatusCode::NOT_MODIFIED {
        return with_headers(HttpResponse::new(status), headers);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status.is_success() {
        return with_headers(HttpResponse::with_body(StatusCode::OK, BoxBody::new("{}")), headers);
    }
    let id = wishes.request_id.to_string();
    let detail = ErrorDetail {
        status: status.as_u16(),
        code: "provider_error",
        message: "The provider answered with this status and no body.",
        request_id: Some(&id),
        ..ErrorDetail::default()
    };
    let body = error_body(wishes.speech, detail).to_string();
    with_headers(HttpResponse::with_body(status, BoxBody::new(body)), headers)
}

/// A refusal, with the number of providers that were asked.
pub fn counted(refusal: ApiError, attempts: u32) -> ApiError {
    if attempts > 1 {
        refusal.header(ATTEMPTS, HeaderValue::from(attempts))
    } else {
        refusal
    }
}

/// A refusal in the dialect of its caller.
pub fn refused(refusal: &ApiError, speech: Speech, id: Option<RequestId>) -> HttpResponse {
    let id = id.map(|id| id.to_string());
    let mut extra = refusal.extra();
    let param = extra
        .remove("param")
        .and_then(|param| param.as_str().map(str::to_owned));
    let detail = ErrorDetail {
        status: refusal.status().as_u16(),
        code: refusal.code().word(),
        message: refusal.message(),
        request_id: id.as_deref(),
        param: param.as_deref(),
        extra: Some(extra),
    };
    let mut response = refusal.response_with(&error_body(speech, detail));
    if let Some(value) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// A key's rate limit in the headers that the dialect's clients read.
pub fn rate_headers(rate: RateStatus, speech: Speech) -> [(&'static str, String); 3] {
    match speech {
        Speech::OpenAi | Speech::Responses | Speech::Google | Speech::Bedrock => [
            ("x-ratelimit-limit-requests", rate.limit.to_string()),
            ("x-ratelimit-remaining-requests", rate.remaining.to_string()),
            (
                "x-ratelimit-reset-requests",
                format!("{}ms", rate.full_in_us.div_ceil(1000)),
            ),
        ],
        Speech::Anthropic => {
            let full_at: DateTime<Utc> =
                Utc::now() + chrono::TimeDelta::microseconds(i64::try_from(rate.full_in_us).unwrap_or(0));
            [
                ("anthropic-ratelimit-requests-limit", rate.limit.to_string()),
                ("anthropic-ratelimit-requests-remaining", rate.remaining.to_string()),
                (
                    "anthropic-ratelimit-requests-reset",
                    full_at.to_rfc3339_opts(SecondsFormat::Secs, true),
                ),
            ]
        }
    }
}
