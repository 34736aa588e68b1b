//! Golden pairs of Converse with OpenAI's and Anthropic's dialects, streams at every cut, and junk.

use bytes::BytesMut;
use serde_json::{Value, json};

use super::framing::{MessageSplitter, write_message};
use super::{TABLE, error_body, error_kind, path, read_error, stream_path};
use crate::gateway::dialect::ErrorDetail;
use crate::gateway::translate::trial::{Trial, survive, with_junk};
use crate::gateway::translate::{anthropic, google, openai};

mod streams;

use streams::{events, replay, stream_of};

/// An OpenAI client on Bedrock.
const OPENAI_CLIENT: Trial = Trial {
    client: &openai::TABLE,
    provider: &TABLE,
};

/// An Anthropic client on Bedrock.
const ANTHROPIC_CLIENT: Trial = Trial {
    client: &anthropic::TABLE,
    provider: &TABLE,
};

/// A client of Converse on GPT.
const ON_OPENAI: Trial = Trial {
    client: &TABLE,
    provider: &openai::TABLE,
};

/// A client of Converse on Claude's own API.
const ON_ANTHROPIC: Trial = Trial {
    client: &TABLE,
    provider: &anthropic::TABLE,
};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "amazon.nova-2-lite-v1:0";

fn laid(mut base: Value, more: &Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

fn asked(more: &Value) -> Value {
    laid(
        json!({"model": "b", "messages": [{"role": "user", "content": "Hi"}]}),
        more,
    )
}

fn converse(more: &Value) -> Value {
    laid(
        json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}),
        more,
    )
}

