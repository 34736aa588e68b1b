//! Golden pairs of responses with Anthropic's and OpenAI's other dialect, streams at every cut, and junk.

use serde_json::{Value, json};

use super::TABLE;
use super::usage::read_usage;
use crate::gateway::translate::trial::{Trial, stream_of, survive, with_junk};
use crate::gateway::translate::{anthropic, bedrock, google, openai};

mod streams;

use streams::responses_events;

/// A client of responses on Claude.
const ON_ANTHROPIC: Trial = Trial {
    client: &TABLE,
    provider: &anthropic::TABLE,
};

/// A client of responses on any imitator of chat completions.
const ON_OPENAI: Trial = Trial {
    client: &TABLE,
    provider: &openai::TABLE,
};

/// A client of responses on Gemini.
const ON_GOOGLE: Trial = Trial {
    client: &TABLE,
    provider: &google::TABLE,
};

/// An Anthropic client on a model that only has responses.
const ANTHROPIC_CLIENT: Trial = Trial {
    client: &anthropic::TABLE,
    provider: &TABLE,
};

const CLAUDE: &str = "claude-sonnet-4-5";

fn laid(mut base: Value, more: &Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

fn asked(more: &Value) -> Value {
    laid(json!({"model": "m", "input": "Hi"}), more)
}

#[test]
fn a_request_of_responses_becomes_one_of_anthropics() {
    let body = json!({"model": "m", "instructions": "Be brief", "max_output_tokens": 9000, "stream": true, "store": false,
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "parallel_tool_calls": false,
        "reasoning": {"effort": "low", "summary": "auto"}, "user": "u1",
        "tools": [{"type": "function", "name": "find", "description": "Finds", "parameters": {"type": "object"}, "strict": false}],
        "tool_choice": "auto",
        "input": [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "And kind"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "See"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}]}]});
    let (written, warnings) = ON_ANTHROPIC.written(CLAUDE, &body);
    assert_eq!(
        written,
        json!({"model": CLAUDE, "max_tokens": 9000, "stream": true,
        "system": [{"type": "text", "text": "Be brief"}, {"type": "text", "text": "And kind"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "See"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}, "title": "a.pdf"}]}],
        "tools": [{"name": "find", "description": "Finds", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 2048}, "metadata": {"user_id": "u1"}})
    );
    assert_eq!(warnings, ["prompt_cache_key"]);
}

#[test]
fn what_openai_keeps_or_runs_is_refused_by_name() {
    let item = |item: Value| json!({"input": [item]});
    let part = |part: Value| json!({"input": [{"role": "user", "content": [part]}]});
    let table = [
        (json!({"previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"conversation": {"id": "conv_1"}}), "conversation"),
        (json!({"background": true}), "background"),
        (json!({"store": true}), "store"),
        (json!({"prompt": {"id": "p"}}), "prompt"),
        (json!({"truncation": "auto"}), "truncation"),
        (json!({"include": ["message.output_text.logprobs"]}), "include.0"),
        (json!({"tools": [{"type": "web_search"}]}), "tools.0.type"),
        (
            json!({"tools": [{"type": "custom", "name": "apply_patch"}]}),
            "tools.0.type",
        ),
        (json!({"tool_choice": {"type": "file_search"}}), "tool_choice.type"),
        (item(json!({"type": "item_reference", "id": "msg_1"})), "input.0.type"),
        (item(json!({"type": "web_search_call"})), "input.0.type"),
        (
            item(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "["})),
            "input.0.arguments",
        ),
        (
            part(json!({"type": "input_image", "file_id": "file_1"})),
            "input.0.content.0.file_id",
        ),
        (part(json!({"type": "input_video"})), "input.0.content.0.type"),
        (json!({"text": {"format": {"type": "json_object"}}}), "text.format"),
        (json!({"reasoning": {"effort": "much"}}), "reasoning.effort"),
    ];
    for (more, param) in table {
        assert_eq!(ON_ANTHROPIC.refused(CLAUDE, &asked(&more)), param, "{more}");
    }
    let harmless =
        json!({"background": false, "truncation": "disabled", "top_logprobs": 0, "previous_response_id": null});
    let (written, warnings) = ON_ANTHROPIC.written(CLAUDE, &asked(&harmless));
    assert_eq!(
        written["messages"][0]["content"],
        json!([{"type": "text", "text": "Hi"}])
    );
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn what_only_openai_runs_is_left_out_beside_functions_and_refused_where_it_is_demanded() {
    let find = json!({"type": "function", "name": "find"});
    let foreign = [
        json!({"type": "web_search", "external_web_access": true}),
        json!({"type": "namespace", "name": "agents", "tools": [find]}),
        json!({"type": "custom", "name": "apply_patch"}),
        json!({"type": "local_shell"}),
    ];
    for tool in foreign {
        let beside = json!({"tools": [tool, find], "tool_choice": "auto"});
        let (written, warnings) = ON_ANTHROPIC.written(CLAUDE, &asked(&beside));
        assert_eq!(written["tools"].as_array().map(Vec::len), Some(1), "{written}");
        assert_eq!(warnings, [format!("tools.{}", tool["type"].as_str().unwrap())]);
        let demanded = json!({"tools": [find, tool], "tool_choice": "required"});
        assert_eq!(ON_ANTHROPIC.refused(CLAUDE, &asked(&demanded)), "tools.1.type");
    }
}

fn claude_answer() -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": CLAUDE, "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "s="}, {"type": "redacted_thinking", "data": "enc"},
            {"type": "text", "text": "I look"}, {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"q": "x"}}],
        "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 5}})
}

