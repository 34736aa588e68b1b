//! Which customers there are: a full replica in memory, by id and by the merchant's own reference id, so that no call
//! waits for the database. The management calls change it before they answer; a deleted customer is not in it. It fails
//! closed: who is not here, or is another merchant's, is not known. It is kept small, because a merchant may have a
//! million customers: each text stands in it once.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use dashmap::{DashMap, DashSet};

use crate::domain::ids::{CustomerId, MerchantId};

/// A customer as every call knows him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRef {
    pub id: CustomerId,
    pub merchant_id: MerchantId,
    pub reference_id: Option<Box<str>>,
}

/// All customers of all merchants.
#[derive(Debug, Default)]
pub struct Customers {
    by_id: DashMap<CustomerId, Arc<CustomerRef>>,
    by_reference: DashSet<ByReference>,
}

impl Customers {
    /// The merchant's customer of this id or of this reference id.
    pub fn find(&self, merchant_id: MerchantId, id_or_reference: &str) -> Option<Arc<CustomerRef>> {
        match id_or_reference.parse() {
            Ok(id) => self.by_id(id).filter(|customer| customer.merchant_id == merchant_id),
            Err(_) => {
                let key: &dyn Reference = &(merchant_id, id_or_reference);
                self.by_reference.get(key).map(|entry| entry.key().0.clone())
            }
        }
    }

    /// The customer of this id, whosever he is.
    pub fn by_id(&self, id: CustomerId) -> Option<Arc<CustomerRef>> {
        self.by_id.get(&id).map(|entry| entry.value().clone())
    }

    /// Puts a customer in, or in the place of what he was. At no moment is he missing.
    pub fn insert(&self, customer: CustomerRef) {
        if self.by_id(customer.id).is_some_and(|known| *known == customer) {
            return;
        }
        let customer = Arc::new(customer);
        self.by_reference_insert(&customer);
        let last = self.by_id.insert(customer.id, customer.clone());
        if let Some(last) = last.filter(|last| last.reference_id != customer.reference_id) {
            self.forget_reference(&last);
        }
    }

    /// Takes a customer out.
    pub fn remove(&self, id: CustomerId) {
        if let Some((_, last)) = self.by_id.remove(&id) {
            self.forget_reference(&last);
        }
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// A set keeps the entry that it has, so one of another customer has to go first.
    fn by_reference_insert(&self, customer: &Arc<CustomerRef>) {
        if let Some(reference) = &customer.reference_id {
            let key: &dyn Reference = &(customer.merchant_id, reference.as_ref());
            self.by_reference.remove_if(key, |entry| entry.0.id != customer.id);
            self.by_reference.insert(ByReference(customer.clone()));
        }
    }

    /// Another customer may have got the reference id since then.
    fn forget_reference(&self, last: &Arc<CustomerRef>) {
        if let Some(reference) = &last.reference_id {
            let key: &dyn Reference = &(last.merchant_id, reference.as_ref());
            self.by_reference.remove_if(key, |entry| entry.0.id == last.id);
        }
    }
}

/// A customer, found by his merchant and his reference id. The two stand only in the customer himself.
#[derive(Debug)]
struct ByReference(Arc<CustomerRef>);

/// What a look-up by reference id compares.
trait Reference {
    fn parts(&self) -> (MerchantId, &str);
}

impl Reference for ByReference {
    fn parts(&self) -> (MerchantId, &str) {
        (self.0.merchant_id, self.0.reference_id.as_deref().unwrap_or_default())
    }
}

impl Reference for (MerchantId, &str) {
    fn parts(&self) -> (MerchantId, &str) {
        *self
    }
}

impl<'a> Borrow<dyn Reference + 'a> for ByReference {
    fn borrow(&self) -> &(dyn Reference + 'a) {
        self
    }
}

impl PartialEq for dyn Reference + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Reference + '_ {}

impl Hash for dyn Reference + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for ByReference {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for ByReference {}

impl Hash for ByReference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Mode;

    fn merchant(number: u128) -> MerchantId {
        MerchantId::compose(Mode::Live, 0, number << 1)
    }

    fn customer(number: u128, merchant_id: MerchantId, reference: Option<&str>) -> CustomerRef {
        CustomerRef {
            id: CustomerId::compose(Mode::Live, 0, number << 1),
            merchant_id,
            reference_id: reference.map(Box::from),
        }
    }

    fn found(customers: &Customers, merchant_id: MerchantId, text: &str) -> Option<CustomerId> {
        customers.find(merchant_id, text).map(|customer| customer.id)
    }

    #[test]
    fn a_customer_is_found_by_both_names_and_only_by_his_merchant() {
        let customers = Customers::default();
        let (one, other) = (merchant(1), merchant(2));
        let (mine, theirs) = (customer(1, one, Some("u")), customer(2, other, Some("u")));
        customers.insert(mine.clone());
        customers.insert(theirs.clone());
        customers.insert(customer(3, one, None));
        assert_eq!(found(&customers, one, "u"), Some(mine.id));
        assert_eq!(found(&customers, other, "u"), Some(theirs.id));
        assert_eq!(found(&customers, one, &mine.id.to_string()), Some(mine.id));
        assert_eq!(found(&customers, other, &mine.id.to_string()), None);
        for text in ["", "v", "con_", "U"] {
            assert_eq!(found(&customers, one, text), None, "{text}");
        }
        assert_eq!(customers.len(), 3);
    }

    #[test]
    fn a_reference_id_follows_its_customer() {
        let customers = Customers::default();
        let one = merchant(1);
        customers.insert(customer(1, one, Some("a")));
        customers.insert(customer(1, one, Some("b")));
        assert_eq!(found(&customers, one, "a"), None);
        let id = found(&customers, one, "b");
        assert!(id.is_some());
        // He whose reference id was given on meanwhile takes nothing away with him.
        customers.insert(customer(2, one, Some("b")));
        customers.remove(id.unwrap());
        assert_eq!(found(&customers, one, "b"), Some(customer(2, one, None).id));
        customers.insert(customer(2, one, None));
        assert_eq!((found(&customers, one, "b"), customers.len()), (None, 1));
        customers.remove(customer(2, one, None).id);
        assert!(customers.is_empty() && customers.by_reference.is_empty());
    }

    #[test]
    fn a_customer_is_small() {
        assert!(size_of::<CustomerRef>() <= 48, "{}", size_of::<CustomerRef>());
        assert_eq!(size_of::<ByReference>(), 8);
    }
}
