//! The credentials at providers that merchants stored for their own calls: a full replica in memory, so that no call
//! waits for the database. The management calls change it before they answer. What is not here is not used; a call then
//! goes out with the operator's credential, or is refused where there is none.

use std::collections::HashMap;
use std::sync::Arc;

use dashmap::DashMap;

use crate::domain::ids::{MerchantId, ProviderKeyId};
use crate::domain::secret::Secret;

/// One stored credential.
#[derive(Debug)]
pub struct HeldKey {
    pub id: ProviderKeyId,
    pub key: Secret<String>,
}

/// The credentials of one merchant, by provider, as of one instant.
#[derive(Clone, Debug, Default)]
pub struct MerchantKeys {
    keys: HashMap<Box<str>, Arc<HeldKey>>,
}

impl MerchantKeys {
    pub fn find(&self, provider: &str) -> Option<&Secret<String>> {
        self.keys.get(provider).map(|held| &held.key)
    }
}

impl FromIterator<(String, HeldKey)> for MerchantKeys {
    fn from_iter<I: IntoIterator<Item = (String, HeldKey)>>(keys: I) -> Self {
        let entry = |(provider, held): (String, HeldKey)| (provider.into_boxed_str(), Arc::new(held));
        Self {
            keys: keys.into_iter().map(entry).collect(),
        }
    }
}

/// The credentials of all merchants.
#[derive(Debug, Default)]
pub struct ProviderKeys {
    merchants: DashMap<MerchantId, Arc<MerchantKeys>>,
}

impl ProviderKeys {
    /// A merchant's credentials; `None` where he stored none.
    pub fn of(&self, merchant: MerchantId) -> Option<Arc<MerchantKeys>> {
        self.merchants.get(&merchant).map(|entry| entry.value().clone())
    }

    /// Puts a credential in the place of the provider's last one.
    pub fn insert(&self, merchant: MerchantId, provider: &str, held: HeldKey) {
        let mut entry = self.merchants.entry(merchant).or_default();
        Arc::make_mut(entry.value_mut())
            .keys
            .insert(provider.into(), Arc::new(held));
    }

    /// Takes a credential out; one that was replaced since then is not there any more.
    pub fn remove(&self, merchant: MerchantId, id: ProviderKeyId) {
        if let Some(mut entry) = self.merchants.get_mut(&merchant) {
            Arc::make_mut(entry.value_mut()).keys.retain(|_, held| held.id != id);
        }
        self.merchants.remove_if(&merchant, |_, keys| keys.keys.is_empty());
    }

    /// Makes these the merchant's credentials, whatever they were.
    pub fn replace(&self, merchant: MerchantId, keys: MerchantKeys) {
        if keys.keys.is_empty() {
            self.merchants.remove(&merchant);
        } else {
            self.merchants.insert(merchant, Arc::new(keys));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Mode;

    fn id(number: u128) -> ProviderKeyId {
        ProviderKeyId::compose(Mode::Live, 0, number << 1)
    }

    fn held(number: u128, key: &str) -> HeldKey {
        HeldKey {
            id: id(number),
            key: Secret::new(key.to_owned()),
        }
    }

    #[test]
    fn a_merchant_has_one_credential_a_provider_and_only_his_own() {
        let keys = ProviderKeys::default();
        let [one, other] = [1, 2].map(|number| MerchantId::compose(Mode::Live, 0, number << 1));
        let found = |merchant, provider: &str| {
            let found = keys.of(merchant)?.find(provider)?.expose().clone();
            Some(found)
        };
        keys.insert(one, "openai", held(1, "a"));
        let snapshot = keys.of(one).unwrap();
        keys.insert(one, "openai", held(2, "b"));
        keys.insert(one, "groq", held(3, "c"));
        assert_eq!(found(one, "openai").as_deref(), Some("b"));
        assert_eq!(found(other, "openai"), None);
        assert_eq!(
            snapshot.find("openai").unwrap().expose(),
            "a",
            "a call keeps what it began with"
        );
        keys.remove(one, id(1));
        assert_eq!(
            found(one, "openai").as_deref(),
            Some("b"),
            "the replaced one is gone already"
        );
        keys.remove(other, id(2));
        keys.remove(one, id(2));
        assert_eq!((found(one, "openai"), found(one, "groq").as_deref()), (None, Some("c")));
        keys.replace(one, [("xai".to_owned(), held(4, "d"))].into_iter().collect());
        assert_eq!((found(one, "groq"), found(one, "xai").as_deref()), (None, Some("d")));
        keys.remove(one, id(4));
        assert!(keys.of(one).is_none());
        keys.insert(one, "xai", held(5, "e"));
        keys.replace(one, MerchantKeys::default());
        assert!(keys.of(one).is_none());
    }

    #[test]
    fn debug_output_shows_no_credential() {
        let keys = ProviderKeys::default();
        keys.insert(MerchantId::compose(Mode::Live, 0, 2), "openai", held(1, "hidden"));
        assert!(!format!("{keys:?}").contains("hidden"));
    }
}
