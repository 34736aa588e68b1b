//! What one provider sealed goes back to whoever can open it, through every client's dialect, and to nobody else.

use super::*;

const SPEECHES: [Speech; 5] = [
    Speech::OpenAi,
    Speech::Anthropic,
    Speech::Google,
    Speech::Bedrock,
    Speech::Responses,
];
const CLAUDE_SIGNATURE: &str = "Q0xBVURFU0lHTg==";
const CLAUDE_HIDDEN: &str = "Q0xBVURFSElE";
const GOOGLE_SIGNATURE: &str = "R09PR0xFU0lHTg==";
const OPENAI_HIDDEN: &str = "gAAAAOPENAI";

/// An answer that thought and then called a tool, as each provider tells it.
fn golden(provider: Speech) -> Value {
    match provider {
        Speech::OpenAi => json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": null, "reasoning_content": "Hm",
                "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}]}),
        Speech::Anthropic => json!({"id": "m", "model": "m", "stop_reason": "tool_use", "content": [
            {"type": "thinking", "thinking": "Hm", "signature": CLAUDE_SIGNATURE},
            {"type": "redacted_thinking", "data": CLAUDE_HIDDEN},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}]}),
        Speech::Google => json!({"responseId": "r", "modelVersion": "m", "candidates": [{"finishReason": "STOP",
            "content": {"role": "model", "parts": [{"text": "Hm", "thought": true},
                {"functionCall": {"id": "call_1", "name": "f", "args": {}}, "thoughtSignature": GOOGLE_SIGNATURE}]}}]}),
        Speech::Bedrock => json!({"stopReason": "tool_use", "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": CLAUDE_SIGNATURE}}},
            {"reasoningContent": {"redactedContent": CLAUDE_HIDDEN}},
            {"toolUse": {"toolUseId": "call_1", "name": "f", "input": {}}}]}}}),
        Speech::Responses => json!({"id": "r", "model": "m", "status": "completed", "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}],
                "encrypted_content": OPENAI_HIDDEN},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}]}),
    }
}

/// The next call of a client that got such an answer and ran the tool.
fn next_call(client: Speech, answer: &Value) -> Value {
    match client {
        Speech::OpenAi => {
            let message = &answer["choices"][0]["message"];
            json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}, message,
                {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}]})
        }
        Speech::Anthropic => {
            let content = &answer["content"];
            let id = &content.as_array().unwrap().last().unwrap()["id"];
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"},
                {"role": "assistant", "content": content},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "1"}]}]})
        }
        Speech::Google => {
            let content = &answer["candidates"][0]["content"];
            let parts = content["parts"].as_array().unwrap();
            let call = parts.iter().find_map(|part| part.get("functionCall")).unwrap();
            let response = json!({"id": call.get("id"), "name": "f", "response": {"output": "1"}});
            json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, content,
                {"role": "user", "parts": [{"functionResponse": response}]}]})
        }
        Speech::Bedrock => {
            let message = &answer["output"]["message"];
            let blocks = message["content"].as_array().unwrap();
            let id = &blocks.iter().find_map(|block| block.get("toolUse")).unwrap()["toolUseId"];
            json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}, message,
                {"role": "user", "content": [{"toolResult": {"toolUseId": id, "content": [{"text": "1"}]}}]}]})
        }
        Speech::Responses => {
            let items = answer["output"].as_array().unwrap();
            let call = items.iter().find(|item| item["type"] == "function_call").unwrap();
            let mut input = vec![json!({"role": "user", "content": "Hi"})];
            input.extend(items.iter().cloned());
            input.push(json!({"type": "function_call_output", "call_id": call["call_id"], "output": "1"}));
            json!({"model": "m", "input": input})
        }
    }
}

/// Who opens each seal.
fn openers(seal: &str) -> &'static [Speech] {
    match seal {
        CLAUDE_SIGNATURE | CLAUDE_HIDDEN => &[Speech::Anthropic, Speech::Bedrock],
        GOOGLE_SIGNATURE => &[Speech::Google],
        _ => &[Speech::Responses],
    }
}

