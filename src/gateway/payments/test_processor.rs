//! The test processor: takes the test cards and moves no money. It remembers nothing; what it needs to know again stands
//! in the references that it gives, so that it answers the same after a restart. Only test merchants are led here.

use crate::domain::payment::Decline;
use crate::domain::secret::Secret;
use crate::engine::payments::{
    Approval, Asked, NewPayer, Order, Outcome, PaymentTrouble, Presence, Processor, Refund, RefundOutcome, SavedCard,
    Setup, SetupProof, SetupState,
};

use super::test_cards::{Behaviour, Reason, TestCard};

/// How its references begin.
const CARD: &str = "test_card_";
const PAYMENT: &str = "test_payment_";

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestProcessor;

impl Processor for TestProcessor {
    fn open_payer(&self, payer: NewPayer) -> Asked<String> {
        at_once(Ok(format!("test_payer_{}", payer.customer_id)))
    }

    fn begin_setup(&self, payer: String) -> Asked<Setup> {
        at_once(Ok(Setup {
            reference: format!("test_setup_{payer}"),
            client_secret: Secret::new(String::new()),
        }))
    }

    fn finish_setup(&self, _: String, proof: SetupProof) -> Asked<SetupState> {
        at_once(Ok(match proof {
            SetupProof::TestCard(input) => match TestCard::read(&input) {
                Err(decline) => SetupState::Declined(decline),
                Ok(card) => put_on_file(card, card.shown(&input)),
            },
            SetupProof::Reference(_) => SetupState::Open,
        }))
    }

    fn charge(&self, order: Order) -> Asked<Outcome> {
        at_once(charge(&order, Approval::Unknown))
    }

    fn find(&self, _: String, order: Order, approval: Approval) -> Asked<Outcome> {
        at_once(charge(&order, approval))
    }

    fn refund(&self, refund: Refund) -> Asked<RefundOutcome> {
        at_once(Ok(if refund.reference.starts_with(PAYMENT) {
            RefundOutcome::Done {
                reference: format!("test_refund_{}", refund.payment_id),
            }
        } else {
            RefundOutcome::Declined(Decline::new("resource_missing", "There is no such payment."))
        }))
    }

    fn forget_card(&self, _: String) -> Asked<()> {
        at_once(Ok(()))
    }
}

fn at_once<T: 'static>(answer: Result<T, PaymentTrouble>) -> Asked<T> {
    Box::pin(std::future::ready(answer))
}

fn put_on_file(card: TestCard, shown: crate::domain::payment::Card) -> SetupState {
    match card.behaviour {
        Behaviour::RefusesSetup(reason) => SetupState::Declined(reason.decline()),
        Behaviour::Pays
        | Behaviour::RefusesPayment(_)
        | Behaviour::AsksOnce
        | Behaviour::AsksAlways
        | Behaviour::AsksAndRefuses(_) => SetupState::Done(SavedCard {
            reference: format!("{CARD}{}", card.name),
            card: shown,
        }),
    }
}

fn charge(order: &Order, approval: Approval) -> Result<Outcome, PaymentTrouble> {
    let card = order.card.strip_prefix(CARD).and_then(TestCard::find);
    let card = card.ok_or_else(|| PaymentTrouble::Refused(format!("there is no test card {}", order.card)))?;
    let reference = format!("{PAYMENT}{}", order.payment_id);
    Ok(match (card.behaviour, order.presence) {
        (Behaviour::Pays, _) | (Behaviour::AsksOnce, Presence::Absent) => Outcome::Paid { reference },
        (Behaviour::RefusesSetup(reason) | Behaviour::RefusesPayment(reason), _) => {
            declined(reference, reason.decline())
        }
        (Behaviour::AsksAlways | Behaviour::AsksAndRefuses(_), Presence::Absent) => {
            let message = "Your card's bank asks for you to be there.";
            declined(reference, Decline::new(Decline::AUTHENTICATION, message))
        }
        (Behaviour::AsksOnce | Behaviour::AsksAlways, Presence::Present) => asked(reference, approval, None),
        (Behaviour::AsksAndRefuses(reason), Presence::Present) => asked(reference, approval, Some(reason)),
    })
}

