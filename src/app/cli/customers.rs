//! `caldera customers`: whom a merchant bills, each named by his id or by the merchant's reference id.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{Client, query, segment};
use super::failure::{Failure, Outcome};
use super::output::{Column, Output, Sheet, fields, instant, items, text};

#[derive(Debug, Subcommand)]
pub enum CustomerCommand {
    /// Shows customers, newest first.
    List {
        /// At most this many, up to 100.
        #[arg(long, default_value_t = 25)]
        limit: u32,
        /// From where the list before ended (next_cursor).
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Shows one with his subscription and his credit.
    Show { customer: String },
    /// Makes one; where the reference id is taken, shows who has it.
    Create(CustomerArguments),
    /// Changes what is given.
    Edit {
        customer: String,
        #[command(flatten)]
        change: CustomerArguments,
    },
    /// Puts one on a plan that is free, or sold elsewhere.
    Subscribe { customer: String, plan: String },
    /// Forgets one; his subscription ends with all its credit, his usage stays.
    Delete { customer: String },
}

#[derive(Debug, Args)]
pub struct CustomerArguments {
    /// Your own name for the customer.
    #[arg(long, value_name = "ID")]
    reference_id: Option<String>,
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    email: Option<String>,
    /// As +15551234567.
    #[arg(long)]
    phone: Option<String>,
    /// As often as there are pairs.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
}

pub async fn run(command: CustomerCommand, client: &Client, output: Output) -> Outcome {
    match command {
        CustomerCommand::List { limit, cursor } => {
            let path = format!(
                "/customers{}",
                query([("limit", Some(limit.to_string())), ("cursor", cursor)])
            );
            output.answer(&client.get(&path).await?, show_list)
        }
        CustomerCommand::Show { customer } => {
            let path = format!("/customers/{}", segment(&customer));
            let mut found = client.get(&path).await?;
            let subscription = client.get(&format!("{path}/subscription")).await?;
            found["subscription"] = subscription["subscription"].clone();
            output.answer(&found, show)
        }
        CustomerCommand::Create(arguments) => {
            let made = client.post("/customers", &body(arguments)?).await?;
            output.answer(&made, show)
        }
        CustomerCommand::Edit { customer, change } => {
            let path = format!("/customers/{}", segment(&customer));
            output.answer(&client.patch(&path, &body(change)?).await?, show)
        }
        CustomerCommand::Subscribe { customer, plan } => {
            let body = json!({ "customer_id": customer, "plan_id": plan });
            let made = client.post("/subscriptions", &body).await?;
            output.answer(&made, |made| fields(subscription_fields(made)))
        }
        CustomerCommand::Delete { customer } => {
            let gone = client.delete(&format!("/customers/{}", segment(&customer))).await?;
            output.answer(&gone, |_| format!("{customer} is deleted"))
        }
    }
}

fn body(arguments: CustomerArguments) -> Result<Value, Failure> {
    let texts = [
        ("reference_id", arguments.reference_id),
        ("name", arguments.name),
        ("email", arguments.email),
        ("phone", arguments.phone),
    ];
    let set = texts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))));
    let mut body = Map::from_iter(set);
    if !arguments.metadata.is_empty() {
        let pair = |text: &String| {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| Failure::Usage(format!("--metadata {text:?} must be KEY=VALUE")))?;
            Ok((key.to_owned(), Value::from(value)))
        };
        let pairs: Result<Map<String, Value>, Failure> = arguments.metadata.iter().map(pair).collect();
        body.insert("metadata".to_owned(), Value::Object(pairs?));
    }
    if body.is_empty() {
        return Err(Failure::Usage("nothing is given; see --help".to_owned()));
    }
    Ok(Value::Object(body))
}

fn show_list(found: &Value) -> String {
    let list = items(found);
    if list.is_empty() {
        return "No customers. `caldera customers create --reference-id ID` makes one.".to_owned();
    }
    let sheet = Sheet::new(["CUSTOMER", "REFERENCE", "NAME", "EMAIL", "PLAN", "CREATED"].map(Column::Text));
    let shown = sheet.rows_of(list, |customer| {
        [
            text(&customer["customer_id"]),
            text(&customer["reference_id"]),
            name_of(customer),
            some(&customer["contact"]["email"]),
            text(&customer["subscription"]["name"]),
            instant(&customer["created_at"]),
        ]
    });
    match found["next_cursor"].as_str() {
        None => shown.render(),
        Some(cursor) => format!("{}\n\nmore: --cursor {cursor}", shown.render()),
    }
}

fn show(customer: &Value) -> String {
    let own = [
        ("customer", text(&customer["customer_id"])),
        ("reference id", text(&customer["reference_id"])),
        ("name", name_of(customer)),
        ("email", some(&customer["contact"]["email"])),
        ("phone", some(&customer["contact"]["phone"])),
        ("metadata", text(&customer["metadata"])),
        ("created", instant(&customer["created_at"])),
    ];
    fields(own.into_iter().chain(subscription_fields(&customer["subscription"])))
}

fn subscription_fields(subscription: &Value) -> Vec<(&'static str, String)> {
    if subscription.is_null() {
        return vec![("subscription", "-".to_owned())];
    }
    let plan = [&subscription["plan"]["name"], &subscription["name"]];
    let plan = plan
        .into_iter()
        .find(|name| !name.is_null())
        .map_or_else(|| "-".to_owned(), text);
    let credits = &subscription["credits"];
    let mut shown = vec![
        ("subscription", text(&subscription["subscription_id"])),
        ("plan", format!("{plan} ({})", text(&subscription["plan_id"]))),
        ("status", text(&subscription["status"])),
    ];
    if !credits.is_null() {
        shown.push(("cycle ends", instant(&subscription["cycle_end_at"])));
        shown.push(("credit left", text(&credits["total_remaining"])));
        shown.push(("of the cycle", text(&credits["cycle_remaining"])));
        shown.push(("of bundles", text(&credits["bundle_remaining"])));
    }
    shown
}

fn name_of(customer: &Value) -> String {
    let contact = &customer["contact"];
    let names = ["first_name", "last_name"].map(|name| contact[name].as_str().unwrap_or_default());
    some(&Value::from(names.join(" ").trim()))
}

/// The official clients want empty texts for what is not known.
fn some(value: &Value) -> String {
    match value.as_str() {
        Some("") => "-".to_owned(),
        _ => text(value),
    }
}
