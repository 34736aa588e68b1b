//! The billing transaction breaks at each of its statements: by a cut connection, by a commit whose answer is lost, by a
//! kill. Whatever breaks, the rows are the calls that were answered and the balances are exact.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::load::{Load, rounds};
use crate::support::database_proxy::{DatabaseProxy, Fault, Release};
use crate::support::house::{House, nanos, settings};
use crate::support::http::Client;
use crate::support::postgres::database;
use crate::support::server::eventually;
use crate::support::simulator::Simulator;

/// What must be among the statements of the writer; the others follow from what it was seen to do.
const EXPECTED: [&str; 11] = [
    "BEGIN",
    "SET LOCAL lock_timeout",
    "SELECT epoch FROM",
    "INSERT INTO requests",
    "INSERT INTO movements",
    "INSERT INTO \"billing_batches\"",
    "INSERT INTO spend_key_counters",
    "WITH locked AS",
    "INSERT INTO ledger_entries",
    "INSERT INTO journal_lanes",
    "COMMIT",
];
const FUNDING_NANOS: i64 = 1_000_000_000;

/// A house whose server reaches its database through the proxy, and what its books must say.
struct Books {
    house: House,
    proxy: DatabaseProxy,
    key_id: String,
    key: String,
    wallet_id: String,
    answered: i64,
    /// Every call costs the same.
    cost_nanos: i64,
    funded_nanos: i64,
}

impl Books {
    fn open() -> Self {
        let (database, simulator) = (database(), Simulator::start());
        let proxy = DatabaseProxy::before(&database);
        // A short interval, so that each round soon has its batch.
        let server = settings(proxy.url(), &simulator).variable("CALDERA__BILLING__BATCH_INTERVAL_MS", 10);
        let house = House {
            server: server.start(),
            database,
            simulator,
        };
        let (key_id, key) =
            house.mint(json!({ "name": "one", "spend_limit": { "amount": "500.00", "cycle": "total" } }));
        let wallet = house.server.client().get("/v1/wallet").expect_status(200).json();
        let mut books = Self {
            wallet_id: wallet["wallet_id"].as_str().unwrap().to_owned(),
            house,
            proxy,
            key_id,
            key,
            answered: 0,
            cost_nanos: 0,
            funded_nanos: 0,
        };
        books.call(1);
        eventually("the first rows", || {
            books.number("SELECT COUNT(*) FROM requests") == books.answered
        });
        books.cost_nanos = books.number("SELECT MIN(cost) FROM requests");
        assert!(books.cost_nanos > 0);
        assert_eq!(books.funding()(), Some(200));
        books.funded_nanos += FUNDING_NANOS;
        books.check("nothing");
        books
    }

    fn number(&self, query: &str) -> i64 {
        self.house.database.number(query)
    }

    /// Two callers with so many calls each; all are answered.
    fn call(&mut self, times: u64) {
        let load = Load {
            house: &self.house,
            key: &self.key,
            callers: 2,
            interval: Duration::ZERO,
        };
        let outcome = load.run_times(times);
        assert_eq!(outcome.failed, [0; 0]);
        self.answered += outcome.answered as i64;
    }

    /// Puts a dollar into the wallet; the status of the answer, which waits for the commit.
    fn funding(&self) -> impl FnOnce() -> Option<u16> + Send + use<> {
        let token = std::fs::read_to_string(self.house.server.data_dir().join("operator-token")).unwrap();
        let operator = Client::new(&self.house.server.operator_url()).with_key(token.trim());
        let path = format!("/operator/wallets/{}/fund", self.wallet_id);
        let body = json!({ "amount": "1.00" }).to_string().into_bytes();
        move || {
            let answer = operator.try_send("POST", &path, Some(body)).ok()?;
            Some(answer.status)
        }
    }

    /// Rows are answers, balances are exact, and the key shows what the rows say.
    fn check(&self, after: &str) {
        eventually(&format!("every answer is a row after: {after}"), || {
            self.number("SELECT COUNT(*) FROM requests") >= self.answered
        });
        let spent = self.answered * self.cost_nanos;
        for (query, expected) in [
            (
                "SELECT COUNT(*) FROM requests WHERE usage_source = 'provider'",
                self.answered,
            ),
            ("SELECT COUNT(*) FROM requests", self.answered),
            ("SELECT SUM(cost)::bigint FROM requests", spent),
            ("SELECT SUM(total_spend)::bigint FROM spend_key_counters", spent),
            (
                "SELECT SUM(total_requests)::bigint FROM spend_key_counters",
                self.answered,
            ),
            ("SELECT SUM(balance)::bigint FROM wallets", self.funded_nanos - spent),
        ] {
            assert_eq!(self.number(query), expected, "{query} after: {after}");
        }
        let shown = self.house.settled(&self.key_id);
        assert_eq!(nanos(&shown["total_spend"]), spent, "after: {after}");
        assert_eq!(self.house.simulator.ledger()["completed"], self.answered);
        self.house.books_agree();
    }
}