#[test]
fn an_answer_of_claudes_comes_back_signed_through_a_client_of_responses() {
    let told = ON_ANTHROPIC.answered(&claude_answer());
    assert_eq!(
        (&told["id"], &told["object"], &told["status"], &told["created_at"]),
        (
            &json!("resp_msg_1"),
            &json!("response"),
            &json!("completed"),
            &json!(1_700_000_000)
        )
    );
    assert_eq!(
        told["usage"],
        json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15})
    );
    let output = &told["output"];
    assert_eq!(output[0]["summary"], json!([{"type": "summary_text", "text": "Hm"}]));
    assert_eq!(output[2]["content"][0]["text"], "I look");
    assert_eq!(
        (&output[3]["call_id"], &output[3]["arguments"]),
        (&json!("toolu_1"), &json!("{\"q\":\"x\"}"))
    );
    let mut input = vec![json!({"role": "user", "content": "Hi"})];
    input.extend(output.as_array().unwrap().iter().cloned());
    input.push(json!({"type": "function_call_output", "call_id": "toolu_1", "output": "1"}));
    let (written, _) = ON_ANTHROPIC.written(CLAUDE, &asked(&json!({"input": input})));
    assert_eq!(written["messages"][1]["content"], claude_answer()["content"]);
    assert_eq!(
        written["messages"][2]["content"],
        json!([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "1"}])
    );
}

#[test]
fn a_call_of_geminis_brings_its_signature_back_in_its_id() {
    let gemini = json!({"candidates": [{"content": {"role": "model", "parts": [
        {"functionCall": {"name": "find", "args": {}}, "thoughtSignature": "c2ln"}]}, "finishReason": "STOP"}], "responseId": "R1"});
    let call = ON_GOOGLE.answered(&gemini)["output"][0].clone();
    let result = json!({"type": "function_call_output", "call_id": call["call_id"], "output": [{"type": "input_text", "text": "1"}]});
    let (written, _) = ON_GOOGLE.written(
        "gemini-3-flash",
        &asked(&json!({"input": [{"role": "user", "content": "Hi"}, call, result]})),
    );
    assert_eq!(written["contents"][1]["parts"][0]["thoughtSignature"], "c2ln");
    assert_eq!(
        written["contents"][2]["parts"][0]["functionResponse"],
        json!({"name": "find", "response": {"output": "1"}})
    );
}

fn responses_answer() -> Value {
    json!({"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5", "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}, {"type": "summary_text", "text": "So"}],
                "encrypted_content": "gAAAA"},
            {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "I look", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "find", "arguments": "{\"q\":\"x\"}"}],
        "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 15}})
}

