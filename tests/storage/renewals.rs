//! A year of a thousand customers through the journal, the billing writer and a real Postgres, on a clock that is given:
//! month ends, a leap day, a server that was off for more than a week. At every step the books prove themselves, and
//! what each customer has is what an independent calculation says.

mod ledger;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Actor;
use caldera::domain::ids::{CreditBundleId, CustomerId, MeterId, PlanId, SubscriptionId};
use caldera::domain::meter::{self, Meter, RateType, Tier, TierType, Tiers};
use caldera::domain::money::Money;
use caldera::domain::plan::Plan;
use caldera::domain::request::{Metered, UsageSource};
use caldera::domain::subscription::{Purchase, Status, Subscription};
use caldera::domain::terms::{Interval, Offer, Rollover, Terms};
use caldera::engine::billing_actor::{BillingActor, BillingParts};
use caldera::engine::clock::Clock;
use caldera::engine::customer_accounts::{ChangeError, CustomerAccounts, Reported, Whose};
use caldera::engine::customer_actor::{CustomerShard, CustomerShardParts};
use caldera::engine::journal::replay::replay;
use caldera::engine::journal::{Journal, JournalDirectory};
use caldera::engine::metrics::Metrics;
use caldera::engine::options::{BillingOptions, JournalOptions};
use caldera::engine::tariffs::{ListedPlan, Tariffs};
use caldera::storage::replica::Replica;
use caldera::storage::writer::PgSink;
use caldera::storage::{lease, proof, replica};
use futures_util::future::{join, join_all};
use tempfile::TempDir;

use self::ledger::{Dice, Expected, at};
use super::fixtures::{Storage, Tenant, bits, settled};

const CUSTOMERS: usize = 1_000;
/// Customers who come on each of the first days.
const NEW_A_DAY: usize = 32;
const DAY_S: i64 = 86_400;
/// What a request costs a customer.
const RATE_NANOS: i64 = 370_000_001;
const PATIENCE: Duration = Duration::from_secs(30);

struct Member {
    whose: Whose,
    expected: Expected,
}

struct World {
    storage: Storage,
    tenant: Tenant,
    epoch: i64,
    directory: TempDir,
    clock: Clock,
    meter: Arc<Meter>,
    dice: Dice,
    tariffs: Arc<Tariffs>,
    members: Vec<Member>,
    steps: usize,
}

/// What runs between a start and a stop.
struct Running<'a> {
    accounts: CustomerAccounts,
    journal: &'a Journal,
}

#[test]
fn a_year_of_renewals_is_what_the_calendar_says_and_the_books_hold_at_every_step() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let lease = lease::acquire(&storage.database).unwrap();
    let begin_s = at("2027-08-30");
    let mut world = World {
        epoch: lease.epoch(),
        clock: Clock::new(begin_s * 1000),
        directory: tempfile::tempdir().unwrap(),
        meter: Arc::new(a_meter()),
        tariffs: Arc::default(),
        dice: Dice(7),
        members: Vec::new(),
        steps: 0,
        storage,
        tenant,
    };
    // Some days one after the other, then now and then; twice the server is off, over a month's end and a leap day.
    world.run("2027-08-30", "2027-11-27", 1, 2);
    world.run("2027-12-06", "2028-02-25", 1, 5);
    world.run("2028-03-06", "2028-10-15", 1, 9);
    world.check_what_is_stored();
    let renewals: u64 = world.members.iter().map(|member| member.expected.renewals).sum();
    assert!(
        world.members.len() == CUSTOMERS && world.steps > 100 && renewals > 20_000,
        "{renewals}"
    );
}

impl World {
    /// Starts with what is stored, goes through these days, and stops.
    fn run(&mut self, first: &str, last: &str, least_days: i64, most_days: i64) {
        let mut sink = PgSink::new(self.storage.database.clone(), self.epoch);
        let directory = JournalDirectory::lock(self.directory.path()).unwrap();
        let marks = replica::load_marks(&mut self.storage.connection).unwrap();
        let replayed = replay(&directory, &mut sink, &marks, self.clock.wall_ms()).unwrap();
        let replica = replica::load(&mut self.storage.connection).unwrap();
        let journal = Journal::open(directory, &journal_options(), &replayed.last_sequences, 1).unwrap();
        let parts = BillingParts {
            options: BillingOptions {
                batch_rows: 4_000,
                batch_interval_ms: 1,
            },
            metrics: Arc::new(Metrics::default()),
            clock: self.clock.clone(),
        };
        let billing = BillingActor::start(journal.tail(), Box::new(sink), parts).unwrap();
        actix_rt::System::new().block_on(async {
            // The server comes back late, and nobody looks at anything.
            let mut now_s = at(first);
            self.clock.advance_to(now_s * 1000);
            let running = self.start(&journal, replica);
            self.wait_for_the_shard(now_s).await;
            while now_s <= at(last) {
                self.step(&running, now_s).await;
                let days = least_days + self.dice.below(most_days - least_days + 1);
                // Now at the hour at which cycles end, now at another.
                let hour_s = self.dice.pick(&[0, 0, 1, 3_600, 40_000]);
                now_s = (now_s / DAY_S + days) * DAY_S + at("1970-01-01") + hour_s;
            }
        });
        billing.stop(PATIENCE);
    }

