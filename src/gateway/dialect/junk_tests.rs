//! What mutated answers, streams and bodies do, in every dialect: nothing panics, usage is plausible or none, and a
//! body's text is never counted as more than the body, nor as nothing.

use super::*;
use crate::gateway::call::{Addressed, Streams};
use crate::gateway::frames::Frames;
use crate::gateway::noise::Noise;
use crate::gateway::translate::bedrock::{Message, write_message};
use crate::gateway::translate::{Pair, StreamTranslator, WriterOptions};

const CASES: usize = 20_000;
const DIALECTS: [Dialect; 5] = [
    Dialect::OpenAi,
    Dialect::Anthropic,
    Dialect::Google,
    Dialect::Bedrock,
    Dialect::Responses,
];

const fn answer(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => {
            r#"{"id":"c1","model":"m","service_tier":"flex","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":90,"completion_tokens":40,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":20,"audio_tokens":3},"completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":4},"prompt_cache_hit_tokens":20,"num_search_queries":2}}"#
        }
        Dialect::Anthropic => {
            r#"{"id":"m1","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":90,"cache_read_input_tokens":20,"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":7},"output_tokens":40,"server_tool_use":{"web_search_requests":3},"service_tier":"priority"}}"#
        }
        Dialect::Google => {
            r#"{"candidates":[{"content":{"parts":[{"text":"Hello"},{"functionCall":{"name":"f","args":{"a":"b"}}}],"role":"model"},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":90,"cachedContentTokenCount":20,"candidatesTokenCount":30,"thoughtsTokenCount":10,"toolUsePromptTokenCount":5,"totalTokenCount":135,"promptTokensDetails":[{"modality":"TEXT","tokenCount":80},{"modality":"AUDIO","tokenCount":10}],"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":4}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":2}]},"modelVersion":"m","responseId":"r"}"#
        }
        Dialect::Bedrock => {
            r#"{"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":90,"outputTokens":40,"totalTokens":130,"cacheReadInputTokens":20,"cacheWriteInputTokens":9,"cacheDetails":[{"ttl":"1h","inputTokens":7},{"ttl":"5m","inputTokens":2}]},"metrics":{"latencyMs":5},"serviceTier":{"type":"priority"}}"#
        }
        Dialect::Responses => {
            r#"{"id":"r1","object":"response","model":"m","service_tier":"flex","output":[{"type":"web_search_call","id":"w"},{"type":"message","id":"a","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}],"usage":{"input_tokens":90,"input_tokens_details":{"cached_tokens":20},"output_tokens":40,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":130}}"#
        }
    }
}

/// Half of each body is inline data, so that a byte of it that counted twice would leave no text.
fn body(dialect: Dialect) -> String {
    let data = "A".repeat(1_500);
    match dialect {
        Dialect::OpenAi => format!(
            r#"{{"model":"m","stream":true,"stream_options":{{"include_usage":true}},"n":2,"max_tokens":7,"max_completion_tokens":9,"service_tier":"flex","prediction":{{"type":"content","content":"x"}},"tools":[{{"type":"function","function":{{"name":"f"}}}},{{"type":"web_search_20250305","max_uses":3}}],"messages":[{{"role":"user","content":[{{"type":"text","text":"hi"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}},{{"type":"input_audio","input_audio":{{"data":"AAAA","format":"wav"}}}},{{"type":"file","file":{{"file_data":"data:;base64,AA"}}}}]}}],"user":"{data}"}}"#
        ),
        Dialect::Anthropic => format!(
            r#"{{"model":"m","max_tokens":100,"stream":true,"thinking":{{"type":"enabled","budget_tokens":2000}},"system":[{{"type":"text","text":"s","cache_control":{{"type":"ephemeral","ttl":"1h"}}}}],"messages":[{{"role":"user","content":[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}},{{"type":"document","source":{{"type":"content","content":[{{"type":"text","text":"x"}}]}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":[{{"type":"image","source":{{"type":"base64","data":"AA"}}}}]}}]}}],"metadata":{{"user_id":"{data}"}}}}"#
        ),
        Dialect::Google => format!(
            r#"{{"contents":[{{"role":"user","parts":[{{"text":"{data}"}},{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}},{{"inlineData":{{"mimeType":"audio/wav","data":"AAAA"}}}},{{"functionResponse":{{"name":"f","parts":[{{"inlineData":{{"mimeType":"image/png","data":"AA"}}}}]}}}}]}}],"systemInstruction":{{"parts":[{{"text":"s"}}]}},"tools":[{{"functionDeclarations":[{{"name":"f"}}]}}],"generationConfig":{{"maxOutputTokens":9,"candidateCount":2,"thinkingConfig":{{"thinkingBudget":0}}}}}}"#
        ),
        Dialect::Bedrock => format!(
            r#"{{"messages":[{{"role":"user","content":[{{"text":"{data}"}},{{"image":{{"format":"png","source":{{"bytes":"{data}"}}}}}},{{"document":{{"format":"pdf","name":"n","source":{{"bytes":"AAAA"}}}}}},{{"toolResult":{{"toolUseId":"t","content":[{{"image":{{"format":"png","source":{{"bytes":"AA"}}}}}}]}}}}]}}],"system":[{{"text":"s"}},{{"cachePoint":{{"type":"default","ttl":"1h"}}}}],"inferenceConfig":{{"maxTokens":9}},"toolConfig":{{"tools":[{{"toolSpec":{{"name":"f"}}}}]}}}}"#
        ),
        Dialect::Responses => format!(
            r#"{{"model":"m","stream":true,"max_output_tokens":9,"max_tool_calls":4,"reasoning":{{"effort":"low"}},"tools":[{{"type":"function","name":"f"}},{{"type":"web_search"}}],"input":[{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{data}"}},{{"type":"input_image","image_url":"data:image/png;base64,{data}"}},{{"type":"input_file","file_data":"data:;base64,AA"}}]}},{{"type":"function_call_output","call_id":"c","output":[{{"type":"input_image","image_url":"data:image/png;base64,AA"}}]}}],"service_tier":"auto"}}"#
        ),
    }
}

