//! One load on one server, from one thread. Closed: every connection sends its next request when the last was answered.
//! Open: requests are due at a constant rate whatever the server does, and latency counts from the instant at which each was due,
//! so that a stall is not hidden. It ends by itself: what is unanswered 30 seconds after the end is given up and counted.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use crate::answer::Reuse;
use crate::connection::{Answer, Connection};
use crate::failure::{Doing, Failure};
use crate::request::{RequestBytes, Template};
use crate::tally::Tally;

const GRACE: Duration = Duration::from_secs(30);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);
const BUFFER_BYTES: usize = 16 * 1024;
/// The pacer wakes no more often than this, and sends what has come due in between at once.
const SHORTEST_TICK: Duration = Duration::from_micros(100);

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    Closed,
    Open { rate_per_second: u32 },
}

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    After(Duration),
    Count(u64),
}

/// A load to be put on a server.
pub struct Load {
    pub address: SocketAddr,
    pub pace: Pace,
    pub end: End,
    pub connection_count: usize,
    pub template: Template,
    /// Used in turn; at least one.
    pub keys: Rc<[String]>,
}

/// Puts the load on the server and waits for its end.
pub async fn run(load: &Load) -> Result<Tally, Failure> {
    let started_at = Instant::now();
    let shared = Rc::new(Shared::new(load, started_at));
    let local = LocalSet::new();
    let mut workers = JoinSet::new();
    for _ in 0..load.connection_count {
        workers.spawn_local_on(Rc::clone(&shared).work(), &local);
    }
    let everything = local.run_until(async {
        if let Pace::Open { rate_per_second } = load.pace {
            shared
                .pace(rate_per_second, load.connection_count)
                .await
                .doing("pacing the load")?;
        }
        while workers.join_next().await.is_some() {}
        Ok::<(), Failure>(())
    });
    let bound = shared.longest(load.pace) + GRACE;
    let in_time = tokio::time::timeout(bound, everything).await;
    drop(local);
    if let Ok(result) = in_time {
        result?;
    }
    let mut tally = shared.tally.replace(Tally::new());
    tally.elapsed = started_at.elapsed();
    tally.unfinished_count = shared.in_flight.get() + shared.due.borrow().len() as u64;
    Ok(tally)
}

struct Shared {
    address: SocketAddr,
    template: Template,
    keys: Rc<[String]>,
    pace: Pace,
    end: End,
    next_key: Cell<usize>,
    started_count: Cell<u64>,
    in_flight: Cell<u64>,
    started_at: Instant,
    tally: RefCell<Tally>,
    due: RefCell<VecDeque<Instant>>,
    permits: Semaphore,
}

impl Shared {
    fn new(load: &Load, started_at: Instant) -> Self {
        Self {
            address: load.address,
            template: load.template.clone(),
            keys: Rc::clone(&load.keys),
            pace: load.pace,
            end: load.end,
            next_key: Cell::new(0),
            started_count: Cell::new(0),
            in_flight: Cell::new(0),
            started_at,
            tally: RefCell::new(Tally::new()),
            due: RefCell::new(VecDeque::new()),
            permits: Semaphore::new(0),
        }
    }

