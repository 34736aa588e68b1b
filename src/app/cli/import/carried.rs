//! What of a LiteLLM configuration has a place here: rows of the catalogue for addresses of one's own, a name for each
//! model, prices that it sets, and the variables that must hold the keys; and by name, what has none.

mod price;
mod row;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::app::cli::failure::Failure;
use crate::domain::price::PriceBook;
use crate::gateway::provider::Catalogue;

use super::deployment::{Deployment, KeyPlace};
use price::Shelf;
use row::{Row, has_form_of_its_own};

/// What is read of an entry, or goes without saying.
const READ: [&str; 9] = [
    "model",
    "api_base",
    "base_url",
    "api_key",
    "api_version",
    "custom_llm_provider",
    "order",
    "mode",
    "id",
];

/// Something that has no place here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub what: String,
    pub why: String,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    rows: Vec<Row>,
    /// A name, and `provider/model`.
    models: Vec<(String, String)>,
    /// A group that keys may name, and the names of its models.
    groups: BTreeMap<String, Vec<String>>,
    /// A variable, and what it must hold.
    variables: BTreeMap<String, String>,
    /// Entries of a price file.
    prices: BTreeMap<String, Value>,
    left: Vec<Left>,
}

impl Carried {
    /// Reads `model_list`, by what is shipped.
    pub fn from_config(tree: &Value, shipped: &Catalogue, book: &PriceBook) -> Result<Self, Failure> {
        let list = tree["model_list"].as_array().ok_or_else(|| {
            Failure::Failed("the file has no model_list; is it the configuration of a LiteLLM proxy?".to_owned())
        })?;
        let shelf = Shelf { shipped, book };
        let mut carried = Self::default();
        let mut deployments: Vec<(String, Deployment)> = Vec::new();
        for (place, entry) in list.iter().enumerate() {
            let name = entry["model_name"].as_str().unwrap_or("without a name");
            match Deployment::read(entry, shipped) {
                Ok(deployment) => {
                    let provider = carried.provider_of(&deployment, shipped);
                    carried.price(entry, (&provider, &deployment), &shelf);
                    deployments.push((provider, deployment));
                }
                Err(why) => carried.leave(format!("model_list[{place}], {name}"), why),
            }
        }
        carried.name_parameters(list);
        carried.name_keys(&deployments, shipped);
        carried.name_models(&deployments);
        carried.group_models(list);
        Ok(carried)
    }

