//! From what a client asked for, a model or a URL, to the provider that is called. It fails closed: an address outside
//! the catalogue, an endpoint without a usage reader, a provider without a credential are refusals that say what is
//! missing. The address that is called is always rebuilt from the catalogue, never taken from the client.

mod error;

use std::sync::Arc;

use actix_web::http::Uri;
use actix_web::http::header::InvalidHeaderValue;
use url::Url;

use super::face::Served;
use super::{Catalogue, Credential, CredentialStyle, EndpointKind, Provider};
use crate::domain::ids::MerchantId;
use crate::domain::price::{ModelPrice, Picture, PriceBook};
use crate::domain::request::ProviderKeyType;
use crate::domain::secret::Secret;
use crate::engine::provider_keys::MerchantKeys;
use crate::gateway::call::{Addressed, Streams};
use crate::gateway::dialect::Dialect;
pub use error::ResolveError;

/// What a call to a unified endpoint wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub model: &'a str,
    /// The dialect that the client speaks.
    pub dialect: Dialect,
    pub endpoint: EndpointKind,
    pub streams: Streams,
}

/// Whose credential a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialOwner {
    Operator,
    /// The caller's own: any path of the host.
    Caller,
    /// The merchant's, stored here: any path of the host, but for spend keys, whose limits hold on named endpoints only.
    Merchant,
}

impl CredentialOwner {
    pub const fn key_type(self) -> ProviderKeyType {
        match self {
            Self::Operator => ProviderKeyType::Managed,
            Self::Caller => ProviderKeyType::Unmanaged,
            Self::Merchant => ProviderKeyType::Stored,
        }
    }
}

/// The credentials that a call may use beside the operator's. The caller's own stands over the merchant's stored one,
/// and that over the operator's.
#[derive(Clone, Debug, Default)]
pub struct Means {
    own: Option<Secret<String>>,
    stored: Option<Arc<MerchantKeys>>,
}

impl Means {
    fn key_for(&self, provider: &Provider) -> (CredentialOwner, Option<&Secret<String>>) {
        if let Some(own) = &self.own {
            return (CredentialOwner::Caller, Some(own));
        }
        match self.stored.as_ref().and_then(|stored| stored.find(&provider.name)) {
            Some(stored) => (CredentialOwner::Merchant, Some(stored)),
            None => (CredentialOwner::Operator, None),
        }
    }

    /// Whether the provider can be called at all.
    pub(super) fn reach(&self, provider: &Provider) -> bool {
        self.key_for(provider).1.is_some() || provider.has_credential()
    }
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub struct Target {
    pub provider: Arc<Provider>,
    pub url: Uri,
    pub endpoint: EndpointKind,
    pub dialect: Dialect,
    /// The path behind the public base address; empty for a URL, which says it.
    pub path: Arc<str>,
    /// What the address says of a URL's call.
    pub addressed: Option<Addressed>,
    /// The provider's own name of the model; `None` for a URL whose model is in the body.
    pub model: Option<String>,
    /// `None` for a model that the price book does not know, and for a URL.
    pub price: Option<Arc<ModelPrice>>,
    /// Whose credential the call carries.
    pub owner: CredentialOwner,
    /// That credential, where it is not the operator's.
    pub key: Option<Secret<String>>,
    pub(in crate::gateway) credential_style: CredentialStyle,
}

impl Target {
    /// Asks for a stream, or not, where the address says that.
    pub fn readdress(&mut self, streams: Streams) {
        let Some(addressed) = &mut self.addressed else { return };
        addressed.streams = streams;
        let mut endpoints = self.provider.endpoints.iter();
        let served = endpoints.find(|served| served.kind == self.endpoint && served.dialect == self.dialect);
        if let Some(place) = served.and_then(|served| served.place(&addressed.model, streams)) {
            self.url = place.uri;
        }
    }

