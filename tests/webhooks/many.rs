//! Thousands of events to a receiver that fails in every way, over kills: each is told in the end, or is dead and listed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fixtures::{Post, check_signatures, ok, receiver};
use crate::durability::load::rounds;
use crate::support::process::wait_until;
use crate::support::scripted::{Scripted, answer};

/// Of so many numbers the last never gets a good answer.
const KINDS: usize = 11;
const KILLS: usize = 3;

fn number_in(body: &[u8]) -> usize {
    let told: Value = serde_json::from_slice(body).unwrap();
    told["data"]["number"].as_str().unwrap().parse().unwrap()
}

/// Fails as often as the number of the event says, each time in another way.
fn moody() -> Scripted {
    let counts = std::sync::Mutex::new(HashMap::<usize, usize>::new());
    Scripted::start(move |seen| {
        let number = number_in(&seen.body);
        let place = {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(number).or_default();
            *count += 1;
            *count - 1
        };
        if number % KINDS < KINDS - 1 && place >= number % KINDS {
            return ok();
        }
        match place % 5 {
            0 => answer("500 Internal Server Error", &[], b"broken"),
            1 => answer("302 Found", &[("location", "http://127.0.0.1:1/")], b""),
            2 => answer("429 Too Many Requests", &[("retry-after", "1")], b""),
            3 => b"this is no HTTP\r\n\r\n".to_vec(),
            _ => answer("404 Not Found", &[], b""),
        }
    })
}

#[test]
fn of_thousands_of_events_over_kills_each_is_told_or_dead_and_listed() {
    let count = rounds(300, 10_000) as usize;
    let (moody, healthy) = (moody(), receiver(|_| ok()));
    let mut post = Post::to(&[&moody, &healthy]);
    let (endpoint, well) = (post.endpoint(&moody), post.endpoint(&healthy));
    post.customers_come(count as u128);
    let began = Instant::now();
    let count_of = |post: &Post, status: &str, of: &str| {
        let query = format!(
            "SELECT COUNT(*) FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id \
             WHERE status = '{status}' AND w.url LIKE '%:{of}/%'"
        );
        post.house.database.number(&query) as usize
    };
    let (moody_port, healthy_port) = (moody.port.to_string(), healthy.port.to_string());
    let limit = Duration::from_secs(120 + count as u64 / 5);
    for kill in 1..=KILLS {
        wait_until("some more are told", limit, || {
            post.hurry();
            moody.seen().len() >= kill * count / 2
        });
        post.house.server.kill();
        post.house.server.start_again();
    }
    wait_until("all are told or dead", limit, || {
        post.hurry();
        std::thread::sleep(Duration::from_millis(20));
        post.house
            .database
            .number("SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending'")
            == 0
    });
    let hopeless = (0..count).filter(|number| number % KINDS == KINDS - 1).count();
    assert_eq!(count_of(&post, "dead", &moody_port), hopeless);
    assert_eq!(count_of(&post, "delivered", &moody_port), count - hopeless);
    assert_eq!(
        count_of(&post, "delivered", &healthy_port),
        count,
        "the other is not held up"
    );
    assert_eq!(post.deliveries(&endpoint, "dead").len(), hopeless.min(100));
    assert!(post.get(&endpoint.path())["enabled"].as_bool().unwrap());
    for (seen, secret) in [(moody.seen(), &endpoint.secret), (healthy.seen(), &well.secret)] {
        let mut told: HashMap<usize, usize> = HashMap::new();
        for one in &seen {
            *told.entry(number_in(&one.body)).or_default() += 1;
        }
        assert_eq!(told.len(), count, "every event was seen");
        check_signatures(secret, seen.last().unwrap());
    }
    eprintln!(
        "{count} events, {} attempts at the moody one, {} at the other, {KILLS} kills: {} ms",
        moody.seen().len(),
        healthy.seen().len(),
        began.elapsed().as_millis()
    );
}
