//! Recorded streams, split at every byte.

use super::*;
use crate::gateway::noise::Noise;

const OPENAI: &str = "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"Grüße 🌍\"}}]}\n\n: keep-alive\n\n\
    data: {\"id\":\"1\",\"choices\":[]}\n\ndata: [DONE]\n\n";
const ANTHROPIC: &str = "event: message_start\r\ndata: {\"type\":\"message_start\"}\r\n\r\n\
    event: ping\r\ndata: {\"type\":\"ping\"}\r\n\r\nevent: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n";
const RETURNS: &str = "data: a\rdata: b\r\rdata\r\revent:x\rdata:  c\r\r";
const MIXED: &str = "data: a\r\ndata: b\n\rdata: c\n\r\ndata: d\r\n\n";

fn split(pieces: &[&[u8]]) -> Vec<Frame> {
    let mut splitter = SseSplitter::new();
    let mut frames = Vec::new();
    for piece in pieces {
        splitter.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = splitter.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    frames.extend(splitter.finish());
    frames
}

fn data(frames: &[Frame]) -> Vec<String> {
    let text = |frame: &Frame| {
        frame
            .fields()
            .data
            .map(|data| String::from_utf8(data.into_owned()).unwrap())
    };
    frames.iter().filter_map(text).collect()
}

#[test]
fn splits_recorded_streams_into_their_events() {
    let table: [(&str, &[&str]); 4] = [
        (
            OPENAI,
            &[
                "{\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"Grüße 🌍\"}}]}",
                "{\"id\":\"1\",\"choices\":[]}",
                "[DONE]",
            ],
        ),
        (
            ANTHROPIC,
            &[
                "{\"type\":\"message_start\"}",
                "{\"type\":\"ping\"}",
                "{\"type\":\"message_stop\"}",
            ],
        ),
        (RETURNS, &["a\nb", "", " c"]),
        (MIXED, &["a\nb", "c", "d"]),
    ];
    for (stream, expected) in table {
        assert_eq!(data(&split(&[stream.as_bytes()])), expected, "{stream:?}");
    }
    let frames = split(&[ANTHROPIC.as_bytes()]);
    assert_eq!(frames[0].fields().event, Some(b"message_start".as_slice()));
}

#[test]
fn a_split_at_any_two_bytes_changes_nothing() {
    for stream in [OPENAI, ANTHROPIC, RETURNS, MIXED] {
        let bytes = stream.as_bytes();
        let whole = data(&split(&[bytes]));
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let frames = split(&[&bytes[..first], &bytes[first..second], &bytes[second..]]);
                assert_eq!(data(&frames), whole, "{stream:?} at {first} and {second}");
                let joined: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes().to_vec()).collect();
                assert_eq!(joined, bytes, "{stream:?} at {first} and {second}");
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(data(&split(&single)), whole);
    }
}

#[test]
fn a_frame_in_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
    let mut splitter = SseSplitter::new();
    splitter.push(chunk.clone());
    let first = splitter.next_frame().unwrap().unwrap();
    assert_eq!(first.bytes().as_ptr(), chunk.as_ptr());
}

#[test]
fn an_unfinished_event_comes_out_at_the_end() {
    let frames = split(&[b"data: a\n\nda", b"ta: b\n"]);
    assert_eq!(data(&frames), ["a", "b"]);
}

#[test]
fn a_frame_above_the_limit_is_an_error_however_it_comes() {
    let mut splitter = SseSplitter::new();
    splitter.push(Bytes::from(vec![b'x'; FRAME_LIMIT_BYTES + 1]));
    assert_eq!(splitter.next_frame(), Err(FrameTooLarge));
    let mut splitter = SseSplitter::new();
    let mut result = Ok(None);
    for _ in 0..=FRAME_LIMIT_BYTES / 1000 {
        splitter.push(Bytes::from(vec![b'x'; 1000]));
        result = splitter.next_frame();
    }
    assert_eq!(result, Err(FrameTooLarge));
}

