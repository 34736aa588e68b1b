//! What Stripe's answers mean here. A field that is not there, or a state that is not known, is never taken for a
//! payment.

use actix_web::http::StatusCode;
use serde_json::Value;

use crate::domain::payment::{Card, Decline};
use crate::domain::secret::Secret;
use crate::engine::payments::{Outcome, PaymentTrouble, RefundOutcome, SavedCard, SetupState};

/// An answer that says how the call ended.
pub enum Answer {
    Done(Object),
    /// The card, or the one who pays, is refused.
    CardError(Object),
}

/// An object of an answer.
pub struct Object(Value);

impl Answer {
    /// Sorts an answer by whether it may come out otherwise when the call is made again.
    pub fn read(status: StatusCode, body: &[u8]) -> Result<Self, PaymentTrouble> {
        let parsed: Result<Value, _> = serde_json::from_slice(body);
        if status.is_success() {
            let unreadable = |_| PaymentTrouble::Away("its answer cannot be read".to_owned());
            return Ok(Self::Done(Object(parsed.map_err(unreadable)?)));
        }
        let mut parsed = parsed.unwrap_or_default();
        let error = parsed.get_mut("error").map(Value::take);
        let error = Object(error.unwrap_or_default());
        if status == StatusCode::PAYMENT_REQUIRED {
            return Ok(Self::CardError(error));
        }
        let said = error.maybe("message").unwrap_or_default();
        let reason = format!("{}: {said}", status.as_u16());
        let may_end_otherwise = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT | StatusCode::REQUEST_TIMEOUT
            );
        if may_end_otherwise {
            Err(PaymentTrouble::Away(reason))
        } else {
            Err(PaymentTrouble::Refused(reason))
        }
    }

    /// Where no card is at stake.
    pub fn done(self) -> Result<Object, PaymentTrouble> {
        match self {
            Self::Done(object) => Ok(object),
            Self::CardError(error) => Err(PaymentTrouble::Refused(error.decline().message)),
        }
    }
}

impl Object {
    pub fn text(&self, name: &str) -> Result<String, PaymentTrouble> {
        let text = self.maybe(name).map(str::to_owned);
        text.ok_or_else(|| PaymentTrouble::Away(format!("its answer has no `{name}`")))
    }

