//! Signing a session in by the browser, for agents that came without a credential: the tool `login` gives an address and
//! a code, the user compares the code and authorises on a page of the dashboard, and the session gets a secret key of
//! its own, which never leaves this process and ends with the session, or at the next start where a crash came between.
//! The code names the session to the page and is worth nothing by itself; whoever authorises is told who asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use actix_web::web::Data;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::domain::ids::SecretKeyId;
use crate::domain::secret::Secret;
use crate::engine::keyring::{Merchant, SecretKey};
use crate::engine::random;
use crate::http::audit::{self, Actor, Deed};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::secret_keys;
use crate::http::state::AppState;
use crate::http::time::iso_millis;
use crate::http::turns::to_the_end;

use super::run::{Outcome, Run};
use super::session::{KeySlot, Session};
use super::visitor::{Manager, Standing};

/// How long a name is that a client may have.
const NAME_LIMIT: usize = 60;
const LIFETIME_MS: i64 = 600_000;
/// How long one call of the tool waits for the user: shorter than clients wait for a tool.
const PATIENCE: Duration = Duration::from_secs(20);
/// Letters that are not taken for one another and spell nothing.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// A session that waits for its user.
pub struct Pending {
    /// `BCDF-GHJK`.
    pub code: String,
    /// What the client calls itself.
    pub client: String,
    pub address: Option<IpAddr>,
    session: Weak<Session>,
    expires_at_ms: i64,
    answer: watch::Sender<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Awaited,
    Authorized,
    Refused,
}

/// What a session waits with.
enum Code {
    New(Arc<Pending>),
    Known(Arc<Pending>),
}

/// Those that wait, by code.
#[derive(Default)]
pub struct PendingLogins(Mutex<HashMap<String, Arc<Pending>>>);

impl PendingLogins {
    pub fn find(&self, code: &str, now_ms: i64) -> Option<Arc<Pending>> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(code).filter(|pending| pending.is_open(now_ms)).cloned()
    }

    /// The code of a session, which has one at a time: the one that waits, or the one that begins here.
    fn of_session(
        &self,
        session: &Arc<Session>,
        now_ms: i64,
        begin: impl FnOnce() -> Result<Pending, ApiError>,
    ) -> Result<Code, ApiError> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, pending| pending.is_open(now_ms));
        let is_its = |pending: &&Arc<Pending>| std::ptr::eq(pending.session.as_ptr(), Arc::as_ptr(session));
        if let Some(known) = waiting.values().find(is_its) {
            return Ok(Code::Known(known.clone()));
        }
        let pending = Arc::new(begin()?);
        waiting.insert(pending.code.clone(), pending.clone());
        Ok(Code::New(pending))
    }

    /// Takes a code out for whoever answers it, once.
    fn take(&self, code: &str) -> Option<Arc<Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(code)
    }

    /// Puts a code back that could not be answered.
    fn put_back(&self, pending: Arc<Pending>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(pending.code.clone(), pending);
    }
}

impl Pending {
    fn is_open(&self, now_ms: i64) -> bool {
        now_ms < self.expires_at_ms && self.session.strong_count() > 0
    }
}

/// The tool: says who is signed in, or how to be.
pub async fn login(run: &Run<'_>) -> Result<Outcome, ApiError> {
    run.arguments.require_known(&[])?;
    let session = match run.standing() {
        Standing::Spender(_) | Standing::Manager(_) => return signed_in(run).await,
        Standing::Guest => run.visit.session.as_ref(),
    };
    let session = session.ok_or_else(|| {
        let message = "This version of the protocol has no sessions to sign in to: connect with the header \
            Authorization: Bearer and a secret key or a spend key.";
        ApiError::new(ErrorCode::NotSupported).say(message)
    })?;
    let (logins, now_ms) = (&run.reach.logins, run.reach.clock.now().wall_ms);
    let pending = match logins.of_session(session, now_ms, || begin(run, session, now_ms))? {
        Code::New(pending) => return Ok(waiting(run, &pending)),
        Code::Known(pending) => pending,
    };
    let mut answers = pending.answer.subscribe();
    let heard = tokio::time::timeout(PATIENCE, answers.wait_for(|answer| *answer != Answer::Awaited)).await;
    let answer = heard.ok().and_then(|heard| heard.ok().map(|answer| *answer));
    match answer {
        Some(Answer::Authorized) => signed_in(run).await,
        Some(Answer::Refused) => {
            let message = "The user did not authorise this session.";
            Err(ApiError::new(ErrorCode::InvalidApiKey).say(message))
        }
        Some(Answer::Awaited) | None => Ok(waiting(run, &pending)),
    }
}