    fn start<'a>(&self, journal: &'a Journal, replica: Replica) -> Running<'a> {
        let accounts = CustomerAccounts::new(1);
        let held = replica.customer_accounts.into_iter().collect();
        let parts = CustomerShardParts {
            lane: journal.lane(0).unwrap(),
            clock: self.clock.clone(),
            tariffs: self.tariffs.clone(),
            // They are known to the shard only, so that who has lost his plan is on none.
            customers: Arc::default(),
        };
        let shard = CustomerShard::new(parts, held).start();
        accounts.enrol(0, shard).unwrap();
        Running { accounts, journal }
    }

    /// The shard begins by itself what has become due, however many wait for a payment.
    async fn wait_for_the_shard(&mut self, now_s: i64) {
        self.members
            .iter_mut()
            .for_each(|member| member.expected.catch_up(now_s));
        let unpaid = self.members.iter().filter(|member| member.expected.is_unpaid(now_s));
        let unpaid = unpaid.count() as i64;
        let due = format!(
            "SELECT count(*) FROM subscriptions WHERE cancelled_at IS NULL AND cycle_end_at <= to_timestamp({now_s})"
        );
        let began = Instant::now();
        while self.storage.number(&due) > unpaid {
            assert!(began.elapsed() < PATIENCE, "cycles that have passed do not begin");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.storage.number(&due), unpaid);
    }

    async fn step(&mut self, running: &Running<'_>, now_s: i64) {
        self.clock.advance_to(now_s * 1000);
        self.steps += 1;
        for member in &mut self.members {
            member.expected.catch_up(now_s);
        }
        self.join(&running.accounts, now_s).await;
        self.act(&running.accounts, now_s).await;
        self.look_at_all(&running.accounts, now_s).await;
        let began = Instant::now();
        while running.journal.backlog() > 0 {
            assert!(began.elapsed() < PATIENCE, "the writer does not keep up");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let sides = proof::read(&mut self.storage.connection, None).unwrap();
        assert!(sides.iter().all(|side| side.left == side.right), "{sides:?}");
    }

    /// New customers subscribe, some to plans that nobody will go on paying for.
    async fn join(&mut self, accounts: &CustomerAccounts, now_s: i64) {
        let count = NEW_A_DAY.min(CUSTOMERS - self.members.len());
        let new: Vec<(Whose, Offer)> = (0..count).map(|_| (self.someone(), offer(&mut self.dice))).collect();
        new.iter().for_each(|(_, offer)| self.list(offer));
        let begun = new.iter().map(|(whose, offer)| {
            let (id, offer) = (SubscriptionId::from_bits(bits()), offer.clone());
            accounts.change(*whose, move |account, now_s| {
                Ok(Subscription::begin(id, offer, account.credit.credit, now_s))
            })
        });
        for account in join_all(begun).await {
            assert_eq!(account.unwrap().active_subscription().unwrap().started_at_s, now_s);
        }
        self.members.extend(new.into_iter().map(|(whose, offer)| Member {
            whose,
            expected: Expected::new(&offer.terms, now_s),
        }));
    }

    /// Some customers' requests are reported, by which they may go into debt; some buy bundles, and some leave.
    async fn act(&mut self, accounts: &CustomerAccounts, now_s: i64) {
        let places: Vec<usize> = (0..33)
            .map(|_| self.dice.below(self.members.len() as i64) as usize)
            .collect();
        let (users, changers) = places.split_at(30);
        let members = &self.members;
        let users = users.iter().filter(|place| !members[**place].expected.has_ended);
        let users: Vec<usize> = users.copied().collect();
        let reports = users.iter().map(|place| {
            let quantity = 1 + self.dice.below(40);
            let member = &mut self.members[*place];
            member.expected.draw(quantity * RATE_NANOS);
            let report = reported(self.tenant, &self.meter, member.whose, (quantity as u64, now_s));
            report_one(accounts, member.whose, report)
        });
        let reports: Vec<_> = reports.collect();
        let act = |(turn, place): (usize, &usize)| {
            let amount = (turn > 0).then(|| Money::from_nanos(1 + self.dice.below(9_000_000_000)));
            change_one(accounts, self.members[*place].whose, amount)
        };
        let changes: Vec<_> = changers.iter().enumerate().map(act).collect();
        // The shard gets them in this order.
        let (_, changed) = join(join_all(reports), join_all(changes)).await;
        for (place, changed) in changers.iter().zip(changed) {
            let expected = &mut self.members[*place].expected;
            match changed {
                Ok(Some(amount)) => expected.buy(amount.nanos()),
                Ok(None) => expected.leave(now_s),
                Err(error) => assert!(error == ChangeError::NoSubscription && expected.has_ended, "{error}"),
            }
        }
    }

    async fn look_at_all(&self, accounts: &CustomerAccounts, now_s: i64) {
        let read = join_all(self.members.iter().map(|member| accounts.read(member.whose))).await;
        for (member, account) in self.members.iter().zip(read) {
            let account = account.unwrap();
            member.expected.check(account.credit.credit);
            // One that has ended is not loaded by a start.
            if let Some(subscription) = &account.subscription {
                let has_ended = subscription.status() == Status::Cancelled;
                assert_eq!(has_ended, member.expected.has_ended);
                assert_eq!(u64::from(subscription.period_index), member.expected.renewals);
                assert!(has_ended || member.expected.is_unpaid(now_s) || subscription.cycle_end_s > now_s);
            } else {
                assert!(member.expected.has_ended);
            }
            if member.expected.is_unpaid(now_s) {
                // Waiting for a payment leaves no records.
                assert_eq!(account.version, member.expected.changes);
            }
        }
    }

    fn check_what_is_stored(&mut self) {
        let accounts = replica::load(&mut self.storage.connection).unwrap().customer_accounts;
        for member in &self.members {
            let account = &accounts[&member.whose.customer_id];
            member.expected.check(account.credit.credit);
            assert_eq!(account.subscription.is_none(), member.expected.has_ended);
        }
        let renewals: u64 = self.members.iter().map(|member| member.expected.renewals).sum();
        let stored = self
            .storage
            .number("SELECT count(*) FROM movements WHERE kind = 'renewal'");
        assert_eq!(stored as u64, renewals);
    }

    /// The plan of the offer, with the one meter.
    fn list(&self, offer: &Offer) {
        self.tariffs.put_plan(ListedPlan {
            merchant_id: self.tenant.merchant,
            plan: Plan {
                terms: offer.terms.clone(),
                default_bundle_id: None,
                bundles: Vec::new(),
            },
            meter_ids: vec![self.meter.id],
            is_deleted: false,
        });
    }

    fn someone(&self) -> Whose {
        Whose {
            customer_id: CustomerId::from_bits(bits()),
            merchant_id: self.tenant.merchant,
        }
    }
}

