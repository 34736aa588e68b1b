//! The prices of deployments: those that the configuration sets, and where a deployment has a name of its own, those of
//! the model that it says is behind it. One that has neither is named, because a key with a limit refuses it.

use serde_json::{Map, Value};

use crate::app::cli::import::deployment::Deployment;
use crate::app::serving::SHIPPED_PRICES;
use crate::domain::price::PriceBook;
use crate::gateway::provider::{Catalogue, Provider};

use super::Carried;

/// What is shipped.
pub struct Shelf<'a> {
    pub shipped: &'a Catalogue,
    pub book: &'a PriceBook,
}

impl Carried {
    /// Prices a deployment at the provider that serves it.
    pub(super) fn price(&mut self, entry: &Value, (provider, deployment): (&str, &Deployment), shelf: &Shelf<'_>) {
        let fields = costs(entry).or_else(|| shelf.behind(entry, deployment));
        let Some(mut fields) = fields else {
            self.name_unpriced((provider, deployment), shelf);
            return;
        };
        let own = self.rows.iter_mut().find(|row| row.name == provider);
        let (id, tag) = match own {
            Some(row) => {
                row.has_prices = true;
                (format!("{provider}/{}", deployment.model), provider.to_owned())
            }
            None => shelf.place(provider, &deployment.model),
        };
        let info = &entry["model_info"];
        fields.insert("litellm_provider".to_owned(), Value::from(tag));
        if let Some(mode) = info["mode"].as_str() {
            fields.insert("mode".to_owned(), Value::from(mode));
        }
        fields.entry("mode").or_insert_with(|| Value::from("chat"));
        for name in ["max_input_tokens", "max_output_tokens"] {
            if info[name].is_u64() {
                fields.insert(name.to_owned(), info[name].clone());
            }
        }
        self.prices.insert(id, Value::Object(fields));
    }

    fn name_unpriced(&mut self, (provider, deployment): (&str, &Deployment), shelf: &Shelf<'_>) {
        if deployment.is_pattern() || shelf.knows(&deployment.provider, &deployment.model) {
            return;
        }
        let why = "the price book does not have it, and keys with a limit refuse it: give it one by `caldera prices import`, \
                   or set gateway.default_input_price";
        self.leave(format!("a price of {provider}/{}", deployment.model), why);
    }
}

impl Shelf<'_> {
    /// The entry of the model that a deployment says is behind it.
    fn behind(&self, entry: &Value, deployment: &Deployment) -> Option<Map<String, Value>> {
        let base = entry["model_info"]["base_model"].as_str()?;
        if self.knows(&deployment.provider, &deployment.model) {
            return None;
        }
        let found = self.shipped.find(&deployment.provider)?;
        let bare = base.split_once('/').map_or(base, |(_, model)| model);
        let price = self.book.get(base).or_else(|| self.find(found, bare))?;
        let mut shipped: Map<String, Value> = serde_json::from_str(SHIPPED_PRICES).ok()?;
        match shipped.remove(&*price.id)? {
            Value::Object(fields) => Some(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }

    fn knows(&self, provider: &str, model: &str) -> bool {
        let found = self.shipped.find(provider);
        found.is_some_and(|provider| self.find(provider, model).is_some())
    }

    fn find(&self, provider: &Provider, model: &str) -> Option<&std::sync::Arc<crate::domain::price::ModelPrice>> {
        self.book.find(&provider.price_tags, &provider.price_prefixes, model)
    }

    /// The entry and the tag of a shipped provider's model.
    fn place(&self, provider: &str, model: &str) -> (String, String) {
        let Some(provider) = self.shipped.find(provider) else {
            return (model.to_owned(), String::new());
        };
        if let Some(price) = self.find(provider, model) {
            return (price.id.to_string(), price.provider_tag.to_string());
        }
        let id = match provider.price_prefixes.first() {
            Some(prefix) => format!("{prefix}/{model}"),
            None => model.to_owned(),
        };
        let tag = provider.price_tags.first();
        (id, tag.map_or_else(|| provider.name.to_string(), ToString::to_string))
    }
}

/// The prices that an entry itself sets.
fn costs(entry: &Value) -> Option<Map<String, Value>> {
    let places = [&entry["litellm_params"], &entry["model_info"]].map(Value::as_object);
    let costs = places.into_iter().flatten().flatten();
    let costs = costs.filter(|(name, value)| name.contains("_cost_per_") && value.is_number());
    let costs: Map<String, Value> = costs.map(|(name, value)| (name.clone(), value.clone())).collect();
    (!costs.is_empty()).then_some(costs)
}
