//! What the catalogue and the price book list together: the models that can be called, and every priced model of every
//! provider as the public directory shows it. Addresses that the operator gave himself are nobody's business and stay
//! out of the directory.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Catalogue, EndpointKind, Means, Origin, Provider};
use crate::domain::price::{Mode, ModelPrice, PriceBook};

/// A row of the model list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    pub id: String,
    /// The provider's own name of it, where the id is an alias.
    pub alias_of: Option<String>,
    pub owned_by: Arc<str>,
    pub price: Arc<ModelPrice>,
}

/// A priced model at one provider.
#[derive(Clone, Debug)]
pub struct Service {
    pub provider: Arc<Provider>,
    pub model: String,
    pub price: Arc<ModelPrice>,
    pub kind: EndpointKind,
    /// The endpoint's path behind the base address.
    pub path: String,
    /// The address that may be forwarded to; `None` where it is not a public one.
    pub public_url: Option<String>,
}

impl Catalogue {
    /// The chat models that the operator's credentials reach; see [`Catalogue::models_with`].
    #[cfg(test)]
    pub fn models_for(&self, book: &PriceBook) -> Vec<ListedModel> {
        self.models_with(book, &Means::default())
    }

    /// The chat models that can be called now, by provider in the configured order, then by id.
    pub fn models_with(&self, book: &PriceBook, means: &Means) -> Vec<ListedModel> {
        let prices = sorted(book, |price| price.mode == Mode::Chat);
        let mut seen = HashSet::new();
        let mut listed = self.aliased(book, means);
        for provider in self.providers.iter().filter(|provider| means.reach(provider)) {
            for (id, price) in provider.priced(&prices) {
                if seen.insert(id) {
                    let (id, owned_by) = (id.to_owned(), provider.name.clone());
                    let price = Arc::clone(price);
                    listed.push(ListedModel {
                        id,
                        alias_of: None,
                        owned_by,
                        price,
                    });
                }
            }
        }
        listed
    }

    /// The operator's own names for models that can be called now.
    fn aliased(&self, book: &PriceBook, means: &Means) -> Vec<ListedModel> {
        let listed = self.aliases.names().filter_map(|(id, target)| {
            let (name, model) = target.split_once('/')?;
            let provider = self.find(name).filter(|provider| means.reach(provider))?;
            Some(ListedModel {
                id: id.to_owned(),
                alias_of: Some(model.to_owned()),
                owned_by: provider.name.clone(),
                price: provider.price(book, model)?.clone(),
            })
        });
        listed.collect()
    }

    /// Every priced model of every provider that has an endpoint for it, whether or not it can be called now.
    pub fn services(&self, book: &PriceBook) -> Vec<Service> {
        let prices = sorted(book, |price| kind_of(price.mode).is_some());
        let mut services = Vec::new();
        for provider in &self.providers {
            let mut seen = HashSet::new();
            for (id, price) in provider.priced(&prices) {
                let Some(kind) = kind_of(price.mode) else { continue };
                let path = provider.endpoint_path(kind);
                if path.is_empty() || !seen.insert(id) {
                    continue;
                }
                services.push(Service {
                    provider: provider.clone(),
                    model: id.to_owned(),
                    price: Arc::clone(price),
                    kind,
                    path: path.to_owned(),
                    public_url: provider.public_url(path),
                });
            }
        }
        services
    }
}

impl Provider {
    /// Whether the operator has only named a host here, for callers with credentials of their own.
    pub fn is_bare_host(&self) -> bool {
        self.origin == Origin::Operator && self.endpoints.is_empty()
    }

    fn public_url(&self, path: &str) -> Option<String> {
        let base = self.public_base.as_str().trim_end_matches('/');
        match self.origin {
            Origin::Catalogue => Some(format!("{base}{path}")),
            Origin::Operator => None,
        }
    }

    /// Those of the prices that are this provider's, each with the bare id of its model.
    fn priced<'b>(&self, prices: &[&'b Arc<ModelPrice>]) -> Vec<(&'b str, &'b Arc<ModelPrice>)> {
        let own = prices
            .iter()
            .filter(|price| self.price_tags.contains(&price.provider_tag));
        let named = own.map(|price| {
            let bare = |prefix: &Arc<str>| price.id.strip_prefix(&**prefix)?.strip_prefix('/');
            (self.price_prefixes.iter().find_map(bare).unwrap_or(&price.id), *price)
        });
        // The base of fine-tunes is a price, not a model.
        named.filter(|(id, _)| !id.starts_with("ft:")).collect()
    }
}

fn sorted(book: &PriceBook, wanted: impl Fn(&ModelPrice) -> bool) -> Vec<&Arc<ModelPrice>> {
    let mut prices: Vec<&Arc<ModelPrice>> = book.models().filter(|price| wanted(price)).collect();
    prices.sort_by(|one, other| one.id.cmp(&other.id));
    prices
}

/// What a model is called by; `None` where none of our endpoints serves it.
fn kind_of(mode: Mode) -> Option<EndpointKind> {
    match mode {
        Mode::Chat => Some(EndpointKind::Chat),
        Mode::Completion => Some(EndpointKind::Completions),
        Mode::Embedding => Some(EndpointKind::Embeddings),
        Mode::Responses | Mode::Image | Mode::Speech | Mode::Transcription | Mode::Rerank | Mode::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{book, catalogue};
    use super::*;
    use crate::gateway::provider::EndpointKind;

    #[test]
    fn the_directory_has_every_priced_model_with_its_public_address() {
        let services = catalogue(&[]).services(book());
        let find = |provider: &str, model: &str| {
            services
                .iter()
                .find(|service| *service.provider.name == *provider && service.model == model)
        };
        let table = [
            (
                "openai",
                "gpt-4o-mini",
                EndpointKind::Chat,
                "https://api.openai.com/v1/chat/completions",
            ),
            (
                "openai",
                "text-embedding-3-small",
                EndpointKind::Embeddings,
                "https://api.openai.com/v1/embeddings",
            ),
            (
                "anthropic",
                "claude-sonnet-4-6",
                EndpointKind::Chat,
                "https://api.anthropic.com/v1/messages",
            ),
        ];
        for (provider, model, kind, url) in table {
            let service = find(provider, model).unwrap();
            assert_eq!((service.kind, service.public_url.as_deref()), (kind, Some(url)));
        }
        assert!(find("openai", "dall-e-3").is_none());
        assert!(
            find("azure", "gpt-4o").is_none(),
            "azure is not there without an address"
        );
        let ids: HashSet<_> = services
            .iter()
            .map(|service| (&service.provider.name, &service.model))
            .collect();
        assert_eq!(ids.len(), services.len());
    }

    #[test]
    fn the_directory_does_not_tell_an_address_that_the_operator_gave() {
        let env = [
            ("AZURE_BASE_URL", "https://hidden.openai.azure.com/openai/v1"),
            ("OPENAI_BASE_URL", "http://hidden:9/v1"),
        ];
        let services = catalogue(&env).services(book());
        let of = |name: &str| {
            services
                .iter()
                .find(|service| *service.provider.name == *name)
                .unwrap()
                .clone()
        };
        assert_eq!(of("azure").public_url, None);
        assert!(of("openai").public_url.unwrap().starts_with("https://api.openai.com/"));
    }
}
