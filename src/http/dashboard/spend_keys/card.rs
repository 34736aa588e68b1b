//! A spend key as its card shows it, read from the API's answer: what of its limit is spent, held by calls in flight,
//! and left.

use serde_json::Value;

use crate::domain::money::Money;
use crate::http::dashboard::ask;
use crate::http::dashboard::shown::{Amount, Moment, grouped, thousandths};

/// See the module.
pub struct Card {
    pub id: String,
    pub name: String,
    pub preview: String,
    pub state: State,
    pub shape: &'static str,
    pub spent: Amount,
    pub held: Amount,
    pub total: Amount,
    /// `None`: no limit is set.
    pub limit: Option<Limit>,
    pub requests: String,
    pub request_limit: Option<String>,
    pub rate_limit: Option<String>,
    pub models: Vec<String>,
    pub providers: Vec<String>,
    pub tags: Vec<String>,
    pub enforcement: String,
    pub max_parallel: Option<String>,
    pub addresses: Vec<String>,
    pub timezone: String,
    pub expires: Option<Moment>,
    pub last_used: Option<Moment>,
    pub created: Option<Moment>,
}

/// The bar.
pub struct Limit {
    pub amount: Amount,
    /// As `a day`.
    pub cycle: &'static str,
    pub left: Amount,
    /// Widths in thousandths of the bar.
    pub spent_width: u32,
    pub held_width: u32,
    pub resets: Option<Moment>,
}

/// What is to be said of a key at first glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    /// Nine tenths of what a limit allows are spent, held or called.
    Nearly,
    /// Of dollars or of requests.
    AtLimit,
    Paused,
    Expired,
}

impl State {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Nearly => "Near its limit",
            Self::AtLimit => "At its limit",
            Self::Paused => "Paused",
            Self::Expired => "Expired",
        }
    }

    /// The class of its mark: colour only where it means a state.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Active => "good",
            Self::Nearly => "warn",
            Self::AtLimit | Self::Expired => "bad",
            Self::Paused => "off",
        }
    }
}

impl Card {
    /// From the API's answer.
    pub fn read(key: &Value, now_ms: i64) -> Self {
        let money = |name: &str| ask::money(key, name);
        let moment = |name: &str| Moment::read(&ask::text(key, name), now_ms);
        let (spent, held) = (money("current_spend"), money("reserved_spend"));
        let limit = key.get("spend_limit").filter(|limit| limit.is_object());
        let cap = limit.and_then(|limit| ask::text(limit, "amount").parse::<Money>().ok());
        Self {
            id: ask::text(key, "spend_key_id"),
            name: ask::text(key, "name"),
            preview: ask::text(key, "key_preview"),
            state: state(key, used(key, cap, spent.saturating_add(held)), now_ms),
            shape: match key.get("request_shape").and_then(Value::as_str) {
                Some("anthropic") => "Anthropic",
                _ => "OpenAI",
            },
            spent: Amount::of(spent),
            held: Amount::of(held),
            total: Amount::of(money("total_spend")),
            limit: cap.map(|cap| Limit {
                amount: Amount::of(cap),
                cycle: cycle(limit),
                left: Amount::of(money("available")),
                spent_width: thousandths(spent, cap),
                held_width: thousandths(held, cap).min(1000 - thousandths(spent, cap)),
                resets: moment("resets_at"),
            }),
            requests: grouped(ask::count(key, "current_requests")),
            request_limit: key
                .get("request_limit")
                .filter(|limit| limit.is_object())
                .map(|limit| format!("{} {}", grouped(ask::count(limit, "count")), cycle(Some(limit)))),
            rate_limit: key
                .get("rate_limit")
                .filter(|limit| limit.is_object())
                .map(|limit| format!("{} a minute", grouped(ask::count(limit, "rpm")))),
            models: ask::texts(key, "allowed_models"),
            providers: ask::texts(key, "allowed_providers"),
            tags: ask::texts(key, "tags"),
            enforcement: ask::text(key, "enforcement"),
            max_parallel: key.get("max_parallel").and_then(Value::as_u64).map(grouped),
            addresses: ask::texts(key, "allowed_ips"),
            timezone: ask::text(key, "timezone"),
            expires: moment("expires_at"),
            last_used: moment("last_used_at"),
            created: moment("created_at"),
        }
    }

    /// Where the held part of the bar begins.
    pub fn held_from(&self) -> u32 {
        self.limit.as_ref().map_or(0, |limit| limit.spent_width)
    }

    pub fn is_paused(&self) -> bool {
        self.state == State::Paused
    }
}

/// How much of its dollars or of its requests is used, in thousandths; the fuller of the two.
fn used(key: &Value, cap: Option<Money>, amount: Money) -> u64 {
    let dollars = cap.map_or(0, |cap| u64::from(thousandths(amount, cap)));
    let most = key.get("request_limit").map_or(0, |limit| ask::count(limit, "count"));
    let requests = ask::count(key, "current_requests").saturating_mul(1000);
    dollars.max(requests.checked_div(most).unwrap_or(0))
}

fn state(key: &Value, used: u64, now_ms: i64) -> State {
    let is_over = chrono::DateTime::parse_from_rfc3339(&ask::text(key, "expires_at"))
        .is_ok_and(|end| end.timestamp_millis() <= now_ms);
    if ask::text(key, "status") == "paused" {
        return State::Paused;
    }
    if is_over {
        return State::Expired;
    }
    match used {
        1000.. => State::AtLimit,
        900..1000 => State::Nearly,
        0..900 => State::Active,
    }
}

fn cycle(limit: Option<&Value>) -> &'static str {
    match limit.and_then(|limit| limit.get("cycle")).and_then(Value::as_str) {
        Some("daily") => "a day",
        Some("weekly") => "a week",
        Some("monthly") => "a month",
        _ => "in total",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn card(fields: Value) -> Card {
        let mut key = json!({
            "spend_key_id": "spk_1", "name": "n", "status": "active", "current_spend": "0.00", "reserved_spend": "0.00",
            "available": "5.00", "spend_limit": {"amount": "5.00", "cycle": "daily"},
        });
        key.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Card::read(&key, 0)
    }

    fn called(count: u64) -> Value {
        json!({ "current_requests": count, "request_limit": { "count": 10, "cycle": "daily" } })
    }

    #[test]
    fn a_card_says_at_first_glance_where_its_key_stands() {
        let table = [
            (json!({}), State::Active),
            (json!({"current_spend": "4.49"}), State::Active),
            (
                json!({"current_spend": "4.00", "reserved_spend": "0.50"}),
                State::Nearly,
            ),
            (json!({"current_spend": "5.00"}), State::AtLimit),
            (json!({"current_spend": "5.00", "status": "paused"}), State::Paused),
            (json!({"expires_at": "1969-12-31T00:00:00.000Z"}), State::Expired),
            (json!({"spend_limit": null, "current_spend": "900.00"}), State::Active),
            (called(8), State::Active),
            (called(9), State::Nearly),
            (called(10), State::AtLimit),
        ];
        for (fields, expected) in table {
            assert_eq!(card(fields.clone()).state, expected, "{fields}");
        }
    }

    #[test]
    fn spent_and_held_never_pass_the_end_of_the_bar() {
        let card = card(json!({"current_spend": "4.90", "reserved_spend": "3.00"}));
        let limit = card.limit.as_ref().unwrap();
        assert_eq!((limit.spent_width, limit.held_width, card.held_from()), (980, 20, 980));
    }
}
