//! The tools that manage: each is one call of the management interface with the caller's secret key, and what that
//! refuses they refuse. What a tool takes is what the interface takes.

use actix_web::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::http::error::{ApiError, ErrorCode};
use crate::http::inside::Shapes;

use super::arguments::escaped;
use super::calls::{json_of, outcome_of};
use super::desk::{InnerAnswer, InnerCall};
use super::run::{Outcome, Run};
use super::visitor::Standing;

/// GET, with the arguments as the query.
pub async fn look(run: &Run<'_>, path: &str) -> Result<Outcome, ApiError> {
    let path = format!("{path}?{}", run.arguments.query());
    ask(run, Method::GET, &path, None)
        .await
        .map(|answer| outcome_of(&answer))
}

/// POST, with the arguments as the body.
pub async fn create(run: &Run<'_>, path: &str) -> Result<Outcome, ApiError> {
    let body = run.arguments.0.clone();
    let answer = ask(run, Method::POST, path, Some(body)).await?;
    Ok(outcome_of(&answer))
}

pub async fn set_status(run: &Run<'_>, status: &str) -> Result<Outcome, ApiError> {
    let path = spend_key_path(run, &["spend_key_id"])?;
    let mut body = Map::new();
    body.insert("status".to_owned(), Value::from(status));
    let answer = ask(run, Method::PATCH, &path, Some(body)).await?;
    Ok(outcome_of(&answer))
}

pub async fn rotate(run: &Run<'_>) -> Result<Outcome, ApiError> {
    let path = spend_key_path(run, &["spend_key_id", "grace_seconds"])?;
    let mut body = run.arguments.0.clone();
    body.remove("spend_key_id");
    let answer = ask(run, Method::POST, &format!("{path}/rotate"), Some(body)).await?;
    Ok(outcome_of(&answer))
}

pub async fn revoke(run: &Run<'_>) -> Result<Outcome, ApiError> {
    let path = spend_key_path(run, &["spend_key_id"])?;
    let answer = ask(run, Method::DELETE, &path, None).await?;
    Ok(outcome_of(&answer))
}

/// Money into the wallet by a stored card; without an amount, what there is to pay with.
pub async fn add_funds(run: &Run<'_>) -> Result<Outcome, ApiError> {
    run.arguments.require_known(&["amount", "payment_method_id"])?;
    let methods = ask(run, Method::GET, "/v1/payment_methods", None).await?;
    if !methods.is_success() {
        return Ok(outcome_of(&methods));
    }
    let methods = json_of(&methods);
    if run.arguments.value("amount").is_none() {
        let wallet = ask(run, Method::GET, "/v1/wallet", None).await?;
        let value = json!({ "payment_methods": methods["data"], "wallet": json_of(&wallet) });
        return Ok(Outcome::Done { text: None, value });
    }
    let mut body = run.arguments.0.clone();
    let only = methods["data"].as_array().map(Vec::as_slice);
    if let (Some([only]), None) = (only, run.arguments.value("payment_method_id")) {
        body.insert("payment_method_id".to_owned(), only["payment_method_id"].clone());
    }
    let answer = ask(run, Method::POST, "/v1/wallet/fund", Some(body)).await?;
    Ok(outcome_of(&answer))
}

/// As the official SDK makes it: base64 of a JSON object that holds the secret key. That of a sign-in is not given away.
pub fn forward_token(run: &Run<'_>) -> Result<Outcome, ApiError> {
    const KNOWN: [&str; 4] = ["customer_id", "meter_slug", "provider_key", "disable_billing"];
    run.arguments.require_known(&KNOWN)?;
    let manager = run.manager()?;
    if matches!(run.visit.visitor.standing, Standing::Guest) {
        let message = "A token of this session would end with it. Connect with the header Authorization: Bearer and a \
            secret key to make one that lasts.";
        return Err(ApiError::new(ErrorCode::NotSupported).say(message));
    }
    let mut members = run.arguments.0.clone();
    members.retain(|_, value| !value.is_null());
    let secret = Value::from(manager.token.expose().as_str());
    members.insert("secret_key".to_owned(), secret);
    let token = STANDARD.encode(Value::Object(members).to_string());
    let note = "The token holds a secret key: keep it on servers. It works for as long as that key.";
    let value = json!({ "forward_token": token, "note": note });
    Ok(Outcome::Done { text: None, value })
}

fn spend_key_path(run: &Run<'_>, known: &[&str]) -> Result<String, ApiError> {
    run.arguments.require_known(known)?;
    let id = run.arguments.required_text("spend_key_id")?;
    Ok(format!("/v1/spend_keys/{}", escaped(id)))
}

async fn ask(
    run: &Run<'_>,
    method: Method,
    path: &str,
    body: Option<Map<String, Value>>,
) -> Result<InnerAnswer, ApiError> {
    let manager = run.manager()?;
    let call = InnerCall::new(method, path, &run.visit.visitor);
    let mut call = call.credential(manager.token, Shapes::Own);
    if let Some(body) = body {
        call = call.json(&Value::Object(body));
    }
    run.reach.desk.call(call).await
}
