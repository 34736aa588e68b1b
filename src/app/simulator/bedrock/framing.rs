//! The binary framing `application/vnd.amazon.eventstream`: a prelude of two lengths and its CRC, headers, a payload
//! and the CRC of all. Only headers that are strings are written, because Bedrock sends no others.

use serde_json::Value;

/// The content type of a framed stream.
pub(super) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// The prelude with its checksum, and the checksum at the end.
const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;
/// The mark of a header whose value is a string.
const STRING: u8 = 7;

/// An event of the stream.
pub(super) fn event(kind: &str, payload: &Value) -> Vec<u8> {
    message(
        &[
            (":event-type", kind),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ],
        payload.to_string().as_bytes(),
    )
}

/// An exception, which ends the stream.
pub(super) fn exception(kind: &str, payload: &Value) -> Vec<u8> {
    message(
        &[
            (":exception-type", kind),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ],
        payload.to_string().as_bytes(),
    )
}

fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).expect("the names are short"));
        block.extend_from_slice(name.as_bytes());
        block.push(STRING);
        let length = u16::try_from(value.len()).expect("the values are short");
        block.extend_from_slice(&length.to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let total = PRELUDE_BYTES + block.len() + payload.len() + CHECKSUM_BYTES;
    let mut message = Vec::with_capacity(total);
    message.extend_from_slice(&length(total));
    message.extend_from_slice(&length(block.len()));
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message.extend_from_slice(&block);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("an event is far below 4 GiB").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The empty message of AWS' own test vectors.
    #[test]
    fn the_empty_message_is_as_the_test_vectors_have_it() {
        let expected = [
            0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
        ];
        assert_eq!(message(&[], b""), expected);
    }

    #[test]
    fn an_event_has_its_headers_before_its_payload() {
        let event = event("messageStop", &json!({"stopReason": "end_turn"}));
        assert_eq!(event.len(), u32::from_be_bytes(event[..4].try_into().unwrap()) as usize);
        let text = String::from_utf8_lossy(&event);
        let payload = text.find(r#"{"stopReason":"end_turn"}"#).unwrap();
        assert!(text.find("messageStop").unwrap() < payload);
        assert!(text.find(":message-type\u{7}\0\u{5}event").unwrap() < payload);
    }
}