#[test]
fn a_request_of_openais_becomes_one_of_converse() {
    let body = json!({"model": "b", "max_completion_tokens": 100, "temperature": 0.2, "top_p": 0.9, "seed": 7, "stop": ["END"],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "tools": [{"type": "function", "function": {"name": "find", "description": "Finds", "parameters": {"type": "object"}}},
            {"type": "function", "function": {"name": "now"}}],
        "tool_choice": "required",
        "messages": [{"role": "system", "content": [{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": [{"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA"}},
                {"type": "file", "file": {"filename": "a b.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
                {"type": "file", "file": {"file_data": "data:text/csv;base64,CCCC"}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{\"q\":\"x\"}"}},
                {"id": "c 2", "type": "function", "function": {"name": "now", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c 2", "content": "noon"}]});
    let (written, warnings) = OPENAI_CLIENT.written(CLAUDE, &body);
    let hashed = written["messages"][1]["content"][1]["toolUse"]["toolUseId"].clone();
    assert_eq!(hashed.as_str().unwrap().len(), 35);
    let expected = json!({
        "system": [{"text": "Be brief"}, {"cachePoint": {"type": "default"}}],
        "messages": [
            {"role": "user", "content": [{"text": "See"}, {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
                {"document": {"format": "pdf", "name": "a-b-pdf", "source": {"bytes": "BBBB"}}},
                {"document": {"format": "csv", "name": "document-2", "source": {"bytes": "CCCC"}}}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "find", "input": {"q": "x"}}},
                {"toolUse": {"toolUseId": hashed, "name": "now", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "one"}]}},
                {"toolResult": {"toolUseId": hashed, "content": [{"text": "noon"}]}}]}],
        "toolConfig": {"tools": [
            {"toolSpec": {"name": "find", "description": "Finds", "inputSchema": {"json": {"type": "object"}}}},
            {"toolSpec": {"name": "now", "inputSchema": {"json": {"type": "object", "properties": {}}}}}],
            "toolChoice": {"any": {}}},
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.2, "topP": 0.9, "stopSequences": ["END"]},
        "outputConfig": {"textFormat": {"type": "json_schema",
            "structure": {"jsonSchema": {"schema": "{\"type\":\"object\"}", "name": "n"}}}}});
    assert_eq!(written, expected);
    assert_eq!(warnings, ["seed"]);
}

#[test]
fn each_family_is_asked_to_think_in_its_own_words() {
    let table = [
        (CLAUDE, json!({"thinking": {"type": "enabled", "budget_tokens": 2048}})),
        (
            NOVA,
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        ),
        ("openai.gpt-oss-120b-1:0", json!({"reasoning_effort": "low"})),
        ("meta.llama3-70b-instruct-v1:0", Value::Null),
    ];
    for (model, expected) in table {
        let (written, warnings) =
            OPENAI_CLIENT.written(model, &asked(&json!({"reasoning_effort": "low", "temperature": 0.5})));
        assert_eq!(written["additionalModelRequestFields"], expected, "{model}");
        assert_eq!(
            warnings.contains(&"reasoning_effort".to_owned()),
            expected.is_null(),
            "{model}"
        );
        assert_eq!(
            written["inferenceConfig"]["temperature"].is_null(),
            model == CLAUDE,
            "{model}"
        );
        assert_eq!(
            written["inferenceConfig"]["maxTokens"].is_u64(),
            model == CLAUDE,
            "{model}"
        );
    }
    let (written, _) = OPENAI_CLIENT.written(NOVA, &asked(&json!({"top_k": 5})));
    assert_eq!(
        written["additionalModelRequestFields"],
        json!({"inferenceConfig": {"topK": 5}})
    );
    let (written, _) = OPENAI_CLIENT.written(CLAUDE, &asked(&json!({"top_k": 5, "service_tier": "priority"})));
    assert_eq!(written["additionalModelRequestFields"], json!({"top_k": 5}));
    assert_eq!(written["serviceTier"], json!({"type": "priority"}));
}

#[test]
fn what_converse_cannot_express_is_refused_by_name() {
    let image = |url: &str| json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
    let call = json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "x"});
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let table = [
        (json!({"response_format": {"type": "json_object"}}), "response_format"),
        (json!({"temperature": 1.5}), "temperature"),
        (image("https://a.example/b.png"), "messages"),
        (image("data:image/tiff;base64,AA"), "messages"),
        (
            json!({"messages": [{"role": "user", "content": "x"}, call, result], "tools": tools, "tool_choice": "none"}),
            "tool_choice",
        ),
    ];
    for (more, param) in table {
        assert_eq!(OPENAI_CLIENT.refused(CLAUDE, &asked(&more)), param, "{more}");
    }
    let (written, _) = OPENAI_CLIENT.written(CLAUDE, &asked(&json!({"tools": tools, "tool_choice": "none"})));
    assert_eq!(written["toolConfig"], Value::Null);
}

#[test]
fn what_only_aws_has_is_refused_by_name() {
    let block = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    let table = [
        (
            json!({"guardrailConfig": {"guardrailIdentifier": "g"}}),
            "guardrailConfig",
        ),
        (json!({"promptVariables": {}}), "promptVariables"),
        (
            json!({"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}),
            "toolConfig.tools.0.systemTool",
        ),
        (
            block(json!({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/f"}}}})),
            "messages.0.content.0.image.source.s3Location",
        ),
        (block(json!({"video": {}})), "messages.0.content.0.video"),
        (block(json!({"guardContent": {}})), "messages.0.content.0.guardContent"),
        (
            block(json!({"document": {"format": "rtf", "name": "d", "source": {"bytes": ""}}})),
            "messages.0.content.0.document.format",
        ),
        (
            json!({"messages": [{"role": "system", "content": []}]}),
            "messages.0.role",
        ),
        (
            json!({"additionalModelRequestFields": {"reasoning_effort": "much"}}),
            "additionalModelRequestFields.reasoning_effort",
        ),
    ];
    for (more, param) in table {
        assert_eq!(
            ON_ANTHROPIC.refused("claude-sonnet-4-5", &converse(&more)),
            param,
            "{more}"
        );
    }
}

#[test]
fn a_request_of_converse_becomes_one_of_anthropics() {
    let body = json!({"system": [{"text": "Be brief"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": [{"text": "See"}, {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
                {"document": {"format": "pdf", "name": "a", "source": {"bytes": "BBBB"}}}, {"cachePoint": {"type": "default"}}]},
            {"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s="}}},
                {"toolUse": {"toolUseId": "t1", "name": "find", "input": {"q": "x"}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "status": "error", "content": [{"json": {"a": 1}}]}}]}],
        "toolConfig": {"tools": [{"toolSpec": {"name": "find", "description": "Finds", "inputSchema": {"json": {"type": "object"}}}},
            {"cachePoint": {"type": "default"}}], "toolChoice": {"auto": {}}},
        "inferenceConfig": {"maxTokens": 9000, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 3000}, "anthropic_beta": ["x"]},
        "performanceConfig": {"latency": "optimized"}});
    let (written, warnings) = ON_ANTHROPIC.written("claude-sonnet-4-5", &body);
    let five = json!({"type": "ephemeral"});
    assert_eq!(
        written,
        json!({"model": "claude-sonnet-4-5", "max_tokens": 9000,
        "system": [{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "See"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}, "title": "a",
                    "cache_control": five}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": "s="},
                {"type": "tool_use", "id": "t1", "name": "find", "input": {"q": "x"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "{\"a\":1}", "is_error": true}]}],
        "tools": [{"name": "find", "description": "Finds", "input_schema": {"type": "object"}, "cache_control": five}],
        "tool_choice": {"type": "auto"}, "thinking": {"type": "enabled", "budget_tokens": 3000}, "stop_sequences": ["END"]})
    );
    assert_eq!(
        warnings,
        ["additionalModelRequestFields.anthropic_beta", "performanceConfig"]
    );
    let schema = json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{\"type\":\"object\"}"}}}});
    let (written, _) = ON_OPENAI.written("gpt-5", &converse(&json!({"outputConfig": schema})));
    assert_eq!(
        written["response_format"]["json_schema"]["schema"],
        json!({"type": "object"})
    );
}

