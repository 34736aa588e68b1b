//! What Google's, Bedrock's and OpenAI's own formats ask for, and the caps that are written into them.

use bytes::Bytes;

use super::super::{CallShape, Changes, OutputCap, OutputCapField, rewrite};
use super::*;
use crate::gateway::call::Streams;

fn shape(dialect: Dialect, body: &str) -> Result<CallShape, BodyError> {
    let addressed = Addressed {
        model: "m".to_owned(),
        streams: Streams::Yes,
    };
    inspect(dialect, body.as_bytes(), Some(&addressed))
}

#[test]
fn each_formats_cap_is_found_and_written_where_it_stands() {
    let table = [
        (
            Dialect::Google,
            "{\"contents\":[]}",
            None,
            r#"{"generationConfig":{"maxOutputTokens":7},"contents":[]}"#,
        ),
        (
            Dialect::Google,
            r#"{"generationConfig":{}}"#,
            None,
            r#"{"generationConfig":{"maxOutputTokens":7}}"#,
        ),
        (
            Dialect::Google,
            r#"{"generationConfig":null}"#,
            None,
            r#"{"generationConfig":{"maxOutputTokens":7}}"#,
        ),
        (
            Dialect::Google,
            r#"{"generation_config":{"max_output_tokens":9}}"#,
            Some(9),
            r#"{"generation_config":{"max_output_tokens":7}}"#,
        ),
        (
            Dialect::Google,
            r#"{"generationConfig":{"topK":1}}"#,
            None,
            r#"{"generationConfig":{"maxOutputTokens":7,"topK":1}}"#,
        ),
        (
            Dialect::Bedrock,
            r#"{"messages":[]}"#,
            None,
            r#"{"inferenceConfig":{"maxTokens":7},"messages":[]}"#,
        ),
        (
            Dialect::Bedrock,
            r#"{"inferenceConfig":{"maxTokens":9}}"#,
            Some(9),
            r#"{"inferenceConfig":{"maxTokens":7}}"#,
        ),
        (
            Dialect::Responses,
            r#"{"model":"m"}"#,
            None,
            r#"{"max_output_tokens":7,"model":"m"}"#,
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","max_output_tokens":9}"#,
            Some(9),
            r#"{"model":"m","max_output_tokens":7}"#,
        ),
    ];
    for (dialect, body, cap, capped) in table {
        let bytes = Bytes::from_static(body.as_bytes());
        let shape = shape(dialect, body).unwrap();
        let field = OutputCapField::of(dialect, OutputCapField::MaxTokens);
        let expected = cap.map_or(OutputCap::Absent, OutputCap::Honoured);
        assert_eq!(shape.output_cap(field), expected, "{body}");
        let changes = Changes {
            output_cap: Some((field, 7)),
            ..Changes::default()
        };
        assert_eq!(rewrite(&bytes, &shape, changes), capped, "{body}");
    }
}

#[test]
fn what_is_not_text_is_counted_apart_and_hidden_text_is_not() {
    let table = [
        (
            Dialect::Google,
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#,
            [1, 0, 0, 6],
        ),
        (
            Dialect::Google,
            r#"{"contents":{"parts":{"inline_data":{"mime_type":"audio/wav","data":"AAAA"}}}}"#,
            [0, 6, 0, 6],
        ),
        (
            Dialect::Google,
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://x"}}]}]}"#,
            [0, 0, 1, 0],
        ),
        (
            Dialect::Google,
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"application/pdf","data":"AA"}}]}]}"#,
            [0, 0, 1, 4],
        ),
        (
            Dialect::Google,
            r#"{"contents":[{"parts":[{"functionResponse":{"response":{"inlineData":{"data":"text"}}}}]}]}"#,
            [0, 0, 0, 0],
        ),
        (
            Dialect::Google,
            r#"{"contents":[{"parts":[{"functionResponse":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA"}}]}}]}]}"#,
            [1, 0, 0, 4],
        ),
        (
            Dialect::Google,
            r#"{"contents":[],"cachedContent":"cachedContents/1"}"#,
            [0, 0, 1, 0],
        ),
        (
            Dialect::Bedrock,
            r#"{"messages":[{"content":[{"image":{"source":{"bytes":"AAAA"}}}]}]}"#,
            [1, 0, 0, 6],
        ),
        (
            Dialect::Bedrock,
            r#"{"messages":[{"content":[{"image":{"source":{"s3Location":{}}}}]}]}"#,
            [0, 0, 1, 0],
        ),
        (
            Dialect::Bedrock,
            r#"{"messages":[{"content":[{"document":{"source":{"bytes":"AA"}}}]}]}"#,
            [0, 0, 1, 4],
        ),
        (
            Dialect::Bedrock,
            r#"{"messages":[{"content":[{"toolResult":{"content":[{"image":{"source":{"bytes":"AA"}}}]}}]}]}"#,
            [1, 0, 0, 4],
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","input":[{"content":[{"type":"input_image","image_url":"data:;base64,AA"}]}]}"#,
            [1, 0, 0, 17],
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","input":[{"content":[{"type":"input_image","file_id":"f"}]}]}"#,
            [0, 0, 1, 0],
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","input":[{"type":"function_call_output","output":[{"type":"input_file","file_data":"AA"}]}]}"#,
            [0, 0, 1, 4],
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","input":[{"type":"item_reference","id":"x"}]}"#,
            [0, 0, 1, 0],
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","previous_response_id":"resp_1","input":"hi"}"#,
            [0, 0, 1, 0],
        ),
    ];
    for (dialect, body, [images, audio_bytes, unmeasured, inline_bytes]) in table {
        let shape = shape(dialect, body).unwrap();
        let counted = [shape.image_count, shape.audio_bytes, shape.unmeasured_count];
        assert_eq!(counted, [images, audio_bytes, unmeasured], "{body}");
        assert_eq!(shape.text_bytes, body.len() as u64 - inline_bytes, "{body}");
    }
}

