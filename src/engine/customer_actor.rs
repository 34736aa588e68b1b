//! One shard of the customers' accounts: owns credit, subscriptions and what was used of meters, and begins the cycles
//! that have come. Every change is in the journal before it counts here. A crash loses holds, whose calls the journal
//! settles, and cycles that nobody has looked at since, which begin at the next start; a stop flushes nothing.

mod first_plan;
mod message;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, MessageResult};

use crate::domain::credit::{Bucket, Entry, EntryKind};
use crate::domain::customer_account::{CustomerAccount, Tally};
use crate::domain::ids::{CustomerId, MeterId, MovementId};
use crate::domain::money::Money;
use crate::domain::request::{AccountRef, Charge, MovementKind, Turn as TurnRecord, TurnEntry};
use crate::domain::room::{Claim, Fit};
use crate::domain::subscription::Turn;

use super::accounts::AccountRefusal;
use super::clock::Clock;
use super::customer_accounts::{ChangeError, CreditAsk, CreditHold, CreditRefusal, Reported, Whose};
use super::customers::Customers;
use super::journal::{Lane, Written};
use super::random;
use super::tariffs::Tariffs;
use super::unwinding::EndsOnPanic;
pub use message::{Begin, Book, Change, Entitle, Extend, Read, Report, Reserve, Settle, Transition};

/// How many admissions may queue up before more are refused.
const MAILBOX: usize = 4096;
/// How often it is looked whose cycle has ended. A call or a look begins a cycle at once.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(1);
/// Accounts whose cycles begin in one go, so that calls are never kept waiting for long.
const RENEWALS_AT_ONCE: usize = 256;

/// The actor.
pub struct CustomerShard {
    accounts: HashMap<CustomerId, CustomerAccount>,
    /// When a subscription has something to do next, in unix seconds.
    wakes: BTreeSet<(i64, CustomerId)>,
    parts: CustomerShardParts,
}

/// What a shard needs of its surroundings.
pub struct CustomerShardParts {
    /// That of the worker that the actor lives on.
    pub lane: Lane,
    pub clock: Clock,
    pub tariffs: Arc<Tariffs>,
    pub customers: Arc<Customers>,
}

impl CustomerShard {
    pub fn new(parts: CustomerShardParts, accounts: Vec<(CustomerId, CustomerAccount)>) -> Self {
        let wakes = accounts
            .iter()
            .filter_map(|(id, account)| Some((wakes_at_s(account)?, *id)));
        Self {
            wakes: wakes.collect(),
            accounts: accounts.into_iter().collect(),
            parts,
        }
    }

    /// The account, with all cycles begun that have passed, on the plan that it belongs on; a new one where there is
    /// none.
    fn current(&mut self, whose: Whose) -> &mut CustomerAccount {
        let now_s = self.parts.clock.now().wall_s();
        let account = self.accounts.get(&whose.customer_id);
        if account.and_then(wakes_at_s).is_some_and(|at_s| at_s <= now_s) {
            self.catch_up(whose, now_s);
        }
        self.begin_first_plan(whose);
        let new = || CustomerAccount::new(whose.merchant_id);
        self.accounts.entry(whose.customer_id).or_insert_with(new)
    }

    /// Begins the cycles that have passed. Where the journal has no room it is tried again later.
    fn catch_up(&mut self, whose: Whose, now_s: i64) {
        while let Some(account) = self.accounts.get(&whose.customer_id)
            && let Some(subscription) = &account.subscription
            && let Some(at_s) = subscription.wakes_at_s()
            && at_s <= now_s
        {
            let turn = subscription.catch_up(account.credit.credit, now_s);
            if turn.subscription == *subscription && turn.entries.is_empty() {
                // Only a payment helps it on, whose turn says when it wakes again. Until then it is not looked at each
                // second, and does not stand before others.
                self.wakes.remove(&(at_s, whose.customer_id));
                return;
            }
            if let Err(error) = self.make(whose, &turn) {
                tracing::warn!(customer.id = %whose.customer_id, error = %error, "a cycle cannot begin yet");
                return;
            }
        }
    }

