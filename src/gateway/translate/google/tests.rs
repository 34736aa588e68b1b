//! Golden pairs of Google's dialect with OpenAI's and Anthropic's, streams at every cut, and junk.

use serde_json::{Value, json};

use super::{TABLE, error_body, path, read_error, stream_path};
use crate::gateway::dialect::ErrorDetail;
use crate::gateway::translate::trial::{Trial, stream_of, survive, with_junk};
use crate::gateway::translate::{anthropic, openai};

mod streams;

use streams::google_event;

/// An OpenAI client on Gemini.
const OPENAI_CLIENT: Trial = Trial {
    client: &openai::TABLE,
    provider: &TABLE,
};

/// An Anthropic client on Gemini.
const ANTHROPIC_CLIENT: Trial = Trial {
    client: &anthropic::TABLE,
    provider: &TABLE,
};

/// A Google client on GPT.
const ON_OPENAI: Trial = Trial {
    client: &TABLE,
    provider: &openai::TABLE,
};

/// A Google client on Claude.
const ON_ANTHROPIC: Trial = Trial {
    client: &TABLE,
    provider: &anthropic::TABLE,
};

fn asked(more: &Value) -> Value {
    let mut body = json!({"model": "g", "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn google_call(id: &str) -> Value {
    json!([
        {"functionCall": {"id": id, "name": "find", "args": {"q": "x"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "now", "args": {}}}
    ])
}

fn google_answer(parts: Value, reason: &str) -> Value {
    json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": reason, "index": 0}],
        "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 5, "thoughtsTokenCount": 3,
            "cachedContentTokenCount": 2, "totalTokenCount": 20},
        "modelVersion": "gemini-2.5-flash", "responseId": "R1"})
}

#[test]
fn a_request_of_openais_becomes_one_of_googles() {
    let body = json!({"model": "g", "stream": true, "max_completion_tokens": 100, "temperature": 0.20, "top_p": 0.9, "seed": 7,
        "stop": ["END"], "reasoning_effort": "low", "user": "u1", "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "tools": [{"type": "function", "function": {"name": "find", "description": "Finds", "parameters": {"type": "object"}}},
            {"type": "function", "function": {"name": "now"}}],
        "tool_choice": {"type": "function", "function": {"name": "find"}},
        "messages": [{"role": "system", "content": "Be brief"},
            {"role": "user", "content": [{"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://a.example/b.JPG?x=1"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
                {"type": "input_audio", "input_audio": {"format": "wav", "data": "CCCC"}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{\"q\":\"x\"}"}},
                {"id": "c2", "type": "function", "function": {"name": "now", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "{\"found\":1}"},
            {"role": "tool", "tool_call_id": "c2", "content": "noon"},
            {"role": "user", "content": "And?"}]});
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "See"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a.example/b.JPG?x=1"}},
                {"inlineData": {"mimeType": "application/pdf", "data": "BBBB"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "CCCC"}}]},
            {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "find", "args": {"q": "x"}}},
                {"functionCall": {"id": "c2", "name": "now", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "find", "response": {"found": 1}}},
                {"functionResponse": {"id": "c2", "name": "now", "response": {"output": "noon"}}}, {"text": "And?"}]}],
        "tools": [{"functionDeclarations": [
            {"name": "find", "description": "Finds", "parametersJsonSchema": {"type": "object"}}, {"name": "now"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["find"]}},
        "generationConfig": {"maxOutputTokens": 100, "temperature": 0.2, "topP": 0.9, "seed": 7, "stopSequences": ["END"],
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 2048}}});
    let (written, warnings) = OPENAI_CLIENT.written("gemini-2.5-flash", &body);
    assert_eq!(written, expected);
    assert_eq!(warnings, ["parallel_tool_calls", "user"]);
}

