//! The operator's credentials at one provider, and whose turn it is. Calls go round them by weight; one that the
//! provider turned away cools down while the others serve. All workers share the state; its lock is held for a few
//! instructions, and not touched at all where there is one credential. It fails open: where all of them cool down, the
//! one that is soonest free is used, because the provider may refuse a call for this but we must not.

mod rotation;
mod weighted;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::RETRY_AFTER;
use chrono::DateTime;

use super::style::Credential;
use super::{CredentialStyle, Provider};
use crate::domain::spend::Now;
use crate::gateway::upstream::{RawAnswer, UpstreamFailure};

use rotation::Rotation;
pub(super) use weighted::{ListError, WeightedKey, read_list};

/// After a 5xx, after no answer at all, and after a 429 that does not say how long.
const PAUSE: Duration = Duration::from_secs(5);
/// After a 401 or 403, and the longest that a 429 may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a provider takes from the operator; empty where he has nothing for it.
#[derive(Default)]
pub(super) struct Credentials {
    /// The same keys in each style that the provider takes, the row's own first.
    styles: Vec<(CredentialStyle, Vec<Credential>)>,
    rotation: Mutex<Rotation>,
}

impl Credentials {
    /// Each key in the provider's styles, or the place of the one that no header takes.
    pub(super) fn new(styles: &[CredentialStyle], keys: &[WeightedKey]) -> Result<Self, usize> {
        let in_style = |style: &CredentialStyle| -> Result<(CredentialStyle, Vec<Credential>), usize> {
            let sent = |(place, weighted): (usize, &WeightedKey)| style.credential(&weighted.key).map_err(|_| place);
            let mut credentials: Vec<Credential> = keys.iter().enumerate().map(sent).collect::<Result<_, _>>()?;
            if credentials.is_empty() && *style == CredentialStyle::None {
                credentials.push(Credential::Nothing);
            }
            Ok((*style, credentials))
        };
        let weights = keys.iter().map(|weighted| weighted.weight);
        Ok(Self {
            styles: styles.iter().map(in_style).collect::<Result<_, _>>()?,
            rotation: Mutex::new(Rotation::new(weights)),
        })
    }

    fn len(&self) -> usize {
        self.styles.first().map_or(0, |(_, credentials)| credentials.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.styles
            .first()
            .is_none_or(|(_, credentials)| credentials.is_empty())
    }

    #[cfg(test)]
    pub(super) fn first(&self) -> Option<&Credential> {
        self.styles.first()?.1.first()
    }

    fn in_style(&self, style: CredentialStyle) -> Option<&[Credential]> {
        let known = self.styles.iter().find(|(known, _)| *known == style);
        known
            .or(self.styles.first())
            .map(|(_, credentials)| credentials.as_slice())
    }

    /// The credential whose turn it is, with its place where there are several.
    fn next(&self, style: CredentialStyle, now: impl FnOnce() -> Now) -> (Option<&Credential>, Option<usize>) {
        let Some(credentials) = self.in_style(style) else {
            return (None, None);
        };
        if credentials.len() < 2 {
            return (credentials.first(), None);
        }
        let place = self.rotation().choose(now().monotonic_us);
        (credentials.get(place), Some(place))
    }

    /// The choice of a credential leaves nothing half done, so a panic elsewhere spoils nothing.
    fn rotation(&self) -> std::sync::MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of several credentials a call carries.
pub struct Lease {
    provider: Arc<Provider>,
    place: usize,
}

/// How the operator's credentials at a provider fare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CredentialCounts {
    pub all: usize,
    pub cooling: usize,
}

impl Provider {
    pub fn credential_counts(&self, now: Now) -> CredentialCounts {
        CredentialCounts {
            all: self.credentials.len(),
            cooling: self.credentials.rotation().cooling(now.monotonic_us),
        }
    }

    /// The operator's credential for one call, where he has one, and the lease on it, where he has several; that wants
    /// to hear how the provider answered. `now` is asked only where there are several.
    pub fn lend(
        self: &Arc<Self>,
        style: CredentialStyle,
        now: impl FnOnce() -> Now,
    ) -> (Option<Credential>, Option<Lease>) {
        let (credential, place) = self.credentials.next(style, now);
        let lease = place.map(|place| Lease {
            provider: self.clone(),
            place,
        });
        (credential.cloned(), lease)
    }
}

impl Provider {
    /// Another of the operator's credentials, neither one of these leases nor cooling down.
    pub fn lend_other(
        self: &Arc<Self>,
        style: CredentialStyle,
        used: &[Lease],
        now: Now,
    ) -> Option<(Credential, Lease)> {
        let places: Vec<usize> = used.iter().map(|lease| lease.place).collect();
        let place = self.credentials.rotation().choose_other(now.monotonic_us, &places)?;
        let lease = Lease {
            provider: self.clone(),
            place,
        };
        Some((self.credentials.in_style(style)?.get(place)?.clone(), lease))
    }
}

impl Lease {
    /// Learns from what the provider answered, as soon as the head of the answer is there.
    pub fn heard(&self, sent: &Result<RawAnswer, UpstreamFailure>, now: Now) {
        let reply = match sent {
            Err(UpstreamFailure::Unreachable | UpstreamFailure::Broken | UpstreamFailure::TimedOut) => Reply::None,
            Ok(answer) => Reply::Status {
                status: answer.status().as_u16(),
                retry_after: answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()),
            },
        };
        self.take(reply, now);
    }

    /// Learns that the provider does not take the credential, where only the body of its answer says so.
    pub fn turned_away(&self, now: Now) {
        let reply = Reply::Status {
            status: 401,
            retry_after: None,
        };
        self.take(reply, now);
    }

    fn take(&self, reply: Reply<'_>, now: Now) {
        let Some(pause) = reply.pause(now) else { return };
        let pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        let until_us = now.monotonic_us.saturating_add(pause_us);
        let was_free = self
            .provider
            .credentials
            .rotation()
            .cool(self.place, now.monotonic_us, until_us);
        if was_free {
            tracing::warn!(
                provider.name = %self.provider.name,
                credential.index = self.place,
                duration_ms = pause.as_millis(),
                "a credential of a provider cools down; the others are used meanwhile"
            );
        }
    }
}

/// How a provider answered, as far as it concerns the credential.
#[derive(Clone, Copy, Debug)]
enum Reply<'a> {
    /// There was no answer.
    None,
    Status {
        status: u16,
        retry_after: Option<&'a str>,
    },
}

impl Reply<'_> {
    /// For how long the credential is left alone; `None` where it did its work.
    fn pause(self, now: Now) -> Option<Duration> {
        let pause = match self {
            Self::Status {
                status: 429,
                retry_after,
            } => retry_after.and_then(|text| asked_pause(text, now)).unwrap_or(PAUSE),
            Self::Status { status: 401 | 403, .. } => LONGEST_PAUSE,
            Self::None | Self::Status { status: 500..=599, .. } => PAUSE,
            Self::Status { .. } => return None,
        };
        Some(pause.min(LONGEST_PAUSE)).filter(|pause| !pause.is_zero())
    }
}

/// What `Retry-After` asks for: seconds, or an instant (RFC 9110, section 10.2.3).
fn asked_pause(text: &str, now: Now) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until_ms = DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
    Some(Duration::from_millis(
        u64::try_from(until_ms.saturating_sub(now.wall_ms)).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests;
