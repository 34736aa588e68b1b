//! The tools that spend: a question to a model in one shape for all of them, a call in a dialect of the caller's
//! choice, and a call of any address that the gateway reaches. Each is a call of the gateway with a spend key, so that
//! it is held, recorded and billed as any other; what comes back is handed on as text and never read for more.

use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::http::error::{ApiError, ErrorCode};
use crate::http::inside::Shapes;

use super::arguments::escaped;
use super::desk::{InnerAnswer, InnerCall};
use super::run::{Outcome, Run};
use super::told::Told;

const INCLUDE_COST: HeaderName = HeaderName::from_static("x-lava-include-cost");
const FALLBACKS: HeaderName = HeaderName::from_static("x-lava-fallbacks");
const PROMPT_ARGUMENTS: [&str; 6] = ["model", "messages", "system", "max_tokens", "temperature", "fallbacks"];
/// An answer of a provider beyond this would not fit into what a model reads.
const ANSWER_LIMIT_BYTES: usize = 4 << 20;

/// A question to a model, answered with its text.
pub async fn prompt(run: &Run<'_>) -> Result<Outcome, ApiError> {
    run.arguments.require_known(&PROMPT_ARGUMENTS)?;
    let body = prompt_body(run)?;
    let (key, _) = run.spend_key().await?;
    let call = InnerCall::new(Method::POST, "/v1/chat/completions", &run.visit.visitor);
    // The tool has no dialect of its own, so a key for either serves.
    let mut call = call.credential(key, Shapes::Any).json(&body);
    if let Some(fallbacks) = fallbacks(run)? {
        call = call.header(FALLBACKS, fallbacks);
    }
    let answer = send(run, call).await?;
    if !answer.is_success() {
        return Ok(outcome_of(&answer));
    }
    let told = Told::read(&answer.body);
    if let Some(refusal) = told.refusal {
        return Ok(Outcome::Refused(refusal));
    }
    let value = json!({
        "text": told.text,
        "model": told.model,
        "finish_reason": told.finish_reason,
        "usage": told.usage,
        "cost": told.cost,
        "is_whole": answer.is_whole,
        "request_id": answer.header("x-lava-request-id"),
        "served_by": answer.header("x-lava-served-by"),
    });
    let text = Some(told.text);
    Ok(Outcome::Done { text, value })
}

/// A call in the dialect of this path, answered in it.
pub async fn dialect(run: &Run<'_>, path: &str) -> Result<Outcome, ApiError> {
    let body = Value::Object(run.arguments.0.clone());
    refuse_streams(&body)?;
    let (key, shapes) = run.spend_key().await?;
    let call = InnerCall::new(Method::POST, path, &run.visit.visitor);
    let answer = send(run, call.credential(key, shapes).json(&body)).await?;
    Ok(outcome_of(&answer))
}

/// A call in one dialect to a provider that may speak another.
pub async fn rewrite(run: &Run<'_>) -> Result<Outcome, ApiError> {
    run.arguments.require_known(&["format", "target_url", "body"])?;
    let format = run.arguments.required_text("format")?;
    let target = run.arguments.required_text("target_url")?;
    let body = run.arguments.value("body");
    let body = body.ok_or_else(|| ApiError::invalid("body", "is required"))?;
    refuse_streams(body)?;
    let (key, shapes) = run.spend_key().await?;
    let path = format!("/v1/rewrite/{}/{}", escaped(format), escaped(target));
    let call = InnerCall::new(Method::POST, path, &run.visit.visitor);
    let answer = send(run, call.credential(key, shapes).json(body)).await?;
    Ok(outcome_of(&answer))
}

/// A call of any address that the gateway reaches.
pub async fn call_api(run: &Run<'_>) -> Result<Outcome, ApiError> {
    run.arguments
        .require_known(&["target_url", "method", "body", "headers"])?;
    let target = run.arguments.required_text("target_url")?;
    let body = run.arguments.value("body");
    let method = match (run.arguments.text("method")?, body) {
        (Some(method), _) => read_method(method)?,
        (None, Some(_)) => Method::POST,
        (None, None) => Method::GET,
    };
    if let Some(body) = body {
        refuse_streams(body)?;
    }
    let (key, shapes) = run.spend_key().await?;
    let path = format!("/v1/forward?u={}", escaped(target));
    let mut call = InnerCall::new(method, path, &run.visit.visitor).credential(key, shapes);
    for (name, value) in headers(run)? {
        call = call.header(name, value);
    }
    if let Some(body) = body {
        call = call.json(body);
    }
    let answer = send(run, call).await?;
    if !answer.is_success() {
        return Ok(outcome_of(&answer));
    }
    let value = json!({
        "status": answer.status,
        "content_type": answer.content_type,
        "body": body_of(&answer),
        "is_whole": answer.is_whole,
        "cost": answer.header("x-lava-cost"),
        "request_id": answer.header("x-lava-request-id"),
    });
    Ok(Outcome::Done { text: None, value })
}

