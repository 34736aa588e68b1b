//! An Anthropic client on GPT: requests and whole answers.

use super::*;

fn base() -> Value {
    json!({"model": "gpt", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]})
}

fn written() -> Value {
    json!({"model": "gpt-5", "max_completion_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]})
}

fn golden(more: Value, expected: Value, warnings: &[&str]) {
    let (body, told) = translated(TO_OPENAI, "gpt-5", &with(base(), &more));
    assert_eq!(body, with(written(), &expected), "{more}");
    assert_eq!(told, warnings, "{more}");
}

#[test]
fn options_find_their_words_or_are_dropped_by_name() {
    golden(json!({}), json!({}), &[]);
    golden(
        json!({"temperature": 0.3, "top_p": 0.9}),
        json!({"temperature": 0.3, "top_p": 0.9}),
        &[],
    );
    golden(
        json!({"top_k": 5, "context_management": {"edits": []}}),
        json!({}),
        &["context_management", "top_k"],
    );
    golden(json!({"stop_sequences": ["a", "b"]}), json!({"stop": ["a", "b"]}), &[]);
    golden(
        json!({"metadata": {"user_id": "u1"}, "service_tier": "auto"}),
        json!({"user": "u1"}),
        &[],
    );
    golden(
        json!({"service_tier": "standard_only"}),
        json!({"service_tier": "default"}),
        &[],
    );
    golden(
        json!({"stream": true}),
        json!({"stream": true, "stream_options": {"include_usage": true}}),
        &[],
    );
    golden(
        json!({"mcp_servers": [], "speed": "standard", "container": null}),
        json!({}),
        &[],
    );
    let long = json!({"metadata": {"user_id": "u".repeat(65)}});
    golden(long, json!({}), &["metadata.user_id"]);
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "schema": schema});
    let promised = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}});
    golden(
        json!({"output_config": {"format": format}}),
        json!({"response_format": promised}),
        &[],
    );
    golden(
        json!({"output_format": format}),
        json!({"response_format": promised}),
        &[],
    );
}

#[test]
fn a_provider_without_stream_options_or_effort_gets_neither() {
    let plain = WriteTarget {
        cap_field: OutputCapField::MaxTokens,
        takes_stream_options: false,
        takes_reasoning_effort: false,
        ..target("llama")
    };
    let asked = with(
        base(),
        &json!({"stream": true, "thinking": {"type": "enabled", "budget_tokens": 2000}}),
    );
    let translated = request(TO_OPENAI, asked.to_string().as_bytes(), &plain).unwrap();
    let body: Value = serde_json::from_slice(&translated.body).unwrap();
    let messages = json!([{"role": "user", "content": "Hi"}]);
    assert_eq!(
        body,
        json!({"model": "llama", "messages": messages, "max_tokens": 100, "stream": true})
    );
    assert_eq!(translated.warnings.names(), ["thinking"]);
}

#[test]
fn thinking_becomes_an_effort() {
    let table = [
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            Some("minimal"),
            false,
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 31999}}),
            Some("xhigh"),
            false,
        ),
        (json!({"thinking": {"type": "adaptive"}}), None, false),
        (
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
            Some("xhigh"),
            false,
        ),
        (json!({"output_config": {"effort": "low"}}), Some("low"), false),
        (
            json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}),
            None,
            true,
        ),
    ];
    for (more, effort, warned) in table {
        let expected = effort.map_or(json!({}), |effort| json!({ "reasoning_effort": effort }));
        golden(more, expected, if warned { &["thinking"] } else { &[] });
    }
}

#[test]
fn tools_and_their_choice_are_written_in_openais_words() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tools = json!([
        {"name": "weather", "description": "Tells it.", "input_schema": schema, "strict": true},
        {"type": "custom", "name": "now", "input_schema": {"type": "object"}, "defer_loading": true,
            "cache_control": {"type": "ephemeral"}}]);
    let expected = json!([{"type": "function", "function":
        {"name": "weather", "description": "Tells it.", "parameters": schema, "strict": true}},
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]);
    let table = [
        (json!(null), json!({})),
        (json!({"type": "auto"}), json!({"tool_choice": "auto"})),
        (json!({"type": "none"}), json!({"tool_choice": "none"})),
        (
            json!({"type": "any", "disable_parallel_tool_use": false}),
            json!({"tool_choice": "required", "parallel_tool_calls": true}),
        ),
        (
            json!({"type": "tool", "name": "now", "disable_parallel_tool_use": true}),
            json!({"tool_choice": {"type": "function", "function": {"name": "now"}}, "parallel_tool_calls": false}),
        ),
    ];
    for (choice, mut written) in table {
        written["tools"] = expected.clone();
        golden(
            json!({"tools": tools, "tool_choice": choice}),
            written,
            &["tools.defer_loading", "cache_control"],
        );
    }
}

