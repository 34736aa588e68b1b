//! What coding tools send and others do not: instructions in the middle of a conversation, kept where the provider has a
//! place for them, and tools that are found by a search.

use super::*;

fn pair(client: Speech, provider: Speech) -> Pair {
    Pair { client, provider }
}

/// The same conversation as each client has it.
fn asked(client: Speech) -> Value {
    let turns = |text: &str, late: &str| {
        json!([
            {"role": "system", "content": [{"type": text, "text": "Be kind."}]},
            {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"},
            {"role": late, "content": [{"type": text, "text": "Be brief."}]},
        ])
    };
    match client {
        Speech::Responses => json!({"model": "m", "input": turns("input_text", "developer")}),
        Speech::OpenAi => json!({"model": "m", "messages": turns("text", "developer")}),
        Speech::Anthropic | Speech::Google | Speech::Bedrock => {
            json!({"model": "m", "max_tokens": 9, "messages": turns("text", "system")})
        }
    }
}

#[test]
fn instructions_in_the_middle_stay_where_they_stand_at_openai() {
    let (body, warnings) = translated(pair(Speech::Anthropic, Speech::OpenAi), "m", &asked(Speech::Anthropic));
    let expected = json!([
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "system", "content": "Be brief."},
    ]);
    assert_eq!((&body["messages"], warnings), (&expected, vec![]));
    let (body, warnings) = translated(
        pair(Speech::Anthropic, Speech::Responses),
        "m",
        &asked(Speech::Anthropic),
    );
    let text = json!([{"type": "input_text", "text": "Be brief."}]);
    assert_eq!(
        body["input"][4],
        json!({"type": "message", "role": "developer", "content": text})
    );
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn where_there_is_no_place_for_them_the_user_says_them_and_a_warning_tells() {
    let reminder = "<system-reminder>\nBe brief.\n</system-reminder>";
    let table = [
        (Speech::Anthropic, "/messages/2/content/1/text", "/system"),
        (
            Speech::Google,
            "/contents/2/parts/1/text",
            "/systemInstruction/parts/0/text",
        ),
        (Speech::Bedrock, "/messages/2/content/1/text", "/system/0/text"),
    ];
    for (provider, late, first) in table {
        for (client, name) in [(Speech::OpenAi, "messages.role"), (Speech::Responses, "input.role")] {
            let (body, warnings) = translated(pair(client, provider), "m", &asked(client));
            let at = |path: &str| body.pointer(path).and_then(Value::as_str);
            assert_eq!((at(late), at(first)), (Some(reminder), Some("Be kind.")), "{body}");
            assert_eq!(warnings, [name]);
        }
    }
}

#[test]
fn tools_that_a_search_finds_are_there_from_the_start() {
    let found =
        json!([{"type": "tool_reference", "tool_name": "fetch"}, {"type": "tool_reference", "tool_name": "edit"}]);
    let tool = |name: &str| json!({"name": name, "input_schema": {"type": "object"}, "defer_loading": true});
    let mut call = json!({"model": "m", "max_tokens": 9, "tools": [tool("fetch"), tool("edit")], "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": found}]}]});
    let (body, warnings) = translated(TO_OPENAI, "m", &call);
    let text = "The tool fetch is loaded.\n\nThe tool edit is loaded.";
    assert_eq!(
        body["messages"][2],
        json!({"role": "tool", "tool_call_id": "toolu_1", "content": text})
    );
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(2));
    assert_eq!(warnings, ["tools.defer_loading"]);
    call["messages"][0]["content"] = found;
    assert_eq!(refused(TO_OPENAI, &call), "messages.0.content.0.type");
}
