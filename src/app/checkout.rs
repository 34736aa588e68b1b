//! What the checkout needs of the operator: his account at Stripe, where live merchants' customers pay, and who sends
//! one-time codes. Secrets come from the environment or its files only. An account that is set half-way stops the start.

use std::rc::Rc;
use std::sync::Arc;

use crate::domain::payment::ProcessorKind;
use crate::domain::secret::Secret;
use crate::engine::codes::CodeSender;
use crate::engine::payments::{Desk, Payments};
use crate::gateway::code_webhook::CodeWebhook;
use crate::gateway::egress::Trust;
use crate::gateway::payments::stripe::{Stripe, StripeAccount};
use crate::gateway::payments::test_processor::TestProcessor;
use crate::http::checkout::CheckoutParts;
use crate::http::options::CheckoutOptions;

use super::environment::Environment;

/// Opens the desks on this thread, which has little else to do.
pub fn open(options: &CheckoutOptions, trust: &Trust, environment: &Environment) -> Result<CheckoutParts, String> {
    let live = match secret(environment, "STRIPE_SECRET_KEY")? {
        None => None,
        Some(_) if options.stripe_publishable_key.is_empty() => {
            return Err("STRIPE_SECRET_KEY is set, but checkout.stripe_publishable_key is not".to_owned());
        }
        Some(secret_key) => {
            let account = StripeAccount {
                api_url: options.stripe_api_url.clone(),
                secret_key,
            };
            let stripe = Stripe::new(account, trust).map_err(|error| error.to_string())?;
            Some(Desk::open(ProcessorKind::Stripe, Rc::new(stripe)))
        }
    };
    Ok(CheckoutParts {
        payments: Payments::new(live, Desk::open(ProcessorKind::Test, Rc::new(TestProcessor))),
        codes: codes(options, trust, environment)?,
        options: options.clone(),
        stripe_webhook_secret: secret(environment, "STRIPE_WEBHOOK_SECRET")?,
    })
}

fn codes(
    options: &CheckoutOptions,
    trust: &Trust,
    environment: &Environment,
) -> Result<Option<Arc<dyn CodeSender>>, String> {
    let url = &options.code_webhook_url;
    if url.is_empty() {
        return Ok(None);
    }
    let webhook = CodeWebhook::new(url, secret(environment, "CALDERA_CODE_WEBHOOK_SECRET")?, trust.clone());
    let webhook = webhook.ok_or_else(|| format!("checkout.code_webhook_url is no address: {url}"))?;
    Ok(Some(Arc::new(webhook)))
}

fn secret(environment: &Environment, name: &str) -> Result<Option<Secret<String>>, String> {
    let found = environment.secret(name).map_err(|error| error.to_string())?;
    Ok(found.map(Secret::new))
}
