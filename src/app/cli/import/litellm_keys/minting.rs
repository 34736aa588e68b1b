//! Keys are made one by one, and each secret is kept before the next key is made: in a file, or for the answer. What the
//! server refuses is left out and the others are made; where it cannot be asked any more the import ends, and still
//! gives what it has.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::app::cli::client::{Client, query};
use crate::app::cli::failure::{Failure, Outcome};
use crate::app::cli::keys::secret_of;
use crate::app::cli::output::{Output, items, text};

use super::KeyImport;
use super::wanted::Wanted;

const PAGE: u32 = 100;

/// All that is needed to make keys, found to be there.
pub struct Minting<'p> {
    client: Client,
    /// The ids of keys that are there, by their tags.
    known: HashMap<String, String>,
    secrets: Option<(&'p Path, File)>,
}

/// What was made, and how it ended.
pub struct Minted {
    pub keys: Value,
    pub ended: Outcome,
}

impl<'p> Minting<'p> {
    /// Asks the server for its keys, and makes the file.
    pub async fn begin(client: Client, secrets: Option<&'p Path>) -> Result<Self, Failure> {
        let known = known_tags(&client).await?;
        let open = |path: &'p Path| open_secrets(path).map(|file| (path, file));
        Ok(Self {
            client,
            known,
            secrets: secrets.map(open).transpose()?,
        })
    }

    /// Makes them all, or as many as can be.
    pub async fn make(mut self, import: KeyImport, output: Output) -> Minted {
        let (mut made, mut skipped, mut ended) = (Vec::new(), import.skipped, Ok(()));
        let bar = output.progress(import.wanted.len(), "keys");
        for wanted in import.wanted {
            bar.inc(1);
            let name = wanted.body["name"].clone();
            if let Some(id) = self.known.get(&wanted.tag.0) {
                let why = format!("an earlier import has made it: `caldera keys rotate {id}` gives it a new secret");
                skipped.push(json!({ "name": name, "why": why }));
                continue;
            }
            match self.make_one(wanted).await {
                Ok((shown, kept)) => {
                    made.push(shown);
                    ended = kept;
                }
                Err(Failure::Refused(error)) if is_of_this_key(&error) => {
                    skipped.push(json!({ "name": name, "why": Failure::Refused(error).message() }));
                }
                Err(failure) => {
                    let (name, count, why) = (text(&name), made.len(), failure.message());
                    ended = Err(Failure::Failed(format!(
                        "{why}; {count} keys were made before {name}, and their secrets are kept. Import again for the \
                         others: what is there is not made twice"
                    )));
                }
            }
            if ended.is_err() {
                break;
            }
        }
        bar.finish_and_clear();
        Minted {
            keys: json!({ "made": made, "skipped": skipped }),
            ended,
        }
    }

    /// A key that was made is shown, also where its secret could not be written: then it stands in the answer.
    async fn make_one(&mut self, wanted: Wanted) -> Result<(Value, Outcome), Failure> {
        let key = self.client.post("/spend_keys", &Value::Object(wanted.body)).await?;
        let id = text(&key["spend_key_id"]);
        let mut shown =
            json!({ "name": key["name"], "spend_key_id": id, "status": key["status"], "notes": wanted.notes });
        let line = json!({ "name": key["name"], "spend_key_id": id, "key": secret_of(&key) });
        let kept = match &mut self.secrets {
            Some((path, file)) => writeln!(file, "{line}").map_err(|error| unwritable(path, &error)),
            None => Ok(()),
        };
        if self.secrets.is_none() || kept.is_err() {
            shown["key"] = key["key"].clone();
        }
        Ok((shown, kept))
    }
}

/// Whether a refusal is for what this key is to be, and not for who asks or how often.
fn is_of_this_key(error: &Value) -> bool {
    matches!(error["status"].as_u64(), Some(400 | 404 | 409 | 422))
}

async fn known_tags(client: &Client) -> Result<HashMap<String, String>, Failure> {
    let (mut known, mut cursor) = (HashMap::new(), None::<String>);
    loop {
        let asked = [("limit", Some(PAGE.to_string())), ("cursor", cursor)];
        let page = client.get(&format!("/spend_keys{}", query(asked))).await?;
        for key in items(&page) {
            let tags = key["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let tags = tags.filter(|tag| *tag != "litellm-");
            known.extend(tags.map(|tag| (tag.to_owned(), text(&key["spend_key_id"]))));
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(known);
        }
    }
}

/// A new file that only its owner reads.
fn open_secrets(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{} cannot be written: {error}", path.display()))
}
