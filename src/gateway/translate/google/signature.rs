//! Signatures and encrypted thinking of other providers, carried in `thoughtSignature`. That member is base64 of bytes
//! and clients may write it back in the other alphabet, so what is carried is encoded once more, behind a mark that
//! tells it from Google's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::gateway::translate::inner::Thinking;

const SIGNED: &str = "caldera.signed.";
const HIDDEN: &str = "caldera.hidden.";

/// A signature for the client to bring back.
pub(super) fn wrap_signature(signature: &str) -> String {
    STANDARD.encode(format!("{SIGNED}{signature}"))
}

/// Encrypted thinking for the client to bring back.
pub(in crate::gateway::translate) fn wrap_hidden(data: &str) -> String {
    STANDARD.encode(format!("{HIDDEN}{data}"))
}

/// What a thought that the client brings back is; a signature of Google's own means nothing to others.
pub(super) fn unwrap_thought(text: String, signature: Option<&str>) -> Thinking {
    let carried = signature.and_then(decode);
    let carried = carried.as_deref();
    if let Some(data) = carried.and_then(|carried| carried.strip_prefix(HIDDEN)) {
        return Thinking::Hidden { data: data.to_owned() };
    }
    let signature = carried.and_then(|carried| carried.strip_prefix(SIGNED));
    Thinking::Shown {
        text,
        signature: signature.map(str::to_owned),
    }
}

/// Encrypted thinking that was wrapped here; `None` for what is not ours.
pub(in crate::gateway::translate) fn unwrap_hidden(wrapped: &str) -> Option<String> {
    decode(wrapped)?.strip_prefix(HIDDEN).map(str::to_owned)
}

fn decode(signature: &str) -> Option<String> {
    let bytes = STANDARD.decode(standard_base64(signature)).ok()?;
    String::from_utf8(bytes).ok()
}

/// Base64 in the alphabet that everyone reads, with its padding; Google's Python client writes the other one.
pub(super) fn standard_base64(text: &str) -> String {
    let mut standard: String = text
        .trim_end_matches('=')
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            _ => letter,
        })
        .collect();
    while !standard.len().is_multiple_of(4) {
        standard.push('=');
    }
    standard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_back_in_either_alphabet() {
        for text in ["sig==", "a+b/c??>>~~", ""] {
            let wrapped = wrap_signature(text);
            let other = wrapped.replace('+', "-").replace('/', "_").replace('=', "");
            for written in [wrapped, other] {
                let thinking = unwrap_thought("Hm".to_owned(), Some(&written));
                let signature = Some(text.to_owned());
                assert_eq!(
                    thinking,
                    Thinking::Shown {
                        text: "Hm".to_owned(),
                        signature
                    }
                );
            }
        }
        let hidden = unwrap_thought(String::new(), Some(&wrap_hidden("enc")));
        assert_eq!(hidden, Thinking::Hidden { data: "enc".to_owned() });
    }

    #[test]
    fn googles_own_signature_signs_nothing_elsewhere() {
        for signature in [None, Some("CpQBAVSoXO5"), Some("?"), Some("")] {
            let thinking = unwrap_thought("Hm".to_owned(), signature);
            assert_eq!(
                thinking,
                Thinking::Shown {
                    text: "Hm".to_owned(),
                    signature: None
                }
            );
        }
    }
}