    /// One connection's work: a request, then the next, until there is none.
    async fn work(self: Rc<Self>) {
        let mut connection = None;
        let mut request = self.template.with_key(&self.keys[0]);
        while let Some(intended_at) = self.next_intended().await {
            request.set_key(self.take_key());
            self.in_flight.set(self.in_flight.get() + 1);
            let answer = self.send(&mut connection, &request).await;
            let finished_at = Instant::now();
            self.in_flight.set(self.in_flight.get() - 1);
            match answer {
                Ok(answer) => self.count(&answer, intended_at, finished_at),
                Err(_) => {
                    self.tally.borrow_mut().failed_count += 1;
                    connection = None;
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    async fn send(&self, slot: &mut Option<Connection>, request: &RequestBytes) -> std::io::Result<Answer> {
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => Connection::open(self.address, BUFFER_BYTES).await?,
        };
        let answer = connection.exchange(request.as_slice()).await?;
        if answer.reuse == Reuse::Keep {
            *slot = Some(connection);
        }
        Ok(answer)
    }

    fn count(&self, answer: &Answer, intended_at: Instant, finished_at: Instant) {
        let mut tally = self.tally.borrow_mut();
        *tally.statuses.entry(answer.status).or_insert(0) += 1;
        tally.body_bytes += answer.body_bytes;
        if (200..300).contains(&answer.status) {
            tally.latency.record(finished_at.duration_since(intended_at));
            tally
                .first_byte
                .record(answer.first_byte_at.duration_since(intended_at));
        }
    }

    fn take_key(&self) -> &str {
        let index = self.next_key.get();
        self.next_key.set((index + 1) % self.keys.len());
        &self.keys[index]
    }

    /// When the next request is due; `None` when there is none any more.
    async fn next_intended(&self) -> Option<Instant> {
        match self.pace {
            Pace::Closed => {
                let now = Instant::now();
                self.may_start(now).then_some(now)
            }
            Pace::Open { .. } => {
                self.permits.acquire().await.ok()?.forget();
                self.due.borrow_mut().pop_front()
            }
        }
    }

    fn may_start(&self, now: Instant) -> bool {
        let started_count = self.started_count.get();
        self.started_count.set(started_count + 1);
        match self.end {
            End::After(duration) => now.duration_since(self.started_at) < duration,
            End::Count(count) => started_count < count,
        }
    }

    /// Makes requests due at a constant rate, then lets every worker run dry.
    async fn pace(&self, rate_per_second: u32, worker_count: usize) -> std::io::Result<()> {
        let interval = Duration::from_secs(1) / rate_per_second.max(1);
        let total = match self.end {
            End::After(duration) => u64::try_from(duration.as_nanos() / interval.as_nanos().max(1)).unwrap_or(u64::MAX),
            End::Count(count) => count,
        };
        let ticker = Ticker::every(interval.max(SHORTEST_TICK))?;
        let mut made_due = 0;
        while made_due < total {
            ticker.tick().await?;
            let now = Instant::now();
            let mut intended_at = self.intended(interval, made_due);
            while made_due < total && intended_at <= now {
                self.due.borrow_mut().push_back(intended_at);
                self.permits.add_permits(1);
                made_due += 1;
                intended_at = self.intended(interval, made_due);
            }
        }
        self.permits.add_permits(worker_count);
        Ok(())
    }

    fn intended(&self, interval: Duration, index: u64) -> Instant {
        self.started_at + interval * u32::try_from(index + 1).unwrap_or(u32::MAX)
    }

    fn longest(&self, pace: Pace) -> Duration {
        match (self.end, pace) {
            (End::After(duration), _) => duration,
            (End::Count(count), Pace::Open { rate_per_second }) => {
                Duration::from_secs(count / u64::from(rate_per_second.max(1)))
            }
            (End::Count(_), Pace::Closed) => Duration::from_secs(600),
        }
    }
}

/// A timer of the kernel: the runtime's own counts in whole milliseconds, too coarse for a thousand requests a second.
struct Ticker(AsyncFd<std::os::fd::OwnedFd>);

impl Ticker {
    fn every(interval: Duration) -> std::io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let interval = Timespec {
            tv_sec: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(interval.subsec_nanos()),
        };
        let times = Itimerspec {
            it_interval: interval,
            it_value: interval,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd keeps its one descriptor as long as it lives"
        )]
        let registered = AsyncFd::new(timer)?;
        Ok(Self(registered))
    }

    async fn tick(&self) -> std::io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|timer| {
                let mut expirations = [0; 8];
                rustix::io::read(timer.get_ref(), &mut expirations).map_err(std::io::Error::from)
            });
            match read {
                Ok(result) => return result.map(drop),
                Err(_would_block) => {}
            }
        }
    }
}