#[test]
fn results_of_tools_follow_their_calls_and_their_images_follow_them() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let system = json!([{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be kind."}]);
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}, image,
            {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "ZW5j"},
            {"type": "text", "text": "Let me "}, {"type": "text", "text": "see."},
            {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {}},
            {"type": "tool_use", "id": "toolu_2", "name": "w", "input": {"b": "x"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "sun"}, image]},
            {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": true},
            {"type": "text", "text": "And?"}]}]);
    let shown = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let expected = json!({"messages": [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}, shown,
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
            {"type": "text", "text": "plain"}]},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "w", "arguments": "{}"}},
            {"id": "toolu_2", "type": "function", "function": {"name": "w", "arguments": "{\"b\":\"x\"}"}}]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "sun"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": ""},
        {"role": "user", "content": [shown, {"type": "text", "text": "And?"}]}]});
    let warnings = [
        "reasoning",
        "cache_control",
        "messages.thinking",
        "messages.tool_result.image",
        "messages.is_error",
    ];
    golden(json!({"system": system, "messages": messages}), expected, &warnings);
}

#[test]
fn texts_alone_become_one_text_and_a_begun_answer_passes() {
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "user", "content": "b"},
        {"role": "assistant", "content": [{"type": "text", "text": "So"}]}]);
    let expected = json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a\n\nb"},
        {"role": "assistant", "content": "So"}]});
    golden(json!({"system": "s", "messages": messages}), expected, &[]);
}

#[test]
fn what_gpt_cannot_express_is_refused_by_its_name() {
    let user =
        |block: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, block]}]});
    let nested =
        json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_result", "tool_use_id": "b"}]});
    let url = json!({"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}});
    let table = [
        (json!({"mcp_servers": [{}]}), "mcp_servers"),
        (json!({"container": "c"}), "container"),
        (json!({"speed": "fast"}), "speed"),
        (json!({"stop_sequences": ["a", "b", "c", "d", "e"]}), "stop_sequences"),
        (json!({"thinking": {"type": "deep"}}), "thinking.type"),
        (json!({"output_config": {"effort": "much"}}), "output_config.effort"),
        (
            json!({"output_config": {"format": {"type": "xml"}}}),
            "output_config.format.type",
        ),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "tools.0.type",
        ),
        (json!({"tool_choice": {"type": "some"}}), "tool_choice.type"),
        (
            json!({"messages": [{"role": "narrator", "content": "a"}]}),
            "messages.0.role",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "x"}]}]}),
            "messages.0.content.0.input",
        ),
        (user(json!({"type": "server_tool_use"})), "messages.0.content.1.type"),
        (
            user(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
            "messages.0.content.1.source.type",
        ),
        (user(nested), "messages.0.content.1.content.0.type"),
        (user(url), "messages"),
        (user(json!({"type": "thinking", "thinking": "a"})), "messages"),
        (
            json!({"system": [{"type": "image", "source": {"type": "url", "url": "https://a.example"}}]}),
            "messages",
        ),
    ];
    for (more, param) in table {
        assert_eq!(refused(TO_OPENAI, &with(base(), &more)), param, "{more}");
    }
}

#[test]
fn an_answer_is_told_in_blocks_with_its_usage_and_reason() {
    let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5-2025", "choices": [
        {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "Hello", "refusal": null,
            "reasoning_content": "Hm.", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"type": "function", "function": {"name": "g", "arguments": ""}},
                {"id": "call_3", "type": "function", "function": {"name": "h", "arguments": "{\"a\":"}}]}}],
        "usage": {"prompt_tokens": 18, "completion_tokens": 7, "total_tokens": 25,
            "prompt_tokens_details": {"cached_tokens": 5}}});
    let expected = json!({"id": "chatcmpl-1", "type": "message", "role": "assistant", "model": "gpt-5-2025", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "call_chatcmpl-1_1", "name": "g", "input": {}},
            {"type": "tool_use", "id": "call_3", "name": "h", "input": {"malformed_arguments": "{\"a\":"}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 13, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 5, "output_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}}});
    assert_eq!(answered(TO_OPENAI, &body), expected);
}

#[test]
fn a_finish_reason_is_told_by_what_the_answer_holds() {
    let text = json!({"role": "assistant", "content": "a"});
    let call = json!({"role": "assistant", "content": null, "tool_calls":
        [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let refusal = json!({"role": "assistant", "content": null, "refusal": "No."});
    let table = [
        (&text, json!("stop"), "end_turn"),
        (&text, json!("length"), "max_tokens"),
        (&text, json!("content_filter"), "refusal"),
        (&text, json!("something_new"), "end_turn"),
        (&text, json!(null), "end_turn"),
        (&call, json!("stop"), "tool_use"),
        (&call, json!("length"), "max_tokens"),
        (&refusal, json!("stop"), "refusal"),
    ];
    for (message, finish, reason) in table {
        let body =
            json!({"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]});
        let answer = answered(TO_OPENAI, &body);
        assert_eq!(answer["stop_reason"], reason, "{body}");
        assert_eq!(answer["usage"]["output_tokens"], 0);
    }
}