fn answer() -> Value {
    json!({"output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s="}}},
            {"reasoningContent": {"redactedContent": "ZW5j"}}, {"text": "I look"},
            {"toolUse": {"toolUseId": "tooluse_1", "name": "find", "input": {"q": "x"}}}]}},
        "stopReason": "tool_use", "metrics": {"latencyMs": 9},
        "usage": {"inputTokens": 7, "outputTokens": 5, "totalTokens": 15, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 0}})
}

#[test]
fn an_answer_of_converse_is_told_to_others_and_comes_back_signed() {
    let told = ANTHROPIC_CLIENT.answered(&answer());
    assert_eq!(
        told["content"],
        json!([{"type": "thinking", "thinking": "Hm", "signature": "s="},
        {"type": "redacted_thinking", "data": "ZW5j"}, {"type": "text", "text": "I look"},
        {"type": "tool_use", "id": "tooluse_1", "name": "find", "input": {"q": "x"}}])
    );
    assert_eq!(
        (&told["stop_reason"], &told["usage"]["cache_read_input_tokens"]),
        (&json!("tool_use"), &json!(3))
    );
    // An OpenAI client that keeps nothing but ids brings the thinking back all the same.
    let told = OPENAI_CLIENT.answered(&answer());
    assert_eq!(told["usage"]["prompt_tokens"], 10);
    let mut message = told["choices"][0]["message"].clone();
    for name in ["reasoning_content", "reasoning_details"] {
        message.as_object_mut().unwrap().remove(name);
    }
    let result = json!({"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"});
    let body = asked(&json!({"messages": [{"role": "user", "content": "Hi"}, message, result]}));
    let (written, _) = OPENAI_CLIENT.written(CLAUDE, &body);
    assert_eq!(
        written["messages"][1]["content"],
        answer()["output"]["message"]["content"]
    );
    assert_eq!(
        written["messages"][2]["content"][0]["toolResult"]["toolUseId"],
        "tooluse_1"
    );
}

