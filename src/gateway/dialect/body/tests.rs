//! Bodies of both dialects, good and broken.

use super::super::OutputCapField;
use super::super::call::{CALL_TOKENS, MESSAGE_TOKENS, OutputCap};
use super::*;

fn openai(body: &str) -> CallShape {
    inspect(Dialect::OpenAi, body.as_bytes(), None).unwrap()
}

#[test]
fn reads_what_a_call_asks_for() {
    let shape = openai(
        r#" {"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"},{"role":"user","content":"ho"}],
        "stream":true,"stream_options":{"include_usage":true},"max_tokens":10,"max_completion_tokens":20,"n":3,
        "service_tier":"flex","tools":[{"type":"function","function":{"name":"f"}}],"temperature":0.5}"#,
    );
    assert_eq!(shape.model, "gpt-4o-mini");
    assert!(shape.stream && shape.include_usage);
    assert_eq!(
        (shape.max_tokens, shape.max_completion_tokens, shape.choice_count),
        (Some(10), Some(20), 3)
    );
    assert_eq!(
        (shape.service_tier, shape.message_count, shape.tool_count),
        (ServiceTier::Flex, 2, 1)
    );
    assert_eq!(shape.unbounded, None);
    assert_eq!(shape.output_cap(OutputCapField::MaxTokens), OutputCap::Honoured(10));
    assert_eq!(
        shape.output_cap(OutputCapField::MaxCompletionTokens),
        OutputCap::Honoured(20)
    );
}