/// Gives a waiting session a secret key of this merchant, as this actor wants it. It goes on to its end though the browser
/// leaves, so that no key is left without its session.
pub async fn authorize(
    state: &Data<AppState>,
    pending: &Pending,
    merchant: Arc<Merchant>,
    actor: Actor,
) -> Result<(), ApiError> {
    let session = pending.session.upgrade().ok_or_else(over)?;
    // Whoever presses twice authorises once.
    let pending = state.mcp.logins.take(&pending.code).ok_or_else(over)?;
    let state = state.clone();
    to_the_end(async move {
        let made = make_manager(&state, &pending, (merchant, actor)).await;
        let manager = made.inspect_err(|_| state.mcp.logins.put_back(pending.clone()))?;
        grant(&state, &session, manager).await?;
        // The tool may not be waiting at the moment; it finds the session signed in.
        pending.answer.send_replace(Answer::Authorized);
        Ok(())
    })
    .await
}

async fn make_manager(
    state: &Data<AppState>,
    pending: &Pending,
    (merchant, actor): (Arc<Merchant>, Actor),
) -> Result<Manager, ApiError> {
    let date = iso_millis(state.now().wall_ms);
    let name = format!(
        "MCP session of {}, {}",
        pending.client,
        date.get(..10).unwrap_or_default()
    );
    let made = secret_keys::mint_for_session(state, merchant.clone(), name).await?;
    let text = |name: &str| made[name].as_str().unwrap_or_default();
    let id = text("secret_key_id").parse::<SecretKeyId>();
    let id = id.map_err(|_| ApiError::internal("making a session's secret key", &"it has no id"))?;
    let merchant_id = merchant.id;
    let deed = Deed {
        merchant_id,
        actor,
        action: "secret_keys.create",
        target: Some(id.to_string()),
        address: pending.address,
    };
    audit::note(state, deed).await?;
    Ok(Manager {
        token: Secret::new(text("secret_key").to_owned()),
        key: Arc::new(SecretKey { id, merchant }),
    })
}

/// Signs the session in with this key, which ends where the session has ended or is signed in already.
async fn grant(state: &Data<AppState>, session: &Session, manager: Manager) -> Result<(), ApiError> {
    let (id, merchant_id) = (manager.key.id, manager.key.merchant.id);
    let slot = session.key.lock().await;
    if matches!(*slot, KeySlot::Over) || session.granted().is_some() {
        secret_keys::revoke(state, merchant_id, id).await?;
        return Err(over());
    }
    session.grant(manager);
    Ok(())
}

fn over() -> ApiError {
    ApiError::new(ErrorCode::NotFound).say("Nobody waits with this code any more.")
}

/// Tells a waiting session that its user does not want it.
pub fn refuse(state: &AppState, pending: &Pending) {
    if let Some(pending) = state.mcp.logins.take(&pending.code) {
        pending.answer.send_replace(Answer::Refused);
    }
}

/// A name that is shown to people: one line, not long.
pub fn clean_name(name: &str) -> String {
    let cleaned: String = name.chars().filter(|character| !character.is_control()).collect();
    cleaned.trim().chars().take(NAME_LIMIT).collect()
}

async fn signed_in(run: &Run<'_>) -> Result<Outcome, ApiError> {
    run.spend_key().await?;
    let merchant_id = match run.standing() {
        Standing::Manager(manager) => Value::from(manager.key.merchant.id.to_string()),
        Standing::Guest | Standing::Spender(_) => Value::Null,
    };
    let value = json!({ "status": "authorized", "merchant_id": merchant_id });
    let text = Some("Signed in. The session has a spend key, and every tool can be used.".to_owned());
    Ok(Outcome::Done { text, value })
}

fn begin(run: &Run<'_>, session: &Arc<Session>, now_ms: i64) -> Result<Pending, ApiError> {
    let bytes: [u8; 8] = random::bytes().map_err(|error| ApiError::internal("making a code", &error))?;
    // Not quite even, which matters to nobody: the code is no secret.
    let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
    let letters: String = bytes.iter().map(letter).collect();
    let (first, second) = letters.split_at(4);
    Ok(Pending {
        code: format!("{first}-{second}"),
        client: run.client.clone(),
        address: run.visit.visitor.address,
        session: Arc::downgrade(session),
        expires_at_ms: now_ms.saturating_add(LIFETIME_MS),
        answer: watch::Sender::new(Answer::Awaited),
    })
}

fn waiting(run: &Run<'_>, pending: &Pending) -> Outcome {
    let url = format!("{}/auth/connect?request={}", run.visit.visitor.base_url, pending.code);
    let text = format!(
        "Ask the user to open {url} in a browser, to check that the code there is {}, and to authorise. Then call \
         `login` again: it waits for the user for up to 20 seconds.",
        pending.code
    );
    let value = json!({ "status": "pending", "url": url, "code": pending.code });
    Outcome::Done {
        text: Some(text),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_name_is_one_line_and_not_long() {
        let long = "x".repeat(500);
        let table = [
            ("  Claude Code ", "Claude Code"),
            ("a\r\nb\0", "ab"),
            ("\n", ""),
            (&long, &long[..60]),
        ];
        for (name, cleaned) in table {
            assert_eq!(clean_name(name), cleaned);
        }
    }
}
