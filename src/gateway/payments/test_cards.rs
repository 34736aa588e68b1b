//! The well-known test cards: what each does is the same wherever payments are tried out. Any other number is refused
//! without a look, so that a real card typed in by mistake goes no further.

use crate::domain::payment::{Card, Decline};
use crate::engine::payments::CardInput;

/// What a test card does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Pays,
    /// It is not put on file.
    RefusesSetup(Reason),
    /// It is put on file and then refuses each payment.
    RefusesPayment(Reason),
    /// Asks its holder at the first payment; later ones need nobody.
    AsksOnce,
    /// Asks its holder at each payment.
    AsksAlways,
    /// Asks its holder, and refuses then.
    AsksAndRefuses(Reason),
}

/// Why a card refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Declined,
    InsufficientFunds,
    Lost,
    Stolen,
    Expired,
    CheckDigits,
    ProcessingError,
    TooOften,
    Number,
}

/// One of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestCard {
    /// By which a card on file is known again.
    pub name: &'static str,
    number: &'static str,
    brand: &'static str,
    pub behaviour: Behaviour,
}

const fn card(name: &'static str, number: &'static str, brand: &'static str, behaviour: Behaviour) -> TestCard {
    TestCard {
        name,
        number,
        brand,
        behaviour,
    }
}

const VISA: &str = "visa";

#[rustfmt::skip]
pub const TEST_CARDS: &[TestCard] = &[
    card("visa", "4242424242424242", VISA, Behaviour::Pays),
    card("visa_debit", "4000056655665556", VISA, Behaviour::Pays),
    card("mastercard", "5555555555554444", "mastercard", Behaviour::Pays),
    card("mastercard_2", "2223003122003222", "mastercard", Behaviour::Pays),
    card("mastercard_debit", "5200828282828210", "mastercard", Behaviour::Pays),
    card("amex", "378282246310005", "amex", Behaviour::Pays),
    card("discover", "6011111111111117", "discover", Behaviour::Pays),
    card("diners", "3056930009020004", "diners", Behaviour::Pays),
    card("jcb", "3566002020360505", "jcb", Behaviour::Pays),
    card("unionpay", "6200000000000005", "unionpay", Behaviour::Pays),
    card("declined", "4000000000000002", VISA, Behaviour::RefusesSetup(Reason::Declined)),
    card("insufficient_funds", "4000000000009995", VISA, Behaviour::RefusesSetup(Reason::InsufficientFunds)),
    card("lost", "4000000000009987", VISA, Behaviour::RefusesSetup(Reason::Lost)),
    card("stolen", "4000000000009979", VISA, Behaviour::RefusesSetup(Reason::Stolen)),
    card("expired", "4000000000000069", VISA, Behaviour::RefusesSetup(Reason::Expired)),
    card("check_digits", "4000000000000127", VISA, Behaviour::RefusesSetup(Reason::CheckDigits)),
    card("processing_error", "4000000000000119", VISA, Behaviour::RefusesSetup(Reason::ProcessingError)),
    card("too_often", "4000000000006975", VISA, Behaviour::RefusesSetup(Reason::TooOften)),
    card("wrong_number", "4242424242424241", VISA, Behaviour::RefusesSetup(Reason::Number)),
    card("declined_later", "4000000000000341", VISA, Behaviour::RefusesPayment(Reason::Declined)),
    card("asks_once", "4000002500003155", VISA, Behaviour::AsksOnce),
    card("asks_once_too", "4000000000003220", VISA, Behaviour::AsksOnce),
    card("asks_always", "4000002760003184", VISA, Behaviour::AsksAlways),
    card("asks_and_declines", "4000008260003178", VISA, Behaviour::AsksAndRefuses(Reason::InsufficientFunds)),
];

