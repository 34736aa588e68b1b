//! What comes behind a stream's last frame: the rest of the provider's bytes, and our own word on the cost. Neither holds
//! up the client.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;

use super::super::Worker;
use super::super::open_call::Costs;
use super::super::upstream::RawAnswer;

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
