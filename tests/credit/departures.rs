//! Clients that leave at random points of streams: the charge is that of all that was served, for it is drained.

use serde_json::json;
use tokio::task::JoinSet;

use super::{Shop, meter};
use crate::support::crowd::{Connection, Leave, Seeded, crowd, request};
use crate::support::server::eventually;

const CLIENTS: usize = 200;
const RATE_NANOS: i64 = 10_000;

#[test]
fn clients_that_leave_at_random_are_charged_exactly_what_was_served() {
    let shop = Shop::new(meter("fixed", "tokens_1m", &[(0, "10")]), "5.00");
    let token = shop.token();
    let mut random = Seeded(11);
    crowd(async {
        let mut clients = JoinSet::new();
        for mut connection in Connection::open_many(shop.house.server.port, CLIENTS).await {
            let tokens = 5 + random.below(60);
            let content = format!("[[sim output_tokens={tokens} chunk_ms=5]]");
            let messages = json!([{ "role": "user", "content": content }]);
            let body = json!({ "model": "gpt-4o-mini", "max_tokens": 100, "stream": true, "messages": messages });
            let call = request("POST", "/v1/chat/completions", &token, Some(&body));
            let (how, events) = (
                random.one_of(&[Leave::Fin, Leave::Rst]),
                1 + random.below(tokens + 4) as usize,
            );
            clients.spawn_local(async move {
                connection.begin(&call).await;
                connection.await_events(events).await.expect("the stream runs");
                connection.leave(how).await;
            });
        }
        clients.join_all().await;
    });
    eventually("every call has its row", || {
        shop.number("SELECT COUNT(*) FROM requests") == CLIENTS as i64
    });
    let exact = format!(
        "SELECT COUNT(*) FROM requests WHERE usage_source = 'provider' \
         AND charge = (input_tokens + output_tokens) * {RATE_NANOS}"
    );
    assert_eq!(shop.number(&exact), CLIENTS as i64);
    let served = shop.house.simulator.ledger()["models"]["gpt-4o-mini"]["output_tokens"].clone();
    assert_eq!(shop.number("SELECT sum(output_tokens)::bigint FROM requests"), served);
    shop.check_books();
}
