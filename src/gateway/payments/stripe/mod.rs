//! Stripe: the operator's account there takes the payments of live merchants' customers. Cards go from the payer's
//! browser to Stripe, so that nothing here ever sees a number; kept is Stripe's name of the card. Each call that does
//! something has an idempotency key of ours, and one without an answer is made again with the same; it fails closed:
//! what is not known to be paid is not.

mod answers;
mod calls;
pub mod signature;

use std::rc::Rc;
use std::time::Duration;

use actix_web::http::Uri;

use crate::domain::secret::Secret;
use crate::engine::payments::{
    Approval, Asked, NewPayer, Order, Outcome, PaymentTrouble, Presence, Processor, Refund, RefundOutcome, Setup,
    SetupProof, SetupState,
};
use crate::gateway::egress::{GuardedConnector, PrivateHosts, Trust};

use calls::{Call, Form};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the operator has set.
#[derive(Clone, Debug)]
pub struct StripeAccount {
    /// As `https://api.stripe.com`; the operator's own, so it may be anywhere.
    pub api_url: String,
    pub secret_key: Secret<String>,
}

/// Why an account cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an address such as https://api.stripe.com")]
pub struct BadAddress(String);

/// The client of one thread.
pub struct Stripe(Rc<Client>);

/// What every call needs.
struct Client {
    http: awc::Client,
    account: StripeAccount,
}

impl Stripe {
    pub fn new(account: StripeAccount, trust: &Trust) -> Result<Self, BadAddress> {
        let bad = || BadAddress(account.api_url.clone());
        let url: Uri = account.api_url.parse().map_err(|_| bad())?;
        let host = url.host().ok_or_else(bad)?.to_owned();
        let port = match (url.port_u16(), url.scheme_str()) {
            (Some(port), Some("http" | "https")) => port,
            (None, Some("https")) => 443,
            (None, Some("http")) => 80,
            (_, _) => return Err(bad()),
        };
        let private = PrivateHosts::new([(host.to_ascii_lowercase(), port)]);
        let connector = awc::Connector::new()
            .connector(GuardedConnector::new(private))
            .rustls_0_23(trust.client_config())
            .timeout(CONNECT_TIMEOUT)
            .handshake_timeout(CONNECT_TIMEOUT);
        let http = awc::Client::builder()
            .connector(connector)
            .disable_redirects()
            .disable_timeout()
            .no_default_headers()
            .finish();
        let api_url = account.api_url.trim_end_matches('/').to_owned();
        let account = StripeAccount { api_url, ..account };
        Ok(Self(Rc::new(Client { http, account })))
    }

    fn ask<T: 'static>(
        &self,
        call: Call,
        read: impl FnOnce(answers::Answer) -> Result<T, PaymentTrouble> + 'static,
    ) -> Asked<T> {
        let client = self.0.clone();
        Box::pin(async move { read(calls::send(&client, &call).await?) })
    }
}

impl Processor for Stripe {
    fn open_payer(&self, payer: NewPayer) -> Asked<String> {
        let mut form = Form::default();
        form.set("metadata[customer_id]", payer.customer_id);
        for (name, value) in [("name", payer.name), ("email", payer.email), ("phone", payer.phone)] {
            if let Some(value) = value {
                form.set(name, value);
            }
        }
        // One that is made twice is no harm.
        let call = Call::post_once("/v1/customers", form);
        self.ask(call, |answer| answer.done()?.text("id"))
    }

    fn begin_setup(&self, payer: String) -> Asked<Setup> {
        let mut form = Form::default();
        form.set("customer", payer);
        form.set("usage", "off_session");
        form.set("payment_method_types[]", "card");
        // A new one each time: what was begun and not finished costs nothing.
        self.ask(Call::post_once("/v1/setup_intents", form), |answer| {
            let intent = answer.done()?;
            Ok(Setup {
                reference: intent.text("id")?,
                client_secret: Secret::new(intent.text("client_secret")?),
            })
        })
    }

    fn finish_setup(&self, payer: String, proof: SetupProof) -> Asked<SetupState> {
        match proof {
            SetupProof::Reference(reference) => {
                let path = format!(
                    "/v1/setup_intents/{}?expand%5B%5D=payment_method",
                    path_part(&reference)
                );
                self.ask(Call::get(path), move |answer| {
                    answers::setup_state(&answer.done()?, &payer)
                })
            }
            SetupProof::TestCard(_) => Box::pin(std::future::ready(Err(PaymentTrouble::Refused(
                "card numbers are not taken here".to_owned(),
            )))),
        }
    }

    fn charge(&self, order: Order) -> Asked<Outcome> {
        let mut form = Form::default();
        form.set("amount", order.amount.count());
        form.set("currency", "usd");
        form.set("customer", order.payer);
        form.set("payment_method", order.card);
        form.set("payment_method_types[]", "card");
        form.set("description", order.description);
        form.set("metadata[payment_id]", order.payment_id);
        form.set("confirm", "true");
        if order.presence == Presence::Absent {
            form.set("off_session", "true");
        }
        let call = Call::post("/v1/payment_intents", form, order.payment_id.to_string());
        self.ask(call, answers::payment)
    }

    fn find(&self, reference: String, _: Order, _: Approval) -> Asked<Outcome> {
        let path = format!("/v1/payment_intents/{}", path_part(&reference));
        self.ask(Call::get(path), answers::payment)
    }

    fn refund(&self, refund: Refund) -> Asked<RefundOutcome> {
        let mut form = Form::default();
        form.set("payment_intent", refund.reference);
        form.set("amount", refund.amount.count());
        form.set("metadata[payment_id]", refund.payment_id);
        let call = Call::post("/v1/refunds", form, format!("refund-{}", refund.payment_id));
        self.ask(call, answers::refund)
    }

    fn forget_card(&self, reference: String) -> Asked<()> {
        let path = format!("/v1/payment_methods/{}/detach", path_part(&reference));
        self.ask(Call::post_once(path, Form::default()), answers::forgotten)
    }
}

/// A reference as part of a path, whatever it holds.
fn path_part(reference: &str) -> String {
    percent_encoding::utf8_percent_encode(reference, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%5F", "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host() {
        let account = |api_url: &str| StripeAccount {
            api_url: api_url.to_owned(),
            secret_key: Secret::new("sk_test_x".to_owned()),
        };
        let trust = Trust::new(None).unwrap();
        for good in [
            "https://api.stripe.com",
            "http://127.0.0.1:9/",
            "https://stripe.example.com:8443",
        ] {
            assert!(Stripe::new(account(good), &trust).is_ok(), "{good}");
        }
        for bad in ["", "api.stripe.com", "ftp://api.stripe.com", "https://"] {
            assert!(Stripe::new(account(bad), &trust).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reference_never_leaves_its_place_in_the_path() {
        assert_eq!(path_part("pi_3Abc"), "pi_3Abc");
        assert_eq!(path_part("../x?y#z"), "%2E%2E%2Fx%3Fy%23z");
    }
}
