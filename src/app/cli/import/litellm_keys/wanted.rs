//! A row of LiteLLM's keys as the body that makes a spend key, with what is not the same. A key whose budget or models
//! stand elsewhere in LiteLLM, where the export does not reach, begins paused: it would else be one without limits.

use serde_json::{Map, Value, json};

use crate::app::cli::import::carried::Carried;

use super::limits::{Limit, Limits, expiry};

/// How much of a hash is kept in the tag.
const HASH_CHARACTERS: usize = 16;
/// How many tags a key may have.
const MOST_TAGS: usize = 100;
/// How fast a key may be called, at most; faster is as good as without a limit.
const MOST_RPM: u64 = 1_000_000;
/// What LiteLLM writes for every model, and for those of the key's team.
const ALL_MODELS: [&str; 2] = ["all-proxy-models", "*"];
const TEAM_MODELS: &str = "all-team-models";

/// A key to be made.
pub struct Wanted {
    pub body: Map<String, Value>,
    pub tag: Tag,
    /// What is not the same.
    pub notes: Vec<String>,
}

/// By what an import is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(pub String);

impl Wanted {
    pub fn of(row: &Value, carried: &Carried, request_shape: &str) -> Result<Self, String> {
        if !row.is_object() {
            return Err("it is only a hash: export with return_full_object=true".to_owned());
        }
        let mut wanted = Self {
            body: Map::new(),
            tag: tag_of(row),
            notes: Vec::new(),
        };
        wanted.set("name", name_of(row));
        wanted.set("request_shape", request_shape);
        wanted.set_tags(row);
        if row["blocked"] == true {
            wanted.pause();
        }
        wanted.limit(&Limits::of(row))?;
        if let Some(at) = expiry(&row["expires"])? {
            wanted.set("expires_at", at);
        }
        wanted.set_models(row, carried);
        for (field, why) in NOT_CARRIED {
            if is_set(&row[field]) {
                wanted.notes.push(format!("{field} is not carried over: {why}"));
            }
        }
        Ok(wanted)
    }

    pub fn is_paused(&self) -> bool {
        self.body.get("status").is_some_and(|status| status == "paused")
    }

    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.body.insert(name.to_owned(), value.into());
    }

    fn pause(&mut self) {
        self.set("status", "paused");
    }

    fn pause_because(&mut self, why: impl Into<String>) {
        self.pause();
        self.notes.push(why.into());
    }

    fn set_tags(&mut self, row: &Value) {
        let given = row["metadata"]["tags"].as_array().into_iter().flatten();
        let given = given.filter_map(Value::as_str).map(str::to_owned);
        let mut tags: Vec<String> = std::iter::once(self.tag.0.clone()).chain(given).collect();
        if tags.len() > MOST_TAGS {
            self.notes
                .push(format!("of {} tags it has the first {MOST_TAGS}", tags.len()));
            tags.truncate(MOST_TAGS);
        }
        self.set("tags", json!(tags));
    }

    fn limit(&mut self, limits: &Limits<'_>) -> Result<(), String> {
        match limits.spend_limit(&mut self.notes)? {
            Limit::None => {}
            Limit::UsedUp => self.pause(),
            Limit::Some { amount, cycle } => self.set("spend_limit", json!({ "amount": amount, "cycle": cycle })),
        }
        if let Some(why) = limits.stand_elsewhere() {
            self.notes.push(why);
            if !self.body.contains_key("spend_limit") {
                self.pause_because(
                    "it is paused until it has a limit: `caldera keys edit`, then `caldera keys resume`",
                );
            }
        }
        match limits.count("rpm_limit")? {
            None => {}
            Some(0) => self.pause_because("rpm_limit 0 lets no call through: it is paused"),
            Some(rpm) if rpm > MOST_RPM => {
                self.notes.push(format!("rpm_limit {rpm} has become {MOST_RPM}"));
                self.set("rate_limit", json!({ "rpm": MOST_RPM }));
            }
            Some(rpm) => self.set("rate_limit", json!({ "rpm": rpm })),
        }
        match limits.count("max_parallel_requests")? {
            None => {}
            Some(0) => self.pause_because("max_parallel_requests 0 lets no call through: it is paused"),
            Some(count) => self.set("max_parallel", count),
        }
        for (field, why) in LIMITS_NOT_CARRIED {
            if is_set(limits.get(field)) {
                self.notes.push(format!("{field} is not carried over: {why}"));
            }
        }
        Ok(())
    }

    /// The models of a key by the names that their providers know; those of its team where it has none of its own.
    fn set_models(&mut self, row: &Value, carried: &Carried) {
        let texts = |value: &Value| -> Vec<String> {
            let list = value.as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut names = texts(&row["models"]);
        let is_of_team = names.iter().any(|name| name == TEAM_MODELS) || (names.is_empty() && is_set(&row["team_id"]));
        if is_of_team {
            names = texts(&row["team_models"]);
            if names.is_empty() {
                self.pause_because(
                    "it may call what its team may, which the export does not say: it is paused until it has its models: \
                     `caldera keys edit --model`, then `caldera keys resume`",
                );
            }
        }
        if names.is_empty() || names.iter().any(|name| ALL_MODELS.contains(&name.as_str())) {
            return;
        }
        let mut models: Vec<String> = Vec::new();
        for name in &names {
            let of_group = carried.group(name);
            if of_group.is_empty() && carried.target(name).is_none() && !name.contains('*') {
                self.notes.push(format!(
                    "the configuration has no model {name}: it is taken for a provider's own name"
                ));
            }
            let members = if of_group.is_empty() {
                vec![name.as_str()]
            } else {
                of_group
            };
            for member in members {
                let target = carried.target(member).unwrap_or(member);
                let bare = target.split_once('/').map_or(target, |(_, model)| model);
                if !models.iter().any(|known| known == bare) {
                    models.push(bare.to_owned());
                }
            }
        }
        if models.iter().any(|model| model == "*") {
            let names = names.join(", ");
            self.notes
                .push(format!("it may call every model, and not only {names}"));
        }
        self.set("allowed_models", json!(models));
    }
}

