//! The routes that are called like a provider's: one call in, one answer, error or stream out.
//! Every call that reaches this file is booked once, however it ends. Directives are read before anything else is
//! refused, so that a fault can be asked for with any body.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::answer::Answer;
use super::dialect::Dialect;
use super::directive::{self, Directives, Fault, Flavour};
use super::ledger::{Ledger, OpenEntry, Outcome};
use super::provider::Provider;
use super::refusal::Refusal;
use super::reply::Reply;
use super::request::{Call, Delivery};
use super::stream::{AnswerStream, CutOff, HANG, Script};
use super::tools::ToolCalls;
use super::{anthropic, credential, flavoured, openai, thinking};

/// `POST /v1/chat/completions`
pub(super) async fn chat_completions(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer(Incoming {
        dialect: Dialect::OpenAi,
        ledger: ledger.into_inner(),
        request,
        body,
    })
    .await
}

/// `POST /v1/messages`
pub(super) async fn messages(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer(Incoming {
        dialect: Dialect::Anthropic,
        ledger: ledger.into_inner(),
        request,
        body,
    })
    .await
}

/// One call as it came in.
struct Incoming {
    dialect: Dialect,
    ledger: Arc<Ledger>,
    request: HttpRequest,
    body: Bytes,
}

/// What is to be answered, decided before any waiting.
enum Plan {
    Fault(Fault),
    Tools(ToolCalls),
    Told(Reply),
    Answer { answer: Answer, delivery: Delivery },
}

/// A call with all that was read of it.
struct Told<'call> {
    dialect: Dialect,
    call: &'call Call<'call>,
    directives: &'call Directives,
    body: &'call str,
}

async fn answer(incoming: Incoming) -> HttpResponse {
    let dialect = incoming.dialect;
    let mut entry = incoming.ledger.open();
    let planned = plan(&incoming, &mut entry);
    // A waiting answer must not keep a body of 100 kB.
    drop(incoming);
    let (directives, plan) = match planned {
        Ok(planned) => planned,
        Err(refusal) => {
            entry.outcome = Outcome::Error { status: refusal.status };
            return refusal.respond(dialect);
        }
    };
    if directives.timing.delay_ms > 0 {
        sleep(Duration::from_millis(directives.timing.delay_ms)).await;
    }
    match plan {
        Plan::Fault(fault) => fault.respond(dialect),
        Plan::Told(reply) => reply.respond(dialect.into(), entry, &directives),
        Plan::Tools(calls) => calls.respond(&mut entry),
        Plan::Answer { answer, delivery } => match delivery {
            Delivery::Whole => whole(dialect, &answer, entry, &directives),
            Delivery::Streamed { usage } => match dialect {
                Dialect::OpenAi => respond(dialect, openai::Frames::new(answer, usage), entry, &directives),
                Dialect::Anthropic => respond(dialect, anthropic::Frames::new(answer), entry, &directives),
            },
        },
    }
}

fn plan(incoming: &Incoming, entry: &mut OpenEntry) -> Result<(Directives, Plan), Refusal> {
    let Incoming {
        dialect,
        ledger,
        request,
        body,
    } = incoming;
    let dialect = *dialect;
    credential::check(dialect.into(), request, body)?;
    let text = std::str::from_utf8(body)
        .map_err(|_| Refusal::bad_request("We could not parse the JSON body: not UTF-8".to_owned()))?;
    let header = request
        .headers()
        .get(directive::HEADER)
        .and_then(|value| value.to_str().ok());
    let mut directives = Directives::read(header, text)
        .map_err(|unknown| Refusal::bad_request(format!("unknown directive: {}", unknown.0)))?;
    entry.tag = directives.tag.take();
    let call = Call::read(dialect, text);
    if let Ok(call) = &call {
        entry.model = call.model().into();
        entry.stream = call.delivery != Delivery::Whole;
    }
    if let Some(fault) = due_fault(&directives, ledger, entry.tag.as_deref()) {
        entry.outcome = Outcome::Error { status: fault.status() };
        return Ok((directives, Plan::Fault(fault)));
    }
    let call = call.map_err(Refusal::bad_request)?;
    let answer = Answer::decide(&call, &directives, body);
    entry.id = dialect.id(answer.id);
    book_input(entry, dialect, &call, &directives);
    let told = Told {
        dialect,
        call: &call,
        directives: &directives,
        body: text,
    };
    if let Some(reply) = told_otherwise(&told, entry)? {
        return Ok((directives, Plan::Told(reply)));
    }
    if let Some(calls) = ToolCalls::plan(dialect, &directives.tools, text, call.input_tokens) {
        return Ok((directives, Plan::Tools(calls)));
    }
    Ok((
        directives,
        Plan::Answer {
            answer,
            delivery: call.delivery,
        },
    ))
}

