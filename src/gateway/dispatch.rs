//! The sending of one call to its provider. A call is sent again only where it cannot have been served: no connection came
//! about, or the provider turned this credential away and another is free. Everything else that went wrong is the
//! answer, because the same call again might be bought twice.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Worker;
use super::provider::{Credential, CredentialStyle, Lease, Provider, Sending};
use super::upstream::{Outgoing, RawAnswer, Upstream, UpstreamFailure};

/// How often a call is sent again whose connection did not come about, and until when such a try may begin.
const RETRIES: u32 = 2;
const RETRY_WITHIN: Duration = Duration::from_secs(1);
/// Before a second try with the same credential; four times that before the third.
const PAUSE: Duration = Duration::from_millis(50);

/// Whose credential a call carries.
pub enum Payer {
    /// The caller's or the merchant's.
    Own(Credential),
    /// The operator, who may have several.
    Operator {
        provider: Arc<Provider>,
        style: CredentialStyle,
    },
}

/// What is sent, and with whose credential.
pub struct Dispatch {
    /// Without a credential.
    pub outgoing: Outgoing,
    pub payer: Payer,
    /// On the credential that the last try carried, where the operator has several.
    lease: Option<Lease>,
}

impl Dispatch {
    pub fn new(outgoing: Outgoing, payer: Payer) -> Self {
        Self {
            outgoing,
            payer,
            lease: None,
        }
    }

    /// Sends the call and waits for the head of the answer.
    pub async fn send(&mut self, worker: &Worker) -> Result<RawAnswer, UpstreamFailure> {
        let began = Instant::now();
        let (mut credential, mut lease) = match &self.payer {
            Payer::Own(credential) => (Some(credential.clone()), None),
            Payer::Operator { provider, style } => provider.lend(*style, || worker.clock().now()),
        };
        let (mut tries, mut used) = (0, Vec::new());
        loop {
            let sent = self.send_with(worker, credential.clone()).await;
            if let Some(lease) = &lease {
                lease.heard(&sent, worker.clock().now());
            }
            let again = Again::after(&sent, tries, began.elapsed());
            if again == Again::Never {
                self.lease = lease;
                return sent;
            }
            used.extend(lease.take());
            match (self.another(worker, &used), again) {
                (Some((other, its_lease)), _) => (credential, lease) = (Some(other), Some(its_lease)),
                (None, Again::After(pause)) => sleep(pause).await,
                (None, Again::WithAnother | Again::Never) => return sent,
            }
            tries += 1;
            worker.metrics().retries.add(1);
        }
    }

    /// The provider's answer says, behind its head, that it does not take this credential.
    pub fn turned_away(&self, worker: &Worker) {
        if let Some(lease) = &self.lease {
            lease.turned_away(worker.clock().now());
        }
    }

    async fn send_with(&self, worker: &Worker, credential: Option<Credential>) -> Result<RawAnswer, UpstreamFailure> {
        let outgoing = &self.outgoing;
        let mut request = worker.upstream().request(outgoing);
        if let Some(credential) = credential {
            let mut url = outgoing.url.clone();
            let mut sending = Sending {
                method: &outgoing.method,
                headers: request.headers_mut(),
                url: &mut url,
                body: &outgoing.body,
                wall_ms: worker.clock().wall_ms(),
            };
            if let Err(error) = credential.apply(&mut sending) {
                tracing::error!(error = %error, "a call could not be signed");
                return Err(UpstreamFailure::Unreachable);
            }
            if url != outgoing.url {
                request = request.uri(url);
            }
        }
        Upstream::send(request, outgoing).await
    }

    /// Another credential of the operator's, where one is free that this call has not carried.
    fn another(&self, worker: &Worker, used: &[Lease]) -> Option<(Credential, Lease)> {
        match &self.payer {
            Payer::Operator { provider, style } if !used.is_empty() => {
                provider.lend_other(*style, used, worker.clock().now())
            }
            Payer::Operator { .. } | Payer::Own(_) => None,
        }
    }
}

/// Whether a call is sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Never,
    /// With another credential, or not at all.
    WithAnother,
    /// With another credential at once, or with the same one after this.
    After(Duration),
}

impl Again {
    fn after(sent: &Result<RawAnswer, UpstreamFailure>, tries: u32, elapsed: Duration) -> Self {
        match sent {
            Ok(answer) => Self::after_status(answer.status().as_u16()),
            Err(failure) => Self::after_failure(*failure, tries, elapsed),
        }
    }

    /// Each credential is tried once at most, which bounds this.
    fn after_status(status: u16) -> Self {
        if status == 429 { Self::WithAnother } else { Self::Never }
    }

    fn after_failure(failure: UpstreamFailure, tries: u32, elapsed: Duration) -> Self {
        match failure {
            UpstreamFailure::Broken | UpstreamFailure::TimedOut => Self::Never,
            UpstreamFailure::Unreachable => {
                let pause = PAUSE * 4_u32.saturating_pow(tries);
                let in_time = elapsed + pause < RETRY_WITHIN;
                if tries < RETRIES && in_time {
                    Self::After(pause)
                } else {
                    Self::Never
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_have_been_served_is_sent_again() {
        let (early, late) = (Duration::from_millis(3), Duration::from_millis(990));
        let after = |pause_ms| Again::After(Duration::from_millis(pause_ms));
        let table = [
            (UpstreamFailure::Unreachable, 0, early, after(50)),
            (UpstreamFailure::Unreachable, 1, early, after(200)),
            (UpstreamFailure::Unreachable, 2, early, Again::Never),
            (UpstreamFailure::Unreachable, 0, late, Again::Never),
            (UpstreamFailure::Broken, 0, early, Again::Never),
            (UpstreamFailure::TimedOut, 0, early, Again::Never),
        ];
        for (failure, tries, elapsed, wanted) in table {
            assert_eq!(
                Again::after_failure(failure, tries, elapsed),
                wanted,
                "{failure:?} {tries}"
            );
        }
        for status in [200, 400, 401, 403, 404, 408, 409, 500, 502, 503, 504, 529] {
            assert_eq!(Again::after_status(status), Again::Never, "{status}");
        }
        assert_eq!(Again::after_status(429), Again::WithAnother);
    }
}
