//! An OpenAI client on Claude: requests and whole answers.

use super::*;

fn base() -> Value {
    json!({"model": "claude", "messages": [{"role": "user", "content": "Hi"}]})
}

fn written() -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]})
}

fn golden(more: Value, expected: Value, warnings: &[&str]) {
    let (body, told) = translated(TO_ANTHROPIC, "claude-sonnet-4-5", &with(base(), &more));
    assert_eq!(body, with(written(), &expected), "{more}");
    assert_eq!(told, warnings, "{more}");
}

#[test]
fn options_find_their_words_or_are_dropped_by_name() {
    golden(json!({}), json!({}), &[]);
    golden(
        json!({"max_tokens": 7, "max_completion_tokens": 9}),
        json!({"max_tokens": 9}),
        &[],
    );
    golden(
        json!({"temperature": 0.3, "top_p": 0.9, "top_k": 5}),
        json!({"temperature": 0.3, "top_p": 0.9, "top_k": 5}),
        &[],
    );
    golden(
        json!({"temperature": 0.3, "top_p": 1}),
        json!({"temperature": 0.3}),
        &[],
    );
    golden(json!({"temperature": 1.0, "top_p": 0.5}), json!({"top_p": 0.5}), &[]);
    golden(
        json!({"seed": 7, "presence_penalty": 0, "frequency_penalty": 0.5, "logit_bias": {"5": 0}, "store": true}),
        json!({}),
        &["store", "frequency_penalty", "seed"],
    );
    golden(json!({"stop": "END"}), json!({"stop_sequences": ["END"]}), &[]);
    golden(
        json!({"stop": ["a", "b"], "stream": true}),
        json!({"stop_sequences": ["a", "b"], "stream": true}),
        &[],
    );
    golden(
        json!({"n": 1, "logprobs": false, "modalities": ["text"], "stop": null}),
        json!({}),
        &[],
    );
    golden(
        json!({"user": "u1", "service_tier": "auto"}),
        json!({"metadata": {"user_id": "u1"}, "service_tier": "auto"}),
        &[],
    );
    golden(
        json!({"service_tier": "flex", "verbosity": "low"}),
        json!({}),
        &["verbosity", "service_tier"],
    );
    golden(
        json!({"stream": true, "stream_options": {"include_usage": true}}),
        json!({"stream": true}),
        &[],
    );
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    golden(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": true, "schema": schema}}}),
        json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        &[],
    );
}

#[test]
fn tools_and_their_choice_are_written_in_claudes_words() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tools = json!([{"type": "function", "function":
        {"name": "weather", "description": "Tells it.", "parameters": schema, "strict": true}},
        {"type": "function", "function": {"name": "now"}}]);
    let expected = json!([
        {"name": "weather", "description": "Tells it.", "input_schema": schema, "strict": true},
        {"name": "now", "input_schema": {"type": "object", "properties": {}}}]);
    let table = [
        (json!(null), json!(null), None),
        (json!("auto"), json!(true), Some(json!({"type": "auto"}))),
        (json!("none"), json!(false), Some(json!({"type": "none"}))),
        (json!("required"), json!(null), Some(json!({"type": "any"}))),
        (
            json!(null),
            json!(false),
            Some(json!({"type": "auto", "disable_parallel_tool_use": true})),
        ),
        (
            json!({"type": "function", "function": {"name": "now"}}),
            json!(false),
            Some(json!({"type": "tool", "name": "now", "disable_parallel_tool_use": true})),
        ),
    ];
    for (choice, parallel, written) in table {
        let more = json!({"tools": tools, "tool_choice": choice, "parallel_tool_calls": parallel});
        let mut out = json!({"tools": expected});
        if let Some(written) = written {
            out["tool_choice"] = written;
        }
        golden(more, out, &[]);
    }
    golden(
        json!({"tool_choice": "auto", "parallel_tool_calls": false}),
        json!({}),
        &[],
    );
}

#[test]
fn a_schema_keeps_its_order_and_its_digits() {
    let body = r#"{"model":"m","messages":[],"tools":[{"type":"function","function":
        {"name":"f","parameters":{"z":1.50,"a":{"y":12345678901234567890123,"b":[]}}}}]}"#;
    let out = request(TO_ANTHROPIC, body.as_bytes(), &target("m")).unwrap().body;
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert!(
        text.contains(r#""input_schema":{"z":1.50,"a":{"y":12345678901234567890123,"b":[]}}"#),
        "{text}"
    );
}

