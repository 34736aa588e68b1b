//! What is done where the middleware of the audit log knows of nobody: there is no credential yet, or it is the
//! operator's. It is stored after it is done and before it is answered, because only then it is known whose it is;
//! where it cannot be stored nothing is handed out, so it fails closed.

use std::net::IpAddr;

use crate::domain::ids::MerchantId;
use crate::http::error::ApiError;
use crate::storage::audit::{self as rows, AuditOutcome, NewAuditEvent};

use super::{Actor, State, new_id};

/// See the module.
#[derive(Clone, Debug)]
pub struct Deed {
    pub merchant_id: MerchantId,
    pub actor: Actor,
    /// Noun and verb, as `secret_keys.create`.
    pub action: &'static str,
    /// What was made or changed.
    pub target: Option<String>,
    pub address: Option<IpAddr>,
}

/// Stores what was done.
pub async fn note(state: &State, deed: Deed) -> Result<(), ApiError> {
    let event = NewAuditEvent {
        id: new_id(state, deed.merchant_id)?,
        merchant_id: deed.merchant_id,
        actor_kind: deed.actor.kind,
        actor: deed.actor.name,
        action: deed.action.to_owned(),
        target: deed.target,
        address: deed.address.map(|address| address.to_string()),
    };
    let outcome = AuditOutcome {
        status: 200,
        target: None,
        asked: None,
    };
    let work = state.database.run(move |connection| {
        rows::begin(connection, &event)?;
        rows::finish(connection, event.id, &outcome)
    });
    Ok(work.await?)
}

/// Stores what the operator has done to a merchant beyond what a key of his could do.
pub async fn note_operator(
    state: &State,
    merchant_id: MerchantId,
    action: &'static str,
    target: String,
) -> Result<(), ApiError> {
    let deed = Deed {
        merchant_id,
        actor: Actor::operator(),
        action,
        target: Some(target),
        address: None,
    };
    note(state, deed).await
}
