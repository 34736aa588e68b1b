//! Secrets that a page shows once: kept in memory between the form that made one and the page that it leads to, so that
//! reloading that page, or coming back to it, neither shows the secret again nor makes another. Nothing of it is
//! stored; a process that ends before the page is opened loses the secret, which is then rotated.

use std::sync::Mutex;

use crate::domain::credential::KeyHash;
use crate::domain::secret::Secret;

/// How long a secret waits for its page.
const PATIENCE_MS: i64 = 300_000;
/// How many wait at once; the oldest give way.
const PLACES: usize = 1000;

/// See the module.
#[derive(Default)]
pub struct Reveals(Mutex<Vec<Reveal>>);

struct Reveal {
    session: KeyHash,
    /// What it is the secret of, as the id of a key.
    subject: String,
    secret: Secret<String>,
    since_ms: i64,
}

impl Reveals {
    /// Keeps a secret for the page of this session.
    pub fn keep(&self, session: KeyHash, subject: &str, secret: Secret<String>, now_ms: i64) {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.retain(|reveal| now_ms.saturating_sub(reveal.since_ms) < PATIENCE_MS);
        kept.retain(|reveal| reveal.session != session || reveal.subject != subject);
        if kept.len() >= PLACES {
            kept.remove(0);
        }
        kept.push(Reveal {
            session,
            subject: subject.to_owned(),
            secret,
            since_ms: now_ms,
        });
    }

    /// Takes the secret, which nobody can take again.
    pub fn take(&self, session: KeyHash, subject: &str, now_ms: i64) -> Option<Secret<String>> {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.retain(|reveal| now_ms.saturating_sub(reveal.since_ms) < PATIENCE_MS);
        let place = kept
            .iter()
            .position(|reveal| reveal.session == session && reveal.subject == subject)?;
        Some(kept.remove(place).secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_once_by_its_own_session_and_in_time() {
        let (reveals, own, other) = (Reveals::default(), [1; 32], [2; 32]);
        let secret = || Secret::new("s".to_owned());
        reveals.keep(own, "spk_1", secret(), 0);
        assert!(reveals.take(other, "spk_1", 1).is_none());
        assert!(reveals.take(own, "spk_2", 1).is_none());
        assert!(reveals.take(own, "spk_1", 1).is_some());
        assert!(reveals.take(own, "spk_1", 1).is_none());
        reveals.keep(own, "spk_1", secret(), 0);
        assert!(reveals.take(own, "spk_1", PATIENCE_MS).is_none());
        for number in 0..PLACES + 1 {
            reveals.keep(own, &number.to_string(), secret(), 0);
        }
        assert!(reveals.take(own, "0", 1).is_none());
        assert!(reveals.take(own, "1", 1).is_some());
    }
}
