//! What a customer goes through to buy, as transitions: his number and the code sent to it, a card, his yes, the
//! payment. It knows how often each may be tried, so that nobody guesses codes or tries stolen cards here; it is done
//! only with its payment, or with a yes where nothing is due. What is bought stands in it from the start: a plan that is
//! edited meanwhile costs what was shown. It fails closed: an event that does not fit the step changes nothing.

mod basket;

use super::ids::{CustomerId, PaymentId, PaymentMethodId};
use super::money::Money;
use super::payment::Decline;
pub use basket::{Basket, CheckoutMode, PlanMove};

/// How long a session may be used after it was made.
pub const LIFETIME_S: i64 = 86_400;
/// How long a code is good.
pub const CODE_LIFETIME_S: i64 = 600;
/// How often a code may be entered wrongly.
pub const WRONG_CODES_MOST: u32 = 5;
/// How many codes one session may have sent.
pub const CODES_MOST: u32 = 5;
/// How long the next code must wait.
pub const CODE_PAUSE_S: i64 = 30;
/// How many cards and payments of one session may be refused.
pub const DECLINES_MOST: u32 = 10;

/// One session. Instants are in unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Checkout {
    pub basket: Basket,
    /// What is charged at the customer's yes.
    pub due: Money,
    /// Decided from the start, also for one who is not yet stored.
    pub customer_id: CustomerId,
    pub who: Who,
    /// The number on file: where there is one, codes go nowhere else.
    pub known_phone: Option<String>,
    /// The number that the last code was sent to.
    pub phone: Option<String>,
    /// The setup at the processor that the payer's browser is busy with.
    pub setup: Option<String>,
    pub step: Step,
    pub code_count: u32,
    pub code_sent_at_s: Option<i64>,
    pub decline_count: u32,
    pub expires_at_s: i64,
}

/// Whether the customer is stored already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    Known,
    New,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Step {
    /// His number is asked for.
    Phone,
    /// The code that was sent is asked for; `mac` tells it without saying it.
    Code {
        mac: String,
        wrong_count: u32,
    },
    /// A card is asked for; the last one was refused.
    Card {
        decline: Option<Decline>,
    },
    /// His yes is asked for; the last payment was refused.
    Confirm {
        card: Option<PaymentMethodId>,
        decline: Option<Decline>,
    },
    /// The payment is under way.
    Paying {
        card: PaymentMethodId,
        payment: PaymentId,
    },
    Done {
        payment: Option<PaymentId>,
        at_s: i64,
    },
    Cancelled {
        at_s: i64,
    },
}

/// How a session stands to those who look from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Open,
    Done,
    Cancelled,
    Expired,
}

/// What decides how a session begins.
#[derive(Clone, Debug)]
pub struct Opening {
    pub basket: Basket,
    pub due: Money,
    pub customer_id: CustomerId,
    pub who: Who,
    /// The number on file.
    pub known_phone: Option<String>,
    pub phone_step: PhoneStep,
    /// The card on file.
    pub card: Option<PaymentMethodId>,
}

/// Whether a code is sent to the customer's phone first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneStep {
    On,
    Off,
}

/// What a code that was entered is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnteredCode {
    Right,
    Wrong,
}

/// Why an event changes nothing; shown to the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckoutRefusal {
    #[error("This checkout has expired.")]
    Expired,
    #[error("This checkout is somewhere else by now.")]
    WrongStep,
    #[error("Too many codes were sent. Start again from where you came.")]
    TooManyCodes,
    #[error("A code was sent a moment ago. Wait half a minute before you ask for another.")]
    TooSoon,
    #[error("Too many cards or payments were refused here. Start again from where you came.")]
    TooManyDeclines,
}

impl Checkout {
    /// Begins a session; `card` is the customer's card on file.
    pub fn open(opening: Opening, now_s: i64) -> Self {
        let mut checkout = Self {
            basket: opening.basket,
            due: opening.due,
            customer_id: opening.customer_id,
            who: opening.who,
            known_phone: opening.known_phone,
            phone: None,
            setup: None,
            step: Step::Phone,
            code_count: 0,
            code_sent_at_s: None,
            decline_count: 0,
            expires_at_s: now_s.saturating_add(LIFETIME_S),
        };
        match opening.phone_step {
            PhoneStep::On => {}
            PhoneStep::Off => checkout.go_on(opening.card),
        }
        checkout
    }

