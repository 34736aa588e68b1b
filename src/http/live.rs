//! `/v1/live`: a merchant's figures of this second, told as server-sent events for as long as somebody listens: calls in
//! flight, what is held for them, how many end and what they cost, and how the asked spend keys stand. It reads what the
//! workers have in memory and nothing else; between two events, and where nobody listens, nothing runs. A feed ends
//! after a minute, so that a key or a session that is gone sees no more; listeners come again by themselves.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::body::BodyStream;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::domain::ids::{MerchantId, SpendKeyId};
use crate::domain::money::Money;
use crate::engine::spend::KeySnapshot;
use crate::gateway::{CallsOf, Figures};

use super::auth::KeyManagerAuth;
use super::calls::calls_of;
use super::error::{ApiError, ErrorCode};
use super::query::Query;
use super::spend_keys::view::show_figures;
use super::state::{AppState, Phase};
use super::time::iso_millis;

/// How many may listen at once: in the whole process, and to one merchant's figures.
const LISTENERS_MOST: usize = 256;
const LISTENERS_OF_ONE: usize = 64;
const KEYS_MOST: usize = 100;
const PERIOD: Duration = Duration::from_secs(1);
const LIFE: Duration = Duration::from_secs(60);
/// Milliseconds after which a listener comes again.
const RETRY_MS: u32 = 500;

type State = web::Data<AppState>;

/// GET; `spend_key_ids` names up to a hundred keys, with commas between them.
pub async fn feed(auth: KeyManagerAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let keys = read_keys(&query)?;
    let seat = state
        .listeners
        .seat(auth.merchant_id())
        .ok_or_else(|| ApiError::new(ErrorCode::Overloaded).say("Too many listen at once; try again."))?;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed {
        of: calls_of(&auth),
        keys,
        ticks,
        ends_at: Instant::now() + LIFE,
        before: None,
        state,
        _seat: seat,
    };
    if feed.key_states().await?.iter().any(Option::is_none) {
        return Err(ApiError::missing("spend_key_ids", "spend key"));
    }
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next_event().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // A proxy that gathers the answer would keep it from its listener.
        .insert_header(("x-accel-buffering", "no"))
        .body(BodyStream::new(Box::pin(events))))
}

fn read_keys(query: &Query) -> Result<Vec<SpendKeyId>, ApiError> {
    let text = query.text("spend_key_ids")?.unwrap_or_default();
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let keys: Vec<SpendKeyId> = names
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| ApiError::invalid("spend_key_ids", "must be ids of spend keys with commas between them"))?;
    if keys.len() > KEYS_MOST {
        return Err(ApiError::invalid(
            "spend_key_ids",
            format!("must be at most {KEYS_MOST}"),
        ));
    }
    Ok(keys)
}

/// One listener.
struct Feed {
    of: CallsOf,
    keys: Vec<SpendKeyId>,
    ticks: Interval,
    ends_at: Instant,
    /// What was told last, and when; `None` before the first event.
    before: Option<(Figures, Instant)>,
    state: State,
    _seat: Seat,
}

/// How many listen to each merchant's figures. Clones are the same.
#[derive(Clone, Default)]
pub struct Listeners(Arc<Mutex<HashMap<MerchantId, usize>>>);

/// A listener's place, until it is dropped.
struct Seat {
    listeners: Listeners,
    merchant: MerchantId,
}

impl Listeners {
    /// `None` where too many listen.
    fn seat(&self, merchant: MerchantId) -> Option<Seat> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_all: usize = counts.values().sum();
        let of_one = counts.get(&merchant).copied().unwrap_or_default();
        if of_all >= LISTENERS_MOST || of_one >= LISTENERS_OF_ONE {
            return None;
        }
        counts.insert(merchant, of_one + 1);
        let listeners = self.clone();
        Some(Seat { listeners, merchant })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.listeners.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.merchant) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                counts.remove(&self.merchant);
            }
        }
    }
}

impl Feed {
    /// `None` at the end: the feed's time is over, or the server stops.
    async fn next_event(&mut self) -> Option<Bytes> {
        let now = self.ticks.tick().await;
        if now >= self.ends_at || self.state.phase.current() != Phase::Ready {
            return None;
        }
        let figures = self.state.live_calls.figures(self.of).await.ok()?;
        let keys = self.key_states().await.ok()?;
        let rates = self.before.map(|before| Rates::between(before, (figures, now)));
        let opening = match self.before.replace((figures, now)) {
            None => format!("retry: {RETRY_MS}\n"),
            Some(_) => String::new(),
        };
        let told = json!({
            "at": iso_millis(self.state.now().wall_ms),
            "calls_in_flight": figures.in_flight,
            "held": figures.held,
            "requests_per_second": rates.map(|rates| rates.requests),
            "spend_per_second": rates.map(|rates| rates.spend),
            "spend_keys": keys.iter().flatten().map(show_key).collect::<Vec<_>>(),
        });
        Some(Bytes::from(format!("{opening}event: figures\ndata: {told}\n\n")))
    }

    /// The asked keys, in their order; `None` for one that is not the caller's.
    async fn key_states(&self) -> Result<Vec<Option<KeySnapshot>>, ApiError> {
        let mut snapshots = self.state.spend.read(&self.keys).await?;
        for place in &mut snapshots {
            place.take_if(|key| {
                key.settings.merchant_id != self.of.merchant_id
                    || self.of.wallet_id.is_some_and(|wallet| key.settings.wallet_id != wallet)
            });
        }
        Ok(snapshots)
    }
}

fn show_key(key: &KeySnapshot) -> Value {
    let mut shown = json!({ "spend_key_id": key.settings.id, "status": key.settings.status });
    for (name, value) in show_figures(&key.settings, &key.state) {
        shown[name] = value;
    }
    shown
}

/// What ended between two events, for a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rates {
    /// Rounded half up.
    requests: u64,
    spend: Money,
}

impl Rates {
    fn between((before, then): (Figures, Instant), (figures, now): (Figures, Instant)) -> Self {
        let elapsed_ms = now.duration_since(then).as_millis().max(1);
        // Counts that began anew are smaller than before.
        let is_anew = figures.ended_count < before.ended_count;
        let (count, cost) = if is_anew {
            (figures.ended_count, figures.ended_cost)
        } else {
            (
                figures.ended_count - before.ended_count,
                figures.ended_cost.saturating_sub(before.ended_cost),
            )
        };
        let nanos = i128::from(cost.nanos()) * 1000 / i128::try_from(elapsed_ms).unwrap_or(i128::MAX);
        Self {
            requests: u64::try_from((u128::from(count) * 1000 + elapsed_ms / 2) / elapsed_ms).unwrap_or(u64::MAX),
            spend: Money::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_a_second_and_survive_counts_that_begin_anew() {
        let then = Instant::now();
        let figures = |count, nanos| Figures {
            ended_count: count,
            ended_cost: Money::from_nanos(nanos),
            ..Figures::default()
        };
        let rates = |before, after, ms| {
            let rates = Rates::between((before, then), (after, then + Duration::from_millis(ms)));
            (rates.requests, rates.spend.nanos())
        };
        assert_eq!(rates(figures(5, 100), figures(8, 400), 1000), (3, 300));
        assert_eq!(rates(figures(5, 100), figures(8, 400), 2000), (2, 150));
        assert_eq!(rates(figures(5, 100), figures(2, 40), 1000), (2, 40));
        assert_eq!(rates(figures(0, 0), figures(0, 0), 0), (0, 0));
    }
}