#[test]
fn what_one_provider_sealed_goes_to_no_other_whatever_the_client_speaks() {
    let seals = [CLAUDE_SIGNATURE, CLAUDE_HIDDEN, GOOGLE_SIGNATURE, OPENAI_HIDDEN];
    let mut pairs = 0;
    for first in SPEECHES {
        for second in SPEECHES {
            pairs += usize::from(first != second);
            let clients = SPEECHES
                .into_iter()
                .filter(|client| *client != first && *client != second);
            for client in clients {
                let told = answered(
                    Pair {
                        client,
                        provider: first,
                    },
                    &golden(first),
                );
                let pair = Pair {
                    client,
                    provider: second,
                };
                let model = "anthropic.claude-sonnet-4";
                let (body, warnings) = translated(pair, model, &next_call(client, &told));
                let (body, place) = (
                    body.to_string(),
                    format!("{first:?} by {client:?} to {second:?}: {warnings:?}"),
                );
                for seal in seals
                    .into_iter()
                    .filter(|seal| golden(first).to_string().contains(seal))
                {
                    let opens = openers(seal).contains(&second);
                    assert_eq!(body.contains(seal), opens, "{place}: {seal} in {body}");
                    let hidden = seal == CLAUDE_HIDDEN || seal == OPENAI_HIDDEN;
                    let warned = warnings.iter().any(|name| name == "reasoning");
                    assert!(!hidden || opens || warned, "{place}");
                }
                assert!(
                    !body.contains('~') && !body.contains("caldera") && !body.contains("openai."),
                    "{place}: {body}"
                );
                assert!(body.contains("call_1"), "{place}: {body}");
            }
        }
    }
    assert_eq!(pairs, 20);
}

#[test]
fn a_client_that_goes_on_with_a_provider_of_its_own_dialect_leaves_the_others_seals_behind() {
    let seals = [CLAUDE_SIGNATURE, CLAUDE_HIDDEN, GOOGLE_SIGNATURE, OPENAI_HIDDEN];
    for first in SPEECHES {
        for client in SPEECHES.into_iter().filter(|client| *client != first) {
            let told = answered(
                Pair {
                    client,
                    provider: first,
                },
                &golden(first),
            );
            let body: Bytes = next_call(client, &told).to_string().into();
            let cleaned = without_foreign(&body).unwrap_or_else(|| body.clone());
            let text = std::str::from_utf8(&cleaned).unwrap();
            let place = format!("{first:?} to {client:?}: {text}");
            for seal in seals.into_iter().filter(|seal| !openers(seal).contains(&client)) {
                assert!(!text.contains(seal), "{seal}: {place}");
            }
            assert!(!text.contains('~') && !text.contains("\"Y2FsZGVyYS"), "{place}");
            assert!(
                text.matches("call_1").count() >= 2 || client == Speech::Google,
                "{place}"
            );
            assert_eq!(without_foreign(&cleaned), None, "{place}");
        }
        let own: Bytes = next_call(first, &golden(first)).to_string().into();
        assert_eq!(
            without_foreign(&own),
            None,
            "{first:?}: what is its own passes as it is"
        );
    }
}

#[test]
fn hosts_that_want_their_thinking_back_get_it_with_calls_only() {
    let mut body = next_call(Speech::Anthropic, &golden(Speech::Anthropic));
    let said = json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "So", "signature": ""},
        {"type": "text", "text": "1"}]});
    let bare = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t2", "name": "f", "input": {}}]});
    let messages = body["messages"].as_array_mut().unwrap();
    messages.extend([said, json!({"role": "user", "content": "Again"}), bare]);
    let written = |echoes_reasoning| {
        let target = WriteTarget {
            echoes_reasoning,
            ..target("deepseek-chat")
        };
        let out = request(TO_OPENAI, body.to_string().as_bytes(), &target).unwrap().body;
        let out: Value = serde_json::from_slice(&out).unwrap();
        let messages = out["messages"].as_array().unwrap().clone();
        let spoken = messages.into_iter().filter(|message| message["role"] == "assistant");
        spoken
            .map(|message| message["reasoning_content"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(written(true), [json!("Hm"), Value::Null, json!(" ")]);
    assert_eq!(written(false), [Value::Null, Value::Null, Value::Null]);
}