    pub fn standing(&self, now_s: i64) -> Standing {
        match self.step {
            Step::Done { .. } => Standing::Done,
            Step::Cancelled { .. } => Standing::Cancelled,
            // Money that is under way is waited for.
            Step::Paying { .. } => Standing::Open,
            Step::Phone | Step::Code { .. } | Step::Card { .. } | Step::Confirm { .. } => {
                if now_s < self.expires_at_s {
                    Standing::Open
                } else {
                    Standing::Expired
                }
            }
        }
    }

    /// A code for this number is about to be sent, and is known again by `mac`.
    pub fn send_code(&mut self, phone: String, mac: String, now_s: i64) -> Result<(), CheckoutRefusal> {
        self.check_open(now_s)?;
        match self.step {
            Step::Phone | Step::Code { .. } => {}
            Step::Card { .. }
            | Step::Confirm { .. }
            | Step::Paying { .. }
            | Step::Done { .. }
            | Step::Cancelled { .. } => return Err(CheckoutRefusal::WrongStep),
        }
        if self.code_count >= CODES_MOST {
            return Err(CheckoutRefusal::TooManyCodes);
        }
        if self.code_sent_at_s.is_some_and(|at_s| now_s < at_s + CODE_PAUSE_S) {
            return Err(CheckoutRefusal::TooSoon);
        }
        self.code_count += 1;
        self.code_sent_at_s = Some(now_s);
        self.phone = Some(phone);
        self.step = Step::Code { mac, wrong_count: 0 };
        Ok(())
    }

    /// Asks for the number again.
    pub fn change_phone(&mut self, now_s: i64) -> Result<(), CheckoutRefusal> {
        self.check_open(now_s)?;
        let Step::Code { .. } = self.step else {
            return Err(CheckoutRefusal::WrongStep);
        };
        self.step = Step::Phone;
        Ok(())
    }

    /// A code was entered; after too many wrong ones, or too late, a new one is needed. Returns what counts.
    pub fn enter_code(
        &mut self,
        code: EnteredCode,
        card: Option<PaymentMethodId>,
        now_s: i64,
    ) -> Result<EnteredCode, CheckoutRefusal> {
        self.check_open(now_s)?;
        let is_late = self.code_sent_at_s.is_none_or(|at_s| now_s >= at_s + CODE_LIFETIME_S);
        let Step::Code { wrong_count, .. } = &mut self.step else {
            return Err(CheckoutRefusal::WrongStep);
        };
        match code {
            EnteredCode::Right if !is_late => {
                self.go_on(card);
                return Ok(EnteredCode::Right);
            }
            EnteredCode::Right | EnteredCode::Wrong => *wrong_count += 1,
        }
        if is_late || *wrong_count >= WRONG_CODES_MOST {
            self.step = Step::Phone;
        }
        Ok(EnteredCode::Wrong)
    }

    /// Asks for another card than the one on file.
    pub fn replace_card(&mut self, now_s: i64) -> Result<(), CheckoutRefusal> {
        self.check_open(now_s)?;
        match self.step {
            Step::Confirm { card: Some(_), .. } => {
                self.step = Step::Card { decline: None };
                Ok(())
            }
            _ => Err(CheckoutRefusal::WrongStep),
        }
    }

    /// The payer's browser begins to put a card on file at the processor.
    pub fn begin_setup(&mut self, setup: String, now_s: i64) -> Result<(), CheckoutRefusal> {
        self.check_card_step(now_s)?;
        self.setup = Some(setup);
        Ok(())
    }

    /// Whether a card may be put on file now.
    pub fn check_card_step(&self, now_s: i64) -> Result<(), CheckoutRefusal> {
        self.check_open(now_s)?;
        let Step::Card { .. } = self.step else {
            return Err(CheckoutRefusal::WrongStep);
        };
        self.check_declines()
    }