#[test]
fn cut_before_any_statement_of_the_billing_transaction_it_loses_nothing_and_counts_nothing_twice() {
    let mut books = Books::open();
    let statements = statements_of(&books);
    for statement in &statements {
        // A connection that is new runs every statement; one that is known has some of them prepared.
        if statement != "BEGIN" {
            books.proxy.arm("BEGIN", Fault::CutBefore);
        }
        books.proxy.arm(statement, Fault::CutBefore);
        let funding = books.funding();
        thread::scope(|scope| {
            let funded = scope.spawn(funding);
            books.call(2);
            assert_eq!(funded.join().unwrap(), Some(200), "cut before {statement}");
        });
        books.funded_nanos += FUNDING_NANOS;
        books.proxy.wait_for_faults();
        books.check(&format!("cut before {statement}"));
    }
    eprintln!("cut before each of {} statements: {statements:?}", statements.len());
}

#[test]
fn fifty_commits_whose_answer_is_lost_leave_every_balance_exact() {
    let mut books = Books::open();
    for round in 0..rounds(50, 1_000) {
        books.proxy.arm("COMMIT", Fault::SwallowAnswer);
        books.call(3);
        books.proxy.wait_for_faults();
        books.check(&format!("lost answer {round}"));
    }
    // Each lost answer was a commit: the batch came again, and found its rows there.
    let batches = books.number("SELECT COUNT(*) FROM billing_batches");
    eprintln!("lost answers: {} calls in {batches} batches", books.answered);
}

#[test]
fn killed_at_any_statement_of_the_billing_transaction_it_loses_nothing_and_counts_nothing_twice() {
    let mut books = Books::open();
    let statements = statements_of(&books);
    let mut slowest = Duration::ZERO;
    let mut rounds: Vec<_> = statements
        .iter()
        .map(|statement| (statement, Release::Deliver))
        .collect();
    rounds.extend(statements.last().map(|commit| (commit, Release::Cut)));
    for (statement, release) in rounds {
        if statement != "BEGIN" {
            books.proxy.arm("BEGIN", Fault::CutBefore);
        }
        books.proxy.arm(statement, Fault::Hold);
        let funding = books.funding();
        let funded = thread::spawn(funding);
        books.call(2);
        books.proxy.wait_for_faults();
        books.house.server.kill();
        let funded = funded.join().unwrap();
        assert!(matches!(funded, None | Some(200)), "{funded:?}");
        books.proxy.release(release);
        let began = Instant::now();
        books.house.server.start_again();
        slowest = slowest.max(began.elapsed());
        // Nobody heard whether the money came; it came once or not at all.
        books.funded_nanos = books.number("SELECT SUM(amount)::bigint FROM movements");
        books.check(&format!("killed at {statement}, {release:?}"));
    }
    eprintln!(
        "killed at each of {} statements; the slowest start took {slowest:?}",
        statements.len()
    );
}

#[test]
fn a_replay_that_loses_its_connection_at_any_statement_is_made_again() {
    let mut books = Books::open();
    let mut rounds: Vec<_> = statements_of(&books)
        .into_iter()
        .map(|statement| (statement, Fault::CutBefore))
        .collect();
    rounds.push(("COMMIT".to_owned(), Fault::SwallowAnswer));
    // A new connection begins before it is known for the writer's, and there is no money to move.
    rounds.retain(|(statement, _)| statement != "BEGIN" && statement != "INSERT INTO movements");
    for (statement, fault) in rounds {
        books.proxy.arm("BEGIN", Fault::Hold);
        books.call(2);
        books.proxy.wait_for_faults();
        books.house.server.kill();
        books.proxy.release(Release::Cut);
        books.proxy.arm(&statement, fault);
        books.house.server.start_again_unready();
        books.proxy.wait_for_faults();
        books.house.server.wait_ready();
        books.check(&format!("{fault:?} at {statement} of a replay"));
    }
}

/// The statements that the writer runs, COMMIT last.
fn statements_of(books: &Books) -> Vec<String> {
    let mut statements = books.proxy.statements();
    for expected in EXPECTED {
        let found = statements.iter().filter(|statement| *statement == expected).count();
        assert_eq!(found, 1, "{expected} in {statements:?}");
    }
    let commit = statements.iter().position(|statement| statement == "COMMIT").unwrap();
    let commit = statements.remove(commit);
    statements.push(commit);
    statements
}