#[test]
fn a_conversation_keeps_its_order_and_parallel_results_share_a_turn() {
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "auto"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}}]},
        {"role": "assistant", "content": "", "refusal": null, "annotations": [], "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "w", "arguments": "{\"b\":1,\"a\":2}"}},
            {"id": "functions.w:1", "type": "function", "function": {"name": "w", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
        {"role": "tool", "tool_call_id": "functions.w:1", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "Thanks"},
        {"role": "assistant", "content": "So"}]);
    let expected = json!({
        "system": [{"type": "text", "text": "Be brief."},
            {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Weather?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}},
                {"type": "document", "title": "a.pdf",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "call_1", "name": "w", "input": {"a": 2, "b": 1}},
                {"type": "tool_use", "id": "id_ZnVuY3Rpb25zLnc6MQ", "name": "w", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "sun"},
                {"type": "tool_result", "tool_use_id": "id_ZnVuY3Rpb25zLnc6MQ",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"type": "text", "text": "Thanks"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "So"}]}]});
    golden(json!({ "messages": messages }), expected, &[]);
}

#[test]
fn what_claude_cannot_express_is_refused_by_its_name() {
    let user =
        |part: Value| json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [part]}]});
    let call = |call: Value| json!({"messages": [{"role": "assistant", "tool_calls": [call]}]});
    let table = [
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"top_logprobs": 3}), "top_logprobs"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"audio": {"voice": "alloy"}}), "audio"),
        (json!({"prediction": {}}), "prediction"),
        (json!({"web_search_options": {}}), "web_search_options"),
        (json!({"functions": [{}]}), "functions"),
        (json!({"logit_bias": {"5": 100}}), "logit_bias"),
        (json!({"response_format": {"type": "json_object"}}), "response_format"),
        (json!({"response_format": {"type": "grammar"}}), "response_format.type"),
        (json!({"temperature": 1.5}), "temperature"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"max_tokens": -1}), "max_tokens"),
        (json!({"stop": ["a", 7]}), "stop.1"),
        (json!({"stop": "\n"}), "stop"),
        (json!({"reasoning_effort": "much"}), "reasoning_effort"),
        (json!({"model": 7}), "model"),
        (json!({"messages": "hi"}), "messages"),
        (json!({"tools": [{"type": "web_search"}]}), "tools.0.type"),
        (json!({"tools": [{"type": "function"}]}), "tools.0.function"),
        (json!({"tool_choice": {"type": "allowed_tools"}}), "tool_choice.type"),
        (json!({"tool_choice": "any"}), "tool_choice"),
        (
            json!({"messages": [{"role": "narrator", "content": "a"}]}),
            "messages.0.role",
        ),
        (
            json!({"messages": [{"role": "assistant", "function_call": {}}]}),
            "messages.0.function_call",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "a"}]}),
            "messages.0.tool_call_id",
        ),
        (user(json!({"type": "video_url"})), "messages.1.content.0.type"),
        (
            user(json!({"type": "file", "file": {"file_id": "file_1"}})),
            "messages.1.content.0.file.file_id",
        ),
        (
            user(json!({"type": "image_url", "image_url": {"url": "file:///x"}})),
            "messages.1.content.0.image_url.url",
        ),
        (
            user(json!({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}})),
            "messages",
        ),
        (
            call(json!({"id": "a", "type": "custom"})),
            "messages.0.tool_calls.0.type",
        ),
        (
            call(json!({"id": "a", "function": {"name": "f", "arguments": "{\"a\":"}})),
            "messages.0.tool_calls.0.function.arguments",
        ),
    ];
    for (more, param) in table {
        assert_eq!(refused(TO_ANTHROPIC, &with(base(), &more)), param, "{more}");
    }
}

