//! LiteLLM's virtual keys as spend keys of the same limits. It stores only hashes, so each gets a new secret; what an
//! earlier import made is known by its tag and is not made twice. Where a limit has no equal the stricter one is taken,
//! and said.

mod limits;

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::app::cli::client::{Client, query, segment};
use crate::app::cli::failure::Failure;
use crate::app::cli::keys::secret_of;
use crate::app::cli::output::{Column, Output, Sheet, items, text};

use super::carried::Carried;
use limits::{Limit, expiry, spend_limit};

const PAGE: u32 = 100;
/// How much of a hash is kept in the tag.
const HASH_CHARACTERS: usize = 16;
/// What LiteLLM writes for every model.
const ALL_MODELS: [&str; 3] = ["all-proxy-models", "all-team-models", "*"];

/// Keys to be made.
pub struct KeyImport {
    wanted: Vec<Wanted>,
    skipped: Vec<Value>,
}

struct Wanted {
    body: Map<String, Value>,
    tag: String,
    is_blocked: bool,
    /// What is not the same.
    notes: Vec<String>,
}

impl KeyImport {
    /// Reads an export.
    pub fn read(text: &str, carried: &Carried, request_shape: &str) -> Result<Self, Failure> {
        let tree: Value =
            serde_json::from_str(text).map_err(|error| Failure::Failed(format!("the keys are not JSON: {error}")))?;
        let list = [&tree, &tree["keys"], &tree["data"]]
            .into_iter()
            .find_map(Value::as_array);
        let list = list.ok_or_else(|| Failure::Failed("the file of keys holds no list of them".to_owned()))?;
        let mut import = Self {
            wanted: Vec::new(),
            skipped: Vec::new(),
        };
        for row in list {
            match Wanted::of(row, carried, request_shape) {
                Ok(wanted) => import.wanted.push(wanted),
                Err(why) => import.skipped.push(json!({ "name": name_of(row), "why": why })),
            }
        }
        Ok(import)
    }

    pub fn as_json(&self) -> Value {
        let wanted = self.wanted.iter().map(|wanted| {
            json!({ "name": wanted.body["name"], "settings": wanted.body, "is_blocked": wanted.is_blocked, "notes": wanted.notes })
        });
        json!({ "wanted": wanted.collect::<Vec<_>>(), "skipped": self.skipped })
    }

    /// Makes the keys; each secret is written down before the next key is made.
    pub async fn mint(self, client: &Client, secrets: Option<&Path>, output: Output) -> Result<Value, Failure> {
        let mut file = secrets.map(open_secrets).transpose()?;
        let known = known_tags(client).await?;
        let (mut made, mut skipped) = (Vec::new(), self.skipped);
        let bar = output.progress(self.wanted.len(), "keys");
        for wanted in self.wanted {
            bar.inc(1);
            if known.contains(&wanted.tag) {
                let name = wanted.body["name"].clone();
                skipped.push(json!({ "name": name, "why": "an earlier import has made it" }));
                continue;
            }
            let mut key = client.post("/spend_keys", &Value::Object(wanted.body)).await?;
            let id = text(&key["spend_key_id"]);
            if let Some(file) = &mut file {
                let line = json!({ "name": key["name"], "spend_key_id": id, "key": secret_of(&key) });
                writeln!(file, "{line}").map_err(|error| unwritable(secrets, &error))?;
            }
            if wanted.is_blocked {
                let path = format!("/spend_keys/{}", segment(&id));
                key["status"] = client.patch(&path, &json!({ "status": "paused" })).await?["status"].clone();
            }
            let mut shown =
                json!({ "name": key["name"], "spend_key_id": id, "status": key["status"], "notes": wanted.notes });
            if file.is_none() {
                shown["key"] = key["key"].clone();
            }
            made.push(shown);
        }
        bar.finish_and_clear();
        Ok(json!({ "made": made, "skipped": skipped }))
    }
}

impl Wanted {
    fn of(row: &Value, carried: &Carried, request_shape: &str) -> Result<Self, String> {
        if !row.is_object() {
            return Err("it is only a hash: export with return_full_object=true".to_owned());
        }
        let mut notes = Vec::new();
        let mut body = Map::new();
        let tag = tag_of(row);
        body.insert("name".to_owned(), Value::from(name_of(row)));
        body.insert("request_shape".to_owned(), Value::from(request_shape));
        body.insert("tags".to_owned(), json!(tags_of(row, &tag)));
        let mut is_blocked = row["blocked"] == true;
        match spend_limit(row, &mut notes)? {
            Limit::None => {}
            Limit::UsedUp => is_blocked = true,
            Limit::Some { amount, cycle } => {
                body.insert("spend_limit".to_owned(), json!({ "amount": amount, "cycle": cycle }));
            }
        }
        if let Some(rpm) = row["rpm_limit"].as_u64() {
            body.insert("rate_limit".to_owned(), json!({ "rpm": rpm }));
        }
        if let Some(count) = row["max_parallel_requests"].as_u64() {
            body.insert("max_parallel".to_owned(), Value::from(count));
        }
        if let Some(at) = expiry(&row["expires"])? {
            body.insert("expires_at".to_owned(), Value::from(at));
        }
        body.extend(models(&row["models"], carried, &mut notes));
        for (field, why) in NOT_CARRIED {
            if is_set(&row[field]) {
                notes.push(format!("{field} is not carried over: {why}"));
            }
        }
        Ok(Self {
            body,
            tag,
            is_blocked,
            notes,
        })
    }
}