    pub fn leave(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left {
            what: what.into(),
            why: why.into(),
        });
    }

    /// What a name stands for, as `provider/model`.
    pub fn target(&self, name: &str) -> Option<&str> {
        let found = self.models.iter().find(|(known, _)| known == name);
        found.map(|(_, target)| target.as_str())
    }

    /// The names of the models of an access group; none where it is no group.
    pub fn group(&self, name: &str) -> Vec<&str> {
        let names = self.groups.get(name).into_iter().flatten();
        names.map(String::as_str).collect()
    }

    /// One more name for what another stands for.
    pub fn name_as(&mut self, alias: &str, name: &str) -> bool {
        let Some(target) = self.target(name).map(str::to_owned) else {
            return false;
        };
        self.models.push((alias.to_owned(), target));
        true
    }

    /// The file for `files.more_providers`.
    pub fn catalogue(&self) -> String {
        let mut file = toml::Table::new();
        let rows = self.rows.iter().map(|row| toml::Value::Table(row.as_toml()));
        file.insert("provider".to_owned(), toml::Value::Array(rows.collect()));
        let aliases = self.models.iter().filter(|(name, target)| name != target);
        let aliases = aliases.map(|(name, target)| (name.clone(), toml::Value::String(target.clone())));
        file.insert("aliases".to_owned(), toml::Value::Table(aliases.collect()));
        format!("# Made of a LiteLLM configuration by `caldera import litellm`.\n\n{file}")
    }

    /// The file for `files.more_prices`, where the configuration sets prices.
    pub fn prices(&self) -> Option<String> {
        if self.prices.is_empty() {
            return None;
        }
        let lines = self
            .prices
            .iter()
            .map(|(id, fields)| format!("{}: {fields}", Value::from(id.as_str())));
        Some(format!("{{\n{}\n}}\n", lines.collect::<Vec<_>>().join(",\n")))
    }

    pub fn as_json(&self) -> Value {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let models = self
            .models
            .iter()
            .map(|(name, target)| json!({ "name": name, "target": target }));
        let variables = self
            .variables
            .iter()
            .map(|(name, holds)| json!({ "name": name, "holds": holds, "is_set": is_set(name) }));
        let left = self
            .left
            .iter()
            .map(|left| json!({ "what": left.what, "why": left.why }));
        json!({
            "catalogue": self.catalogue(),
            "models": models.collect::<Vec<_>>(),
            "variables": variables.collect::<Vec<_>>(),
            "prices": self.prices,
            "not_carried_over": left.collect::<Vec<_>>(),
        })
    }

    /// The provider that serves a deployment: a shipped one, or a row of its own.
    fn provider_of(&mut self, deployment: &Deployment, shipped: &Catalogue) -> String {
        let Some(base) = &deployment.base_url else {
            return deployment.provider.clone();
        };
        let usual = shipped.public_base(&deployment.provider);
        if usual.is_some_and(|usual| usual.as_str().trim_end_matches('/') == base) {
            return deployment.provider.clone();
        }
        if !has_form_of_its_own(&deployment.provider) {
            let variable = format!("{}_BASE_URL", capitals(&deployment.provider));
            self.variables.insert(variable, base.clone());
            return deployment.provider.clone();
        }
        if let Some(known) = self.rows.iter().find(|row| row.serves(deployment, base)) {
            return known.name.clone();
        }
        let taken: BTreeSet<&str> = self.rows.iter().map(|row| row.name.as_str()).collect();
        let row = Row::new(deployment, base, |name| {
            taken.contains(name) || shipped.find(name).is_some()
        });
        let name = row.name.clone();
        if let Some((variable, holds)) = row.variable() {
            self.variables.insert(variable, holds);
        }
        self.rows.push(row);
        name
    }

    /// What entries set beside what is read, each parameter once with its models.
    fn name_parameters(&mut self, list: &[Value]) {
        let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for entry in list {
            let name = entry["model_name"].as_str().unwrap_or_default();
            let params = entry["litellm_params"].as_object().into_iter().flatten();
            for (param, _) in
                params.filter(|(param, _)| !READ.contains(&param.as_str()) && !param.contains("_cost_per_"))
            {
                found.entry(param.clone()).or_default().push(name);
            }
        }
        for (param, names) in found {
            self.leave(
                format!("litellm_params.{param} ({})", names.join(", ")),
                why_not(&param),
            );
        }
    }

    fn group_models(&mut self, list: &[Value]) {
        for entry in list {
            let Some(name) = entry["model_name"].as_str() else {
                continue;
            };
            let groups = entry["model_info"]["access_groups"].as_array().into_iter().flatten();
            for group in groups.filter_map(Value::as_str) {
                self.groups.entry(group.to_owned()).or_default().push(name.to_owned());
            }
        }
    }

    /// The variables of shipped providers' keys.
    fn name_keys(&mut self, deployments: &[(String, Deployment)], shipped: &Catalogue) {
        let mut keys: BTreeMap<&str, BTreeSet<&KeyPlace>> = BTreeMap::new();
        let shipped_only = deployments
            .iter()
            .filter(|(provider, _)| !self.rows.iter().any(|row| row.name == *provider));
        for (provider, deployment) in shipped_only {
            keys.entry(provider).or_default().insert(&deployment.key);
        }
        for (name, places) in keys {
            let Some(provider) = shipped.find(name) else { continue };
            let usual = provider.key_variable.clone();
            let others = places
                .iter()
                .filter(|place| ***place != KeyPlace::Variable(usual.clone()));
            let told: Vec<String> = others.filter_map(|place| place.told()).collect();
            match told.as_slice() {
                [] if name == "bedrock" => {
                    let holds =
                        "AWS's key, with AWS_SECRET_ACCESS_KEY beside it; or a key of Bedrock's in BEDROCK_API_KEY";
                    self.variables.insert("AWS_ACCESS_KEY_ID".to_owned(), holds.to_owned());
                }
                [] if name == "ollama" => {
                    self.variables
                        .insert("OLLAMA_BASE_URL".to_owned(), "where Ollama is, with /v1".to_owned());
                }
                [] => {
                    self.variables.insert(usual, format!("the key of {}", provider.label));
                }
                [one] if places.len() == 1 => {
                    self.variables.insert(usual, one.clone());
                }
                several => {
                    let all = several.join(", ");
                    self.variables.insert(
                        format!("{}_API_KEYS", capitals(name)),
                        format!("with commas: {usual}, {all}"),
                    );
                }
            }
            if name == "azure" {
                let holds = "https://RESOURCE.openai.azure.com/openai/v1";
                self.variables
                    .entry("AZURE_BASE_URL".to_owned())
                    .or_insert_with(|| holds.to_owned());
            }
        }
    }

    /// A name stands for the first of its deployments.
    fn name_models(&mut self, deployments: &[(String, Deployment)]) {
        let mut groups: Vec<(&str, Vec<&(String, Deployment)>)> = Vec::new();
        for pair in deployments {
            match groups.iter_mut().find(|(name, _)| *name == pair.1.name) {
                Some((_, group)) => group.push(pair),
                None => groups.push((&pair.1.name, vec![pair])),
            }
        }
        for (name, mut group) in groups {
            group.sort_by_key(|(_, deployment)| deployment.order);
            let targets: Vec<String> = group
                .iter()
                .map(|(provider, deployment)| format!("{provider}/{}", deployment.model))
                .collect();
            if group.iter().any(|(_, deployment)| deployment.is_pattern()) {
                self.name_pattern(name, &targets);
                continue;
            }
            self.models.push((name.to_owned(), targets[0].clone()));
            let mut others: Vec<&String> = targets[1..].iter().filter(|target| **target != targets[0]).collect();
            others.dedup();
            if !others.is_empty() {
                let header = fallbacks(others.iter().map(|target| target.as_str()));
                let why = format!("a name stands for one model here; where it fails, a call goes on with {header}");
                self.leave(format!("{name}: {} more deployments", targets.len() - 1), why);
            }
        }
    }

    /// Every model of a provider can be called as `provider/model` without a name of its own.
    fn name_pattern(&mut self, name: &str, targets: &[String]) {
        let same = |target: &String| target == name || (name == "*" && target.ends_with("/*"));
        if !targets.iter().all(same) {
            let list = targets.join(", ");
            self.leave(
                name,
                format!("call the models of {list} by their own names, as provider/model"),
            );
        }
    }
}

/// The header that lets a call go on with these models.
pub fn fallbacks<'a>(models: impl Iterator<Item = &'a str>) -> String {
    let list: Vec<Value> = models.map(|model| json!({ "model": model })).collect();
    format!("x-lava-fallbacks: {}", Value::from(list))
}

fn why_not(param: &str) -> &'static str {
    match param {
        "rpm" | "tpm" | "max_parallel_requests" => "limits belong to keys here: --rpm, --max-parallel",
        "weight" => "calls go round a provider's keys by weight: PROVIDER_API_KEYS=\"one*3,two\"",
        "timeout" | "stream_timeout" | "request_timeout" => "see the timeouts under [gateway]",
        "num_retries" | "max_retries" => "a call is sent again by itself where it cannot have been served",
        "aws_access_key_id" | "aws_secret_access_key" | "aws_session_token" | "aws_region_name" => {
            "from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION"
        }
        _ => "callers say it in their calls",
    }
}

/// The part of a variable's name that is a provider's.
pub fn capitals(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}