impl TestCard {
    /// The card that was typed in, or what is wrong with it. Blanks and hyphens in the number do not count.
    pub fn read(input: &CardInput) -> Result<Self, Decline> {
        let is_of_number = |card: &&Self| {
            let typed = input.number.expose().bytes();
            let digits = typed.filter(|byte| !matches!(byte, b' ' | b'-'));
            digits.eq(card.number.bytes())
        };
        let Some(card) = TEST_CARDS.iter().find(is_of_number).copied() else {
            let message = "Only test cards work here, such as 4242 4242 4242 4242. Do not enter a real card.";
            return Err(Decline::new("test_mode_live_card", message));
        };
        let expiry = (input.expiry_year, input.expiry_month);
        if !(1..=12).contains(&input.expiry_month) || input.expiry_year > input.year_now + 50 {
            return Err(Decline::new("invalid_expiry", "The expiry date is not valid."));
        }
        if expiry < (input.year_now, input.month_now) {
            return Err(Reason::Expired.decline());
        }
        let digits = input.check_digits.expose();
        let wanted_count = if card.brand == "amex" { 4 } else { 3 };
        if digits.len() != wanted_count || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Reason::CheckDigits.decline());
        }
        Ok(card)
    }

    pub fn find(name: &str) -> Option<Self> {
        TEST_CARDS.iter().find(|card| card.name == name).copied()
    }

    /// What may be stored of it.
    pub fn shown(self, input: &CardInput) -> Card {
        Card {
            brand: self.brand.to_owned(),
            last4: self.number[self.number.len() - 4..].to_owned(),
            expiry_month: input.expiry_month,
            expiry_year: input.expiry_year,
        }
    }
}

impl Reason {
    pub fn decline(self) -> Decline {
        let (code, message) = match self {
            Self::Declined => ("card_declined", "Your card was declined."),
            Self::InsufficientFunds => ("insufficient_funds", "Your card has insufficient funds."),
            Self::Lost => ("lost_card", "Your card was declined."),
            Self::Stolen => ("stolen_card", "Your card was declined."),
            Self::Expired => ("expired_card", "Your card has expired."),
            Self::CheckDigits => ("incorrect_cvc", "Your card's security code is incorrect."),
            Self::ProcessingError => (
                "processing_error",
                "An error occurred while processing your card. Try again in a little bit.",
            ),
            Self::TooOften => (
                "card_velocity_exceeded",
                "Your card was declined for making repeated attempts too frequently.",
            ),
            Self::Number => ("incorrect_number", "Your card number is incorrect."),
        };
        Decline::new(code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Secret;

    fn typed(number: &str, expiry: (u32, u32), check_digits: &str) -> CardInput {
        CardInput {
            number: Secret::new(number.to_owned()),
            check_digits: Secret::new(check_digits.to_owned()),
            expiry_month: expiry.0,
            expiry_year: expiry.1,
            month_now: 11,
            year_now: 2026,
        }
    }

    fn read(number: &str, expiry: (u32, u32), check_digits: &str) -> Result<&'static str, String> {
        let read = TestCard::read(&typed(number, expiry, check_digits));
        read.map(|card| card.name).map_err(|decline| decline.code)
    }

    #[test]
    fn a_card_of_the_list_is_read_and_no_other() {
        let table = [
            ("4242424242424242", (11, 2026), "123", Ok("visa")),
            ("4242 4242-4242 4242", (1, 2030), "000", Ok("visa")),
            ("378282246310005", (1, 2030), "1234", Ok("amex")),
            ("378282246310005", (1, 2030), "123", Err("incorrect_cvc")),
            ("4242424242424242", (1, 2030), "12x", Err("incorrect_cvc")),
            ("4242424242424242", (10, 2026), "123", Err("expired_card")),
            ("4242424242424242", (13, 2030), "123", Err("invalid_expiry")),
            ("4242424242424242", (0, 2030), "123", Err("invalid_expiry")),
            ("4242424242424242", (1, 9999), "123", Err("invalid_expiry")),
            ("4929000000006", (1, 2030), "123", Err("test_mode_live_card")),
            ("", (1, 2030), "123", Err("test_mode_live_card")),
        ];
        for (number, expiry, check_digits, expected) in table {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(read(number, expiry, check_digits), expected, "{number}");
        }
    }

    #[test]
    fn numbers_and_names_are_each_their_own_and_a_number_shows_nowhere() {
        for (place, card) in TEST_CARDS.iter().enumerate() {
            assert_eq!(TestCard::find(card.name), Some(*card));
            let twin = TEST_CARDS[..place].iter().find(|other| other.number == card.number);
            assert_eq!(twin, None);
            let input = typed(card.number, (1, 2030), "123");
            assert!(!format!("{input:?} {:?}", card.shown(&input)).contains(card.number));
            assert!(card.number.ends_with(&card.shown(&input).last4));
        }
        assert_eq!(TestCard::find("4242424242424242"), None);
    }
}
