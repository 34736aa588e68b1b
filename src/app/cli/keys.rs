//! `caldera keys`: what applications call with, and what manages. A key is made of the kind that a flag names, and later
//! known by the form of its id. Its secret is written when it is made or rotated and never again, with `--quiet` alone on
//! its line, so that a script can take it.

use chrono::Utc;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, query, segment};
use super::failure::{Failure, Outcome};
use super::output::{Column, Output, Sheet, fields, instant, items, limit, text, write_line};
use super::spend_flags::SpendFlags;

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key and shows its secret this once; a spend key unless told otherwise.
    Create(Box<CreateArguments>),
    /// Shows keys, newest first.
    List(ListArguments),
    /// Shows one spend key whole.
    Show { id: String },
    /// Changes the settings of a spend key that are given.
    Edit(Box<EditArguments>),
    /// Refuses the calls of a spend key until it is resumed.
    Pause {
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Takes the calls of a spend key again.
    Resume {
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Gives a key a new secret and shows it this once.
    Rotate {
        id: String,
        /// For how long the old secret of a spend key goes on working.
        #[arg(long, value_name = "SECONDS")]
        grace: Option<u64>,
        /// Writes nothing but the secret.
        #[arg(long, short)]
        quiet: bool,
    },
    /// Ends keys for good; streams that run with them are cut.
    Revoke {
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct CreateArguments {
    #[command(flatten)]
    kind: KindFlags,
    #[arg(long, default_value = "From the command line")]
    name: String,
    /// Which wallet pays; without it the merchant's own.
    #[arg(long, value_name = "ID", conflicts_with = "secret")]
    wallet_id: Option<String>,
    /// Writes nothing but the secret.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    flags: SpendFlags,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct KindFlags {
    /// What an application calls with.
    #[arg(long)]
    spend: bool,
    /// A key of the management API.
    #[arg(long)]
    secret: bool,
    /// A key that only manages the spend keys of one wallet.
    #[arg(long)]
    wallet: bool,
}

#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    kind: KindFlags,
    /// At most this many, up to 100.
    #[arg(long, default_value_t = 25)]
    limit: u32,
    /// From where the list before ended (next_cursor).
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Args)]
pub struct EditArguments {
    id: String,
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    flags: SpendFlags,
}

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Spend,
    Secret,
    Wallet,
}

impl Kind {
    fn of_flags(flags: &KindFlags) -> Self {
        match (flags.secret, flags.wallet) {
            (true, _) => Self::Secret,
            (false, true) => Self::Wallet,
            (false, false) => Self::Spend,
        }
    }

    fn of_id(id: &str) -> Self {
        match id.split_once('_').map(|(prefix, _)| prefix) {
            Some("sec") => Self::Secret,
            Some("wk") => Self::Wallet,
            Some(_) | None => Self::Spend,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Spend => "/spend_keys",
            Self::Secret => "/secret_keys",
            Self::Wallet => "/wallet_keys",
        }
    }
}

