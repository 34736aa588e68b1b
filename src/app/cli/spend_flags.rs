//! The limits of a spend key as flags, and the body that they come to. What is not given is left as it is; `none` takes
//! a limit away. The server checks the values, for it knows what is in range.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde_json::{Map, Value, json};

use super::failure::Failure;

const CYCLES: [&str; 4] = ["daily", "weekly", "monthly", "total"];

/// What bounds a spend key. `none` takes a limit away, where a key is edited.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Limits")]
pub struct SpendFlags {
    /// Dollars, as 5.00.
    #[arg(long, visible_alias = "budget", value_name = "DOLLARS")]
    pub spend_limit: Option<String>,
    /// When what is spent begins at nothing again.
    /// Else as it was, and total of a new limit.
    #[arg(long, value_parser = CYCLES, requires = "spend_limit")]
    pub cycle: Option<String>,
    /// Requests in a cycle of --request-cycle.
    #[arg(long, value_name = "COUNT")]
    pub request_limit: Option<String>,
    /// When the requests begin at nothing again.
    /// Else as it was, and daily of a new limit.
    #[arg(long, value_parser = CYCLES, requires = "request_limit")]
    pub request_cycle: Option<String>,
    /// Requests a minute.
    #[arg(long, value_name = "COUNT")]
    pub rpm: Option<String>,
    /// How many of them may come at once.
    #[arg(long, requires = "rpm", value_name = "COUNT")]
    pub burst: Option<u64>,
    /// Calls at once.
    #[arg(long, value_name = "COUNT")]
    pub max_parallel: Option<String>,
    /// A model that may be called, `*` for any run of characters; as often as there are models.
    #[arg(long = "model", value_name = "PATTERN")]
    pub models: Vec<String>,
    /// A provider that may be called; as often as there are providers.
    #[arg(long = "provider", value_name = "NAME")]
    pub providers: Vec<String>,
    /// An address or network that may call; as often as there are some.
    #[arg(long = "ip", value_name = "NETWORK")]
    pub ips: Vec<String>,
    /// When the key ends: in 30m, 12h or 7d, or at an instant such as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
    /// Which interface the key is for.
    #[arg(long, value_parser = ["openai", "anthropic"])]
    pub request_shape: Option<String>,
    /// How the spend limit is held.
    #[arg(long, value_parser = ["adaptive", "strict", "soft", "observe"])]
    pub enforcement: Option<String>,
    /// What becomes of a stream whose client has gone.
    #[arg(long, value_parser = ["drain", "cancel"])]
    pub on_disconnect: Option<String>,
    /// Whose midnight ends a cycle, as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// A word to find the key by; as often as there are words.
    #[arg(long = "tag", value_name = "WORD")]
    pub tags: Vec<String>,
}

impl SpendFlags {
    /// Whether none of them is given.
    pub fn is_empty(&self) -> bool {
        self.body(Utc::now()).is_ok_and(|body| body.is_empty())
    }

    /// The fields that they set of a new key.
    pub fn body(&self, now: DateTime<Utc>) -> Result<Map<String, Value>, Failure> {
        self.change(&Value::Null, now)
    }

    /// The fields that they change of this key. What a limit has beside its number stays where it is not given.
    pub fn change(&self, key: &Value, now: DateTime<Utc>) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        set(
            "spend_limit",
            or_none(self.spend_limit.as_deref(), |amount| {
                let cycle = cycle(&self.cycle, &key["spend_limit"], "total");
                Ok(json!({ "amount": amount, "cycle": cycle }))
            })?,
        );
        set(
            "request_limit",
            or_none(self.request_limit.as_deref(), |count| {
                let cycle = cycle(&self.request_cycle, &key["request_limit"], "daily");
                Ok(json!({ "count": whole("--request-limit", count)?, "cycle": cycle }))
            })?,
        );
        set(
            "rate_limit",
            or_none(self.rpm.as_deref(), |rpm| {
                let mut limit = json!({ "rpm": whole("--rpm", rpm)? });
                if let Some(burst) = self.burst.or(key["rate_limit"]["burst"].as_u64()) {
                    limit["burst"] = Value::from(burst);
                }
                Ok(limit)
            })?,
        );
        set(
            "max_parallel",
            or_none(self.max_parallel.as_deref(), |count| {
                whole("--max-parallel", count).map(Value::from)
            })?,
        );
        set("allowed_models", list(&self.models));
        set("allowed_providers", list(&self.providers));
        set("allowed_ips", list(&self.ips));
        set("tags", list(&self.tags));
        set(
            "expires_at",
            or_none(self.expires.as_deref(), |when| expiry(when, now).map(Value::from))?,
        );
        for (name, word) in [
            ("request_shape", &self.request_shape),
            ("enforcement", &self.enforcement),
            ("on_disconnect", &self.on_disconnect),
            ("timezone", &self.timezone),
        ] {
            set(name, word.as_deref().map(Value::from));
        }
        Ok(body)
    }
}

/// The cycle that is given, else the one that the limit has, else the usual one.
fn cycle<'a>(given: &'a Option<String>, known: &'a Value, usual: &'a str) -> &'a str {
    given.as_deref().or(known["cycle"].as_str()).unwrap_or(usual)
}

fn or_none(text: Option<&str>, read: impl FnOnce(&str) -> Result<Value, Failure>) -> Result<Option<Value>, Failure> {
    match text {
        None => Ok(None),
        Some("none") => Ok(Some(Value::Null)),
        Some(text) => read(text).map(Some),
    }
}

fn list(words: &[String]) -> Option<Value> {
    match words {
        [] => None,
        [word] if word == "none" => Some(Value::Null),
        words => Some(json!(words)),
    }
}

fn whole(flag: &str, text: &str) -> Result<u64, Failure> {
    text.parse()
        .map_err(|_| Failure::Usage(format!("{flag} {text:?} must be a whole number or none")))
}

/// An instant, or a time from now.
fn expiry(text: &str, now: DateTime<Utc>) -> Result<String, Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "--expires {text:?} must be such as 12h, 7d or 2027-01-31T00:00:00Z"
        ))
    };
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_rfc3339());
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let count: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let length = match unit {
        's' => TimeDelta::try_seconds(count),
        'm' => TimeDelta::try_minutes(count),
        'h' => TimeDelta::try_hours(count),
        'd' => TimeDelta::try_days(count),
        'w' => TimeDelta::try_weeks(count),
        _ => None,
    };
    let at = length
        .filter(|_| count > 0)
        .and_then(|length| now.checked_add_signed(length));
    at.map(|at| at.to_rfc3339()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_from_now_or_an_instant_and_nothing_else() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        assert_eq!(expiry("90s", now).unwrap(), "2023-11-14T22:14:50+00:00");
        assert_eq!(expiry("7d", now).unwrap(), "2023-11-21T22:13:20+00:00");
        assert_eq!(
            expiry("2027-01-31T00:00:00Z", now).unwrap(),
            "2027-01-31T00:00:00+00:00"
        );
        for text in ["", "7", "d", "-7d", "0d", "7y", "tomorrow", "99999999999999w", "é"] {
            assert!(expiry(text, now).is_err(), "{text}");
        }
    }
}
