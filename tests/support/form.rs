//! Multipart forms and the sounds in them.

/// A form with the fields before its file and those behind it.
pub fn form(before: &[(&str, &str)], file: &[u8], behind: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    let field = |body: &mut Vec<u8>, (name, value): &(&str, &str)| {
        let text = format!("--XyZ\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(text.as_bytes());
    };
    before.iter().for_each(|pair| field(&mut body, pair));
    let head =
        "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n";
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n");
    behind.iter().for_each(|pair| field(&mut body, pair));
    body.extend_from_slice(b"--XyZ--\r\n");
    body
}

pub const FORM_TYPE: &str = "multipart/form-data; boundary=XyZ";

/// A WAV of 16 kHz, one channel and 16 bits that lasts so many seconds.
pub fn wav(seconds: usize) -> Vec<u8> {
    let size = u32::try_from(seconds * 32_000).expect("it is short");
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((size + 36).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00");
    bytes.extend(16_000u32.to_le_bytes());
    bytes.extend(32_000u32.to_le_bytes());
    bytes.extend(b"\x02\x00\x10\x00data");
    bytes.extend(size.to_le_bytes());
    bytes.resize(bytes.len() + seconds * 32_000, 0x55);
    bytes
}
