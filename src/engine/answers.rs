//! Which merchant got which answer of those that OpenAI keeps under the operator's account: a later call may go on with
//! an answer only of its own merchant. The newest are known here, the others to the database. It fails closed: where
//! neither can say, the call is not sent.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::MerchantId;

/// How many of the newest are known without the database, at least.
const KNOWN: usize = 20_000;

/// The database is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be known now whose answer this is")]
pub struct Unknown;

/// What a look-up brings.
pub type Found = Pin<Box<dyn Future<Output = Result<bool, Unknown>> + Send>>;

/// Looks an answer up among all that were ever given.
pub trait FindAnswer: Send + Sync {
    fn is_of(&self, merchant: MerchantId, response_id: &str) -> Found;
}

/// The answers and their owners.
pub struct Answers {
    newest: Mutex<Newest>,
    find: Box<dyn FindAnswer>,
}

/// Two generations: when the young one is full it takes the place of the old one.
#[derive(Default)]
struct Newest {
    young: HashMap<Box<str>, MerchantId>,
    old: HashMap<Box<str>, MerchantId>,
}

impl Answers {
    pub fn new(find: Box<dyn FindAnswer>) -> Self {
        Self {
            newest: Mutex::default(),
            find,
        }
    }

    /// The merchant got this answer.
    pub fn note(&self, merchant: MerchantId, response_id: &str) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.young.len() >= KNOWN {
            newest.old = std::mem::take(&mut newest.young);
        }
        newest.young.insert(response_id.into(), merchant);
    }

    /// Whether this merchant got the answer.
    pub async fn is_of(&self, merchant: MerchantId, response_id: &str) -> Result<bool, Unknown> {
        if let Some(owner) = self.owner(response_id) {
            return Ok(owner == merchant);
        }
        self.find.is_of(merchant, response_id).await
    }

    fn owner(&self, response_id: &str) -> Option<MerchantId> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let found = newest.young.get(response_id).or(newest.old.get(response_id));
        found.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that knows one answer of merchant 9.
    struct One;

    impl FindAnswer for One {
        fn is_of(&self, merchant: MerchantId, response_id: &str) -> Found {
            let found = merchant == MerchantId::from_bits(9) && response_id == "resp_old";
            Box::pin(async move { Ok(found) })
        }
    }

    #[actix_rt::test]
    async fn an_answer_is_its_merchants_alone_and_the_newest_need_no_database() {
        let answers = Answers::new(Box::new(One));
        let (one, two) = (MerchantId::from_bits(1), MerchantId::from_bits(2));
        for count in 0..3 * KNOWN {
            answers.note(one, &format!("resp_{count}"));
        }
        let newest = format!("resp_{}", 3 * KNOWN - 1);
        assert_eq!(answers.is_of(one, &newest).await, Ok(true));
        assert_eq!(answers.is_of(two, &newest).await, Ok(false));
        assert_eq!(answers.is_of(MerchantId::from_bits(9), "resp_old").await, Ok(true));
        assert_eq!(answers.is_of(one, "resp_old").await, Ok(false));
        let newest = answers.newest.lock().unwrap();
        assert!(newest.young.len() + newest.old.len() <= 2 * KNOWN);
    }
}
