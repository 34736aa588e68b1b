//! What the engine needs from the layers above: somebody who writes a billing batch, somebody who keeps the outbox of
//! webhooks, somebody who carries its messages, and somebody who knows how customers are. Storage and the gateway
//! answer; tests answer in memory.

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::domain::ids::{CustomerId, DeliveryId, EventId, MerchantId, WebhookId};
use crate::domain::request::{Movement, OpenRequest, Settlement, Turn};
use crate::domain::webhook::{EndpointFate, EventName, Fate};

/// How far one lane of the journal has been written to the database: the highest sequence number of a record that
/// is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneMark {
    pub lane: i32,
    pub sequence: i64,
}

/// Records to be written in one transaction, each exactly once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub settled: Vec<(OpenRequest, Settlement)>,
    pub movements: Vec<Movement>,
    pub turns: Vec<Turn>,
    /// The marks that this batch moves forward, one a lane.
    pub marks: Vec<LaneMark>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.settled.len() + self.movements.len() + self.turns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.marks.is_empty()
    }
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Nothing is known to be written: the same batch will be sent again, which is safe because a request's id is
    /// unique and marks only move forward.
    #[error("the database is away: {0}")]
    Unavailable(String),
    /// Another process holds the lease: this one must end at once.
    #[error("another process has taken over this database")]
    Fenced,
    /// The batch contradicts the database; somebody must look.
    #[error("the batch was refused: {0}")]
    Refused(String),
}

/// Writes batches; called from one thread only, and may block.
pub trait BatchSink: Send {
    /// Writes the batch in one transaction. Records that are there already move no balance.
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError>;
}

/// What a port of the outbox answers, on the thread of whoever asked.
pub type Answered<T, E> = LocalBoxFuture<'static, Result<T, E>>;

/// A delivery that is taken for one attempt; until its lease runs out nobody else takes it.
#[derive(Clone, Debug)]
pub struct TakenDelivery {
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    pub event_id: EventId,
    pub merchant_id: MerchantId,
    pub url: String,
    /// The secrets that sign, sealed, the newest first.
    pub sealed: Vec<Vec<u8>>,
    pub message: Told,
    /// Set where the endpoint asked for the event in older words, under this name.
    pub older_name: Option<EventName>,
    /// How many attempts there were, this one among them.
    pub attempt_count: u32,
    /// Since when the endpoint has only failed.
    pub failing_since_ms: Option<i64>,
}

/// What is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// This body.
    Body(String),
    /// The customer as he is now, under this name; nobody has said yet what that is.
    Customer(EventName, CustomerId),
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct EndedAttempt {
    pub id: DeliveryId,
    pub webhook_id: WebhookId,
    pub attempt_count: u32,
    pub fate: Fate,
    pub endpoint: EndpointFate,
    pub at_ms: i64,
    pub outcome: Result<CourierAnswer, NoAnswer>,
}

/// What stands in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    pub pending: u64,
    pub dead: u64,
}

/// The database is away, or refused; it may be asked again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the outbox is not available: {0}")]
pub struct OutboxAway(pub String);

/// Keeps deliveries.
pub trait Deliveries {
    /// Takes at most so many that are due, of each endpoint a few, under a lease.
    fn take(&self, now_ms: i64, most: usize) -> Answered<Vec<TakenDelivery>, OutboxAway>;
    /// Stores how an attempt ended; one whose lease ran out, and that another took since, changes nothing.
    fn end(&self, attempt: EndedAttempt) -> Answered<(), OutboxAway>;
    /// Gives an event that has no body this one, and returns the body that it has from now on.
    fn word(&self, event: EventId, body: String) -> Answered<String, OutboxAway>;
    /// Gives up a delivery of which there is nothing to tell any more.
    fn forget(&self, delivery: DeliveryId) -> Answered<(), OutboxAway>;
    /// At the start, when nobody sends: ends every lease, and brings nearer what a wrong clock has put far away.
    fn begin(&self, now_ms: i64) -> Answered<(), OutboxAway>;
    fn count(&self) -> Answered<OutboxCounts, OutboxAway>;
    /// Deletes what is older than a month.
    fn sweep(&self, now_ms: i64) -> Answered<(), OutboxAway>;
}

/// What goes to an endpoint.
#[derive(Clone, Debug)]
pub struct Post {
    pub url: String,
    /// Beside the content type; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// What an endpoint said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourierAnswer {
    pub status: u16,
    pub retry_after: Option<String>,
    /// The beginning of the body.
    pub body: String,
}

/// Why there is no answer, in words for the endpoint's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer(pub &'static str);

/// Carries one message to an endpoint; follows no redirect and dials no private address.
pub trait Courier {
    fn post(&self, post: Post) -> Answered<CourierAnswer, NoAnswer>;
}

/// Knows customers as they are now.
pub trait Customers {
    /// What is told of one; `None` where he is gone.
    fn describe(&self, merchant: MerchantId, customer: CustomerId) -> Answered<Option<Value>, OutboxAway>;
}