fn journal_options() -> JournalOptions {
    JournalOptions {
        fsync_interval_ms: 1,
        ..JournalOptions::default()
    }
}

fn a_meter() -> Meter {
    let tier = Tier {
        start: 0,
        rate: Money::from_nanos(RATE_NANOS),
    };
    Meter {
        id: MeterId::from_bits(bits()),
        slug: "requests".to_owned(),
        name: "Requests".to_owned(),
        rate_type: RateType::Fixed,
        tier_type: TierType::Requests,
        tiers: Tiers::new(vec![tier]).unwrap(),
    }
}

fn offer(dice: &mut Dice) -> Offer {
    use Interval::{Day, Month, Week, Year};
    let included_credit = Money::from_nanos(1 + dice.below(30_000_000_000));
    let is_paid = dice.below(10) < 4;
    let terms = Terms {
        plan_id: PlanId::from_bits(bits()),
        name: "A plan".to_owned(),
        period_amount: if is_paid { included_credit } else { Money::ZERO },
        included_credit,
        interval: dice.pick(&[
            Day, Week, Week, Week, Month, Month, Month, Month, Month, Month, Month, Month, Month, Year,
        ]),
        rollover: dice.pick(&Rollover::ALL),
        bundle_rollover: dice.pick(&Rollover::ALL),
    };
    Offer {
        terms,
        auto_top_up_bundle_id: Some(CreditBundleId::from_bits(bits())),
    }
}

fn reported(tenant: Tenant, meter: &Arc<Meter>, whose: Whose, (quantity, now_s): (u64, i64)) -> Reported {
    let (mut open, mut settlement) = settled(tenant, None, 0);
    open.admitted_at_ms = now_s * 1000;
    open.metered = Some(Metered {
        meter_id: meter.id,
        customer_id: Some(whose.customer_id),
        caller_id: String::new(),
        forecast: None,
    });
    settlement.finished_at_ms = now_s * 1000;
    settlement.usage_source = UsageSource::Reported;
    Reported {
        open,
        settlement,
        meter: meter.clone(),
        used: meter::Metered {
            quantity,
            provider_cost: Money::ZERO,
        },
    }
}

async fn report_one(accounts: &CustomerAccounts, whose: Whose, report: Reported) {
    let charge = report.used.quantity as i64 * RATE_NANOS;
    let booked = accounts.report(whose, report).await.unwrap();
    assert_eq!(booked.amount.nanos(), charge);
}

/// Buys a bundle of so much, or leaves.
async fn change_one(
    accounts: &CustomerAccounts,
    whose: Whose,
    amount: Option<Money>,
) -> Result<Option<Money>, ChangeError> {
    let changed = accounts.change(whose, move |account, _| {
        let subscription = account.active_subscription().ok_or(ChangeError::NoSubscription)?;
        Ok(match amount {
            None => subscription.cancel()?,
            Some(amount) => subscription.buy_bundle(Purchase::ByCustomer, amount, account.credit.credit)?,
        })
    });
    changed.await.map(|_| amount)
}
