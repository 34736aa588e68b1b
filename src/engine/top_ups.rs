//! Customers whose credit has run out and who want a bundle to be bought by itself: whoever refuses a call, or leaves
//! nothing behind, says so here and goes on at once; who charges cards takes them from here. A crash loses wishes, and
//! the next call that is refused makes them again.

use std::sync::Arc;

use dashmap::DashSet;
use tokio::sync::Notify;

use super::customer_accounts::Whose;

/// The wishes of all customers, each once; clones share them.
#[derive(Clone, Debug, Default)]
pub struct TopUps {
    wishes: Arc<DashSet<Whose>>,
    arrived: Arc<Notify>,
}

impl TopUps {
    /// Asks for a customer's bundle; it costs nothing where he has set none.
    pub fn wish(&self, whose: Whose) {
        if self.wishes.insert(whose) {
            self.arrived.notify_one();
        }
    }

    /// Takes all wishes, once there is one. For one taker.
    pub async fn take(&self) -> Vec<Whose> {
        loop {
            let wishes: Vec<Whose> = self.wishes.iter().map(|whose| *whose).collect();
            for whose in &wishes {
                self.wishes.remove(whose);
            }
            if !wishes.is_empty() {
                return wishes;
            }
            self.arrived.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CustomerId, MerchantId};

    #[test]
    fn each_wish_is_taken_once() {
        actix_rt::System::new().block_on(async {
            let top_ups = TopUps::default();
            let whose = |number| Whose {
                customer_id: CustomerId::from_bits(number),
                merchant_id: MerchantId::from_bits(2),
            };
            for number in [2, 4, 2] {
                top_ups.wish(whose(number));
            }
            assert_eq!(top_ups.take().await.len(), 2);
            let (waiting, later) = (top_ups.clone(), top_ups);
            actix_rt::spawn(async move { later.wish(whose(6)) });
            assert_eq!(waiting.take().await, [whose(6)]);
        });
    }
}