#[test]
fn a_cap_in_a_field_that_the_provider_ignores_is_elsewhere() {
    let shape = openai(r#"{"model":"m","max_completion_tokens":20}"#);
    assert_eq!(shape.output_cap(OutputCapField::MaxTokens), OutputCap::Elsewhere(20));
    assert_eq!(
        openai(r#"{"model":"m","max_tokens":null}"#).output_cap(OutputCapField::MaxTokens),
        OutputCap::Absent
    );
}

#[test]
fn refuses_bodies_that_cannot_be_priced_or_parsed() {
    let table = [
        ("", None, "not JSON"),
        ("{", None, "not JSON"),
        ("[]", None, "invalid"),
        ("{} x", None, "not JSON"),
        ("{}", Some("model"), "required"),
        (r#"{"model":null}"#, Some("model"), "string"),
        (r#"{"model":5}"#, Some("model"), "string"),
        (r#"{"model":""}"#, Some("model"), "256"),
        (r#"{"model":"a\u0000b"}"#, Some("model"), "control"),
        (r#"{"model":"m","model":"n"}"#, Some("model"), "duplicate"),
        (r#"{"model":"m","mod\u0065l":"n"}"#, Some("model"), "duplicate"),
        (r#"{"model":"m","stream":"yes"}"#, Some("stream"), "boolean"),
        (r#"{"model":"m","stream_options":[]}"#, Some("stream_options"), "object"),
        (
            r#"{"model":"m","stream_options":{"include_usage":true,"include_usage":false}}"#,
            Some("stream_options"),
            "once",
        ),
        (r#"{"model":"m","max_tokens":-1}"#, Some("max_tokens"), "whole"),
        (r#"{"model":"m","max_tokens":1.5}"#, Some("max_tokens"), "whole"),
        (
            r#"{"model":"m","max_tokens":1,"max_tokens":2}"#,
            Some("max_tokens"),
            "duplicate",
        ),
        (
            r#"{"model":"m","max_completion_tokens":99999999999}"#,
            Some("max_completion_tokens"),
            "whole",
        ),
        (r#"{"model":"m","n":"2"}"#, Some("n"), "whole"),
        (r#"{"model":"m","tools":5}"#, Some("tools"), "array"),
        (r#"{"model":"m","messages":"hi"}"#, Some("messages"), "array"),
        (
            r#"{"model":"m","messages":[],"messages":[]}"#,
            Some("messages"),
            "duplicate",
        ),
        (r#"{"model":"m","service_tier":1}"#, Some("service_tier"), "string"),
    ];
    for (body, param, message) in table {
        let error = inspect(Dialect::OpenAi, body.as_bytes(), None).unwrap_err();
        assert_eq!(error.param.as_deref(), param, "{body}: {error}");
        assert!(error.message.contains(message), "{body}: {error}");
    }
    assert!(inspect(Dialect::OpenAi, b"{\"model\":\"\xff\"}", None).is_err());
}

#[test]
fn names_what_makes_the_cost_unknowable() {
    let table = [
        (
            Dialect::OpenAi,
            r#"{"model":"m","service_tier":"warp"}"#,
            Some("service_tier"),
        ),
        (Dialect::OpenAi, r#"{"model":"m","service_tier":"auto"}"#, None),
        (
            Dialect::OpenAi,
            r#"{"model":"m","web_search_options":{}}"#,
            Some("web_search_options"),
        ),
        (
            Dialect::OpenAi,
            r#"{"model":"m","tools":[{"type":"code_interpreter"}]}"#,
            Some("tools"),
        ),
        (
            Dialect::Anthropic,
            r#"{"model":"m","tools":[{"name":"f","input_schema":{}}]}"#,
            None,
        ),
        (
            Dialect::Anthropic,
            r#"{"model":"m","tools":[{"type":"bash_20250124","name":"bash"}]}"#,
            None,
        ),
        (
            Dialect::Anthropic,
            r#"{"model":"m","tools":[{"type":"web_search_20250305","name":"w"}]}"#,
            Some("tools"),
        ),
        (
            Dialect::Anthropic,
            r#"{"model":"m","tools":[{"type":"web_search_20250305","max_uses":2}]}"#,
            None,
        ),
        (Dialect::Anthropic, r#"{"model":"m","mcp_servers":[]}"#, None),
        (
            Dialect::Anthropic,
            r#"{"model":"m","mcp_servers":[{"url":"https://x.test"}]}"#,
            Some("mcp_servers"),
        ),
        (
            Dialect::Anthropic,
            r#"{"model":"m","inference_geo":"us"}"#,
            Some("inference_geo"),
        ),
    ];
    for (dialect, body, unbounded) in table {
        assert_eq!(
            inspect(dialect, body.as_bytes(), None).unwrap().unbounded,
            unbounded,
            "{body}"
        );
    }
}

#[test]
fn the_input_bound_is_the_text_and_never_more_than_the_window() {
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "x".repeat(1_000)
    );
    let shape = openai(&body);
    assert_eq!(
        shape.input_bound(None),
        Some(body.len() as u64 + MESSAGE_TOKENS + CALL_TOKENS)
    );
    assert_eq!(shape.input_bound(Some(500)), Some(500));
    let fetched =
        r#"{"model":"m","messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x.test"}}]}]}"#;
    assert_eq!(openai(fetched).input_bound(Some(128_000)), Some(128_000));
    assert_eq!(openai(fetched).input_bound(None), None);
    let search = r#"{"model":"m","max_tokens":5,"tools":[{"type":"web_search_20250305","max_uses":2}]}"#;
    let shape = inspect(Dialect::Anthropic, search.as_bytes(), None).unwrap();
    let bound = shape.bound(Some(200_000), 5).unwrap();
    assert_eq!(
        (bound.input_tokens, bound.output_tokens, bound.web_searches),
        (600_000, 5, 2)
    );
}

#[test]
fn inline_images_cost_a_cap_and_not_their_bytes() {
    let data = "A".repeat(1_000_000);
    let body = format!(
        r#"{{"model":"m","messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}]}}"#
    );
    let bound = openai(&body).input_bound(None).unwrap();
    assert!((50_000..51_000).contains(&bound), "{bound}");
}

#[test]
fn choices_and_predictions_count_as_output() {
    let shape = openai(r#"{"model":"m","n":4,"prediction":{"type":"content","content":"abc"}}"#);
    let bound = shape.bound(None, 100).unwrap();
    assert_eq!(bound.output_tokens, 400 + shape.predicted_tokens);
    assert!(shape.predicted_tokens >= 3);
}

#[test]
fn an_hour_of_cache_is_seen_in_both_dialects() {
    let hour = r#"{"model":"m","system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#;
    assert!(inspect(Dialect::Anthropic, hour.as_bytes(), None).unwrap().long_cache);
    assert!(
        !inspect(Dialect::Anthropic, br#"{"model":"m"}"#, None)
            .unwrap()
            .long_cache
    );
    assert!(openai(r#"{"model":"m","prompt_cache_retention":"24h"}"#).long_cache);
}

proptest::proptest! {
    #[test]
    fn no_text_is_longer_than_its_bound(texts in proptest::collection::vec(".{0,200}", 0..8)) {
        let messages: Vec<_> =
            texts.iter().map(|text| serde_json::json!({"role": "user", "content": text})).collect();
        let body = serde_json::json!({"model": "m", "messages": messages}).to_string();
        let shape = openai(&body);
        let decoded: usize = texts.iter().map(String::len).sum();
        proptest::prop_assert!(decoded as u64 <= shape.text_bytes);
        proptest::prop_assert_eq!(shape.message_count, texts.len() as u64);
    }

    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200), text in ".{0,200}") {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            let _ = inspect(dialect, &body, None);
            let _ = inspect(dialect, text.as_bytes(), None);
            let _ = super::super::read_answer(dialect, &body);
        }
    }

    #[test]
    fn a_changed_body_is_what_was_asked_for(
        cap in proptest::option::of(0u32..9), streams: bool, asks in proptest::option::of(proptest::bool::ANY), text in ".{0,50}",
    ) {
        let mut value = serde_json::json!({"x": text, "model": "m", "stream": streams, "max_tokens": cap});
        if let Some(asks) = asks {
            value["stream_options"] = serde_json::json!({"include_usage": asks, "y": 1});
        }
        let body = bytes::Bytes::from(serde_json::to_string_pretty(&value).unwrap());
        let shape = inspect(Dialect::OpenAi, &body, None).unwrap();
        let changes = super::super::Changes {
            include_usage: true, output_cap: Some((OutputCapField::MaxTokens, 77)), model: Some("other"),
        };
        let changed = super::super::rewrite(&body, &shape, changes);
        value["model"] = "other".into();
        value["max_tokens"] = 77.into();
        value["stream_options"]["include_usage"] = true.into();
        proptest::prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&changed).unwrap(), value);
    }
}

#[test]
fn every_prompt_of_the_older_completions_makes_its_own_answers() {
    let table = [
        (r#"{"model":"m","prompt":"one"}"#, 1),
        (r#"{"model":"m","prompt":[" one","two"],"n":2}"#, 4),
        (r#"{"model":"m","prompt":[[1,2],[3]],"n":2,"best_of":5}"#, 10),
        (r#"{"model":"m","prompt":[ 1, 2, 3 ],"best_of":3}"#, 3),
        (r#"{"model":"m","prompt":[]}"#, 1),
    ];
    for (body, expected) in table {
        assert_eq!(openai(body).choice_count, expected, "{body}");
    }
}

#[test]
fn knows_whether_a_call_lets_its_model_think() {
    let table = [
        (Dialect::Anthropic, r#"{"model":"m"}"#, false),
        (Dialect::Anthropic, r#"{"model":"m","thinking":null}"#, false),
        (
            Dialect::Anthropic,
            r#"{"model":"m","thinking":{"type":"disabled"}}"#,
            false,
        ),
        (
            Dialect::Anthropic,
            r#"{"model":"m","thinking":{"type":"adaptive"}}"#,
            true,
        ),
        (
            Dialect::Anthropic,
            r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":2000}}"#,
            true,
        ),
        (Dialect::Anthropic, r#"{"model":"m","thinking":"yes"}"#, true),
        (Dialect::OpenAi, r#"{"model":"m"}"#, true),
        (Dialect::OpenAi, r#"{"model":"m","reasoning_effort":"low"}"#, true),
        (Dialect::OpenAi, r#"{"model":"m","reasoning_effort":"none"}"#, false),
    ];
    for (dialect, body, expected) in table {
        assert_eq!(
            inspect(dialect, body.as_bytes(), None).unwrap().may_think,
            expected,
            "{body}"
        );
    }
}