/// What an answer of our own interface comes to.
pub fn outcome_of(answer: &InnerAnswer) -> Outcome {
    let body = json_of(answer);
    match (answer.is_success(), body) {
        (true, value @ Value::Object(_)) => Outcome::Done { text: None, value },
        (true, value) => Outcome::Done {
            text: None,
            value: json!({ "body": value }),
        },
        (false, Value::Object(mut body)) => {
            if let Some(Value::Object(error)) = body.get_mut("error") {
                error.entry("status").or_insert_with(|| Value::from(answer.status));
            } else {
                body = refusal(answer, &Value::Object(body).to_string());
            }
            Outcome::Refused(Value::Object(body))
        }
        (false, value) => Outcome::Refused(Value::Object(refusal(answer, &value.to_string()))),
    }
}

/// The answer as JSON; what is none, as text.
pub fn json_of(answer: &InnerAnswer) -> Value {
    body_of(answer)
}

/// A provider's refusal that has not our shape.
fn refusal(answer: &InnerAnswer, body: &str) -> Map<String, Value> {
    let message: String = body.chars().take(2_000).collect();
    let error = json!({ "message": message, "code": "provider_error", "status": answer.status });
    Map::from_iter([("error".to_owned(), error)])
}

fn body_of(answer: &InnerAnswer) -> Value {
    if let Ok(value) = serde_json::from_slice(&answer.body) {
        return value;
    }
    match std::str::from_utf8(&answer.body) {
        Ok(text) => Value::from(text),
        Err(_) if !answer.is_whole && answer.content_type.starts_with("text/") => {
            Value::from(String::from_utf8_lossy(&answer.body))
        }
        Err(_) => Value::from(format!("{} bytes that are no text", answer.body.len())),
    }
}

async fn send(run: &Run<'_>, call: InnerCall) -> Result<InnerAnswer, ApiError> {
    let mut call = call.header(INCLUDE_COST, HeaderValue::from_static("true"));
    call.limit_bytes = ANSWER_LIMIT_BYTES;
    run.reach.desk.call(call).await
}

fn prompt_body(run: &Run<'_>) -> Result<Value, ApiError> {
    let mut messages = Vec::new();
    if let Some(system) = run.arguments.value("system") {
        messages.push(json!({ "role": "system", "content": system }));
    }
    match run.arguments.value("messages") {
        Some(Value::String(text)) => messages.push(json!({ "role": "user", "content": text })),
        Some(Value::Array(given)) if !given.is_empty() => messages.extend(given.iter().cloned()),
        Some(_) => {
            return Err(ApiError::invalid(
                "messages",
                "must be a text or a list of {role, content}",
            ));
        }
        None => return Err(ApiError::invalid("messages", "is required")),
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(run.arguments.required_text("model")?));
    body.insert("messages".to_owned(), Value::Array(messages));
    // A stream ends where the agent gives it up; a whole answer would be paid to its end.
    body.insert("stream".to_owned(), Value::Bool(true));
    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    for name in ["max_tokens", "temperature"] {
        if let Some(value) = run.arguments.value(name) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    Ok(Value::Object(body))
}

/// The header of fallbacks: a text names a model, an object an address too.
fn fallbacks(run: &Run<'_>) -> Result<Option<HeaderValue>, ApiError> {
    let wrong = || ApiError::invalid("fallbacks", "must be a list of models, or of objects {url, model}");
    let Some(value) = run.arguments.value("fallbacks") else {
        return Ok(None);
    };
    let targets = value.as_array().ok_or_else(wrong)?.iter().map(|target| match target {
        Value::String(model) => Ok(json!({ "model": model })),
        Value::Object(_) => Ok(target.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(wrong()),
    });
    let targets: Vec<Value> = targets.collect::<Result<_, _>>()?;
    let header = HeaderValue::from_bytes(Value::Array(targets).to_string().as_bytes());
    header.map(Some).map_err(|_| wrong())
}

fn read_method(text: &str) -> Result<Method, ApiError> {
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let found = known
        .into_iter()
        .find(|method| method.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| ApiError::invalid("method", "must be GET, POST, PUT, PATCH or DELETE"))
}

/// Headers for the provider. The credential is the session's, and what is between us and the client stays there; what
/// the gateway hands on is its own list.
fn headers(run: &Run<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, ApiError> {
    let wrong = || ApiError::invalid("headers", "must be an object of texts");
    let Some(value) = run.arguments.value("headers") else {
        return Ok(Vec::new());
    };
    let given = value.as_object().ok_or_else(wrong)?;
    let mut headers = Vec::with_capacity(given.len());
    for (name, value) in given {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if !is_for_providers(&name) {
            return Err(ApiError::invalid("headers", format!("must not set {name}")));
        }
        headers.push((name, value.ok_or_else(wrong)?));
    }
    Ok(headers)
}

fn is_for_providers(name: &HeaderName) -> bool {
    const PREFIXES: [&str; 4] = ["anthropic-", "openai-", "x-goog-user", "accept"];
    let name = name.as_str();
    name != "accept-encoding" && PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn refuse_streams(body: &Value) -> Result<(), ApiError> {
    if body["stream"] == Value::Bool(true) {
        let message = "A tool answers once: leave `stream` out.";
        return Err(ApiError::new(ErrorCode::InvalidRequest).say(message).param("stream"));
    }
    Ok(())
}