/// The answers that are not on the fast path: in another provider's flavour, or with thoughts.
fn told_otherwise(told: &Told<'_>, entry: &mut OpenEntry) -> Result<Option<Reply>, Refusal> {
    let Told {
        dialect,
        call,
        directives,
        body,
    } = *told;
    let is_rare = match dialect {
        Dialect::OpenAi => directives.flavour != Flavour::OpenAi,
        Dialect::Anthropic => directives.report.reasoning_tokens > 0,
    };
    if !is_rare {
        return Ok(None);
    }
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    match dialect {
        Dialect::OpenAi => flavoured::reply(call, directives, &body, entry).map(Some),
        Dialect::Anthropic if thinking::is_wanted(directives, &body) => {
            thinking::reply(call, directives, &body, entry).map(Some)
        }
        Dialect::Anthropic => Ok(None),
    }
}

/// The fault that a call asks for, unless it failed often enough.
pub(super) fn due_fault(directives: &Directives, ledger: &Ledger, tag: Option<&str>) -> Option<Fault> {
    let fault = directives.fault?;
    match directives.fail_times {
        Some(limit) => ledger.count_failure(tag.unwrap_or_default(), limit).then_some(fault),
        None => Some(fault),
    }
}

/// OpenAI's cached tokens are a part of the input, Anthropic's come on top of it; only Anthropic writes to a cache.
fn book_input(entry: &mut OpenEntry, dialect: Dialect, call: &Call<'_>, directives: &Directives) {
    let cached_tokens = u64::from(directives.report.cached_tokens);
    let sums = &mut entry.sums;
    sums.input_tokens = call.input_tokens;
    sums.searches = u64::from(directives.web_searches);
    match dialect {
        Dialect::OpenAi => sums.cached_tokens = cached_tokens.min(call.input_tokens),
        Dialect::Anthropic => {
            sums.cached_tokens = cached_tokens;
            sums.cache_write_tokens = u64::from(directives.report.cache_write_tokens);
        }
    }
}

fn whole(dialect: Dialect, answer: &Answer, mut entry: OpenEntry, directives: &Directives) -> HttpResponse {
    let body = dialect.body(answer);
    let mut response = HttpResponse::Ok();
    Provider::from(dialect).head(&mut response);
    response.content_type("application/json");
    entry.sums.output_tokens = answer.output_tokens();
    if directives.ending.cut_after.or(directives.ending.hang_after).is_some() {
        return response.body(broken_off(body, entry, directives));
    }
    if let Some(usage) = &answer.usage {
        entry.sums.reported_input_tokens = usage.input_tokens;
        entry.sums.reported_output_tokens = usage.output_tokens;
    }
    entry.outcome = Outcome::Completed;
    response.body(body)
}

/// A whole answer of which half is written, or nothing where not one content frame was asked for. The tokens of the
/// other half were made and are lost.
pub(super) fn broken_off(
    body: Vec<u8>,
    entry: OpenEntry,
    directives: &Directives,
) -> SizedStream<impl futures_util::Stream<Item = Result<Bytes, CutOff>> + use<>> {
    let ending = directives.ending;
    let size = body.len();
    let written_bytes = match ending.cut_after.or(ending.hang_after) {
        Some(0) => 0,
        Some(_) | None => size / 2,
    };
    let first = Bytes::from(body).slice(..written_bytes);
    let end = async move {
        match ending.cut_after {
            Some(_) => yield_now().await,
            None => sleep(HANG).await,
        }
        drop(entry);
        Err(CutOff)
    };
    SizedStream::new(
        size as u64,
        Box::pin(stream::iter([Ok(first)]).chain(stream::once(end))),
    )
}

fn respond<S: Script + 'static>(
    dialect: Dialect,
    script: S,
    entry: OpenEntry,
    directives: &Directives,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    Provider::from(dialect).head(&mut response);
    response
        .content_type("text/event-stream; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .streaming(AnswerStream::new(script, entry, directives))
}