/// The frames of one chat, with reasoning, a call and usage, in the dialect's own words.
fn frames(dialect: Dialect) -> Vec<Frame> {
    const CHAT: [&str; 6] = [
        r#"{"id":"c1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm"}}]}"#,
        r#"{"id":"c1","model":"m","choices":[{"index":0,"delta":{"content":"Hello"}}]}"#,
        r#"{"id":"c1","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"id":"c1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"id":"c1","model":"m","choices":[],"usage":{"prompt_tokens":90,"completion_tokens":40,"prompt_tokens_details":{"cached_tokens":20},"completion_tokens_details":{"reasoning_tokens":30}}}"#,
        "[DONE]",
    ];
    if dialect == Dialect::OpenAi {
        return CHAT
            .iter()
            .map(|data| Frame::new(format!("data: {data}\n\n").into()))
            .collect();
    }
    let options = WriterOptions {
        include_usage: true,
        created_s: 1,
        model: "m".to_owned(),
    };
    let pair = Pair {
        client: dialect,
        provider: Dialect::OpenAi,
    };
    let mut translator = StreamTranslator::new(pair, options);
    let mut splitter = Frames::of(dialect);
    let said: Vec<u8> = CHAT
        .iter()
        .flat_map(|data| translator.push_data(data.as_bytes()))
        .collect();
    splitter.push(said.into());
    std::iter::from_fn(|| splitter.next_frame().unwrap()).collect()
}

/// A frame whose data is mutated and whose framing is whole; now and then the framing is what is mutated.
fn mutated(dialect: Dialect, frame: &Frame, noise: &mut Noise) -> Frame {
    if noise.below(10) == 0 {
        return Frame::new(noise.mutate(frame.bytes()).into());
    }
    if dialect == Dialect::Bedrock {
        let message = Message::parse(frame.bytes()).unwrap();
        let kinds = [
            "messageStart",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
            "metadata",
        ];
        let told = message.header(":event-type").unwrap();
        let kind = if noise.below(5) == 0 { noise.pick(&kinds) } else { told };
        let payload = noise.mutate_json(std::str::from_utf8(message.payload).unwrap());
        let mut out = bytes::BytesMut::new();
        write_message(&[(":message-type", "event"), (":event-type", kind)], &payload, &mut out);
        return Frame::new(out.freeze());
    }
    let data = dialect.data(frame).unwrap();
    let junk = noise.mutate_json(std::str::from_utf8(&data).unwrap());
    Frame::new([b"data: ", junk.as_slice(), b"\n\n"].concat().into())
}

