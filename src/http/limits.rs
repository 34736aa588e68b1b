//! The limits of the management API: requests a minute for one key, and failed credentials a minute for one address.
//! Both are kept in memory by this process alone; a restart forgets them. Forwarding has no limit here: a spend key's
//! own rate limit stands in its settings.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use actix_web::HttpMessage as _;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::error::{ApiError, ErrorCode};
use super::state::AppState;

/// Above this many keys or addresses those that are back at their full quota are forgotten.
const REMEMBERED: usize = 20_000;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// What a key has left in this minute; shown on every management answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    limit: u32,
    remaining: u32,
    /// Unix seconds at which the whole quota is there again.
    resets_at_s: i64,
}

/// Requests a minute of each secret or wallet key.
pub struct ManagementLimit {
    limiter: Keyed<u128>,
    per_minute: NonZeroU32,
}

impl ManagementLimit {
    pub fn new(per_minute: u32) -> Self {
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            limiter: keyed(per_minute),
            per_minute,
        }
    }

    /// Counts a request of the key with these bits; the refusal is a 429, and the standing is for the headers.
    pub fn count(&self, key_bits: u128, now_s: i64) -> (Standing, Result<(), ApiError>) {
        forget_idle(&self.limiter);
        let limit = self.per_minute.get();
        match self.limiter.check_key(&key_bits) {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity().min(limit);
                (self.standing(remaining, now_s), Ok(()))
            }
            Err(refusal) => {
                let wait = refusal.wait_time_from(DefaultClock::default().now());
                let refusal = too_many(limit, wait.as_secs().saturating_add(1));
                (self.standing(0, now_s), Err(refusal))
            }
        }
    }

    fn standing(&self, remaining: u32, now_s: i64) -> Standing {
        let limit = self.per_minute.get();
        let refill_s = (u64::from(limit - remaining) * 60).div_ceil(u64::from(limit));
        Standing {
            limit,
            remaining,
            resets_at_s: now_s.saturating_add_unsigned(refill_s),
        }
    }
}

/// Failed credentials a minute of each client address. A credential that is right always passes, so that one bad
/// client behind a shared address does not shut out the others.
pub struct FailureLimit {
    limiter: Keyed<IpAddr>,
    per_minute: NonZeroU32,
}

impl FailureLimit {
    pub fn new(per_minute: u32) -> Self {
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            limiter: keyed(per_minute),
            per_minute,
        }
    }

    /// Counts a failed credential: `Err` with a 429 where there were too many.
    pub fn count(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        let Some(address) = address else { return Ok(()) };
        forget_idle(&self.limiter);
        self.limiter
            .check_key(&network_of(address))
            .map(drop)
            .map_err(|refusal| {
                let wait = refusal.wait_time_from(DefaultClock::default().now());
                too_many(self.per_minute.get(), wait.as_secs().saturating_add(1))
                    .say("Too many failed credentials from this address.")
                    .field("scope", "address")
            })
    }
}

/// Middleware: lays the standing of the key, where there is one, on the answer.
pub async fn announce<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    if let Some(state) = request.app_data::<actix_web::web::Data<AppState>>() {
        state.phase.require_ready()?;
    }
    let mut response = next.call(request).await?;
    let standing = response.request().extensions().get::<Standing>().copied();
    if let Some(standing) = standing {
        standing.write(response.headers_mut());
    }
    Ok(response)
}

impl Standing {
    /// Lays the figures on an answer.
    pub fn write(self, headers: &mut HeaderMap) {
        let figures = [
            ("x-ratelimit-limit", HeaderValue::from(self.limit)),
            ("x-ratelimit-remaining", HeaderValue::from(self.remaining)),
            ("x-ratelimit-reset", HeaderValue::from(self.resets_at_s)),
        ];
        for (name, value) in figures {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn keyed<K: Hash + Eq + Clone>(per_minute: NonZeroU32) -> Keyed<K> {
    RateLimiter::keyed(Quota::per_minute(per_minute)).with_middleware::<StateInformationMiddleware>()
}

fn forget_idle<K: Hash + Eq + Clone>(limiter: &Keyed<K>) {
    if limiter.len() > REMEMBERED {
        limiter.retain_recent();
        limiter.shrink_to_fit();
    }
}

fn too_many(limit: u32, wait_s: u64) -> ApiError {
    ApiError::new(ErrorCode::RateLimited)
        .say(format!("Too many requests: at most {limit} a minute."))
        .field("limit", limit)
        .retry_after(wait_s)
}

/// One client of IPv6 has at least the 64 lower bits to himself.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_quota_and_is_told_what_is_left_of_it() {
        let limit = ManagementLimit::new(3);
        for remaining in [2, 1, 0] {
            let (standing, verdict) = limit.count(1, 1000);
            assert!(verdict.is_ok());
            assert_eq!((standing.limit, standing.remaining), (3, remaining));
            assert_eq!(standing.resets_at_s, 1000 + i64::from(3 - remaining) * 20);
        }
        let (standing, verdict) = limit.count(1, 1000);
        let refusal = verdict.unwrap_err();
        assert_eq!((refusal.code(), standing.remaining), (ErrorCode::RateLimited, 0));
        assert_eq!(refusal.headers()[0].0, "retry-after");
        assert!(limit.count(2, 1000).1.is_ok());
    }

    #[test]
    fn failures_count_by_address_and_by_network_of_ipv6() {
        let limit = FailureLimit::new(1);
        let addresses = ["10.0.0.1", "2001:db8::1", "2001:db8:0:1::1"];
        for text in addresses {
            assert!(limit.count(text.parse().ok()).is_ok(), "{text}");
        }
        for text in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::2"] {
            assert!(limit.count(text.parse().ok()).is_err(), "{text}");
        }
    }
}