/// What comes of a question to the holder; `refusal` is what the card says even to a yes.
fn asked(reference: String, approval: Approval, refusal: Option<Reason>) -> Outcome {
    match (approval, refusal) {
        (Approval::Unknown, _) => Outcome::ActionRequired {
            reference,
            client_secret: Secret::new(String::new()),
        },
        (Approval::Given, None) => Outcome::Paid { reference },
        (Approval::Given, Some(reason)) => declined(reference, reason.decline()),
        (Approval::Denied, _) => {
            let message = "You did not confirm the payment with your bank.";
            declined(reference, Decline::new(Decline::AUTHENTICATION, message))
        }
    }
}

fn declined(reference: String, decline: Decline) -> Outcome {
    Outcome::Declined {
        reference: Some(reference),
        decline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Mode, PaymentId};
    use crate::domain::payment::Cents;
    use crate::engine::payments::CardInput;
    use futures_util::FutureExt as _;

    fn setup(number: &str) -> SetupState {
        let input = CardInput {
            number: Secret::new(number.to_owned()),
            check_digits: Secret::new("123".to_owned()),
            expiry_month: 1,
            expiry_year: 2030,
            month_now: 11,
            year_now: 2026,
        };
        let asked = TestProcessor.finish_setup(String::new(), SetupProof::TestCard(input));
        asked.now_or_never().unwrap().unwrap()
    }

    fn pay(number: &str, presence: Presence, approval: Approval) -> String {
        let SetupState::Done(saved) = setup(number) else {
            return "not on file".to_owned();
        };
        let order = Order {
            payment_id: PaymentId::compose(Mode::Test, 0, 2),
            payer: String::new(),
            card: saved.reference,
            amount: Cents::of("25".parse().unwrap()),
            presence,
            description: String::new(),
        };
        match charge(&order, approval).unwrap() {
            Outcome::Paid { .. } => "paid".to_owned(),
            Outcome::ActionRequired { .. } => "asks".to_owned(),
            Outcome::Processing { .. } => "later".to_owned(),
            Outcome::Declined { decline, .. } => decline.code,
        }
    }

    #[test]
    fn each_card_does_what_it_is_known_for() {
        use {Approval::*, Presence::*};
        let table = [
            ("4242424242424242", Present, Unknown, "paid"),
            ("4242424242424242", Absent, Unknown, "paid"),
            ("4000000000000002", Present, Unknown, "not on file"),
            ("4000000000009995", Present, Unknown, "not on file"),
            ("4000000000000341", Present, Unknown, "card_declined"),
            ("4000000000000341", Absent, Given, "card_declined"),
            ("4000002500003155", Present, Unknown, "asks"),
            ("4000002500003155", Present, Given, "paid"),
            ("4000002500003155", Present, Denied, "authentication_required"),
            ("4000002500003155", Absent, Unknown, "paid"),
            ("4000002760003184", Present, Given, "paid"),
            ("4000002760003184", Absent, Unknown, "authentication_required"),
            ("4000008260003178", Present, Given, "insufficient_funds"),
        ];
        for (number, presence, approval, expected) in table {
            assert_eq!(
                pay(number, presence, approval),
                expected,
                "{number} {presence:?} {approval:?}"
            );
        }
    }

    #[test]
    fn a_declined_setup_says_why() {
        for (number, code) in [
            ("4000000000000002", "card_declined"),
            ("4000000000009995", "insufficient_funds"),
            ("4000000000000069", "expired_card"),
            ("4111111111111111", "test_mode_live_card"),
        ] {
            let SetupState::Declined(decline) = setup(number) else {
                unreachable!("{number} is on file");
            };
            assert_eq!(decline.code, code);
        }
    }
}