    /// A key of the caller's or the merchant's, in this provider's style.
    pub fn credential(&self, key: &Secret<String>) -> Result<Credential, InvalidHeaderValue> {
        self.credential_style.credential(key.expose())
    }
}

impl Provider {
    /// The price of one of this provider's models.
    pub fn price<'b>(&self, book: &'b PriceBook, model: &str) -> Option<&'b Arc<ModelPrice>> {
        // Google's ids may come with the name of their collection.
        let bare = model
            .strip_prefix("models/")
            .filter(|_| self.dialect == Dialect::Google);
        book.find(&self.price_tags, &self.price_prefixes, bare.unwrap_or(model))
    }

    /// The price of a picture by one of this provider's models.
    pub fn image_price(&self, book: &PriceBook, model: &str, picture: Picture<'_>) -> Option<Arc<ModelPrice>> {
        book.find_image(&self.price_tags, &self.price_prefixes, model, picture)
    }

    /// The path of an endpoint behind the base address; empty where the provider has none of the kind.
    pub fn endpoint_path(&self, kind: EndpointKind) -> &str {
        let found = self.endpoints.iter().find(|served| served.kind == kind);
        found.map_or("", |served| served.path())
    }

    /// Whether a call in this dialect passes as it is.
    fn speaks(&self, kind: EndpointKind, dialect: Dialect) -> bool {
        self.endpoints.iter().any(|served| served.is_chosen_for(kind, dialect))
    }

    /// Where a call goes: in its own dialect where the provider speaks it; a conversation, and a call that counts the
    /// tokens of one, else in the provider's.
    fn endpoint_for(&self, kind: EndpointKind, dialect: Dialect) -> Option<&Served> {
        let chosen = |dialect| {
            self.endpoints
                .iter()
                .find(move |served| served.is_chosen_for(kind, dialect))
        };
        let is_translated = matches!(kind, EndpointKind::Chat | EndpointKind::CountTokens);
        chosen(dialect).or_else(|| chosen(self.dialect).filter(|_| is_translated))
    }

    fn serves(&self, kind: EndpointKind) -> bool {
        self.endpoints.iter().any(|served| served.kind == kind)
    }

    fn require_credential(&self, subject: &str) -> Result<(), ResolveError> {
        if self.has_credential() {
            return Ok(());
        }
        Err(ResolveError::CredentialMissing {
            provider: self.name.clone(),
            variable: self.key_variable.clone(),
            subject: subject.to_owned(),
        })
    }

    /// The path behind the base address; `None` outside of it.
    fn path_inside<'u>(&self, url: &'u Url) -> Option<&'u str> {
        let rest = url.path().strip_prefix(self.public_base.path().trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    fn is_at(&self, host: &str) -> bool {
        self.public_base.host_str() == Some(host) || self.hosts.iter().any(|known| known == host)
    }

    /// The address to call for a URL of this provider: inside the base address behind ours, else on our host.
    fn rebuild(&self, url: &Url) -> Option<Uri> {
        let mut called = self.base.clone();
        match self.path_inside(url) {
            Some(rest) => called.set_path(&format!("{}{rest}", self.base.path().trim_end_matches('/'))),
            None => called.set_path(url.path()),
        }
        called.set_query(url.query());
        called.as_str().parse().ok()
    }
}

impl Catalogue {
    /// What a call of this merchant may use, with the provider's key that it brought along.
    pub fn means(&self, merchant: MerchantId, own: Option<&Secret<String>>) -> Means {
        Means {
            own: own.cloned(),
            stored: self.stored.of(merchant),
        }
    }

    /// Where the call of somebody goes who has no credential but the operator's.
    #[cfg(test)]
    pub fn resolve_model(&self, book: &PriceBook, wanted: Wanted<'_>) -> Result<Target, ResolveError> {
        self.target_of_model(book, wanted, &Means::default())
    }

    /// Where a forwarded URL goes with a credential of this owner.
    pub fn resolve_url(&self, url: &Url, method: &str, owner: CredentialOwner) -> Result<Target, ResolveError> {
        let own = match owner {
            CredentialOwner::Operator => None,
            CredentialOwner::Caller | CredentialOwner::Merchant => Some(Secret::new(String::new())),
        };
        self.target_of_url(url, method, &Means { own, stored: None })
    }

    /// Where a model's call goes: `provider/model` names a provider, a bare id goes to the first provider with a
    /// credential that the price book lists for it, an unknown one to the dialect's own provider, without a price.
    pub fn target_of_model(&self, book: &PriceBook, wanted: Wanted<'_>, means: &Means) -> Result<Target, ResolveError> {
        let wanted = Wanted {
            model: self.aliases.target(wanted.model).unwrap_or(wanted.model),
            ..wanted
        };
        let named = wanted
            .model
            .split_once('/')
            .and_then(|(name, model)| Some((self.find(name)?, model)));
        if let Some((provider, model)) = named.filter(|(_, model)| !model.is_empty()) {
            let choice = Choice {
                provider,
                price: provider.price(book, model),
            };
            return choice.target(Wanted { model, ..wanted }, means);
        }
        let mut second: Option<Choice<'_>> = None;
        for provider in &self.providers {
            let Some(price) = provider.price(book, wanted.model) else {
                continue;
            };
            if wanted.endpoint.is_media() && !provider.serves(wanted.endpoint) {
                continue;
            }
            let choice = Choice {
                provider,
                price: Some(price),
            };
            let speaks = provider.speaks(wanted.endpoint, wanted.dialect);
            if speaks && means.reach(provider) {
                return choice.target(wanted, means);
            }
            let better = second
                .as_ref()
                .is_none_or(|known| speaks && !known.provider.speaks(wanted.endpoint, wanted.dialect));
            if better {
                second = Some(choice);
            }
        }
        let own = || {
            let provider = self.find(wanted.dialect.home()).ok_or(ResolveError::NotAnAddress)?;
            Ok(Choice { provider, price: None })
        };
        second.map_or_else(own, Ok)?.target(wanted, means)
    }

