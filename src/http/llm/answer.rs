//! Shapes what goes back to a gateway client: the provider's own answer with our headers, or a refusal in the caller's
//! dialect.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use crate::domain::ids::RequestId;
use crate::domain::rate::RateStatus;
use crate::gateway::dialect::{ErrorDetail, Speech, error_body};
use crate::gateway::{ReplyBody, Served};
use crate::http::error::ApiError;

/// To how many providers the call was sent, where it was more than one.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-lava-attempts");

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
    let mut response = HttpResponse::build(status);
    for header in answer.reply.headers {
        response.insert_header(header);
    }
    response.insert_header(("x-lava-request-id", wishes.request_id.to_string()));
    response.insert_header(("x-lava-served-by", &*answer.provider));
    if served.attempts > 1 {
        response.insert_header((ATTEMPTS, served.attempts));
    }
    if answer.simulated {
        response.insert_header(("x-lava-simulated", "true"));
    }
    if let Some(cap) = answer.output_cap {
        response.insert_header(("x-lava-output-cap", cap));
    }
    if let Some(dropped) = &answer.dropped {
        response.insert_header(("x-lava-dropped", dropped.as_str()));
    }
    for header in answer
        .rate
        .map(|rate| rate_headers(rate, wishes.speech))
        .into_iter()
        .flatten()
    {
        response.insert_header(header);
    }
    match answer.reply.body {
        ReplyBody::Whole(body, costs) => {
            if wishes.cost {
                response.insert_header(("x-lava-cost", costs.total.to_string()));
            }
            if body.is_empty() {
                return without_body(response, status, &wishes);
            }
            response.body(body)
        }
        ReplyBody::Stream(chunks) => response.streaming(chunks.keep(served.place)),
    }
}

/// What stands for a body that the provider left empty, because the official clients read JSON from every answer.
fn without_body(mut response: HttpResponseBuilder, status: StatusCode, wishes: &Wishes) -> HttpResponse {
    if status == StatusCode::NOT_MODIFIED {
        return response.finish();
    }
    if status.is_success() {
        return response.status(StatusCode::OK).json(json!({}));
    }
    let id = wishes.request_id.to_string();
    let detail = ErrorDetail {
        status: status.as_u16(),
        code: "provider_error",
        message: "The provider answered with this status and no body.",
        request_id: Some(&id),
        ..ErrorDetail::default()
    };
    response.json(error_body(wishes.speech, detail))
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
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-lava-request-id"), value);
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
