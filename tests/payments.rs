//! The Stripe adapter against a simulated Stripe: what it sends, what it makes of answers, and that a call without an
//! answer is made again under the same key and takes the money once.

use std::rc::Rc;

use caldera::domain::ids::{CustomerId, Mode, PaymentId};
use caldera::domain::payment::{Cents, Decline, ProcessorKind};
use caldera::domain::secret::Secret;
use caldera::engine::payments::{
    Approval, Desk, NewPayer, Order, Outcome, PaymentTrouble, Payments, Presence, Refund, RefundOutcome, SavedCard,
    SetupProof, SetupState,
};
use caldera::gateway::egress::Trust;
use caldera::gateway::payments::stripe::{Stripe, StripeAccount};
use caldera::gateway::payments::test_processor::TestProcessor;

use super::support::stripe::{SECRET_KEY, SimulatedStripe};

fn open(stripe: &SimulatedStripe, secret_key: &str) -> Desk {
    let account = StripeAccount {
        api_url: stripe.url(),
        secret_key: Secret::new(secret_key.to_owned()),
    };
    let processor = Stripe::new(account, &Trust::new(None).unwrap()).unwrap();
    Desk::open(ProcessorKind::Stripe, Rc::new(processor))
}

fn run<F: Future<Output = ()>>(test: F) {
    drop(rustls::crypto::ring::default_provider().install_default());
    actix_rt::System::new().block_on(test);
}

async fn payer(desk: &Desk) -> String {
    let payer = NewPayer {
        customer_id: CustomerId::compose(Mode::Live, 0, 2),
        name: Some("Jane Smith".to_owned()),
        email: Some("jane+test@example.com".to_owned()),
        phone: None,
    };
    desk.ask(|processor| processor.open_payer(payer)).await.unwrap()
}

/// Puts a card on file as a payer does.
async fn set_up(desk: &Desk, stripe: &SimulatedStripe, payer: &str, number: &str) -> SetupState {
    let whose = payer.to_owned();
    let setup = desk.ask(|processor| processor.begin_setup(whose)).await.unwrap();
    let finish = |whose: &str| {
        let (whose, proof) = (whose.to_owned(), SetupProof::Reference(setup.reference.clone()));
        desk.ask(|processor| processor.finish_setup(whose, proof))
    };
    assert_eq!(finish(payer).await.unwrap(), SetupState::Open);
    stripe.finish_setup(&setup.reference, number);
    assert!(matches!(finish("cus_other").await, Err(PaymentTrouble::Refused(_))));
    finish(payer).await.unwrap()
}

async fn saved(desk: &Desk, stripe: &SimulatedStripe, payer: &str, number: &str) -> SavedCard {
    match set_up(desk, stripe, payer, number).await {
        SetupState::Done(saved) => saved,
        other => panic!("{other:?}"),
    }
}

fn order(payer: &str, saved: &SavedCard, number: u128) -> Order {
    Order {
        payment_id: PaymentId::compose(Mode::Live, 0, number),
        payer: payer.to_owned(),
        card: saved.reference.clone(),
        amount: Cents::of("25".parse().unwrap()),
        presence: Presence::Absent,
        description: "Pro & more".to_owned(),
    }
}

async fn charge(desk: &Desk, order: &Order) -> Result<Outcome, PaymentTrouble> {
    let order = order.clone();
    desk.ask(|processor| processor.charge(order)).await
}

