//! Providers over TLS: whom the server believes. `CALDERA_TEST_TLS=1` runs every other test over TLS too.

use serde_json::json;

use crate::support::certificates::Certificates;
use crate::support::house::{House, chat, chat_stream, settings};
use crate::support::postgres::database;
use crate::support::server::{eventually, secret_key};
use crate::support::simulator::Simulator;
use crate::support::stream::EventStream;

/// A house whose provider is reached over TLS.
fn over_tls(simulator: Simulator, change: impl FnOnce(Settings) -> Settings) -> House {
    let database = database();
    let server = change(settings(&database.url, &simulator)).start();
    House {
        server,
        database,
        simulator,
    }
}

type Settings = crate::support::server::ServerSettings;

#[test]
fn calls_and_streams_go_over_tls_where_the_operator_vouches_for_the_authority() {
    let simulator = Simulator::start_tls(&Certificates::shared().loopback());
    let house = over_tls(simulator, |settings| settings);
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "5.00", "cycle": "daily" } }));
    let whole = house
        .caller(&key)
        .post("/v1/chat/completions", &chat("output_tokens=9"));
    assert_eq!(whole.status, 200, "{}", whole.text());
    let call = chat_stream("output_tokens=30 chunk_ms=2");
    let data = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call).all_data();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    let mut left = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call);
    left.next_data();
    left.reset();
    eventually("the rows are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == 3
    });
    assert_eq!(
        house
            .database
            .number("SELECT SUM(output_tokens)::bigint FROM requests WHERE usage_source = 'provider'"),
        69
    );
    house.settled(&id);
    house.books_agree();
}

#[test]
fn a_provider_that_nobody_vouches_for_or_that_has_another_name_gets_no_call() {
    let certificates = Certificates::shared();
    let unknown = over_tls(Simulator::start_tls(&certificates.loopback()), |settings| {
        settings.variable("CALDERA__FILES__TRUSTED_CERTIFICATES", "")
    });
    let misnamed = over_tls(Simulator::start_tls(&certificates.elsewhere()), |settings| settings);
    for house in [unknown, misnamed] {
        let answer = house
            .caller(secret_key())
            .post("/v1/chat/completions", &chat("output_tokens=9"));
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (502, "provider_unreachable")
        );
        assert_eq!(house.row(&answer)["cost"], "0.00");
        assert_eq!(house.simulator.ledger()["completed"], 0);
    }
}

#[test]
fn a_file_without_certificates_refuses_to_start() {
    let (database, simulator) = (database(), Simulator::start());
    let mut server = settings(&database.url, &simulator)
        .variable("CALDERA__FILES__TRUSTED_CERTIFICATES", "/dev/null")
        .start_unready();
    assert!(!server.wait_for_exit().success());
    assert!(
        server.stderr().contains("/dev/null: there is no certificate"),
        "{}",
        server.stderr()
    );
}
