//! What each dialect's usage is worth: an explicit zero is a usage; a count that is negative, no whole number or larger
//! than can be is none, and takes the whole report with it, whichever count it is.

use super::*;
use crate::gateway::dialect::{Dialect, read_answer};

type Reader = fn(&[u8]) -> Option<Usage>;

/// Each dialect's reader, and its report of so much input and so much output.
fn dialects() -> [(&'static str, Reader, &'static str); 5] {
    let openai: Reader = |body| read_answer(Dialect::OpenAi, body).usage;
    let anthropic: Reader = |body| read_answer(Dialect::Anthropic, body).usage;
    [
        (
            "openai",
            openai,
            r#"{"usage":{"prompt_tokens":IN,"completion_tokens":OUT}}"#,
        ),
        (
            "anthropic",
            anthropic,
            r#"{"usage":{"input_tokens":IN,"output_tokens":OUT}}"#,
        ),
        (
            "google",
            google::read_usage,
            r#"{"usageMetadata":{"promptTokenCount":IN,"candidatesTokenCount":OUT}}"#,
        ),
        (
            "bedrock",
            bedrock::read_usage,
            r#"{"usage":{"inputTokens":IN,"outputTokens":OUT}}"#,
        ),
        (
            "responses",
            responses::read_usage,
            r#"{"usage":{"input_tokens":IN,"output_tokens":OUT}}"#,
        ),
    ]
}

#[test]
fn every_dialect_tells_a_zero_from_a_lie_and_from_silence() {
    let table = [
        // (input, output, what is believed)
        ("0", "0", Some((0, 0))),
        ("0", "7", Some((0, 7))),
        ("9", "0", Some((9, 0))),
        ("1099511627776", "7", Some((1 << 40, 7))),
        ("-1", "7", None),
        ("9", "-7", None),
        ("9007199254740992", "7", None),
        ("9", "9007199254740992", None),
        ("18446744073709551615", "7", None),
        ("9", "1e300", None),
        ("9.5", "7", None),
        ("9", "\"7\"", None),
        ("null", "7", None),
    ];
    for (name, read, report) in dialects() {
        for (input, output, believed) in table {
            let body = report.replace("IN", input).replace("OUT", output);
            let expected = believed.map(|(input_tokens, output_tokens)| Usage {
                input_tokens,
                output_tokens,
                ..Usage::default()
            });
            assert_eq!(read(body.as_bytes()), expected, "{name}: {body}");
        }
        for silent in [
            "{}",
            r#"{"usage":null,"usageMetadata":null}"#,
            r#"{"usage":{}}"#,
            "",
            "<html>",
        ] {
            assert_eq!(read(silent.as_bytes()), None, "{name}: {silent}");
        }
    }
}
