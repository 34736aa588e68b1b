//! What a call asks of a spend key, what it gets, and why it is refused: the words in which the hold machine speaks.

use std::net::IpAddr;
use std::sync::Arc;

use super::cycle::Cycle;
use super::key::RequestShape;
use super::money::Money;
use super::rate::RateStatus;
use super::room::Claim;

/// The instant of a decision: wall time chooses the cycle, monotonic time refills the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Unix milliseconds, never going back.
    pub wall_ms: i64,
    pub monotonic_us: u64,
}

impl Now {
    pub const fn wall_s(self) -> i64 {
        self.wall_ms.div_euclid(1000)
    }
}

/// Where a hold stands among those of one call, which goes on to another provider where the one before failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attempt {
    #[default]
    First,
    /// The call has been counted: it takes no token of the bucket and is no further request.
    Later,
}

/// What a call asks of a key.
#[derive(Clone, Debug)]
pub struct Call {
    /// The version of the secret by which the caller was recognised.
    pub secret_version: u32,
    /// The wire format of the route; `None` where any will do.
    pub shape: Option<RequestShape>,
    /// `None` on routes that name no model.
    pub model: Option<Arc<str>>,
    pub provider: Arc<str>,
    pub address: Option<IpAddr>,
    pub claim: Claim,
    pub attempt: Attempt,
}

/// Why a key refuses a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Revoked, or recognised by a secret that was rotated away.
    Invalid,
    Paused,
    Expired,
    ShapeMismatch {
        expected: RequestShape,
    },
    ModelNotAllowed,
    ProviderNotAllowed,
    IpNotAllowed,
    /// Spent, or this call can never fit.
    SpendLimit(SpendShortage),
    /// Room is held by calls in flight.
    Busy(SpendShortage),
    RequestLimit {
        limit: u64,
        cycle: Cycle,
        resets_at: Option<i64>,
    },
    RateLimited(RateStatus),
    TooManyParallel {
        limit: u32,
    },
}

/// The figures of a refusal for money. `resets_at` is in unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpendShortage {
    pub limit: Money,
    pub cycle: Cycle,
    pub spent: Money,
    pub held: Money,
    pub needed: Money,
    pub resets_at: Option<i64>,
}

/// The starts of the day, week and month in which a call was admitted, in unix seconds; its charge stays with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    pub day_start: i64,
    pub week_start: i64,
    pub month_start: i64,
}

impl Admission {
    pub const fn start(self, cycle: Cycle) -> i64 {
        match cycle {
            Cycle::Daily => self.day_start,
            Cycle::Weekly => self.week_start,
            Cycle::Monthly => self.month_start,
            Cycle::Total => 0,
        }
    }
}

/// Money set aside for one call; ends in exactly one of [`SpendState::settle`] and [`SpendState::release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    pub amount: Money,
    pub admission: Admission,
    pub attempt: Attempt,
}