    /// Records a turn and makes it true.
    fn make(&mut self, whose: Whose, turn: &Turn) -> Result<Written, ChangeError> {
        let account = self.accounts.entry(whose.customer_id);
        let account = account.or_insert_with(|| CustomerAccount::new(whose.merchant_id));
        let random = random::bits().map_err(|_| ChangeError::Stopped)?;
        let now = self.parts.clock.now();
        let record = TurnRecord {
            id: MovementId::compose_in_order(whose.merchant_id.mode(), self.parts.clock.wall_us(), random),
            merchant_id: whose.merchant_id,
            customer_id: whose.customer_id,
            version: account.version + 1,
            at_ms: now.wall_ms,
            subscription: serde_json::to_string(&turn.subscription).unwrap_or_default(),
            entries: turn.entries.iter().map(|entry| recorded(whose, *entry)).collect(),
        };
        let written = self.parts.lane.write_turn(&record)?;
        if let Some(at_s) = wakes_at_s(account) {
            self.wakes.remove(&(at_s, whose.customer_id));
        }
        account.apply(turn);
        if let Some(at_s) = wakes_at_s(account) {
            self.wakes.insert((at_s, whose.customer_id));
        }
        Ok(written)
    }

    fn renew_due(&mut self) {
        let _guard = EndsOnPanic;
        let now_s = self.parts.clock.now().wall_s();
        let due = self.wakes.iter().take_while(|(at_s, _)| *at_s <= now_s);
        let due: Vec<CustomerId> = due.take(RENEWALS_AT_ONCE).map(|(_, id)| *id).collect();
        for customer_id in due {
            if let Some(account) = self.accounts.get(&customer_id) {
                let merchant_id = account.merchant_id;
                let whose = Whose {
                    customer_id,
                    merchant_id,
                };
                self.catch_up(whose, now_s);
                self.begin_first_plan(whose);
            }
        }
    }

    /// Whether the plan that the customer is on has the meter.
    fn is_entitled(&mut self, whose: Whose, meter_id: MeterId) -> bool {
        let _guard = EndsOnPanic;
        let plan_id = self.current(whose).active_subscription();
        let plan_id = plan_id.map(|subscription| subscription.terms.plan_id);
        let plan = plan_id.and_then(|plan_id| self.parts.tariffs.plan(plan_id));
        plan.is_some_and(|plan| plan.has_meter(meter_id))
    }

    fn reserve(&mut self, whose: Whose, ask: &CreditAsk) -> Result<(Money, Tally), CreditRefusal> {
        let _guard = EndsOnPanic;
        if !self.is_entitled(whose, ask.meter.id) {
            return Err(CreditRefusal::NotOnPlan);
        }
        let now_s = self.parts.clock.now().wall_s();
        let account = self.current(whose);
        let bound = |metered| account.bound(&ask.meter, metered, now_s);
        let refusal = |account: &CustomerAccount| AccountRefusal::Insufficient {
            balance: account.credit.credit.total(),
            held: account.credit.held,
        };
        let (Ok(wanted), Ok(minimum)) = (bound(ask.bound), bound(ask.least)) else {
            return Err(refusal(account).into());
        };
        let tally = account.tally(ask.meter.id, now_s);
        if wanted == Money::ZERO {
            // What the meter does not charge needs no credit.
            return Ok((Money::ZERO, tally));
        }
        match account.reserve(Claim { minimum, wanted }) {
            Fit::Granted(amount) => Ok((amount, tally)),
            Fit::Busy => Err(CreditRefusal::Account(AccountRefusal::Busy {
                balance: account.credit.credit.total(),
                held: account.credit.held,
            })),
            Fit::Never => Err(refusal(account).into()),
        }
    }

    fn extend(&mut self, whose: Whose, claim: Claim) -> Result<Money, AccountRefusal> {
        let _guard = EndsOnPanic;
        let account = self.current(whose);
        let (balance, held) = (account.credit.credit.total(), account.credit.held);
        match account.reserve(claim) {
            Fit::Granted(amount) => Ok(amount),
            Fit::Busy => Err(AccountRefusal::Busy { balance, held }),
            Fit::Never => Err(AccountRefusal::Insufficient { balance, held }),
        }
    }

    fn settle(&mut self, message: &Settle) -> Charge {
        let _guard = EndsOnPanic;
        let now_s = self.parts.clock.now().wall_s();
        let account = self.current(message.whose);
        account.settle(message.hold, &message.meter, message.used, now_s)
    }

    fn book(&mut self, message: Book) {
        let _guard = EndsOnPanic;
        let account = self.current(message.whose);
        match message.charge {
            Some((meter_id, charge)) => account.book(message.hold, meter_id, &charge),
            None => account.release(message.hold),
        }
    }

    fn change(&mut self, whose: Whose, transition: Transition) -> Result<(CustomerAccount, Written), ChangeError> {
        let _guard = EndsOnPanic;
        let now_s = self.parts.clock.now().wall_s();
        let turn = transition(self.current(whose), now_s)?;
        let written = self.make(whose, &turn)?;
        Ok((self.current(whose).clone(), written))
    }