/// What a key may have that has no equal here.
const NOT_CARRIED: [(&str, &str); 5] = [
    ("team_id", "a team's own limits"),
    ("user_id", "a user's own limits"),
    ("organization_id", "an organization's own limits"),
    ("project_id", "a project's own limits"),
    ("allowed_routes", "a key takes the routes of its interface"),
];
/// And its budget.
const LIMITS_NOT_CARRIED: [(&str, &str); 4] = [
    ("tpm_limit", "tokens a minute are not limited here"),
    ("soft_budget", "webhooks tell of 50, 80 and 100 percent"),
    ("model_max_budget", "a limit is for all models of a key"),
    ("budget_limits", "a key has one limit here"),
];

pub fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty() && text != "default_user_id",
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

pub fn name_of(row: &Value) -> String {
    let named = ["key_alias", "key_name"]
        .into_iter()
        .find_map(|field| row[field].as_str().filter(|name| !name.is_empty()));
    let name = named.map_or_else(|| format!("LiteLLM {}", tag_of(row).0), str::to_owned);
    name.chars().filter(|letter| !letter.is_control()).take(255).collect()
}

pub fn tag_of(row: &Value) -> Tag {
    let hash = row["token"]
        .as_str()
        .or(row["token_id"].as_str())
        .or(row.as_str())
        .unwrap_or_default();
    Tag(format!(
        "litellm-{}",
        hash.chars().take(HASH_CHARACTERS).collect::<String>()
    ))
}

impl Tag {
    /// Whether it tells one key from others.
    pub fn is_known(&self) -> bool {
        self.0 != "litellm-"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(row: Value) -> Wanted {
        Wanted::of(&row, &Carried::default(), "openai").unwrap()
    }

    #[test]
    fn a_key_whose_limits_stand_elsewhere_is_paused_and_says_so() {
        let table = [
            (json!({ "budget_id": "b1" }), "b1"),
            (
                json!({ "budget_limits": [{ "budget_duration": "1d", "max_budget": 1 }] }),
                "budget_limits",
            ),
            (json!({ "models": ["all-team-models"] }), "its team"),
            (json!({ "models": [], "team_id": "t1" }), "its team"),
            (json!({ "rpm_limit": 0 }), "rpm_limit 0"),
            (json!({ "max_parallel_requests": 0 }), "max_parallel_requests 0"),
        ];
        for (row, why) in table {
            let wanted = wanted(row.clone());
            assert!(
                wanted.is_paused() && wanted.notes.iter().any(|note| note.contains(why)),
                "{row}: {:?}",
                wanted.notes
            );
        }
        for row in [
            json!({ "models": ["all-team-models"], "team_id": "t1", "team_models": ["gpt-4o"] }),
            json!({ "budget_id": "b1", "max_budget": 5 }),
            json!({ "models": ["all-proxy-models"], "team_id": "t1" }),
        ] {
            assert!(!wanted(row.clone()).is_paused(), "{row}");
        }
    }

    #[test]
    fn a_budget_gives_the_limits_that_a_key_has_not_itself() {
        let budget = json!({ "max_budget": 20, "budget_duration": "7d", "rpm_limit": 5, "max_parallel_requests": 3 });
        let made = wanted(json!({ "budget_id": "b1", "rpm_limit": 9, "litellm_budget_table": budget }));
        assert_eq!(
            made.body["spend_limit"],
            json!({ "amount": "20.00", "cycle": "weekly" })
        );
        assert_eq!(
            (&made.body["rate_limit"]["rpm"], &made.body["max_parallel"]),
            (&json!(9), &json!(3))
        );
        assert!(!made.is_paused());
        // An own budget has its own duration.
        let made = wanted(json!({ "max_budget": 1, "budget_id": "b1", "litellm_budget_table": budget }));
        assert_eq!(made.body["spend_limit"], json!({ "amount": "1.00", "cycle": "total" }));
    }

    #[test]
    fn numbers_beyond_ours_are_cut_or_refused() {
        let tags: Vec<String> = (0..150).map(|number| format!("t{number}")).collect();
        let made = wanted(json!({ "rpm_limit": 5_000_000, "metadata": { "tags": tags } }));
        assert_eq!(made.body["rate_limit"]["rpm"], 1_000_000);
        assert_eq!(
            (made.body["tags"].as_array().unwrap().len(), made.notes.len()),
            (100, 2)
        );
        assert!(Wanted::of(&json!({ "rpm_limit": -1 }), &Carried::default(), "openai").is_err());
    }
}
