//! The outbox of webhooks: takes what is due, signs it, has it carried, and stores how that ended. One task owns it;
//! each attempt is a task of its own, a few an endpoint at once, so that one that hangs starves no other. It is woken
//! when something was written and looks by itself each second. A crash loses nothing: what was being sent is sent again,
//! so an event is told at least once. A stop takes nothing more and waits a moment for what is being sent.

mod steady;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::clock::Clock;
use super::metrics::Metrics;
use super::ports::{
    Courier, CourierAnswer, Customers, Deliveries, EndedAttempt, NoAnswer, OutboxAway, Post, TakenDelivery, Told,
};
use super::random;
use super::sealing::{SealBroken, SealingKey};
use crate::domain::connection;
use crate::domain::ids::WebhookId;
use crate::domain::secret::Secret;
use crate::domain::webhook::signature::{self, Message};
use crate::domain::webhook::{Attempt, Verdict, envelope};
use steady::SteadyClock;

/// How long an attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a lease holds: longer than an attempt and the storing of its end.
pub const LEASE_MS: i64 = 60_000;
/// Attempts of one endpoint at once; of one that fails, one.
pub const ENDPOINT_ATTEMPTS: i64 = 4;
/// Attempts at once.
const MOST_ATTEMPTS: usize = 512;
/// Taken from the database at once.
const MOST_TAKEN: usize = 64;
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the database is asked again how an attempt ended, before its lease runs out.
const END_TRIES: u32 = 20;
const COUNT_INTERVAL: Duration = Duration::from_secs(5);
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// How long a stop waits at most for what is being sent; what did not end by then is sent again.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Rung by whoever has committed an event, so that it is told at once; clones ring the same bell.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// What the outbox is made of.
pub struct OutboxParts {
    pub deliveries: Box<dyn Deliveries>,
    pub courier: Box<dyn Courier>,
    pub customers: Box<dyn Customers>,
    /// Opens the endpoints' secrets.
    pub sealing: Arc<SealingKey>,
    /// For which place an endpoint's secrets were sealed.
    pub place: fn(WebhookId) -> String,
    pub bell: Bell,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
}

/// The running outbox, for the stop.
pub struct Outbox {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    worker: Rc<Worker>,
}

impl Outbox {
    /// Starts it on this thread.
    pub fn start(parts: OutboxParts) -> Self {
        let (stop, stopped) = oneshot::channel();
        let worker = Rc::new(Worker {
            steady: SteadyClock::new(parts.clock.clone()),
            parts,
            underway: Cell::new(0),
        });
        let running = worker.clone();
        let task = actix_rt::spawn(async move {
            tokio::select! {
                () = running.run() => {}
                _ = stopped => {}
            }
        });
        Self { stop, task, worker }
    }

