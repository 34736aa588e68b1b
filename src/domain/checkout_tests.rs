//! Checkouts from the first number to the last cent, and whatever comes in whatever order.

use super::*;
use crate::domain::ids::{CreditBundleId, Mode, PlanId};
use proptest::prelude::*;

const NOON_S: i64 = 1_795_262_400;

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn card(number: u128) -> PaymentMethodId {
    PaymentMethodId::compose(Mode::Live, 0, number)
}

fn payment(number: u128) -> PaymentId {
    PaymentId::compose(Mode::Live, 0, number)
}

fn opening(cost: &str, phone_step: PhoneStep, card: Option<PaymentMethodId>) -> Opening {
    Opening {
        basket: Basket::CreditBundle {
            plan_id: PlanId::compose(Mode::Live, 0, 2),
            credit_bundle_id: CreditBundleId::compose(Mode::Live, 0, 4),
            name: "Ten".to_owned(),
            cost: money(cost),
            credit_amount: money("10"),
        },
        due: money(cost),
        customer_id: CustomerId::compose(Mode::Live, 0, 6),
        who: Who::New,
        known_phone: None,
        phone_step,
        card,
    }
}

fn opened(cost: &str, phone_step: PhoneStep, card: Option<PaymentMethodId>) -> Checkout {
    Checkout::open(opening(cost, phone_step, card), NOON_S)
}

fn send(checkout: &mut Checkout, now_s: i64) -> Result<(), CheckoutRefusal> {
    checkout.send_code("+4930123".to_owned(), "mac".to_owned(), now_s)
}

fn no() -> Decline {
    Decline::new("card_declined", "No.")
}

#[test]
fn a_number_a_code_a_card_and_a_yes_come_to_a_payment() {
    let mut checkout = opened("9", PhoneStep::On, None);
    send(&mut checkout, NOON_S).unwrap();
    assert_eq!(
        checkout.enter_code(EnteredCode::Wrong, None, NOON_S),
        Ok(EnteredCode::Wrong)
    );
    assert_eq!(
        checkout.enter_code(EnteredCode::Right, None, NOON_S),
        Ok(EnteredCode::Right)
    );
    checkout.begin_setup("seti_1".to_owned(), NOON_S).unwrap();
    checkout.refuse_card(no(), NOON_S).unwrap();
    assert_eq!(checkout.step, Step::Card { decline: Some(no()) });
    checkout.save_card(card(2), NOON_S).unwrap();
    assert_eq!(checkout.confirm_free(NOON_S), Err(CheckoutRefusal::WrongStep));
    assert_eq!(checkout.confirm(payment(2), NOON_S), Ok(card(2)));
    assert_eq!(checkout.cancel(NOON_S), Err(CheckoutRefusal::WrongStep));
    assert_eq!(checkout.decline(payment(4), no()), Err(CheckoutRefusal::WrongStep));
    checkout.decline(payment(2), no()).unwrap();
    assert_eq!(checkout.confirm(payment(4), NOON_S), Ok(card(2)));
    // The answer of the bank may take longer than the session lasts.
    let late_s = NOON_S + 2 * LIFETIME_S;
    assert_eq!(checkout.standing(late_s), Standing::Open);
    assert_eq!(checkout.complete(payment(2), late_s), Err(CheckoutRefusal::WrongStep));
    checkout.complete(payment(4), late_s).unwrap();
    assert_eq!(checkout.standing(late_s), Standing::Done);
    assert_eq!(checkout.cancel(late_s), Err(CheckoutRefusal::WrongStep));
}

#[test]
fn what_is_known_or_not_needed_is_not_asked_for() {
    let confirm = |card| Step::Confirm { card, decline: None };
    let table = [
        ("9", PhoneStep::On, None, Step::Phone),
        ("9", PhoneStep::Off, None, Step::Card { decline: None }),
        ("9", PhoneStep::Off, Some(card(2)), confirm(Some(card(2)))),
        ("0", PhoneStep::Off, None, confirm(None)),
    ];
    for (cost, phone_step, card, step) in table {
        assert_eq!(opened(cost, phone_step, card).step, step, "{cost} {phone_step:?}");
    }
    let mut free = opened("0", PhoneStep::Off, None);
    assert_eq!(free.confirm(payment(2), NOON_S), Err(CheckoutRefusal::WrongStep));
    free.confirm_free(NOON_S).unwrap();
    assert_eq!(free.standing(NOON_S), Standing::Done);
    let mut other = opened("9", PhoneStep::Off, Some(card(2)));
    other.replace_card(NOON_S).unwrap();
    assert_eq!(other.step, Step::Card { decline: None });
    // A downgrade costs nothing today and still needs a card.
    let mut later = opened("9", PhoneStep::Off, Some(card(2)));
    later.quote_again(Money::ZERO);
    later.confirm_free(NOON_S).unwrap();
}