#[test]
fn what_makes_the_cost_unknowable_is_named() {
    let table = [
        (Dialect::Google, r#"{"tools":[{"functionDeclarations":[{},{}]}]}"#, None),
        (Dialect::Google, r#"{"tools":[{"googleSearch":{}}]}"#, Some("tools")),
        (Dialect::Google, r#"{"tools":{"codeExecution":{}}}"#, Some("tools")),
        (Dialect::Google, r#"{"serviceTier":"flex"}"#, None),
        (Dialect::Google, r#"{"serviceTier":"moon"}"#, Some("serviceTier")),
        (
            Dialect::Bedrock,
            r#"{"toolConfig":{"tools":[{"toolSpec":{}},{"cachePoint":{}}]}}"#,
            None,
        ),
        (
            Dialect::Bedrock,
            r#"{"toolConfig":{"tools":[{"systemTool":{}}]}}"#,
            Some("toolConfig"),
        ),
        (Dialect::Bedrock, r#"{"guardrailConfig":{}}"#, Some("guardrailConfig")),
        (
            Dialect::Bedrock,
            r#"{"performanceConfig":{"latency":"optimized"}}"#,
            Some("performanceConfig"),
        ),
        (
            Dialect::Bedrock,
            r#"{"additionalModelRequestFields":{"thinking":{}}}"#,
            None,
        ),
        (
            Dialect::Bedrock,
            r#"{"additionalModelRequestFields":{"max_tokens":9}}"#,
            Some("additionalModelRequestFields"),
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","tools":[{"type":"function"},{"type":"custom"}]}"#,
            None,
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","tools":[{"type":"code_interpreter"}]}"#,
            Some("tools"),
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","tools":[{"type":"web_search"}]}"#,
            Some("tools"),
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","tools":[{"type":"web_search"}],"max_tool_calls":2}"#,
            None,
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","prompt":{"id":"pmpt_1"}}"#,
            Some("prompt"),
        ),
    ];
    for (dialect, body, expected) in table {
        assert_eq!(shape(dialect, body).unwrap().unbounded, expected, "{body}");
    }
    let searches = r#"{"model":"m","tools":[{"type":"web_search"}],"max_tool_calls":2}"#;
    assert_eq!(shape(Dialect::Responses, searches).unwrap().web_searches, 2);
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let table = [
        (Dialect::Google, "[]", None),
        (Dialect::Google, r#"{"generationConfig":7}"#, Some("generationConfig")),
        (
            Dialect::Google,
            r#"{"generationConfig":{"maxOutputTokens":-1}}"#,
            Some("maxOutputTokens"),
        ),
        (Dialect::Google, r#"{"contents":[],"contents":[]}"#, Some("contents")),
        (
            Dialect::Google,
            r#"{"generationConfig":{},"generation_config":{}}"#,
            Some("generationConfig"),
        ),
        (Dialect::Google, r#"{"contents":[7]}"#, Some("contents")),
        (Dialect::Bedrock, r#"{"inferenceConfig":7}"#, Some("inferenceConfig")),
        (Dialect::Bedrock, r#"{"messages":[],"messages":[]}"#, Some("messages")),
        (Dialect::Responses, r#"{"input":"hi"}"#, Some("model")),
        (Dialect::Responses, r#"{"model":7}"#, Some("model")),
        (
            Dialect::Responses,
            r#"{"model":"m","background":true}"#,
            Some("background"),
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","previous_response_id":7}"#,
            Some("previous_response_id"),
        ),
        (Dialect::Responses, r#"{"model":"m","stream":"yes"}"#, Some("stream")),
    ];
    for (dialect, body, param) in table {
        assert_eq!(shape(dialect, body).unwrap_err().param.as_deref(), param, "{body}");
    }
    assert!(inspect(Dialect::Google, b"{}", None).is_err());
}

#[test]
fn tools_that_openai_runs_are_left_out_where_the_call_can_do_without_them() {
    let table = [
        (
            r#"{"model":"m","tools":[{"type":"web_search"}, {"type":"function","name":"f"}],"input":"x"}"#,
            Some((
                r#"{"model":"m","tools":[{"type":"function","name":"f"}],"input":"x"}"#,
                "tools.web_search",
            )),
        ),
        (r#"{"model":"m","tools":[{"type":"web_search"}]}"#, None),
        (r#"{"model":"m","tools":[{"type":"function","name":"f"}]}"#, None),
        (
            r#"{"model":"m","tool_choice":"required","tools":[{"type":"web_search"},{"type":"function"}]}"#,
            None,
        ),
        (
            r#"{"model":"m","tool_choice":{"type":"web_search"},"tools":[{"type":"web_search"},{"type":"function"}]}"#,
            None,
        ),
    ];
    for (body, expected) in table {
        let bytes = Bytes::from_static(body.as_bytes());
        let shape = shape(Dialect::Responses, body).unwrap();
        let trimmed = without_hosted_tools(&bytes, &shape);
        let told = trimmed
            .as_ref()
            .map(|trimmed| (&trimmed.body[..], trimmed.left_out.join(",")));
        let expected = expected.map(|(body, names)| (body.as_bytes(), names.to_owned()));
        assert_eq!(told, expected, "{body}");
    }
}
