//! Sound in the little that the simulated provider needs: silence of a known length as MP3, WAV or bare samples, and
//! the length that a WAV file says it has. All sound that is made has 24,000 samples a second, one channel and
//! 16 bits.

/// The length of one token of speech: 1,250 tokens are a minute.
pub(super) const TOKEN_MS: u64 = 48;

/// An MP3 frame of MPEG-2 layer III at 64 kbit/s has 24 ms in 192 bytes.
const MP3_FRAME_MS: u64 = 24;
const MP3_FRAME_BYTES: usize = 192;
const MP3_HEADER: [u8; 4] = [0xff, 0xf3, 0x84, 0xc4];

const SAMPLE_RATE: u32 = 24_000;
const SAMPLE_BYTES: u16 = 2;
const BYTES_PER_MS: u64 = 48;
const WAV_HEADER_BYTES: u32 = 44;

/// How sound is written down.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Encoding {
    Mp3,
    Wav,
    Pcm,
}

impl Encoding {
    /// Silence of so many milliseconds, rounded down to what the encoding can say.
    pub(super) fn silence(self, length_ms: u64) -> Vec<u8> {
        match self {
            Self::Mp3 => {
                let mut frame = MP3_HEADER.to_vec();
                frame.resize(MP3_FRAME_BYTES, 0);
                frame.repeat(usize::try_from(length_ms / MP3_FRAME_MS).unwrap_or_default())
            }
            Self::Wav => wav(length_ms),
            Self::Pcm => vec![0; usize::try_from(length_ms * BYTES_PER_MS).unwrap_or_default()],
        }
    }
}

/// A WAV file of silence.
pub(super) fn wav(length_ms: u64) -> Vec<u8> {
    let samples = Encoding::Pcm.silence(length_ms);
    let size = u32::try_from(samples.len()).unwrap_or(u32::MAX - WAV_HEADER_BYTES);
    let mut file = Vec::with_capacity(samples.len() + WAV_HEADER_BYTES as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(size + WAV_HEADER_BYTES - 8).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16u32.to_le_bytes());
    for number in [1u16, 1] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    file.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    file.extend_from_slice(&(SAMPLE_RATE * u32::from(SAMPLE_BYTES)).to_le_bytes());
    for number in [SAMPLE_BYTES, 8 * SAMPLE_BYTES] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    file.extend_from_slice(b"data");
    file.extend_from_slice(&size.to_le_bytes());
    file.extend(samples);
    file
}

/// The length in milliseconds that a WAV file says it has; none where it is no such file. A file that was written
/// while it was recorded does not know its size, and the rest of it counts.
pub(super) fn wav_ms(file: &[u8]) -> Option<u64> {
    let mut rest = file.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut bytes_per_second = None;
    loop {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (size, content) = after.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*size) as usize;
        match name {
            b"fmt " => bytes_per_second = Some(u32::from_le_bytes(*content.get(8..)?.first_chunk()?)),
            b"data" => {
                let bytes = size.min(content.len()) as u64;
                return (bytes * 1_000).checked_div(u64::from(bytes_per_second?));
            }
            _ => {}
        }
        // Chunks begin at even places.
        rest = content.get(size.checked_add(size % 2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_file_says_its_length() {
        for length_ms in [0, 1, 1_500, 60_000] {
            assert_eq!(wav_ms(&wav(length_ms)), Some(length_ms));
        }
        let mut unfinished = wav(1_000);
        unfinished[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(wav_ms(&unfinished), Some(1_000));
        let mut with_list = wav(1_000);
        with_list.splice(36..36, *b"LIST\x03\0\0\0abc\0");
        assert_eq!(wav_ms(&with_list), Some(1_000));
    }

    #[test]
    fn what_is_no_wav_file_has_no_length() {
        let file = wav(1_000);
        for broken in [&file[..30], b"ID3", b"", b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd"] {
            assert_eq!(wav_ms(broken), None);
        }
    }

    #[test]
    fn silence_has_its_length_in_every_encoding() {
        assert_eq!(Encoding::Mp3.silence(TOKEN_MS).len(), 2 * MP3_FRAME_BYTES);
        assert_eq!(Encoding::Pcm.silence(10).len(), 480);
        assert_eq!(Encoding::Wav.silence(10).len(), 524);
    }
}