#[test]
fn effort_becomes_a_budget_or_where_the_model_takes_none_an_effort() {
    let thinking = |tokens: u64| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
    golden(json!({"reasoning_effort": "low"}), thinking(2_048), &[]);
    golden(json!({"reasoning_effort": "xhigh"}), thinking(4_095), &[]);
    golden(json!({"reasoning_effort": "none"}), json!({}), &[]);
    golden(
        json!({"reasoning_effort": "low", "max_tokens": 900}),
        json!({"max_tokens": 900}),
        &["reasoning_effort"],
    );
    golden(
        json!({"reasoning_effort": "low", "temperature": 0.2, "top_k": 3}),
        thinking(2_048),
        &["temperature", "top_k"],
    );
    let begun = json!([{"role": "assistant", "content": "So"}]);
    let expected = json!({"messages": [{"role": "assistant", "content": [{"type": "text", "text": "So"}]}]});
    golden(
        json!({"reasoning_effort": "low", "messages": begun}),
        expected,
        &["reasoning_effort"],
    );
    let asked = with(base(), &json!({"reasoning_effort": "minimal", "temperature": 0.2}));
    let (body, warnings) = translated(TO_ANTHROPIC, "claude-opus-4-7", &asked);
    assert_eq!(body["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(body["output_config"], json!({"effort": "low"}));
    assert_eq!(warnings, ["temperature"]);
}

#[test]
fn signed_thinking_goes_through_a_client_that_keeps_only_ids() {
    let shown = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    let hidden = json!({"type": "redacted_thinking", "data": "ZW5j"});
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}});
    let answer = answered(
        TO_ANTHROPIC,
        &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [shown, hidden, call], "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 2}}),
    );
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "Hm.");
    let details = json!([{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"},
        {"type": "reasoning.encrypted", "data": "ZW5j"}]);
    assert_eq!(message["reasoning_details"], details);
    let id = message["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.starts_with("toolu_1~"));
    let calls = json!([{"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]);
    let keepers = [
        message.clone(),
        json!({"role": "assistant", "content": null, "tool_calls": calls}),
        json!({"role": "assistant", "content": null, "reasoning_content": "Hm.", "tool_calls": calls}),
    ];
    for kept in keepers {
        let messages = json!([kept, {"role": "tool", "tool_call_id": id, "content": "1"}]);
        let asked = with(base(), &json!({"messages": messages, "reasoning_effort": "low"}));
        let (body, warnings) = translated(TO_ANTHROPIC, "claude-sonnet-4-5", &asked);
        assert_eq!(body["messages"][0]["content"], json!([shown, hidden, call]));
        assert_eq!(body["messages"][1]["content"][0]["tool_use_id"], "toolu_1");
        assert_eq!(body["thinking"]["budget_tokens"], 2_048);
        assert_eq!(warnings, [""; 0]);
    }
}

#[test]
fn a_tool_loop_that_lost_its_thinking_goes_on_without() {
    let messages = json!([{"role": "assistant", "reasoning_content": "Hm.", "tool_calls":
            [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"}]);
    let asked = with(base(), &json!({"messages": messages, "reasoning_effort": "low"}));
    let (body, warnings) = translated(TO_ANTHROPIC, "claude-sonnet-4-5", &asked);
    assert_eq!(body.get("thinking"), None);
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"type": "tool_use", "id": "call_1", "name": "f", "input": {}}])
    );
    assert_eq!(warnings, ["reasoning_effort", "messages.reasoning_content"]);
}

#[test]
fn an_answer_is_told_with_its_usage_and_reason() {
    let body = |content: Value, reason: &str| {
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": content, "stop_reason": reason, "stop_sequence": null,
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3,
                "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2}, "output_tokens": 7}})
    };
    let text = json!([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]);
    let expected = json!({"id": "msg_1", "object": "chat.completion", "created": CREATED_S, "model": "claude-sonnet-4-5",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello", "refusal": null},
            "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 18, "completion_tokens": 7, "total_tokens": 25,
            "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0, "cache_write_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}}});
    assert_eq!(answered(TO_ANTHROPIC, &body(text.clone(), "end_turn")), expected);
    let table = [
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        ("something_new", "stop"),
    ];
    for (reason, finish) in table {
        assert_eq!(
            answered(TO_ANTHROPIC, &body(text.clone(), reason))["choices"][0]["finish_reason"],
            finish
        );
    }
    let calls = json!([{"type": "tool_use", "id": "a", "name": "f", "input": {}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {"x": "é"}}]);
    let message = &answered(TO_ANTHROPIC, &body(calls, "tool_use"))["choices"][0]["message"];
    assert_eq!(
        *message,
        json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{\"x\":\"é\"}"}}]})
    );
}