proptest::proptest! {
    #[test]
    fn any_bytes_in_any_pieces_come_out_as_they_went_in(
        pieces in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(b"d:a \r\n".to_vec()), 0..12), 0..12),
    ) {
        let borrowed: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let whole: Vec<u8> = pieces.concat();
        let joined: Vec<u8> = split(&borrowed).iter().flat_map(|frame| frame.bytes().to_vec()).collect();
        proptest::prop_assert_eq!(joined, whole);
    }
}

/// The data of all events as the standard reads them, from the whole text at once.
fn data_by_the_standard(stream: &[u8]) -> Vec<Vec<u8>> {
    let text: Vec<u8> = String::from_utf8_lossy(stream)
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .into_bytes();
    let mut list = Vec::new();
    let mut data: Option<Vec<u8>> = None;
    for line in text.split(|byte| *byte == b'\n') {
        let value = match line.strip_prefix(b"data") {
            Some([]) => Some(&[][..]),
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => Some(value),
            Some(_) | None => None,
        };
        match (value, &mut data) {
            (Some(value), Some(data)) => data.extend([b"\n", value].concat()),
            (Some(value), None) => data = Some(value.to_vec()),
            (None, _) if line.is_empty() => list.extend(data.take()),
            (None, _) => {}
        }
    }
    list.extend(data);
    list
}

#[test]
fn junk_is_read_as_the_standard_reads_it_wherever_it_is_cut() {
    const PIECES: [&str; 18] = [
        "data: ",
        "data:",
        "data",
        "event: x",
        ": keep",
        "\n",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        "\r\r",
        "é",
        "🌍",
        "{\"a\":1}",
        " ",
        "id: 1",
        "retry",
    ];
    let mut noise = Noise::new(0xA24B_AED4_963E_E407);
    for _ in 0..20_000 {
        let count = noise.below(24);
        let stream: String = (0..count).map(|_| noise.pick(&PIECES)).collect();
        let mut stream = stream.into_bytes();
        // Cut off in the middle, perhaps of a letter; the reference reads texts only.
        stream.truncate(stream.len() - noise.below(3).min(stream.len()));
        let stream = String::from_utf8_lossy(&stream).into_owned().into_bytes();
        let mut rest = stream.as_slice();
        let mut pieces = Vec::new();
        for length in noise.cut(stream.len(), 6) {
            let (piece, more) = rest.split_at(length);
            pieces.push(piece);
            rest = more;
        }
        let frames = split(&pieces);
        let read: Vec<Vec<u8>> = frames
            .iter()
            .filter_map(|frame| Some(frame.fields().data?.into_owned()))
            .collect();
        let shown = String::from_utf8_lossy(&stream);
        assert_eq!(read, data_by_the_standard(&stream), "{shown:?}");
        let joined: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes().to_vec()).collect();
        assert_eq!(joined, stream, "{shown:?}");
    }
}

#[test]
fn a_frame_is_too_large_or_not_by_its_own_bytes_wherever_it_is_cut() {
    let mut noise = Noise::new(0x9FB2_1C65_1E98_DF25);
    for case in 0..24 {
        let length = FRAME_LIMIT_BYTES - 4 + noise.below(9);
        let mut stream = b"data: a\n\n".to_vec();
        stream.resize(9 + length - 2, b'x');
        stream.extend_from_slice(b"\n\n");
        let mut splitter = SseSplitter::new();
        let mut result = Ok(());
        let mut rest = stream.as_slice();
        for length in noise.cut(stream.len(), 400_000) {
            let (piece, more) = rest.split_at(length);
            rest = more;
            splitter.push(Bytes::copy_from_slice(piece));
            while result.is_ok() {
                match splitter.next_frame() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => result = Err(error),
                }
            }
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result.is_err(), length > FRAME_LIMIT_BYTES, "case {case}: {length}");
    }
}