pub async fn run(command: KeyCommand, client: &Client, output: Output) -> Outcome {
    match command {
        KeyCommand::Create(arguments) => {
            let telling = if arguments.quiet {
                Telling::SecretAlone
            } else {
                Telling::All(output)
            };
            minted(&create(*arguments, client).await?, telling)
        }
        KeyCommand::List(arguments) => list(&arguments, client, output).await,
        KeyCommand::Show { id } => {
            let found = client.get(&path_of(&id, "spend key", Kind::Spend)?).await?;
            output.answer(&found, show)
        }
        KeyCommand::Edit(arguments) => {
            if arguments.flags.is_empty() && arguments.name.is_none() {
                return Err(Failure::Usage(
                    "no setting is given; see `caldera keys edit --help`".to_owned(),
                ));
            }
            let path = path_of(&arguments.id, "spend key", Kind::Spend)?;
            let mut body = arguments.flags.change(&client.get(&path).await?, Utc::now())?;
            body.extend(arguments.name.map(|name| ("name".to_owned(), Value::from(name))));
            output.answer(&client.patch(&path, &Value::Object(body)).await?, show)
        }
        KeyCommand::Pause { ids } => set_status(&ids, "paused", client, output).await,
        KeyCommand::Resume { ids } => set_status(&ids, "active", client, output).await,
        KeyCommand::Rotate { id, grace, quiet } => {
            let path = format!("{}/{}/rotate", Kind::of_id(&id).path(), segment(&id));
            let body = grace.map_or_else(|| json!({}), |seconds| json!({ "grace_seconds": seconds }));
            let telling = if quiet {
                Telling::SecretAlone
            } else {
                Telling::All(output)
            };
            minted(&client.post(&path, &body).await?, telling)
        }
        KeyCommand::Revoke { ids } => {
            for id in ids {
                let gone = client
                    .delete(&format!("{}/{}", Kind::of_id(&id).path(), segment(&id)))
                    .await?;
                output.line(&gone, |_| format!("{id} is revoked"))?;
            }
            Ok(())
        }
    }
}

async fn create(arguments: CreateArguments, client: &Client) -> Result<Value, Failure> {
    let kind = Kind::of_flags(&arguments.kind);
    if kind != Kind::Spend && !arguments.flags.is_empty() {
        return Err(Failure::Usage("only spend keys have limits".to_owned()));
    }
    let mut body = arguments.flags.body(Utc::now())?;
    body.insert("name".to_owned(), Value::from(arguments.name));
    body.extend(arguments.wallet_id.map(|id| ("wallet_id".to_owned(), Value::from(id))));
    match kind {
        Kind::Spend | Kind::Secret => client.post(kind.path(), &Value::Object(body)).await,
        Kind::Wallet => {
            body.insert("kind".to_owned(), Value::from("wallet"));
            body.extend(client.merchant().map(|id| ("merchant_id".to_owned(), Value::from(id))));
            client.operate("/operator/keys", Some(&Value::Object(body))).await
        }
    }
}

async fn list(arguments: &ListArguments, client: &Client, output: Output) -> Outcome {
    let kind = Kind::of_flags(&arguments.kind);
    let asked = [
        ("limit", Some(arguments.limit.to_string())),
        ("cursor", arguments.cursor.clone()),
    ];
    let found = client.get(&format!("{}{}", kind.path(), query(asked))).await?;
    output.answer(&found, |found| {
        let shown = match kind {
            Kind::Spend => show_spend_keys(items(found)),
            Kind::Secret => show_plain_keys(items(found), ("secret_key_id", "secret_key_hint", "created_at")),
            Kind::Wallet => show_plain_keys(items(found), ("wallet_key_id", "key_preview", "last_used_at")),
        };
        match found["next_cursor"].as_str() {
            None => shown,
            Some(cursor) => format!("{shown}\n\nmore: --cursor {cursor}"),
        }
    })
}

async fn set_status(ids: &[String], status: &str, client: &Client, output: Output) -> Outcome {
    for id in ids {
        let path = path_of(id, "spend key", Kind::Spend)?;
        let row = client.patch(&path, &json!({ "status": status })).await?;
        output.line(&row, |row| format!("{id} is {}", text(&row["status"])))?;
    }
    Ok(())
}

fn path_of(id: &str, noun: &str, kind: Kind) -> Result<String, Failure> {
    if Kind::of_id(id) != kind {
        return Err(Failure::Usage(format!("{id} is not the id of a {noun}")));
    }
    Ok(format!("{}/{}", kind.path(), segment(id)))
}

/// The plain text of a key that was made or rotated just now.
pub fn secret_of(made: &Value) -> Option<&str> {
    ["key", "secret_key"].into_iter().find_map(|name| made[name].as_str())
}

/// How much is told of a new secret.
enum Telling {
    SecretAlone,
    All(Output),
}