#[test]
fn what_google_cannot_express_is_refused_by_name() {
    let table = [
        (json!({"stop": ["1", "2", "3", "4", "5", "6"]}), "stop"),
        (
            json!({"messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]}),
            "messages",
        ),
        (json!({"n": 2}), "n"),
    ];
    for (more, param) in table {
        assert_eq!(
            OPENAI_CLIENT.refused("gemini-2.5-flash", &asked(&more)),
            param,
            "{more}"
        );
    }
}

#[test]
fn what_only_google_has_is_refused_by_name() {
    let base = json!({"contents": [{"parts": [{"text": "Hi"}]}]});
    let table = [
        (json!({"cachedContent": "c/1"}), "cachedContent"),
        (json!({"tools": [{"googleSearch": {}}]}), "tools.0.googleSearch"),
        (json!({"tools": [{"code_execution": {}}]}), "tools.0.code_execution"),
        (
            json!({"generationConfig": {"candidateCount": 2}}),
            "generationConfig.candidateCount",
        ),
        (
            json!({"generationConfig": {"responseModalities": ["AUDIO"]}}),
            "generationConfig.responseModalities",
        ),
        (
            json!({"generationConfig": {"responseMimeType": "text/x.enum"}}),
            "generationConfig.responseMimeType",
        ),
        (
            json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": -7}}}),
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        (json!({"contents": [{"role": "tool", "parts": []}]}), "contents.0.role"),
        (
            json!({"contents": [{"parts": [{"executableCode": {}}]}]}),
            "contents.0.parts.0.executableCode",
        ),
        (
            json!({"contents": [{"parts": [{"fileData": {"fileUri": "gs://b/f", "mimeType": "image/png"}}]}]}),
            "contents.0.parts.0.fileData.fileUri",
        ),
        (
            json!({"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp4", "data": ""}}]}]}),
            "contents.0.parts.0.inlineData.mimeType",
        ),
        (
            json!({"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]}),
            "contents.0.parts.0.functionResponse.name",
        ),
        (
            json!({"contents": [{"parts": [{"text": 7}]}]}),
            "contents.0.parts.0.text",
        ),
    ];
    for (more, param) in table {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(ON_ANTHROPIC.refused("claude-sonnet-4-5", &body), param, "{more}");
    }
}

#[test]
fn a_request_of_googles_becomes_one_of_openais() {
    let body = json!({"system_instruction": {"parts": {"text": "Be brief"}},
        "contents": [{"role": "user", "parts": [{"text": "See"}, {"inline_data": {"mime_type": "image/png", "data": "_-A"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {"q": "x"}}},
                {"functionCall": {"id": "k2", "name": "find", "args": {}}}]},
            {"role": "function", "parts": [{"functionResponse": {"name": "find", "response": {"output": "one"}}},
                {"functionResponse": {"id": "k2", "name": "find", "response": {"a": 1, "b": 2}}}]}],
        "tools": {"functionDeclarations": [{"name": "find", "description": "Finds",
            "parameters": {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}}}]},
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "safetySettings": [],
        "generationConfig": {"maxOutputTokens": 50, "topP": 0.5, "topK": 3, "stopSequences": ["x"],
            "thinkingConfig": {"thinkingLevel": "LOW"}}});
    let (written, warnings) = ON_OPENAI.written("gpt-5", &body);
    assert_eq!(
        written["messages"],
        json!([
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "See"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,/+A="}}]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "google_call_1", "type": "function", "function": {"name": "find", "arguments": "{\"q\":\"x\"}"}},
            {"id": "k2", "type": "function", "function": {"name": "find", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "google_call_1", "content": "one"},
        {"role": "tool", "tool_call_id": "k2", "content": "{\"a\":1,\"b\":2}"}])
    );
    let parameters = json!({"type": "object", "properties": {"q": {"type": "string"}}});
    assert_eq!(written["tools"][0]["function"]["parameters"], parameters);
    assert_eq!(written["tool_choice"], "required");
    assert_eq!(
        (&written["max_completion_tokens"], &written["reasoning_effort"]),
        (&json!(50), &json!("low"))
    );
    assert_eq!(written["stop"], json!(["x"]));
    assert!(warnings.contains(&"safetySettings".to_owned()), "{warnings:?}");
}

#[test]
fn an_answer_of_googles_is_told_to_others_with_its_signature() {
    let parts = json!([{"text": "Hm", "thought": true}, {"text": "Well"}]);
    let told = ANTHROPIC_CLIENT.answered(&google_answer(parts, "MAX_TOKENS"));
    assert_eq!(
        told["content"],
        json!([{"type": "thinking", "thinking": "Hm", "signature": ""}, {"type": "text", "text": "Well"}])
    );
    assert_eq!(
        (&told["stop_reason"], &told["id"], &told["model"]),
        (&json!("max_tokens"), &json!("R1"), &json!("gemini-2.5-flash"))
    );
    assert_eq!(
        (
            &told["usage"]["input_tokens"],
            &told["usage"]["cache_read_input_tokens"],
            &told["usage"]["output_tokens"]
        ),
        (&json!(10), &json!(2), &json!(8))
    );
    let told = OPENAI_CLIENT.answered(&google_answer(google_call("g1"), "STOP"));
    let choice = &told["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let calls = &choice["message"]["tool_calls"];
    assert_eq!(
        calls[0]["function"],
        json!({"name": "find", "arguments": "{\"q\":\"x\"}"})
    );
    assert_eq!(calls[1]["id"], "google_call_R1_2");
    // The client brings the call back, and the signature with it.
    let again = asked(
        &json!({"messages": [{"role": "user", "content": "Hi"}, choice["message"],
        {"role": "tool", "tool_call_id": calls[0]["id"], "content": "1"},
        {"role": "tool", "tool_call_id": calls[1]["id"], "content": "2"}]}),
    );
    let (written, _) = OPENAI_CLIENT.written("gemini-3-pro-preview", &again);
    assert_eq!(written["contents"][1]["parts"], google_call("g1"));
    assert_eq!(written["contents"][2]["parts"][0]["functionResponse"]["id"], "g1");
    assert_eq!(
        written["contents"][2]["parts"][1]["functionResponse"],
        json!({"name": "now", "response": {"output": "2"}})
    );
}

#[test]
fn a_call_that_another_model_made_is_not_held_against_gemini_3() {
    let body = asked(&json!({"messages": [{"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"}, {"role": "tool", "tool_call_id": "c2", "content": "x"}]}));
    let (written, _) = OPENAI_CLIENT.written("gemini-3-flash", &body);
    let parts = &written["contents"][1]["parts"];
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts[1]["thoughtSignature"], Value::Null);
    let (written, _) = OPENAI_CLIENT.written("gemini-2.5-pro", &body);
    assert_eq!(written["contents"][1]["parts"][0]["thoughtSignature"], Value::Null);
}

