//! What each worker takes on when it starts. Shards are made once, on the workers' own threads; a worker that is
//! started a second time ends the process, because its shard's state died with the first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::Actor;

use crate::domain::account::Account;
use crate::domain::customer_account::CustomerAccount;
use crate::domain::ids::{CustomerId, WalletId};
use crate::domain::key::KeySettings;
use crate::domain::spend::StoredCounters;
use crate::engine::account_actor::AccountShard;
use crate::engine::customer_actor::{CustomerShard, CustomerShardParts};
use crate::engine::journal::{self, Journal};
use crate::engine::options::SpendKeyOptions;
use crate::engine::spend_actor::SpendShard;
use crate::gateway::{Gateway, Worker};
use crate::storage::replica::Replica;

use super::serving::Shared;

/// What a crew is made of.
pub struct CrewParts {
    pub shared: Shared,
    pub options: SpendKeyOptions,
    pub journal: Arc<Journal>,
    pub gateway: Arc<Gateway>,
}

type StoredKey = (Arc<KeySettings>, StoredCounters);

/// What each worker takes on when it starts: its place, its lane, the keys and wallets of its shard.
pub struct Crew {
    parts: CrewParts,
    next: AtomicUsize,
    keys: Mutex<Vec<Vec<StoredKey>>>,
    wallets: Mutex<Vec<Vec<(WalletId, Account)>>>,
    customers: Mutex<Vec<Vec<(CustomerId, CustomerAccount)>>>,
}

impl Crew {
    pub fn new(parts: CrewParts, replica: Replica) -> Self {
        let count = parts.shared.spend.count();
        let mut keys: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        let mut wallets: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for key in replica.spend_keys {
            keys[parts.shared.spend.place(key.settings.id)].push((key.settings, key.counters));
        }
        for (wallet_id, account) in replica.wallets {
            parts.shared.accounts.note_funding(wallet_id, account.funding);
            wallets[parts.shared.accounts.place(wallet_id)].push((wallet_id, account));
        }
        let mut customers: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for (customer_id, account) in replica.customer_accounts {
            customers[parts.shared.customer_accounts.place(customer_id)].push((customer_id, account));
        }
        Self {
            parts,
            next: AtomicUsize::new(0),
            keys: Mutex::new(keys),
            wallets: Mutex::new(wallets),
            customers: Mutex::new(customers),
        }
    }

    /// How many workers there are.
    pub fn size(&self) -> usize {
        self.parts.shared.spend.count()
    }

    /// Called once on every worker's thread.
    pub fn sign_on(&self) -> Worker {
        let place = self.next.fetch_add(1, Ordering::AcqRel);
        if place >= self.parts.shared.spend.count() {
            journal::fail("a worker died", &"its shard of the spend keys died with it");
        }
        let parts = &self.parts;
        let lane = match parts.journal.lane(place) {
            Ok(lane) => lane,
            Err(error) => journal::fail("a lane of the journal could not be opened", &error),
        };
        let take = |place: usize| std::mem::take(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner)[place]);
        let keys = SpendShard::new(parts.shared.clock.clone(), parts.options.clone(), take(place)).start();
        let wallets = std::mem::take(&mut self.wallets.lock().unwrap_or_else(PoisonError::into_inner)[place]);
        let accounts = AccountShard::new(lane.clone(), wallets).start();
        let customers = std::mem::take(&mut self.customers.lock().unwrap_or_else(PoisonError::into_inner)[place]);
        let surroundings = CustomerShardParts {
            lane: lane.clone(),
            clock: parts.shared.clock.clone(),
            tariffs: parts.shared.tariffs.clone(),
            customers: parts.shared.customers.clone(),
        };
        let customers = CustomerShard::new(surroundings, customers).start();
        let enrolled = [
            parts.shared.spend.enrol(place, keys),
            parts.shared.accounts.enrol(place, accounts),
            parts.shared.customer_accounts.enrol(place, customers),
        ];
        if enrolled.iter().any(Result::is_err) {
            journal::fail("a worker died", &"its place was taken");
        }
        Worker::new(parts.gateway.clone(), lane)
    }
}