fn minted(made: &Value, telling: Telling) -> Outcome {
    let secret = secret_of(made).unwrap_or_default();
    let output = match telling {
        Telling::SecretAlone => return write_line(secret),
        Telling::All(output) => output,
    };
    output.answer(made, |made| {
        let id = ["spend_key_id", "secret_key_id", "wallet_key_id"];
        let id = id.into_iter().find_map(|name| made[name].as_str()).unwrap_or("-");
        let told = fields([
            ("key", secret.to_owned()),
            ("id", id.to_owned()),
            ("name", text(&made["name"])),
        ]);
        format!("{told}\nThe key is shown this once; keep it now.")
    })
}

fn show_spend_keys(keys: &[Value]) -> String {
    if keys.is_empty() {
        return "No spend keys. `caldera keys create --name first --spend-limit 5.00 --cycle daily` makes one."
            .to_owned();
    }
    let columns = [
        Column::Text("ID"),
        Column::Text("NAME"),
        Column::Text("STATUS"),
        Column::Number("SPENT"),
        Column::Number("HELD"),
        Column::Number("LEFT"),
        Column::Text("LIMIT"),
        Column::Number("REQUESTS"),
        Column::Text("LAST USED"),
    ];
    let sheet = Sheet::new(columns).rows_of(keys, |key| {
        [
            text(&key["spend_key_id"]),
            text(&key["name"]),
            text(&key["status"]),
            text(&key["current_spend"]),
            text(&key["reserved_spend"]),
            text(&key["available"]),
            limit(&key["spend_limit"], "amount"),
            text(&key["total_requests"]),
            instant(&key["last_used_at"]),
        ]
    });
    sheet.render()
}

fn show_plain_keys(keys: &[Value], (id, hint, when): (&str, &str, &str)) -> String {
    if keys.is_empty() {
        return "None.".to_owned();
    }
    let last = if when == "created_at" { "CREATED" } else { "LAST USED" };
    let sheet = Sheet::new(["ID", "NAME", "KEY", last].map(Column::Text));
    let shown = |key: &Value| match hint {
        "secret_key_hint" => format!("****{}", text(&key[hint])),
        _ => text(&key[hint]),
    };
    sheet
        .rows_of(keys, |key| {
            [text(&key[id]), text(&key["name"]), shown(key), instant(&key[when])]
        })
        .render()
}

fn show(key: &Value) -> String {
    let rate = &key["rate_limit"];
    let rate = match (&rate["rpm"], &rate["burst"]) {
        (Value::Null, _) => "-".to_owned(),
        (rpm, Value::Null) => format!("{rpm} a minute"),
        (rpm, burst) => format!("{rpm} a minute, {burst} at once"),
    };
    let mut pairs = vec![
        ("id", text(&key["spend_key_id"])),
        ("name", text(&key["name"])),
        ("status", text(&key["status"])),
        ("key", text(&key["key_preview"])),
        ("for", text(&key["request_shape"])),
        ("wallet", text(&key["wallet_id"])),
        ("spend limit", limit(&key["spend_limit"], "amount")),
        ("spent", text(&key["current_spend"])),
        ("held", text(&key["reserved_spend"])),
        ("left", text(&key["available"])),
        ("resets at", instant(&key["resets_at"])),
        ("spent in all", text(&key["total_spend"])),
        ("request limit", limit(&key["request_limit"], "count")),
        ("requests", text(&key["current_requests"])),
        ("requests in all", text(&key["total_requests"])),
        ("rate limit", rate),
    ];
    for (name, field) in [
        ("calls at once", "max_parallel"),
        ("models", "allowed_models"),
        ("providers", "allowed_providers"),
        ("addresses", "allowed_ips"),
        ("enforcement", "enforcement"),
        ("on disconnect", "on_disconnect"),
        ("time zone", "timezone"),
        ("tags", "tags"),
    ] {
        pairs.push((name, text(&key[field])));
    }
    for (name, field) in [
        ("expires", "expires_at"),
        ("last used", "last_used_at"),
        ("created", "created_at"),
    ] {
        pairs.push((name, instant(&key[field])));
    }
    fields(pairs)
}