fn paid(outcome: Result<Outcome, PaymentTrouble>) -> String {
    match outcome {
        Ok(Outcome::Paid { reference }) => reference,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_is_put_on_file_charged_without_its_holder_and_paid_back() {
    run(async {
        let stripe = SimulatedStripe::start();
        let desk = open(&stripe, SECRET_KEY);
        let payer = payer(&desk).await;
        assert_eq!(stripe.field(&payer, "email"), "jane+test@example.com");
        let card = saved(&desk, &stripe, &payer, "4242424242424242").await;
        assert_eq!((card.card.brand.as_str(), card.card.last4.as_str()), ("visa", "4242"));
        let order = order(&payer, &card, 2);
        let reference = paid(charge(&desk, &order).await);
        assert_eq!(stripe.taken_cents(), 2500);
        assert_eq!(stripe.field(&reference, "description"), "Pro & more");
        assert_eq!(
            stripe.field(&reference, "metadata")["payment_id"],
            order.payment_id.to_string()
        );
        let refund = Refund {
            payment_id: order.payment_id,
            reference,
            amount: order.amount,
        };
        for _ in 0..2 {
            let refund = refund.clone();
            let outcome = desk.ask(|processor| processor.refund(refund)).await.unwrap();
            assert!(matches!(outcome, RefundOutcome::Done { .. }));
        }
        assert_eq!(stripe.taken_cents(), 0);
        let reference = card.reference.clone();
        desk.ask(|processor| processor.forget_card(reference)).await.unwrap();
    });
}

#[test]
fn a_payment_whose_answer_is_lost_is_asked_for_again_and_taken_once() {
    run(async {
        let stripe = SimulatedStripe::start();
        let desk = open(&stripe, SECRET_KEY);
        let payer = payer(&desk).await;
        let card = saved(&desk, &stripe, &payer, "4242424242424242").await;
        let first = order(&payer, &card, 2);
        stripe.fail_next(&[0, 500]);
        let reference = paid(charge(&desk, &first).await);
        assert_eq!(paid(charge(&desk, &first).await), reference);
        assert_eq!(stripe.taken_cents(), 2500);
        // Three tries, and then whoever asked must ask later.
        let second = order(&payer, &card, 4);
        stripe.fail_next(&[429, 0, 503]);
        assert!(matches!(charge(&desk, &second).await, Err(PaymentTrouble::Away(_))));
        paid(charge(&desk, &second).await);
        assert_eq!(stripe.taken_cents(), 5000);
    });
}

#[test]
fn a_card_that_refuses_says_why_and_takes_nothing() {
    run(async {
        let stripe = SimulatedStripe::start();
        let desk = open(&stripe, SECRET_KEY);
        let payer = payer(&desk).await;
        let refused = set_up(&desk, &stripe, &payer, "4000000000009995").await;
        let message = "Your card says insufficient_funds.";
        assert_eq!(
            refused,
            SetupState::Declined(Decline::new("insufficient_funds", message))
        );
        let card = saved(&desk, &stripe, &payer, "4000000000000341").await;
        let outcome = charge(&desk, &order(&payer, &card, 2)).await.unwrap();
        let Outcome::Declined { reference, decline } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(decline.code, "card_declined");
        assert!(reference.unwrap().starts_with("pi_"));
        assert_eq!(stripe.taken_cents(), 0);
    });
}

#[test]
fn a_holder_who_is_asked_by_his_bank_pays_when_he_has_answered() {
    run(async {
        let stripe = SimulatedStripe::start();
        let desk = open(&stripe, SECRET_KEY);
        let payer = payer(&desk).await;
        let card = saved(&desk, &stripe, &payer, "4000002760003184").await;
        let absent = order(&payer, &card, 2);
        let Ok(Outcome::Declined { decline, .. }) = charge(&desk, &absent).await else {
            panic!("nobody is there to answer");
        };
        assert_eq!(decline.code, Decline::AUTHENTICATION);
        let present = Order {
            presence: Presence::Present,
            ..order(&payer, &card, 4)
        };
        let Ok(Outcome::ActionRequired { reference, .. }) = charge(&desk, &present).await else {
            panic!("the bank asks");
        };
        let find = |approval| {
            let (order, reference) = (present.clone(), reference.clone());
            desk.ask(move |processor| processor.find(reference, order, approval))
        };
        let still = find(Approval::Given).await;
        assert!(
            matches!(still, Ok(Outcome::ActionRequired { .. })),
            "his word is not the bank's"
        );
        stripe.confirm_payment(&reference);
        assert_eq!(paid(find(Approval::Unknown).await), reference);
        assert_eq!(stripe.taken_cents(), 2500);
    });
}

#[test]
fn a_wrong_key_is_refused_once_and_modes_lead_to_their_own_desks() {
    run(async {
        let stripe = SimulatedStripe::start();
        let desk = open(&stripe, "sk_test_other");
        let asked = desk.ask(|processor| processor.begin_setup("cus_1".to_owned())).await;
        let PaymentTrouble::Refused(why) = asked.unwrap_err() else {
            panic!("it is not to be asked again");
        };
        assert!(why.contains("Invalid API Key") && !why.contains("sk_test"), "{why}");
        assert_eq!(stripe.calls().len(), 1);
        let test = Desk::open(ProcessorKind::Test, Rc::new(TestProcessor));
        let payments = Payments::new(Some(desk), test.clone());
        let kind = |mode| payments.desk(mode).map(Desk::kind);
        assert_eq!(kind(Mode::Live), Some(ProcessorKind::Stripe));
        assert_eq!(kind(Mode::Test), Some(ProcessorKind::Test));
        assert!(Payments::new(None, test).desk(Mode::Live).is_none());
    });
}