fn assert_plausible(usage: Option<Usage>, told: &[u8]) -> bool {
    let Some(usage) = usage else { return false };
    let shown = String::from_utf8_lossy(told);
    assert!(usage.is_plausible(), "{usage:?}: {shown}");
    let parts = [
        (usage.reasoning_tokens, usage.output_tokens),
        (usage.audio_output_tokens, usage.output_tokens),
        (usage.image_output_tokens, usage.output_tokens),
        (usage.audio_input_tokens, usage.input_tokens),
        (usage.image_input_tokens, usage.input_tokens),
        (usage.audio_cache_read_tokens, usage.cache_read_tokens),
    ];
    assert!(parts.iter().all(|(part, whole)| part <= whole), "{usage:?}: {shown}");
    true
}

#[test]
fn usage_of_a_mutated_answer_is_plausible_or_none() {
    let mut noise = Noise::new(0xC2B2_AE3D_27D4_EB4F);
    for dialect in DIALECTS {
        let golden = answer(dialect);
        assert!(read_answer(dialect, golden.as_bytes()).usage.is_some(), "{dialect:?}");
        let mut told = 0;
        for _ in 0..CASES {
            let junk = noise.mutate_json(golden);
            let answer = read_answer(dialect, &junk);
            told += usize::from(assert_plausible(answer.usage, &junk));
            assert!(answer.content_bytes <= junk.len() as u64);
        }
        assert!((CASES / 10..CASES).contains(&told), "{dialect:?}: {told}");
    }
}

#[test]
fn usage_of_a_mutated_stream_is_plausible_or_none_and_it_can_always_be_ended() {
    let mut noise = Noise::new(0x1656_67B1_9E37_79F9);
    for dialect in DIALECTS {
        let golden = frames(dialect);
        let mut told = 0;
        for case in 0..CASES / 5 {
            let mut reader = StreamReader::new(dialect, UsageFrames::Pass);
            for frame in &golden {
                let frame = match noise.below(4) {
                    0 => mutated(dialect, frame, &mut noise),
                    1 if case % 7 == 0 => continue,
                    _ => frame.clone(),
                };
                reader.push(&frame);
                assert_plausible(reader.partial_usage(), frame.bytes());
                told += usize::from(assert_plausible(reader.final_usage(), frame.bytes()));
            }
            assert!(reader.least_tokens() <= reader.content_tokens());
            let usage = reader.final_usage().unwrap_or_default();
            let mut splitter = Frames::of(dialect);
            splitter.push(reader.terminal(&usage));
            let mut end = StreamReader::new(dialect, UsageFrames::Pass);
            while let Some(frame) = splitter.next_frame().unwrap() {
                end.push(&frame);
            }
            assert!(end.is_finished(), "{dialect:?}");
        }
        assert!(told > CASES / 20, "{dialect:?}: {told}");
    }
}

#[test]
fn a_mutated_body_is_refused_or_measured_within_its_size() {
    let mut noise = Noise::new(0xFF51_AFD7_ED55_8CCD);
    let addressed = Addressed {
        model: "m".to_owned(),
        streams: Streams::No,
    };
    for dialect in DIALECTS {
        let golden = body(dialect);
        let shape = inspect(dialect, golden.as_bytes(), Some(&addressed)).unwrap();
        assert!((1_500..golden.len() as u64).contains(&shape.text_bytes), "{dialect:?}");
        let mut measured = 0;
        for _ in 0..CASES / 2 {
            let junk = noise.mutate_json(&golden);
            let Ok(shape) = inspect(dialect, &junk, Some(&addressed)) else {
                continue;
            };
            measured += 1;
            let shown = String::from_utf8_lossy(&junk);
            assert!(
                (1..=junk.len() as u64).contains(&shape.text_bytes),
                "{shape:?}: {shown}"
            );
            let bound = shape.bound(Some(1_000_000), 1 << 20).expect("a window bounds it");
            assert!(bound.input_tokens > 0 && shape.choice_count > 0, "{shape:?}: {shown}");
            let changes = Changes {
                model: (!dialect.is_addressed()).then_some("other"),
                output_cap: Some((OutputCapField::of(dialect, OutputCapField::MaxTokens), 3)),
                ..Changes::default()
            };
            let written = rewrite(&junk.clone().into(), &shape, changes);
            serde_json::from_slice::<&serde_json::value::RawValue>(&written).expect("it stays JSON");
        }
        assert!(measured > CASES / 20, "{dialect:?}: {measured}");
    }
}