    /// Takes nothing more, and waits for at most so long, and a few seconds, until what is being sent has ended.
    pub async fn stop(self, patience: Duration) {
        let deadline = Instant::now() + patience.min(STOP_PATIENCE);
        drop(self.stop);
        if self.task.await.is_err() {
            tracing::error!("the outbox of webhooks had died");
        }
        while self.worker.underway.get() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

struct Worker {
    parts: OutboxParts,
    steady: SteadyClock,
    /// Attempts that run.
    underway: Cell<usize>,
}

/// One attempt that runs; its end makes room for the next.
struct Underway(Rc<Worker>);

impl Underway {
    fn begin(worker: &Rc<Worker>) -> Self {
        worker.underway.set(worker.underway.get() + 1);
        Self(worker.clone())
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.underway.set(self.0.underway.get() - 1);
        self.0.parts.bell.ring();
    }
}

impl Worker {
    async fn run(self: Rc<Self>) {
        let mut backoff = INTERVAL;
        // This process alone sends: whatever the last one had taken is free.
        while let Err(error) = self.parts.deliveries.begin(self.steady.now_ms()).await {
            backoff = wait_after(&error, backoff).await;
        }
        let (mut counted, mut swept) = (None, None);
        loop {
            let worked = self.round().await;
            match worked {
                Ok(()) => backoff = INTERVAL,
                Err(error) => {
                    backoff = wait_after(&error, backoff).await;
                    continue;
                }
            }
            if is_due(&mut counted, COUNT_INTERVAL) {
                self.count().await;
            }
            if is_due(&mut swept, SWEEP_INTERVAL) {
                self.sweep().await;
            }
            tokio::select! {
                () = self.parts.bell.0.notified() => {}
                () = sleep(INTERVAL) => {}
            }
        }
    }

    /// Takes all that is due and that there is room for.
    async fn round(self: &Rc<Self>) -> Result<(), OutboxAway> {
        loop {
            let most = (MOST_ATTEMPTS - self.underway.get()).min(MOST_TAKEN);
            if most == 0 {
                return Ok(());
            }
            let taken = self.parts.deliveries.take(self.steady.now_ms(), most).await?;
            let is_all = taken.len() < most;
            for delivery in taken {
                let underway = Underway::begin(self);
                actix_rt::spawn(async move { underway.0.attempt(delivery).await });
            }
            if is_all {
                return Ok(());
            }
        }
    }

    async fn attempt(&self, taken: TakenDelivery) {
        let body = match self.body_of(&taken).await {
            Ok(Some(body)) => match taken.older_name {
                None => body,
                Some(name) => connection::told(&body, name.name()),
            },
            Ok(None) => return self.forget(&taken).await,
            // The lease runs out, and then it is tried again.
            Err(error) => return tracing::debug!(%error, "it is not known yet what to tell"),
        };
        let outcome = match self.post_of(&taken, body) {
            Ok(post) => self.carry(post).await,
            Err(error) => {
                tracing::error!(%error, webhook.id = %taken.webhook_id, "an event is not sent");
                Err(NoAnswer("the secret of the endpoint cannot be read; rotate it"))
            }
        };
        self.store(self.conclude(&taken, outcome)).await;
    }

    /// What is told of a customer is written down before it is sent, so that every attempt says the same.
    async fn body_of(&self, taken: &TakenDelivery) -> Result<Option<String>, OutboxAway> {
        let (name, customer) = match &taken.message {
            Told::Body(body) => return Ok(Some(body.clone())),
            Told::Customer(name, customer) => (*name, *customer),
        };
        let Some(data) = self.parts.customers.describe(taken.merchant_id, customer).await? else {
            return Ok(None);
        };
        let body = envelope(name, taken.event_id, self.parts.clock.wall_ms(), &data);
        self.parts.deliveries.word(taken.event_id, body).await.map(Some)
    }

    async fn forget(&self, taken: &TakenDelivery) {
        if let Err(error) = self.parts.deliveries.forget(taken.id).await {
            tracing::debug!(%error, "a delivery with nothing to tell was not given up");
        }
    }

    /// The message with the signatures of this moment.
    fn post_of(&self, taken: &TakenDelivery, body: String) -> Result<Post, SealBroken> {
        let place = (self.parts.place)(taken.webhook_id);
        let open = |sealed: &Vec<u8>| self.parts.sealing.open(&place, sealed);
        let secrets: Vec<Secret<String>> = taken.sealed.iter().map(open).collect::<Result<_, _>>()?;
        let message = Message {
            id: &taken.event_id.to_string(),
            timestamp_s: self.parts.clock.wall_us().div_euclid(1_000_000),
            body: &body,
        };
        Ok(Post {
            url: taken.url.clone(),
            headers: signature::headers(message, &secrets),
            body,
        })
    }

    async fn carry(&self, post: Post) -> Result<CourierAnswer, NoAnswer> {
        let carried = timeout(ATTEMPT_TIMEOUT, self.parts.courier.post(post)).await;
        carried.unwrap_or(Err(NoAnswer("no answer came in time")))
    }

    fn conclude(&self, taken: &TakenDelivery, outcome: Result<CourierAnswer, NoAnswer>) -> EndedAttempt {
        let date_ms = self.parts.clock.wall_us().div_euclid(1000);
        let verdict = outcome.as_ref().map_or(Verdict::NO_ANSWER, |answer| {
            Verdict::of(answer.status, answer.retry_after.as_deref(), date_ms)
        });
        match verdict {
            Verdict::Delivered => self.parts.metrics.webhooks_delivered.add(1),
            Verdict::Failed { .. } | Verdict::Gone => self.parts.metrics.webhooks_failed.add(1),
        }
        let attempt = Attempt {
            count: taken.attempt_count,
            failing_since_ms: taken.failing_since_ms,
            now_ms: self.steady.now_ms(),
            // Without randomness a delay has no jitter to speak of, which is no harm.
            random: random::bits().map_or(0, |bits| bits as u64),
        };
        let (fate, endpoint) = attempt.conclude(verdict);
        EndedAttempt {
            id: taken.id,
            webhook_id: taken.webhook_id,
            attempt_count: taken.attempt_count,
            fate,
            endpoint,
            at_ms: attempt.now_ms,
            outcome,
        }
    }

    /// Where the database stays away the lease runs out, and the event is told again.
    async fn store(&self, ended: EndedAttempt) {
        for _ in 0..END_TRIES {
            match self.parts.deliveries.end(ended.clone()).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(%error, "the end of an attempt is not stored yet");
                    sleep(INTERVAL).await;
                }
            }
        }
        tracing::warn!(delivery.id = %ended.id, "the end of an attempt was not stored; the event is told again");
    }

    async fn count(&self) {
        match self.parts.deliveries.count().await {
            Ok(counts) => {
                self.parts.metrics.webhooks_pending.set(counts.pending);
                self.parts.metrics.webhooks_dead.set(counts.dead);
            }
            Err(error) => tracing::debug!(%error, "the deliveries of webhooks were not counted"),
        }
    }

    async fn sweep(&self) {
        if let Err(error) = self.parts.deliveries.sweep(self.steady.now_ms()).await {
            tracing::warn!(%error, "old events were not deleted");
        }
    }
}

/// Says what is wrong, waits, and returns how long to wait the next time.
async fn wait_after(error: &OutboxAway, backoff: Duration) -> Duration {
    tracing::debug!(%error, "webhooks wait");
    sleep(backoff).await;
    (backoff * 2).min(LONGEST_BACKOFF)
}

/// Whether the interval has passed since the last time that this was so.
fn is_due(last: &mut Option<Instant>, interval: Duration) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() >= interval);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}