#[test]
fn hidden_thinking_of_others_comes_back_through_a_client_of_converse() {
    let claude = json!({"id": "msg_1", "model": "claude-sonnet-4-5", "content": [{"type": "redacted_thinking", "data": "not base64!"},
        {"type": "text", "text": "Well"}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 2}});
    let told = ON_ANTHROPIC.answered(&claude);
    assert_eq!(told["stopReason"], "end_turn");
    assert_eq!(told["usage"]["totalTokens"], 3);
    let message = &told["output"]["message"];
    let body = json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}, message, {"role": "user", "content": [{"text": "And?"}]}]});
    let (written, _) = ON_ANTHROPIC.written("claude-sonnet-4-5", &body);
    assert_eq!(written["messages"][1]["content"], claude["content"]);
}

#[test]
fn addresses_and_errors_have_bedrocks_shape() {
    assert_eq!(path(NOVA), "/model/amazon.nova-2-lite-v1%3A0/converse");
    assert_eq!(
        stream_path("arn:aws:bedrock:eu-west-1:1:inference-profile/x"),
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/converse-stream"
    );
    let detail = ErrorDetail {
        status: 402,
        code: "spend_limit_reached",
        message: "The limit is reached.",
        ..ErrorDetail::default()
    };
    assert_eq!(
        error_body(&detail),
        json!({"message": "The limit is reached.", "__type": "ServiceQuotaExceededException",
        "code": "spend_limit_reached", "status": 402})
    );
    assert_eq!(
        (error_kind(429), error_kind(400), error_kind(500)),
        ("ThrottlingException", "ValidationException", "InternalServerException")
    );
    let told = read_error(br#"{"__type":"com.amazon#ThrottlingException","message":"Slow down"}"#).unwrap();
    assert_eq!(
        (told.kind.as_str(), told.message.as_str()),
        ("ThrottlingException", "Slow down")
    );
    assert_eq!(read_error(br#"{"Message":"No"}"#).unwrap().message, "No");
}

#[test]
fn junk_never_panics() {
    let request = json!({"system": [{"text": "s"}], "messages": [{"role": "user", "content": [{"text": "Hé"}, {"cachePoint": {"type": "default"}}]},
        answer()["output"]["message"], {"role": "user", "content": [{"toolResult": {"toolUseId": "tooluse_1", "content": [{"json": {}}]}}]}],
        "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]}, "inferenceConfig": {"maxTokens": 7}});
    let mut seeds: Vec<Vec<u8>> = [request, answer()]
        .iter()
        .map(|seed| seed.to_string().into_bytes())
        .collect();
    seeds.extend(events().into_iter().map(|event| stream_of(&[event])));
    let others = [&TABLE, &openai::TABLE, &anthropic::TABLE, &google::TABLE];
    with_junk(&seeds, 20_000, |bytes| {
        survive(&TABLE, &others, bytes);
        // Damaged payloads in whole frames, and damaged frames.
        survive(
            &TABLE,
            &others,
            &stream_of(&[("contentBlockDelta", json!(String::from_utf8_lossy(bytes)))]),
        );
        let mut framed = BytesMut::new();
        write_message(&[(":event-type", "contentBlockDelta")], bytes, &mut framed);
        survive(&TABLE, &others, &framed);
        let mut splitter = MessageSplitter::new();
        splitter.push(bytes);
        while let Ok(Some(message)) = splitter.next_message() {
            assert!(!message.is_empty());
        }
    });
}

#[test]
#[ignore = "a measurement"]
fn microseconds_a_frame() {
    let delta = (
        "contentBlockDelta",
        json!({"contentBlockIndex": 0, "delta": {"text": "some words of an answer"}}),
    );
    let stream = stream_of(&vec![delta; 20_000]);
    let started = std::time::Instant::now();
    let out = replay(OPENAI_CLIENT, [&stream[..]]);
    println!(
        "{} ns a frame, {} bytes",
        started.elapsed().as_nanos() / 20_000,
        out.len()
    );
}
