//! The port through which payments are taken, and the desk where anybody may ask. A processor lives on one thread, where
//! its connections are; a [`Desk`] carries questions there from any other. Every order has a key of ours, and the same
//! order again is the same payment: so whoever does not learn how one ended asks again, and nobody pays twice. It fails
//! closed: without an answer nothing counts as paid.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::domain::ids::{CustomerId, Mode, PaymentId};
use crate::domain::payment::{Card, Cents, Decline, ProcessorKind};
use crate::domain::secret::Secret;

/// Questions that wait at a desk at most.
const DESK_SIZE: usize = 256;

/// What a processor answers, on its own thread.
pub type Asked<T> = LocalBoxFuture<'static, Result<T, PaymentTrouble>>;

/// Why there is no answer of the processor's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentTrouble {
    /// It may have done what was asked. The same may be asked again.
    #[error("the payment processor is away: {0}")]
    Away(String),
    /// It does not understand what was asked, or not from us; somebody must look.
    #[error("the payment processor refuses the call: {0}")]
    Refused(String),
}

/// A person whose cards the processor keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPayer {
    pub customer_id: CustomerId,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
}

/// How a card is put on file at the processor, so that no number passes here.
#[derive(Clone, Debug)]
pub struct Setup {
    pub reference: String,
    /// With which the payer's browser talks to the processor.
    pub client_secret: Secret<String>,
}

/// What shows that a payer has given a card.
#[derive(Clone, Debug)]
pub enum SetupProof {
    /// The setup that his browser has finished at the processor.
    Reference(String),
    /// A test card, which only the test processor takes.
    TestCard(CardInput),
}

/// What was typed in; it is looked at once and kept nowhere.
#[derive(Clone, Debug)]
pub struct CardInput {
    pub number: Secret<String>,
    pub check_digits: Secret<String>,
    pub expiry_month: u32,
    pub expiry_year: u32,
    /// The month that it is.
    pub month_now: u32,
    pub year_now: u32,
}

/// How a setup stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupState {
    Done(SavedCard),
    /// The payer has not finished.
    Open,
    Declined(Decline),
}

/// A card on file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedCard {
    /// The processor's name for it.
    pub reference: String,
    pub card: Card,
}

/// Whether the payer is there to answer his bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Present,
    Absent,
}

/// Money that is asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// Also the key by which the same order is known again.
    pub payment_id: PaymentId,
    pub payer: String,
    pub card: String,
    pub amount: Cents,
    pub presence: Presence,
    /// For the payer's statement and the processor's books.
    pub description: String,
}

/// How a payment stands.
#[derive(Clone, Debug)]
pub enum Outcome {
    Paid {
        reference: String,
    },
    /// The payer must answer his bank first.
    ActionRequired {
        reference: String,
        client_secret: Secret<String>,
    },
    /// It will be known later.
    Processing {
        reference: String,
    },
    Declined {
        reference: Option<String>,
        decline: Decline,
    },
}

/// What a payer said to his bank, where the processor cannot know it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    Given,
    Denied,
    Unknown,
}

/// Money that goes back; a payment is given back once, whole.
#[derive(Clone, Debug)]
pub struct Refund {
    pub payment_id: PaymentId,
    /// The processor's name for the payment.
    pub reference: String,
    pub amount: Cents,
}

/// How a refund stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    Done { reference: String },
    Processing { reference: String },
    Declined(Decline),
}

/// Takes payments.
pub trait Processor {
    /// Makes a payer known, by a reference that whoever asks keeps.
    fn open_payer(&self, payer: NewPayer) -> Asked<String>;
    /// Begins to put a card on file.
    fn begin_setup(&self, payer: String) -> Asked<Setup>;
    fn finish_setup(&self, payer: String, proof: SetupProof) -> Asked<SetupState>;
    fn charge(&self, order: Order) -> Asked<Outcome>;
    /// How a payment stands by now; `order` is what it was made with.
    fn find(&self, reference: String, order: Order, approval: Approval) -> Asked<Outcome>;
    fn refund(&self, refund: Refund) -> Asked<RefundOutcome>;
    /// Takes a card off file.
    fn forget_card(&self, reference: String) -> Asked<()>;
}

type Question = Box<dyn FnOnce(&Rc<dyn Processor>) -> LocalBoxFuture<'static, ()> + Send>;

/// Where one processor is asked; clones lead to the same one.
#[derive(Clone, Debug)]
pub struct Desk {
    kind: ProcessorKind,
    questions: mpsc::Sender<Question>,
}

impl Desk {
    /// Lets the processor answer on this thread, until all desks that lead to it are gone.
    pub fn open(kind: ProcessorKind, processor: Rc<dyn Processor>) -> Self {
        let (questions, mut waiting) = mpsc::channel::<Question>(DESK_SIZE);
        actix_rt::spawn(async move {
            while let Some(question) = waiting.recv().await {
                actix_rt::spawn(question(&processor));
            }
        });
        Self { kind, questions }
    }

    pub const fn kind(&self) -> ProcessorKind {
        self.kind
    }

    /// Asks; what was asked is done to its end even where nobody waits for the answer.
    pub async fn ask<T, F>(&self, question: F) -> Result<T, PaymentTrouble>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Processor) -> Asked<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |processor| {
            let asked = question(processor.as_ref());
            Box::pin(async move {
                // Nobody may be waiting any more.
                drop(answer.send(asked.await));
            })
        });
        let away = |why: &str| PaymentTrouble::Away(why.to_owned());
        let sent = self.questions.try_send(question);
        sent.map_err(|_| away("too many payments at once"))?;
        answered.await.map_err(|_| away("the server stops"))?
    }
}

/// The desks of a server.
#[derive(Clone, Debug)]
pub struct Payments {
    live: Option<Desk>,
    test: Desk,
}

impl Payments {
    /// `live` is `None` where the operator has set up no processor.
    pub const fn new(live: Option<Desk>, test: Desk) -> Self {
        Self { live, test }
    }

    /// Who takes payments for a merchant.
    pub const fn desk(&self, mode: Mode) -> Option<&Desk> {
        match mode {
            Mode::Live => self.live.as_ref(),
            Mode::Test => Some(&self.test),
        }
    }

    /// The desk of a processor that took a payment earlier.
    pub const fn desk_of(&self, kind: ProcessorKind) -> Option<&Desk> {
        match kind {
            ProcessorKind::Stripe => self.live.as_ref(),
            ProcessorKind::Test => Some(&self.test),
        }
    }
}