#[test]
fn blocked_prompts_and_answers_are_refusals() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}});
    assert_eq!(
        OPENAI_CLIENT.answered(&blocked)["choices"][0]["finish_reason"],
        "content_filter"
    );
    for reason in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "MALFORMED_FUNCTION_CALL"] {
        let told = ANTHROPIC_CLIENT.answered(&google_answer(json!([{"text": "x"}]), reason));
        assert_eq!(told["stop_reason"], "refusal", "{reason}");
    }
}

#[test]
fn a_thought_of_claudes_comes_back_signed_through_a_google_client() {
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "a+/b=="}, {"type": "redacted_thinking", "data": "enc"},
            {"type": "text", "text": "I look"}, {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"q": "x"}}],
        "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 9}});
    let told = ON_ANTHROPIC.answered(&answer);
    let candidate = &told["candidates"][0];
    assert_eq!(candidate["finishReason"], "STOP");
    assert_eq!(
        candidate["content"]["parts"][3],
        json!({"functionCall": {"id": "toolu_1", "name": "find", "args": {"q": "x"}}})
    );
    assert_eq!(
        told["usageMetadata"],
        json!({"promptTokenCount": 5, "candidatesTokenCount": 9, "totalTokenCount": 14})
    );
    let response = json!({"functionResponse": {"name": "find", "response": {"error": "none"}}});
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, candidate["content"],
        {"role": "user", "parts": [response]}], "tools": [{"functionDeclarations": [{"name": "find"}]}],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 2048}}});
    let (written, _) = ON_ANTHROPIC.written("claude-sonnet-4-5", &body);
    assert_eq!(written["messages"][1]["content"], answer["content"]);
    assert_eq!(
        written["messages"][2]["content"],
        json!([
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "none", "is_error": true}])
    );
    assert_eq!(written["thinking"], json!({"type": "enabled", "budget_tokens": 2048}));
}

#[test]
fn addresses_and_errors_have_googles_shape() {
    assert_eq!(path("gemini-2.5-flash"), "models/gemini-2.5-flash:generateContent");
    assert_eq!(
        stream_path("models/gemini-3-pro"),
        "models/gemini-3-pro:streamGenerateContent?alt=sse"
    );
    let detail = ErrorDetail {
        status: 429,
        code: "rate_limited",
        message: "Slow down",
        ..ErrorDetail::default()
    };
    let body = error_body(&detail);
    assert_eq!(
        (&body["error"]["code"], &body["error"]["status"]),
        (&json!(429), &json!("RESOURCE_EXHAUSTED"))
    );
    assert_eq!(body["error"]["details"][0]["reason"], "rate_limited");
    let listed = br#"[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]"#;
    assert_eq!(read_error(listed).unwrap().kind, "INVALID_ARGUMENT");
    assert_eq!(read_error(b"<html>"), None);
}

#[test]
fn junk_never_panics() {
    let request = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "AA"}}]},
        {"role": "model", "parts": google_call("k1")}, {"parts": [{"functionResponse": {"name": "find", "response": {"output": "é"}}}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}]}],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": -1}, "stopSequences": ["x"]}});
    let seeds = [
        request,
        google_answer(google_call("g1"), "STOP"),
        json!({"error": {"code": 1, "message": "x", "status": "Y"}}),
    ];
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_string().into_bytes()).collect();
    with_junk(&seeds, 20_000, |bytes| {
        survive(&TABLE, &[&TABLE, &openai::TABLE, &anthropic::TABLE], bytes)
    });
}

#[test]
#[ignore = "a measurement"]
fn microseconds_a_frame() {
    let events: Vec<Value> = (0..20_000)
        .map(|_| google_event(json!([{"text": "some words of an answer"}]), None))
        .collect();
    let stream = stream_of(&events);
    let started = std::time::Instant::now();
    let out = OPENAI_CLIENT.replay([stream.as_bytes()]);
    let spent = started.elapsed();
    println!("{} ns a frame, {} bytes", spent.as_nanos() / 20_000, out.len());
}