/// What a key may have that has no equal here.
const NOT_CARRIED: [(&str, &str); 5] = [
    ("tpm_limit", "tokens a minute are not limited here"),
    ("soft_budget", "webhooks tell of 50, 80 and 100 percent"),
    ("model_max_budget", "a limit is for all models of a key"),
    ("team_id", "a team's own limits"),
    ("user_id", "a user's own limits"),
];

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty() && text != "default_user_id",
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// The models of a key by the names that their providers know.
fn models(value: &Value, carried: &Carried, notes: &mut Vec<String>) -> Option<(String, Value)> {
    let names: Vec<&str> = value.as_array()?.iter().filter_map(Value::as_str).collect();
    if names.is_empty() || names.iter().any(|name| ALL_MODELS.contains(name)) {
        return None;
    }
    let bare = |name: &&str| {
        let target = carried.target(name).unwrap_or(name);
        target.split_once('/').map_or(target, |(_, model)| model).to_owned()
    };
    let mut models: Vec<String> = names.iter().map(bare).collect();
    models.dedup();
    if models.iter().any(|model| model == "*") {
        notes.push(format!("it may call every model, and not only {}", names.join(", ")));
    }
    Some(("allowed_models".to_owned(), json!(models)))
}

fn name_of(row: &Value) -> String {
    let named = ["key_alias", "key_name"]
        .into_iter()
        .find_map(|field| row[field].as_str().filter(|name| !name.is_empty()));
    let name = named.map_or_else(|| format!("LiteLLM {}", tag_of(row)), str::to_owned);
    name.chars().filter(|letter| !letter.is_control()).take(255).collect()
}

/// By what an import is known again.
fn tag_of(row: &Value) -> String {
    let hash = row["token"]
        .as_str()
        .or(row["token_id"].as_str())
        .or(row.as_str())
        .unwrap_or_default();
    format!("litellm-{}", hash.chars().take(HASH_CHARACTERS).collect::<String>())
}

fn tags_of(row: &Value, own: &str) -> Vec<String> {
    let given = row["metadata"]["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    std::iter::once(own).chain(given).map(str::to_owned).collect()
}

/// The tags of all keys that are there.
async fn known_tags(client: &Client) -> Result<HashSet<String>, Failure> {
    let (mut tags, mut cursor) = (HashSet::new(), None::<String>);
    loop {
        let asked = [("limit", Some(PAGE.to_string())), ("cursor", cursor)];
        let page = client.get(&format!("/spend_keys{}", query(asked))).await?;
        let found = items(&page).iter().filter_map(|key| key["tags"].as_array()).flatten();
        tags.extend(
            found
                .filter_map(Value::as_str)
                .filter(|tag| *tag != "litellm-")
                .map(str::to_owned),
        );
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(tags);
        }
    }
}

/// A new file that only its owner reads.
fn open_secrets(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|error| unwritable(Some(path), &error))
}

fn unwritable(path: Option<&Path>, error: &std::io::Error) -> Failure {
    let path = path.unwrap_or(Path::new("-")).display();
    Failure::Failed(format!("{path} cannot be written: {error}"))
}

/// What became of the keys, for people.
pub fn told(keys: &Value, secrets: Option<&Path>) -> Option<String> {
    let list = |name: &str| keys[name].as_array().cloned();
    let made = list("made").or_else(|| list("wanted"))?;
    let mut sheet = Sheet::new(["KEY", "ID", "SECRET", "NOTES"].map(Column::Text));
    for key in &made {
        sheet.row(["name", "spend_key_id", "key", "notes"].map(|name| text(&key[name])));
    }
    for key in list("skipped").unwrap_or_default() {
        sheet.row([
            text(&key["name"]),
            "-".to_owned(),
            "-".to_owned(),
            format!("not made: {}", text(&key["why"])),
        ]);
    }
    let table = sheet.render();
    Some(match secrets.filter(|_| keys["made"].is_array()) {
        Some(path) => format!("{table}\n\nThe secrets are in {}.", path.display()),
        None => table,
    })
}