    /// A card is on file.
    pub fn save_card(&mut self, card: PaymentMethodId, now_s: i64) -> Result<(), CheckoutRefusal> {
        self.check_card_step(now_s)?;
        self.setup = None;
        self.step = Step::Confirm {
            card: Some(card),
            decline: None,
        };
        Ok(())
    }

    /// A card was refused.
    pub fn refuse_card(&mut self, decline: Decline, now_s: i64) -> Result<(), CheckoutRefusal> {
        self.check_card_step(now_s)?;
        self.decline_count += 1;
        self.setup = None;
        self.step = Step::Card { decline: Some(decline) };
        Ok(())
    }

    /// The customer's yes to what is due; the payment is about to be asked for.
    pub fn confirm(&mut self, payment: PaymentId, now_s: i64) -> Result<PaymentMethodId, CheckoutRefusal> {
        self.check_open(now_s)?;
        self.check_declines()?;
        match self.step {
            Step::Confirm { card: Some(card), .. } if self.due > Money::ZERO => {
                self.step = Step::Paying { card, payment };
                Ok(card)
            }
            _ => Err(CheckoutRefusal::WrongStep),
        }
    }

    /// The customer's yes where nothing is due.
    pub fn confirm_free(&mut self, now_s: i64) -> Result<(), CheckoutRefusal> {
        self.check_open(now_s)?;
        match self.step {
            Step::Confirm { card, .. } if self.due == Money::ZERO && (card.is_some() || self.basket.is_free()) => {
                self.step = Step::Done {
                    payment: None,
                    at_s: now_s,
                };
                Ok(())
            }
            _ => Err(CheckoutRefusal::WrongStep),
        }
    }

    /// What is due has changed since the customer saw it.
    pub fn quote_again(&mut self, due: Money) {
        self.due = due.or_zero();
    }

    /// The payment was refused; he may try again.
    pub fn decline(&mut self, refused: PaymentId, decline: Decline) -> Result<(), CheckoutRefusal> {
        match self.step {
            Step::Paying { card, payment } if payment == refused => {
                self.decline_count += 1;
                self.step = Step::Confirm {
                    card: Some(card),
                    decline: Some(decline),
                };
                Ok(())
            }
            _ => Err(CheckoutRefusal::WrongStep),
        }
    }

    /// The payment was made, and what was bought is his.
    pub fn complete(&mut self, made: PaymentId, now_s: i64) -> Result<(), CheckoutRefusal> {
        match self.step {
            Step::Paying { payment, .. } if payment == made => {
                self.step = Step::Done {
                    payment: Some(made),
                    at_s: now_s,
                };
                Ok(())
            }
            _ => Err(CheckoutRefusal::WrongStep),
        }
    }

    /// The customer leaves. Not while a payment is under way: nobody knows yet how it ends.
    pub fn cancel(&mut self, now_s: i64) -> Result<(), CheckoutRefusal> {
        self.check_open(now_s)?;
        if let Step::Paying { .. } = self.step {
            return Err(CheckoutRefusal::WrongStep);
        }
        self.step = Step::Cancelled { at_s: now_s };
        Ok(())
    }

    /// What is asked for once the number is known.
    fn go_on(&mut self, card: Option<PaymentMethodId>) {
        self.step = if card.is_some() || self.basket.is_free() {
            Step::Confirm { card, decline: None }
        } else {
            Step::Card { decline: None }
        };
    }

    fn check_open(&self, now_s: i64) -> Result<(), CheckoutRefusal> {
        match self.standing(now_s) {
            Standing::Open => Ok(()),
            Standing::Expired => Err(CheckoutRefusal::Expired),
            Standing::Done | Standing::Cancelled => Err(CheckoutRefusal::WrongStep),
        }
    }

    fn check_declines(&self) -> Result<(), CheckoutRefusal> {
        if self.decline_count < DECLINES_MOST {
            Ok(())
        } else {
            Err(CheckoutRefusal::TooManyDeclines)
        }
    }
}

#[cfg(test)]
#[path = "checkout_tests.rs"]
mod tests;