    /// Where a forwarded URL goes. The operator's credential reaches only the endpoints that the catalogue names.
    pub fn target_of_url(&self, url: &Url, method: &str, means: &Means) -> Result<Target, ResolveError> {
        let provider = self.provider_at(url)?;
        let (owner, key) = means.key_for(provider);
        let path = provider.path_inside(url);
        let matched = path.and_then(|path| {
            let mut endpoints = provider.endpoints.iter();
            endpoints.find_map(|served| Some((served, served.matched(method, path, url.query())?)))
        });
        let (kind, dialect, addressed) = match (&matched, owner) {
            (Some((served, addressed)), _) => (served.kind, served.dialect, addressed.clone()),
            (None, CredentialOwner::Caller | CredentialOwner::Merchant) => {
                (EndpointKind::Opaque, provider.dialect, None)
            }
            (None, CredentialOwner::Operator) => {
                let (method, path) = (method.to_owned(), url.path().to_owned());
                return Err(ResolveError::EndpointUnknown {
                    method,
                    path,
                    provider: provider.name.clone(),
                });
            }
        };
        if owner == CredentialOwner::Operator {
            provider.require_credential("this endpoint")?;
        }
        let inside = if path.is_some() {
            provider.credential_style
        } else {
            provider.outside_style
        };
        Ok(Target {
            provider: provider.clone(),
            url: provider.rebuild(url).ok_or(ResolveError::NotAnAddress)?,
            endpoint: kind,
            dialect,
            path: Arc::default(),
            model: addressed.as_ref().map(|addressed| addressed.model.clone()),
            addressed,
            price: None,
            owner,
            key: key.cloned(),
            credential_style: matched.map_or(inside, |(served, _)| served.style),
        })
    }

    /// The provider of a URL's host; where several share it, the one whose base address reaches furthest into it.
    fn provider_at(&self, url: &Url) -> Result<&Arc<Provider>, ResolveError> {
        let host = url.host_str().unwrap_or_default();
        if let Some(port) = url.port() {
            return Err(ResolveError::HostUnknown {
                host: format!("{host}:{port}"),
            });
        }
        let at_host = || self.providers.iter().filter(|provider| provider.is_at(host));
        let inside = at_host().filter(|provider| provider.path_inside(url).is_some());
        let longest = inside.max_by_key(|provider| provider.public_base.path().len());
        longest
            .or_else(|| at_host().next())
            .ok_or_else(|| ResolveError::HostUnknown { host: host.to_owned() })
    }
}

/// A provider that serves a model, and its price there.
struct Choice<'a> {
    provider: &'a Arc<Provider>,
    price: Option<&'a Arc<ModelPrice>>,
}

impl Choice<'_> {
    fn target(&self, wanted: Wanted<'_>, means: &Means) -> Result<Target, ResolveError> {
        let provider = self.provider;
        let (owner, key) = means.key_for(provider);
        let Some(served) = provider.endpoint_for(wanted.endpoint, wanted.dialect) else {
            return Err(self.not_served(wanted));
        };
        if owner == CredentialOwner::Operator {
            provider.require_credential(wanted.model)?;
        }
        let place = served
            .place(wanted.model, wanted.streams)
            .ok_or(ResolveError::NotAnAddress)?;
        Ok(Target {
            provider: provider.clone(),
            url: place.uri,
            endpoint: wanted.endpoint,
            dialect: served.dialect,
            path: place.path,
            addressed: None,
            model: Some(wanted.model.to_owned()),
            price: self.price.cloned(),
            owner,
            key: key.cloned(),
            credential_style: served.style,
        })
    }

    fn not_served(&self, wanted: Wanted<'_>) -> ResolveError {
        let provider = self.provider;
        if provider.dialect == wanted.dialect {
            return ResolveError::EndpointUnknown {
                method: "POST".to_owned(),
                path: wanted.model.to_owned(),
                provider: provider.name.clone(),
            };
        }
        ResolveError::NotTranslated {
            model: wanted.model.to_owned(),
            provider: provider.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