    fn report(&mut self, whose: Whose, report: Reported) -> Result<(Charge, Written), ChangeError> {
        let _guard = EndsOnPanic;
        let Reported {
            open,
            mut settlement,
            meter,
            used,
        } = report;
        if !self.is_entitled(whose, meter.id) {
            return Err(ChangeError::NotOnPlan);
        }
        let now_s = self.parts.clock.now().wall_s();
        let lane = self.parts.lane.clone();
        lane.write_open(&open)?;
        let charge = self.current(whose).settle(Money::ZERO, &meter, used, now_s);
        settlement.charge = Some(charge.clone());
        let written = lane.write_settle(&settlement);
        Ok((charge, written))
    }
}

/// When its subscription has something to do next, in unix seconds.
fn wakes_at_s(account: &CustomerAccount) -> Option<i64> {
    account.subscription.as_ref()?.wakes_at_s()
}

fn recorded(whose: Whose, entry: Entry) -> TurnEntry {
    TurnEntry {
        account: match entry.bucket {
            Bucket::Cycle => AccountRef::CycleCredit(whose.customer_id),
            Bucket::Bundle => AccountRef::BundleCredit(whose.customer_id),
        },
        kind: match entry.kind {
            EntryKind::Grant => MovementKind::Grant,
            EntryKind::Renewal => MovementKind::Renewal,
            EntryKind::Lapse => MovementKind::Lapse,
            EntryKind::Bundle => MovementKind::Bundle,
            EntryKind::TopUp => MovementKind::TopUp,
            EntryKind::Correction => MovementKind::Correction,
        },
        amount: entry.amount,
    }
}

impl Actor for CustomerShard {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        context.run_interval(RENEWAL_INTERVAL, |shard, _| shard.renew_due());
    }
}

impl Handler<Reserve> for CustomerShard {
    type Result = ();

    fn handle(&mut self, message: Reserve, context: &mut Self::Context) {
        let shard = context.address();
        let fit = self.reserve(message.whose, &message.ask);
        let held = fit.map(|(amount, tally)| CreditHold {
            whose: message.whose,
            amount,
            tally,
            shard,
            ended: false,
        });
        // A hold that nobody takes releases itself when it is dropped.
        drop(message.reply.send(held));
    }
}

impl Handler<Entitle> for CustomerShard {
    type Result = Result<(), CreditRefusal>;

    fn handle(&mut self, message: Entitle, _: &mut Self::Context) -> Self::Result {
        let entitled = self.is_entitled(message.whose, message.meter_id);
        entitled.then_some(()).ok_or(CreditRefusal::NotOnPlan)
    }
}

impl Handler<Extend> for CustomerShard {
    type Result = ();

    fn handle(&mut self, message: Extend, _: &mut Self::Context) {
        let fit = self.extend(message.whose, message.claim);
        if let Err(Ok(hold)) = message.reply.send(fit) {
            self.book(Book {
                whose: message.whose,
                hold,
                charge: None,
            });
        }
    }
}

impl Handler<Settle> for CustomerShard {
    type Result = ();

    fn handle(&mut self, message: Settle, _: &mut Self::Context) {
        let charge = self.settle(&message);
        // Who asked cannot be cancelled, and records it.
        drop(message.reply.send(charge));
    }
}

impl Handler<Book> for CustomerShard {
    type Result = ();

    fn handle(&mut self, message: Book, _: &mut Self::Context) {
        self.book(message);
    }
}

impl Handler<Read> for CustomerShard {
    type Result = MessageResult<Read>;

    fn handle(&mut self, message: Read, _: &mut Self::Context) -> Self::Result {
        let _guard = EndsOnPanic;
        self.begin_first_plan(message.whose);
        // Who is only looked at takes no place.
        MessageResult(if self.accounts.contains_key(&message.whose.customer_id) {
            self.current(message.whose).clone()
        } else {
            CustomerAccount::new(message.whose.merchant_id)
        })
    }
}

impl Handler<Begin> for CustomerShard {
    type Result = MessageResult<Begin>;

    fn handle(&mut self, message: Begin, _: &mut Self::Context) -> Self::Result {
        let _guard = EndsOnPanic;
        MessageResult(self.begin_first_plan(message.whose))
    }
}

impl Handler<Change> for CustomerShard {
    type Result = MessageResult<Change>;

    fn handle(&mut self, message: Change, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.change(message.whose, message.transition))
    }
}

impl Handler<Report> for CustomerShard {
    type Result = MessageResult<Report>;

    fn handle(&mut self, message: Report, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.report(message.whose, message.report))
    }
}
