//! The tools that look things up: which models and providers there are, what they cost and how they are called. They
//! read the public directory and need no credential. Names and addresses in it are the operator's data, handed on as
//! they stand.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::http::error::ApiError;

use super::arguments::escaped;
use super::calls::{json_of, outcome_of};
use super::desk::{InnerAnswer, InnerCall};
use super::run::{Outcome, Run};

const USUAL_COUNT: u64 = 10;
const MOST_COUNT: u64 = 50;
/// The directory of one provider with all its models.
const LIMIT_BYTES: usize = 16 << 20;

/// Providers and models by keyword.
pub async fn search(run: &Run<'_>) -> Result<Outcome, ApiError> {
    run.arguments.require_known(&["query", "limit"])?;
    let words = escaped(run.arguments.required_text("query")?);
    let count = run.arguments.count("limit", MOST_COUNT)?.unwrap_or(USUAL_COUNT);
    let providers = ask(run, format!("/v1/services/providers?query={words}")).await?;
    let models = ask(run, format!("/v1/services?query={words}&limit={count}")).await?;
    if let Some(failed) = [&providers, &models].into_iter().find(|answer| !answer.is_success()) {
        return Ok(outcome_of(failed));
    }
    let mut providers = member(&providers, "data");
    if let Value::Array(providers) = &mut providers {
        providers.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    }
    let models = member(&models, "data");
    let value = json!({ "providers": providers, "models": models });
    Ok(Outcome::Done { text: None, value })
}

/// How a provider is called: its addresses, models and prices, with a body to begin with.
pub async fn provider_docs(run: &Run<'_>) -> Result<Outcome, ApiError> {
    run.arguments.require_known(&["provider", "model", "limit"])?;
    let provider = run.arguments.required_text("provider")?;
    let words = escaped(run.arguments.text("model")?.unwrap_or_default());
    let count = run.arguments.count("limit", MOST_COUNT)?.unwrap_or(USUAL_COUNT);
    let path = format!(
        "/v1/services?provider={}&query={words}&limit={count}",
        escaped(provider)
    );
    let answer = ask(run, path).await?;
    if !answer.is_success() {
        return Ok(outcome_of(&answer));
    }
    let summary = member(&answer, "providers").get(0).cloned();
    let summary = summary.ok_or_else(|| ApiError::missing("provider", "provider; `search` finds their names"))?;
    let value = json!({ "provider": summary, "models": member(&answer, "data") });
    Ok(Outcome::Done { text: None, value })
}

fn member(answer: &InnerAnswer, name: &str) -> Value {
    json_of(answer).get(name).cloned().unwrap_or_default()
}

async fn ask(run: &Run<'_>, path: String) -> Result<InnerAnswer, ApiError> {
    let mut call = InnerCall::new(Method::GET, path, &run.visit.visitor);
    call.limit_bytes = LIMIT_BYTES;
    run.reach.desk.call(call).await
}
