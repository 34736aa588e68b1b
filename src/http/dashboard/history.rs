//! What was changed of a thing, and by whom, as the audit log has it: the foot of every page of one thing.

use actix_web::web;
use serde_json::Value;

use crate::domain::ids::MerchantId;
use crate::http::audit;
use crate::http::error::ApiError;
use crate::http::state::AppState;

use super::ask;
use super::shown::Moment;

/// One line of it.
pub struct Change {
    /// As `update`, or as `subscriptions.cancel` where it is of another noun than the page.
    pub what: String,
    pub actor: String,
    pub moment: Option<Moment>,
    pub status: String,
}

/// The latest changes of these things, newest first; a noun's name is left out where it is the page's own.
pub async fn of(
    state: &web::Data<AppState>,
    merchant_id: MerchantId,
    noun: &str,
    targets: &[&str],
) -> Result<Vec<Change>, ApiError> {
    let mut events = Vec::new();
    for target in targets.iter().filter(|target| !target.is_empty()) {
        events.extend(audit::of_target(state, merchant_id, (*target).to_owned()).await?);
    }
    // Ids begin with their time.
    events.sort_by_key(|event| std::cmp::Reverse(ask::text(event, "audit_event_id")));
    let now_ms = state.now().wall_ms;
    Ok(events.iter().map(|event| Change::read(event, noun, now_ms)).collect())
}

impl Change {
    fn read(event: &Value, noun: &str, now_ms: i64) -> Self {
        let action = ask::text(event, "action");
        let own = action.strip_prefix(noun).and_then(|verb| verb.strip_prefix('.'));
        Self {
            what: own.unwrap_or(&action).replace('_', " "),
            actor: ask::text(event, "actor"),
            moment: Moment::read(&ask::text(event, "created_at"), now_ms),
            status: event.get("status").map(ToString::to_string).unwrap_or_default(),
        }
    }
}
