//! What mutated messages do: nothing panics, no damaged message is taken for a whole one, and it makes no difference
//! where a stream is cut. Half of the mutations get their checksums set right, so that they reach what stands behind.

use super::*;
use crate::gateway::noise::Noise;

const CASES: usize = 20_000;

fn messages(noise: &mut Noise) -> Vec<Vec<u8>> {
    let kinds = ["messageStart", "contentBlockDelta", "metadata", ""];
    let payloads = [
        "",
        "{}",
        r#"{"contentBlockIndex":0,"delta":{"text":"Grüße"}}"#,
        "{\"usage\":{\"inputTokens\":1}}",
    ];
    let message = |noise: &mut Noise| {
        let mut out = BytesMut::new();
        let headers = [(":message-type", "event"), (":event-type", noise.pick(&kinds))];
        write_message(&headers, noise.pick(&payloads).as_bytes(), &mut out);
        out.to_vec()
    };
    let count = 1 + noise.below(4);
    (0..count).map(|_| message(noise)).collect()
}

/// Sets lengths and checksums of a mutated message, so that only what stands between them is wrong.
fn mend(mut bytes: Vec<u8>, noise: &mut Noise) -> Vec<u8> {
    if bytes.len() < FRAME_BYTES {
        return bytes;
    }
    let total = size(bytes.len()).to_be_bytes();
    bytes[..4].copy_from_slice(&total);
    if number(&bytes, 4) > bytes.len() - FRAME_BYTES {
        let headers = size(noise.below(bytes.len() - FRAME_BYTES + 1)).to_be_bytes();
        bytes[4..8].copy_from_slice(&headers);
    }
    let prelude = crc32fast::hash(&bytes[..8]).to_be_bytes();
    bytes[8..12].copy_from_slice(&prelude);
    let end = bytes.len() - 4;
    let whole = crc32fast::hash(&bytes[..end]).to_be_bytes();
    bytes[end..].copy_from_slice(&whole);
    bytes
}

/// The messages of a stream that comes in such pieces, and whether it could be read to its end.
fn read(stream: &[u8], lengths: &[usize]) -> (Vec<Bytes>, Option<FramingError>) {
    let mut splitter = MessageSplitter::new();
    let (mut list, mut rest) = (Vec::new(), stream);
    for length in lengths {
        let (piece, more) = rest.split_at(*length);
        rest = more;
        splitter.push(piece);
        loop {
            match splitter.next_message() {
                Ok(Some(message)) => list.push(message),
                Ok(None) => break,
                Err(error) => return (list, Some(error)),
            }
        }
    }
    (list, None)
}

#[test]
fn mutated_messages_come_out_as_they_went_in_or_not_at_all() {
    let mut noise = Noise::new(0x2545_F491_4F6C_DD1D);
    let (mut whole, mut damaged) = (0, 0);
    for case in 0..CASES {
        let mut list = messages(&mut noise);
        let place = noise.below(list.len());
        list[place] = noise.mutate(&list[place]);
        if case % 2 == 0 {
            list[place] = mend(std::mem::take(&mut list[place]), &mut noise);
        }
        let stream = list.concat();
        let lengths = noise.cut(stream.len(), 40);
        let read_in_pieces = read(&stream, &lengths);
        assert_eq!(read_in_pieces, read(&stream, &[stream.len()]), "case {case}");
        let joined = read_in_pieces.0.concat();
        assert!(stream.starts_with(&joined), "case {case}");
        for message in &read_in_pieces.0 {
            match Message::parse(message) {
                Some(message) => {
                    whole += 1;
                    assert!(message.payload.len() + FRAME_BYTES <= stream.len());
                }
                None => damaged += 1,
            }
        }
    }
    assert!(
        whole > CASES / 2 && damaged > CASES / 20,
        "{whole} whole, {damaged} damaged"
    );
}