    fn maybe(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    /// An error as the one who pays may read it.
    fn decline(&self) -> Decline {
        let codes = [self.maybe("decline_code"), self.maybe("code")];
        // `generic_decline` says less than the code beside it.
        let code = codes.into_iter().flatten().find(|code| *code != "generic_decline");
        Decline::new(
            code.unwrap_or("card_declined"),
            self.maybe("message").unwrap_or("Your card was declined."),
        )
    }
}

/// How a setup stands; one of another payer is refused.
pub fn setup_state(intent: &Object, payer: &str) -> Result<SetupState, PaymentTrouble> {
    if intent.maybe("customer") != Some(payer) {
        return Err(PaymentTrouble::Refused("the setup is another payer's".to_owned()));
    }
    match intent.text("status")?.as_str() {
        "succeeded" => Ok(SetupState::Done(saved_card(&intent.0["payment_method"])?)),
        "requires_payment_method" | "canceled" if intent.0["last_setup_error"].is_object() => {
            let error = Object(intent.0["last_setup_error"].clone());
            Ok(SetupState::Declined(error.decline()))
        }
        _ => Ok(SetupState::Open),
    }
}

/// How a payment stands.
pub fn payment(answer: Answer) -> Result<Outcome, PaymentTrouble> {
    let intent = match answer {
        Answer::CardError(error) => {
            return Ok(Outcome::Declined {
                reference: error.0["payment_intent"]["id"].as_str().map(str::to_owned),
                decline: error.decline(),
            });
        }
        Answer::Done(intent) => intent,
    };
    let reference = intent.text("id")?;
    match intent.text("status")?.as_str() {
        "succeeded" => Ok(Outcome::Paid { reference }),
        "requires_action" => Ok(Outcome::ActionRequired {
            reference,
            client_secret: Secret::new(intent.text("client_secret")?),
        }),
        "requires_payment_method" | "canceled" => Ok(Outcome::Declined {
            reference: Some(reference),
            decline: Object(intent.0["last_payment_error"].clone()).decline(),
        }),
        _ => Ok(Outcome::Processing { reference }),
    }
}

/// How a refund stands.
pub fn refund(answer: Answer) -> Result<RefundOutcome, PaymentTrouble> {
    let refund = match answer {
        Answer::CardError(error) => return Ok(RefundOutcome::Declined(error.decline())),
        Answer::Done(refund) => refund,
    };
    let reference = refund.text("id")?;
    match refund.text("status")?.as_str() {
        "succeeded" => Ok(RefundOutcome::Done { reference }),
        "failed" | "canceled" => {
            let code = refund.maybe("failure_reason").unwrap_or("refund_failed");
            Ok(RefundOutcome::Declined(Decline::new(code, "The refund failed.")))
        }
        _ => Ok(RefundOutcome::Processing { reference }),
    }
}

/// Any answer to the end of a card on file is its end.
pub fn forgotten(answer: Answer) -> Result<(), PaymentTrouble> {
    answer.done().map(|_| ())
}

fn saved_card(method: &Value) -> Result<SavedCard, PaymentTrouble> {
    let missing = |name: &str| PaymentTrouble::Away(format!("its answer has no `{name}`"));
    let (id, card) = (method["id"].as_str(), &method["card"]);
    let number = |name: &str| {
        let number = card[name].as_u64().and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| missing(name))
    };
    Ok(SavedCard {
        reference: id.ok_or_else(|| missing("payment_method"))?.to_owned(),
        card: Card {
            brand: card["brand"].as_str().unwrap_or("card").to_owned(),
            last4: card["last4"].as_str().ok_or_else(|| missing("last4"))?.to_owned(),
            expiry_month: number("exp_month")?,
            expiry_year: number("exp_year")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(status: u16, body: &Value) -> Result<Answer, PaymentTrouble> {
        Answer::read(StatusCode::from_u16(status).unwrap(), body.to_string().as_bytes())
    }

    fn paid(status: u16, body: &Value) -> String {
        match read(status, body).and_then(payment) {
            Ok(Outcome::Paid { reference }) => format!("paid {reference}"),
            Ok(Outcome::ActionRequired {
                reference,
                client_secret,
            }) => format!("asks {reference} {}", client_secret.expose()),
            Ok(Outcome::Processing { reference }) => format!("later {reference}"),
            Ok(Outcome::Declined { reference, decline }) => {
                format!("{} {} {}", decline.code, decline.message, reference.unwrap_or_default())
            }
            Err(PaymentTrouble::Away(why)) => format!("away {why}"),
            Err(PaymentTrouble::Refused(why)) => format!("refused {why}"),
        }
    }

    #[test]
    fn only_a_payment_that_succeeded_is_paid() {
        let intent = |status: &str| json!({ "id": "pi_1", "status": status, "client_secret": "s" });
        let declined = json!({ "error": {
            "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
            "message": "No funds.", "payment_intent": { "id": "pi_1" },
        } });
        let generic = json!({ "error": { "code": "card_declined", "decline_code": "generic_decline" } });
        let failed = json!({
            "id": "pi_1", "status": "requires_payment_method",
            "last_payment_error": { "code": "payment_intent_authentication_failure", "message": "No." },
        });
        let error = json!({ "error": { "message": "m" } });
        let table = [
            (200, intent("succeeded"), "paid pi_1"),
            (200, intent("requires_action"), "asks pi_1 s"),
            (200, intent("processing"), "later pi_1"),
            (200, intent("something new"), "later pi_1"),
            (200, failed, "payment_intent_authentication_failure No. pi_1"),
            (200, intent("canceled"), "card_declined Your card was declined. pi_1"),
            (200, json!({ "id": "pi_1" }), "away its answer has no `status`"),
            (200, json!([]), "away its answer has no `id`"),
            (402, declined, "insufficient_funds No funds. pi_1"),
            (402, generic, "card_declined Your card was declined. "),
            (400, error.clone(), "refused 400: m"),
            (401, error.clone(), "refused 401: m"),
            (409, error.clone(), "away 409: m"),
            (429, error.clone(), "away 429: m"),
            (500, json!("<html>"), "away 500: "),
            (302, error, "refused 302: m"),
        ];
        for (status, body, expected) in table {
            assert_eq!(paid(status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_setup_counts_for_its_payer_only_and_when_it_is_done() {
        let intent = |status: &str| {
            Object(json!({
                "id": "seti_1", "customer": "cus_1", "status": status,
                "payment_method": { "id": "pm_1", "card": {
                    "brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2030,
                } },
                "last_setup_error": { "code": "card_declined", "message": "No." },
            }))
        };
        let Ok(SetupState::Done(saved)) = setup_state(&intent("succeeded"), "cus_1") else {
            unreachable!("it is done");
        };
        assert_eq!((saved.reference.as_str(), saved.card.last4.as_str()), ("pm_1", "4242"));
        let declined = setup_state(&intent("requires_payment_method"), "cus_1").unwrap();
        assert_eq!(declined, SetupState::Declined(Decline::new("card_declined", "No.")));
        assert_eq!(
            setup_state(&intent("requires_action"), "cus_1").unwrap(),
            SetupState::Open
        );
        assert!(setup_state(&intent("succeeded"), "cus_2").is_err());
    }

    #[test]
    fn a_refund_is_done_when_it_says_so() {
        let outcome = |status: &str| {
            let body = json!({ "id": "re_1", "status": status });
            read(200, &body).and_then(refund).unwrap()
        };
        let reference = "re_1".to_owned();
        assert_eq!(
            outcome("succeeded"),
            RefundOutcome::Done {
                reference: reference.clone()
            }
        );
        assert_eq!(outcome("pending"), RefundOutcome::Processing { reference });
        assert!(matches!(outcome("failed"), RefundOutcome::Declined(_)));
    }
}
