//! One shard of the accounts: owns balances and their holds. A postpaid account counts and never blocks; a prepaid one
//! refuses. A crash loses holds, whose calls the journal settles; a stop flushes nothing, because settlements and
//! movements are in the journal before they count here.

use std::collections::HashMap;

use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult};
use tokio::sync::oneshot;

use crate::domain::account::{Account, Funding};
use crate::domain::ids::WalletId;
use crate::domain::money::Money;
use crate::domain::request::Movement;
use crate::domain::room::{Claim, Fit};

use super::accounts::{AccountHold, AccountRefusal, PostError};
use super::journal::{Lane, Written};
use super::unwinding::EndsOnPanic;

/// How many admissions may queue up before more are refused.
const MAILBOX: usize = 4096;

/// Asks for a hold.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reserve {
    pub wallet_id: WalletId,
    pub claim: Claim,
    pub reply: oneshot::Sender<Result<AccountHold, AccountRefusal>>,
}

/// Asks for more room for a running call.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Extend {
    pub wallet_id: WalletId,
    pub claim: Claim,
    pub reply: oneshot::Sender<Result<Money, AccountRefusal>>,
}

/// Ends a hold; `actual` is zero for one that is released.
#[derive(Message)]
#[rtype(result = "()")]
pub struct End {
    pub wallet_id: WalletId,
    pub hold: Money,
    pub actual: Money,
}

/// A new account.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Adopt {
    pub wallet_id: WalletId,
    pub account: Account,
}

/// Prepaid or postpaid from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetFunding {
    pub wallet_id: WalletId,
    pub funding: Funding,
}

/// The account as it is.
#[derive(Message)]
#[rtype(result = "Option<Account>")]
pub struct Read {
    pub wallet_id: WalletId,
}

/// A movement to journal and apply.
#[derive(Message)]
#[rtype(result = "Result<(Account, Written), PostError>")]
pub struct Post {
    pub wallet_id: WalletId,
    pub movement: Movement,
}

/// The actor.
pub struct AccountShard {
    accounts: HashMap<WalletId, Account>,
    lane: Lane,
}

impl AccountShard {
    /// `lane` is that of the worker that this actor lives on.
    pub fn new(lane: Lane, accounts: Vec<(WalletId, Account)>) -> Self {
        Self {
            accounts: accounts.into_iter().collect(),
            lane,
        }
    }

    fn fit(&mut self, wallet_id: WalletId, claim: Claim) -> Result<Money, AccountRefusal> {
        let _guard = EndsOnPanic;
        let account = self.accounts.get_mut(&wallet_id).ok_or(AccountRefusal::Unknown)?;
        match account.reserve(claim) {
            Fit::Granted(amount) => Ok(amount),
            Fit::Busy => Err(AccountRefusal::Busy {
                balance: account.balance,
                held: account.held,
            }),
            Fit::Never => Err(AccountRefusal::Insufficient {
                balance: account.balance,
                held: account.held,
            }),
        }
    }

    fn end(&mut self, wallet_id: WalletId, hold: Money, actual: Money) {
        let _guard = EndsOnPanic;
        if let Some(account) = self.accounts.get_mut(&wallet_id) {
            account.settle(hold, actual);
        }
    }

    fn post(&mut self, wallet_id: WalletId, movement: &Movement) -> Result<(Account, Written), PostError> {
        let _guard = EndsOnPanic;
        let account = self.accounts.get_mut(&wallet_id).ok_or(PostError::Unknown)?;
        let written = self.lane.write_movement(movement)?;
        account.credit(movement.amount);
        Ok((*account, written))
    }
}

impl Actor for AccountShard {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Reserve> for AccountShard {
    type Result = ();

    fn handle(&mut self, message: Reserve, context: &mut Self::Context) {
        let shard = context.address();
        let fit = self.fit(message.wallet_id, message.claim);
        let held = fit.map(|amount| AccountHold {
            wallet_id: message.wallet_id,
            amount,
            shard,
            ended: false,
        });
        // A hold that nobody takes releases itself when it is dropped.
        drop(message.reply.send(held));
    }
}

impl Handler<Extend> for AccountShard {
    type Result = ();

    fn handle(&mut self, message: Extend, _: &mut Self::Context) {
        let fit = self.fit(message.wallet_id, message.claim);
        if let Err(Ok(amount)) = message.reply.send(fit) {
            self.end(message.wallet_id, amount, Money::ZERO);
        }
    }
}

impl Handler<End> for AccountShard {
    type Result = ();

    fn handle(&mut self, message: End, _: &mut Self::Context) {
        self.end(message.wallet_id, message.hold, message.actual);
    }
}

impl Handler<Adopt> for AccountShard {
    type Result = ();

    fn handle(&mut self, message: Adopt, _: &mut Self::Context) {
        self.accounts.insert(message.wallet_id, message.account);
    }
}

impl Handler<SetFunding> for AccountShard {
    type Result = ();

    fn handle(&mut self, message: SetFunding, _: &mut Self::Context) {
        if let Some(account) = self.accounts.get_mut(&message.wallet_id) {
            account.funding = message.funding;
        }
    }
}

impl Handler<Read> for AccountShard {
    type Result = MessageResult<Read>;

    fn handle(&mut self, message: Read, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.accounts.get(&message.wallet_id).copied())
    }
}

impl Handler<Post> for AccountShard {
    type Result = MessageResult<Post>;

    fn handle(&mut self, message: Post, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.post(message.wallet_id, &message.movement))
    }
}
