//! The header itself: what is wrong in it is refused by name.

use serde_json::json;

use super::with_fallbacks;
use crate::support::house::{House, chat, message};

#[test]
fn a_header_that_is_wrong_is_refused_in_the_callers_dialect_before_anything_is_sent() {
    let house = House::new();
    let six = format!("[{}]", [r#"{"model":"m"}"#; 6].join(","));
    let table = [
        ("[{}]", "x-lava-fallbacks[0]", "invalid_request"),
        (
            r#"[{"model":"m","retries":2}]"#,
            "x-lava-fallbacks[0].retries",
            "unknown_field",
        ),
        (
            r#"[{"model":"m"},{"url":"https://10.0.0.1/v1"}]"#,
            "x-lava-fallbacks[1].url",
            "invalid_request",
        ),
        (
            r#"[{"url":"https://evil.example/v1"}]"#,
            "x-lava-fallbacks[0].url",
            "invalid_request",
        ),
        (&six, "x-lava-fallbacks", "invalid_request"),
        ("not json", "x-lava-fallbacks", "invalid_request"),
    ];
    for (value, param, code) in table {
        let caller = with_fallbacks(house.server.client(), value);
        let openai = caller.post("/v1/chat/completions", &chat(""));
        assert_eq!(
            (openai.status, &openai.json()["error"]["param"]),
            (400, &json!(param)),
            "{}",
            openai.text()
        );
        assert_eq!(openai.error_code(), code);
        assert!(openai.header("x-lava-request-id").is_some());
        let anthropic = caller.post("/v1/messages", &message("")).expect_status(400).json();
        assert_eq!(
            (&anthropic["type"], &anthropic["error"]["code"]),
            (&json!("error"), &json!(code))
        );
    }
    assert_eq!(house.simulator.ledger()["requests"], 0);
}