#[test]
fn codes_cannot_be_guessed_nor_sent_without_end() {
    let mut checkout = opened("9", PhoneStep::On, None);
    let mut now_s = NOON_S;
    for _ in 0..CODES_MOST {
        send(&mut checkout, now_s).unwrap();
        assert!(send(&mut checkout, now_s + CODE_PAUSE_S - 1).is_err());
        for _ in 0..WRONG_CODES_MOST {
            assert_eq!(
                checkout.enter_code(EnteredCode::Wrong, None, now_s),
                Ok(EnteredCode::Wrong)
            );
        }
        let guessed = checkout.enter_code(EnteredCode::Right, None, now_s);
        assert_eq!(guessed, Err(CheckoutRefusal::WrongStep));
        now_s += CODE_PAUSE_S;
    }
    assert_eq!(send(&mut checkout, now_s), Err(CheckoutRefusal::TooManyCodes));
    let mut late = opened("9", PhoneStep::On, None);
    send(&mut late, NOON_S).unwrap();
    assert_eq!(send(&mut late, NOON_S), Err(CheckoutRefusal::TooSoon));
    let entered = late.enter_code(EnteredCode::Right, None, NOON_S + CODE_LIFETIME_S);
    assert_eq!((entered, late.step), (Ok(EnteredCode::Wrong), Step::Phone));
}

#[test]
fn stolen_cards_cannot_be_tried_without_end_and_a_session_expires() {
    let mut checkout = opened("9", PhoneStep::Off, None);
    for _ in 0..DECLINES_MOST - 1 {
        checkout.refuse_card(no(), NOON_S).unwrap();
    }
    checkout.save_card(card(2), NOON_S).unwrap();
    checkout.confirm(payment(2), NOON_S).unwrap();
    checkout.decline(payment(2), no()).unwrap();
    assert_eq!(
        checkout.confirm(payment(4), NOON_S),
        Err(CheckoutRefusal::TooManyDeclines)
    );
    checkout.replace_card(NOON_S).unwrap();
    assert_eq!(checkout.check_card_step(NOON_S), Err(CheckoutRefusal::TooManyDeclines));
    let late_s = NOON_S + LIFETIME_S;
    assert_eq!(checkout.standing(late_s), Standing::Expired);
    assert_eq!(checkout.cancel(late_s), Err(CheckoutRefusal::Expired));
    checkout.cancel(late_s - 1).unwrap();
    assert_eq!(checkout.standing(late_s), Standing::Cancelled);
}

#[test]
fn a_stored_session_reads_back() {
    let mut checkout = opened("9", PhoneStep::On, None);
    send(&mut checkout, NOON_S).unwrap();
    let stored = serde_json::to_value(&checkout).unwrap();
    assert_eq!(stored["step"]["name"], "code");
    assert_eq!(stored["basket"]["mode"], "credit_bundle");
    assert_eq!(serde_json::from_value::<Checkout>(stored).unwrap(), checkout);
    for mode in CheckoutMode::ALL {
        assert_eq!(CheckoutMode::from_name(mode.name()), Some(mode));
    }
}

/// Whatever comes, in whatever order.
fn apply(checkout: &mut Checkout, event: u8, now_s: i64) {
    let before = checkout.clone();
    let done = match event % 12 {
        0 => send(checkout, now_s),
        1 => checkout.enter_code(EnteredCode::Right, None, now_s).map(drop),
        2 => checkout.enter_code(EnteredCode::Wrong, Some(card(2)), now_s).map(drop),
        3 => checkout.change_phone(now_s),
        4 => checkout.save_card(card(4), now_s),
        5 => checkout.refuse_card(no(), now_s),
        6 => checkout.replace_card(now_s),
        7 => checkout.confirm(payment(2), now_s).map(drop),
        8 => checkout.decline(payment(2), no()),
        9 => checkout.complete(payment(2), now_s),
        10 => checkout.confirm_free(now_s),
        _ => checkout.cancel(now_s),
    };
    assert!(done.is_ok() || *checkout == before, "a refusal changes nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn nothing_is_had_without_its_payment(
        events in prop::collection::vec((any::<u8>(), 0i64..3_000), 1..60),
        is_free in any::<bool>(),
    ) {
        let mut checkout = opened(if is_free { "0" } else { "9" }, PhoneStep::On, None);
        let (mut now_s, mut was_paying, mut had_code) = (NOON_S, false, false);
        for (event, pause_s) in events {
            now_s += pause_s;
            let before = checkout.clone();
            apply(&mut checkout, event, now_s);
            was_paying |= matches!(checkout.step, Step::Paying { .. });
            had_code |= matches!(before.step, Step::Code { .. });
            let is_before = matches!(checkout.step, Step::Phone | Step::Code { .. } | Step::Cancelled { .. });
            prop_assert!(is_before || had_code);
            if matches!(checkout.step, Step::Done { .. }) {
                prop_assert!(is_free || was_paying);
                let was_done = matches!(before.step, Step::Done { .. });
                prop_assert!(!was_done || before == checkout);
            }
            prop_assert!(checkout.code_count <= CODES_MOST && checkout.decline_count <= DECLINES_MOST);
        }
    }
}
