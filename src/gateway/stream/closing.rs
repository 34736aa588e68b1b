//! The end of a stream: why it is over, and what comes behind its last frame: the rest of the provider's bytes, and our
//! own word on the cost. Neither holds up the client.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;

use super::super::Worker;
use super::super::breaker::{Pass, Trouble};
use super::super::dialect::StreamReader;
use super::super::open_call::Costs;
use super::super::upstream::{RawAnswer, UpstreamFailure};
use crate::domain::request::Outcome;

/// Why the stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The provider said so, or closed in good order.
    Finished,
    /// The provider broke off, fell silent or took too long.
    Broken,
    /// The limit was reached: we ended it.
    LimitReached,
    /// The key was revoked, or the owner of the call wanted its end: we ended it.
    Ended,
    /// The client left and the rest was not waited for.
    Abandoned,
}

impl Over {
    /// The client library takes a connection that closes early for the end of the stream.
    pub(super) fn of(self, reader: &StreamReader) -> Self {
        let ended = reader.is_finished() || reader.final_usage().is_some();
        if self == Self::Finished && !ended {
            Self::Broken
        } else {
            self
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Finished | Self::LimitReached => Outcome::Completed,
            Self::Broken | Self::Ended | Self::Abandoned => Outcome::Error,
        }
    }

    /// Says how the provider did.
    pub(super) fn tell(self, pass: Pass) {
        match self {
            Self::Broken => pass.failed(Trouble::Upstream(UpstreamFailure::Broken)),
            Self::Finished | Self::LimitReached | Self::Ended | Self::Abandoned => pass.good(),
        }
    }
}

/// Reads the few bytes after a stream's last frame, so that the connection can serve again.
pub(super) fn read_out(worker: &Worker, mut answer: RawAnswer) {
    if matches!(answer.next().now_or_never(), Some(None)) {
        return;
    }
    let rest = async move { while let Some(Ok(_)) = answer.next().await {} };
    worker
        .pumps()
        .go_on(Box::pin(timeout(Duration::from_millis(200), rest).map(|_| ())));
}

pub(super) fn cost_comment(costs: Costs) -> Bytes {
    Bytes::from(format!(": x-lava-cost {}\n\n", costs.total))
}
