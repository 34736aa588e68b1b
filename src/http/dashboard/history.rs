//! What was changed of a thing, and by whom, as the audit log has it: the foot of every page of one thing, with the way to
//! all of it.

use crate::http::audit;
use crate::http::error::ApiError;

use super::ask;
use super::audit_events::{self, Event};
use super::visit::Visit;

/// What a page is of, as events name it.
pub struct Thing<'a> {
    /// The nouns of its actions: the page's own, then those of older paths.
    pub nouns: &'static [&'static str],
    /// Its ids, and those of what goes with it.
    pub ids: &'a [&'a str],
    /// What its paths may name it by instead: a slug, or the merchant's own id. Things of other nouns may be called the
    /// same. Empty where there is none.
    pub name: &'a str,
}

/// The latest changes, newest first.
pub struct History {
    pub changes: Vec<Change>,
    /// Where all of them are.
    pub path: String,
}

/// One line of it.
pub struct Change {
    /// As `update`, or as `subscriptions.cancel` where it is of another noun than the page.
    pub what: String,
    pub event: Event,
}

/// The latest changes of this thing.
pub async fn of(visit: &Visit, thing: Thing<'_>) -> Result<History, ApiError> {
    let merchant_id = visit.merchant_id();
    let mut events = Vec::new();
    for id in thing.ids.iter().filter(|id| !id.is_empty()) {
        events.extend(audit::of_target(&visit.state, merchant_id, (*id).to_owned(), None).await?);
    }
    for noun in thing.nouns.iter().filter(|_| !thing.name.is_empty()) {
        let (name, action) = (thing.name.to_owned(), format!("{noun}."));
        events.extend(audit::of_target(&visit.state, merchant_id, name, Some(action)).await?);
    }
    // Ids begin with their time.
    events.sort_by_key(|event| std::cmp::Reverse(ask::text(event, "audit_event_id")));
    let (now_ms, own) = (visit.now_ms(), thing.nouns.first().copied().unwrap_or(""));
    Ok(History {
        changes: events
            .iter()
            .map(|event| Change::of(Event::read(event, now_ms), own))
            .collect(),
        path: audit_events::path_of(thing.ids.first().copied().unwrap_or("")),
    })
}

impl Change {
    fn of(event: Event, noun: &str) -> Self {
        let own = event.action.strip_prefix(noun).and_then(|verb| verb.strip_prefix('.'));
        Self {
            what: own.unwrap_or(&event.action).replace('_', " "),
            event,
        }
    }
}
