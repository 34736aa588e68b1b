//! Looks up in the database whose answer it is, for the gateway.

use crate::domain::ids::MerchantId;
use crate::engine::answers::{FindAnswer, Found, Unknown};
use crate::storage::{Database, requests};

/// The answers among the rows of usage.
pub struct StoredAnswers(pub Database);

impl FindAnswer for StoredAnswers {
    fn is_of(&self, merchant: MerchantId, response_id: &str) -> Found {
        let (database, response_id) = (self.0.clone(), response_id.to_owned());
        Box::pin(async move {
            let work = move |connection: &mut _| requests::answered(connection, merchant, &response_id);
            database.run(work).await.map_err(|_| Unknown)
        })
    }
}