#[test]
fn an_answer_of_responses_brings_its_reasoning_back_through_an_anthropic_client() {
    let told = ANTHROPIC_CLIENT.answered(&responses_answer());
    assert_eq!(told["stop_reason"], "tool_use");
    assert_eq!(
        (
            &told["usage"]["input_tokens"],
            &told["usage"]["cache_read_input_tokens"]
        ),
        (&json!(7), &json!(3))
    );
    assert_eq!(told["content"][0]["thinking"], "Hm\n\nSo");
    let body = json!({"model": "m", "max_tokens": 100, "system": "Be brief", "thinking": {"type": "enabled", "budget_tokens": 2048},
        "tools": [{"name": "find", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"},
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": told["content"]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "is_error": true, "content": "none"},
                {"type": "text", "text": "And?"}]}]});
    let (written, _) = ANTHROPIC_CLIENT.written("gpt-5", &body);
    assert_eq!(
        written,
        json!({"model": "gpt-5", "max_output_tokens": 100, "store": false,
        "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [{"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": false}], "tool_choice": "required",
        "input": [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look"}]},
            {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": "{\"q\":\"x\"}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "Error: none"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And?"}]}]})
    );
    assert_eq!(
        ANTHROPIC_CLIENT.refused("gpt-5", &laid(body, &json!({"stop_sequences": ["x"]}))),
        "stop_sequences"
    );
}

#[test]
fn an_answer_that_is_not_whole_says_why_and_a_failed_one_is_none() {
    for (reason, expected) in [("max_output_tokens", "max_tokens"), ("content_filter", "refusal")] {
        let more = json!({"status": "incomplete", "incomplete_details": {"reason": reason}});
        assert_eq!(
            ANTHROPIC_CLIENT.answered(&laid(responses_answer(), &more))["stop_reason"],
            expected
        );
    }
    let capped = laid(claude_answer(), &json!({"stop_reason": "max_tokens"}));
    let told = ON_ANTHROPIC.answered(&capped);
    assert_eq!(
        (&told["status"], &told["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let failed = laid(
        responses_answer(),
        &json!({"status": "failed", "error": {"code": "server_error", "message": "x"}}),
    );
    assert!((TABLE.read_answer)(failed.to_string().as_bytes()).is_none());
    let usage = read_usage(responses_answer().to_string().as_bytes()).unwrap();
    assert_eq!(
        (usage.input_tokens, usage.cache_read_tokens, usage.reasoning_tokens),
        (7, 3, 4)
    );
    let inside = json!({"type": "response.completed", "response": responses_answer()});
    assert_eq!(read_usage(inside.to_string().as_bytes()), Some(usage));
    assert_eq!(read_usage(br#"{"usage":{"input_tokens":-1}}"#), None);
}

#[test]
fn junk_never_panics() {
    let request = asked(
        &json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hé"}]}, responses_answer()["output"][0],
        responses_answer()["output"][2], {"type": "function_call_output", "call_id": "call_1", "output": "1"}],
        "tools": [{"type": "function", "name": "f", "parameters": {}}], "reasoning": {"effort": "low"}}),
    );
    let mut seeds: Vec<Vec<u8>> = [request, responses_answer()]
        .iter()
        .map(|seed| seed.to_string().into_bytes())
        .collect();
    seeds.extend(
        responses_events()
            .into_iter()
            .map(|event| event.to_string().into_bytes()),
    );
    let others = [
        &TABLE,
        &openai::TABLE,
        &anthropic::TABLE,
        &google::TABLE,
        &bedrock::TABLE,
    ];
    with_junk(&seeds, 20_000, |bytes| survive(&TABLE, &others, bytes));
}

#[test]
#[ignore = "a measurement"]
fn microseconds_a_frame() {
    let delta = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "some words of an answer"}, "finish_reason": null}]});
    let stream = stream_of(&vec![delta; 20_000]);
    let started = std::time::Instant::now();
    let out = ON_OPENAI.replay([stream.as_bytes()]);
    println!(
        "{} ns a frame, {} bytes",
        started.elapsed().as_nanos() / 20_000,
        out.len()
    );
}
