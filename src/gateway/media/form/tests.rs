//! Forms whole, in pieces, and odd.

use super::*;

fn part(head: &str, content: &str) -> String {
    format!("--b0\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
}

fn form(parts: &[String]) -> String {
    format!("{}--b0--\r\n", parts.concat())
}

fn read(body: &[u8], piece: usize) -> Result<FormParts, BodyError> {
    let mut reader = FormReader::new("b0");
    body.chunks(piece).try_for_each(|chunk| reader.push(chunk))?;
    reader.finish()
}

#[test]
fn a_form_reads_the_same_however_it_is_cut() {
    let file = "RIFF\r\n--b\r\n--b1\r\n-- \r\n\r\n";
    let parts = [
        part(
            "name=\"file\"; filename=\"a \\\"b\\\".wav\"\r\nContent-Type: audio/wav",
            file,
        ),
        part("name=\"language\"", ""),
        part("name=\"model\"", "openai/whisper-1"),
        part("name=\"n\"", "3"),
    ];
    let body = form(&parts);
    for piece in 1..body.len() {
        let read = read(body.as_bytes(), piece).unwrap();
        let (model, place) = read.model().unwrap();
        assert_eq!(model, "openai/whisper-1");
        let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
        assert_eq!(&body[place], model, "{piece}");
        assert_eq!(read.files.len(), 1);
        assert_eq!(read.files[0].size_bytes, file.len() as u64);
        assert_eq!(read.count("n"), Ok(Some(3)));
        assert_eq!(read.text_bytes, 17);
    }
    for cut in 0..body.len() - 2 {
        assert!(read(&body.as_bytes()[..cut], 7).is_err(), "{cut}");
    }
}

#[test]
fn what_readers_might_read_in_two_ways_is_refused() {
    let model = || part("name=\"model\"", "m");
    let odd = [
        format!("preamble\r\n{}", form(&[model()])),
        format!("{}epilogue", form(&[model()])),
        form(&[model(), model()]),
        form(&[part("name=\"Model\"", "m")]),
        form(&[part("name=\" model\"", "m")]),
        form(&[part("name=model", "m")]),
        form(&[part("name=\"model\"; filename=\"m\"", "m")]),
        form(&[part("name=\"other\"; name=\"model\"", "m")]),
        form(&[part("name*=\"utf-8''model\"", "m")]),
        form(&[part("name=\"mod\\el\"", "m")]),
        form(&[part("name=\"%6dodel\"", "m")]),
        form(&[part("name=\"model\"\r\nContent-Transfer-Encoding: base64", "bQ==")]),
        form(&[part("name=\"model\"\r\n continued", "m")]),
        form(&[part(
            "name=\"model\"\r\nContent-Disposition: form-data; name=\"x\"",
            "m",
        )]),
        form(&[part("name=\"model\"", "")]),
        form(&[part("name=\"model\"", "a\nb")]),
        form(&[part("name=\"model\"", &"m".repeat(300))]),
        form(&[part("name=\"n\"\r\nX: \x01", "1")]),
        "--b0\r\nContent-Type: text/plain\r\n\r\nm\r\n--b0--".to_owned(),
        "--b0\r\nContent-Disposition: attachment; name=\"model\"\r\n\r\nm\r\n--b0--".to_owned(),
        "--b0 \r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b0--".to_owned(),
        "--b0\nContent-Disposition: form-data; name=\"model\"\n\nm\n--b0--".to_owned(),
        format!("--b0\r\nX: {}\r\n\r\nm\r\n--b0--", "x".repeat(10_000)),
        String::new(),
    ];
    for body in odd {
        for piece in [1, 10_000_000] {
            assert!(read(body.as_bytes(), piece).is_err(), "{body:?}");
        }
    }
    let none = read(b"--b0--", 3).unwrap();
    assert_eq!(none.model().unwrap_err().param.as_deref(), Some("model"));
}

#[test]
fn a_boundary_is_named_once_and_plainly() {
    let table = [
        ("multipart/form-data; boundary=abc", Some(Some("abc"))),
        ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", Some(None)),
        ("multipart/form-data; boundary=\"a-b\"", Some(Some("a-b"))),
        ("multipart/form-data", Some(None)),
        ("multipart/form-data; boundary=", Some(None)),
        ("multipart/form-data; boundary=a; boundary=b", Some(None)),
        ("multipart/mixed; boundary=a", None),
        ("application/json", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(boundary(text).map(Result::ok), expected, "{text}");
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let whole = form(&[part("name=\"model\"", "m"), part("name=\"file\"; filename=\"f\"", "xx")]);
    let mut seed = 1u32;
    for _ in 0..2_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut bytes = whole.clone().into_bytes();
        let place = seed as usize % bytes.len();
        bytes[place] = (seed >> 24) as u8;
        let _ = read(&bytes, 1 + (seed >> 8) as usize % 40);
    }
}
