//! The tail of an address in the formats whose paths say the model and whether to stream: Google's
//! `models/{model}:generateContent` and Bedrock's `model/{model}/converse`, which their clients append to a base address.

use percent_encoding::percent_decode_str;

use crate::gateway::call::{Addressed, Streams};

/// The methods of a Google model.
const GOOGLE: [(&str, Streams); 2] = [
    (":generateContent", Streams::No),
    (":streamGenerateContent", Streams::Yes),
];
const BEDROCK: [(&str, Streams); 2] = [("/converse", Streams::No), ("/converse-stream", Streams::Yes)];

/// What may stand before the tail, the shortest first, and what the tail says.
pub(super) fn of_format(format: &str, path: &str, query: Option<&str>) -> Option<(Vec<String>, Addressed)> {
    match format {
        "google" => {
            let (before, addressed) = read(path, "/models/", &GOOGLE)?;
            let as_events = query.unwrap_or_default().split('&').any(|piece| piece == "alt=sse");
            if addressed.streams == Streams::Yes && !as_events {
                return None;
            }
            let versions = ["/v1beta", "/v1alpha", "/v1"];
            let mut befores: Vec<String> = versions
                .iter()
                .filter_map(|version| before.strip_suffix(version).map(str::to_owned))
                .collect();
            befores.push(before.to_owned());
            Some((befores, addressed))
        }
        "bedrock" => {
            let (before, addressed) = read(path, "/model/", &BEDROCK)?;
            Some((vec![before.to_owned()], addressed))
        }
        _ => None,
    }
}

/// The model and the method behind the last `marker`.
pub fn read<'p>(path: &'p str, marker: &str, methods: &[(&str, Streams)]) -> Option<(&'p str, Addressed)> {
    let at = path.rfind(marker)?;
    let (before, tail) = (&path[..at], &path[at + marker.len()..]);
    let (segment, streams) = methods
        .iter()
        .find_map(|(method, streams)| Some((tail.strip_suffix(method)?, *streams)))?;
    let model = percent_decode_str(segment).decode_utf8().ok()?.into_owned();
    (!model.is_empty()).then_some((before, Addressed { model, streams }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_clients_own_format_is_taken_off() {
        let table = [
            (
                "google",
                "/v1/messages/v1beta/models/gemini-2.5-flash:generateContent",
                "gemini-2.5-flash",
                Streams::No,
                "/v1/messages",
            ),
            (
                "google",
                "/v1/x/models/a%2Fb:streamGenerateContent",
                "a/b",
                Streams::Yes,
                "/v1/x",
            ),
            (
                "bedrock",
                "/v1/messages/model/anthropic.claude%3A0/converse",
                "anthropic.claude:0",
                Streams::No,
                "/v1/messages",
            ),
            (
                "bedrock",
                "/v1/messages/model/m/converse-stream",
                "m",
                Streams::Yes,
                "/v1/messages",
            ),
        ];
        for (format, path, model, streams, before) in table {
            let (befores, addressed) = of_format(format, path, Some("alt=sse")).unwrap();
            assert_eq!(befores.first().map(String::as_str), Some(before), "{path}");
            assert_eq!(
                (addressed.model.as_str(), addressed.streams),
                (model, streams),
                "{path}"
            );
        }
        for (format, path) in [
            ("google", "/v1/chat/completions"),
            ("google", "/models/:generateContent"),
            ("bedrock", "/model/m/invoke"),
            ("openai", "/model/m/converse"),
        ] {
            assert!(of_format(format, path, Some("alt=sse")).is_none(), "{path}");
        }
        assert!(of_format("google", "/models/g:streamGenerateContent", None).is_none());
    }
}
