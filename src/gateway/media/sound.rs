//! How long a sound lasts, as its first bytes say it: WAV exactly, FLAC and MP3 by what their heads declare. What is not
//! known is bounded by the lowest rate at which speech is coded, eight kilobits a second. A head that lies is believed
//! no further than that bound.

/// As much of a sound as is looked at.
const HEAD_BYTES: usize = 4_096;
/// Bytes of a second at the lowest rate in use.
const LOWEST_BYTES_A_SECOND: u64 = 1_000;
/// The same at the rate of most compressed speech, for an estimate.
const USUAL_BYTES_A_SECOND: u64 = 4_000;
/// Kilobits a second of MPEG layer 3 by version 1 and 2, from the index 1 on.
const MP3_RATES: [[u64; 14]; 2] = [
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// The first bytes of a sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoundHead(Vec<u8>);

/// What a head says of its sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// So many bytes a second, behind so many bytes of head.
    Rate {
        bytes_a_second: u64,
        head_bytes: u64,
    },
    Milliseconds(u64),
}

impl SoundHead {
    /// Takes in the next bytes of the sound; those behind its head are not kept.
    pub fn push(&mut self, chunk: &[u8]) {
        let room = HEAD_BYTES.saturating_sub(self.0.len()).min(chunk.len());
        self.0.extend_from_slice(&chunk[..room]);
    }

    /// How long a sound of so many bytes lasts, where the head says it.
    pub fn likely_ms(&self, size_bytes: u64) -> Option<u64> {
        self.wav()
            .or_else(|| self.flac())
            .or_else(|| self.mp3())
            .map(|length| length.of(size_bytes))
    }

    /// How long it is thought to last, whatever it is.
    pub fn estimated_ms(&self, size_bytes: u64) -> u64 {
        self.likely_ms(size_bytes)
            .unwrap_or_else(|| at_rate(size_bytes, USUAL_BYTES_A_SECOND))
    }

    /// How long it lasts at most.
    pub fn longest_ms(&self, size_bytes: u64) -> u64 {
        let lowest = at_rate(size_bytes, LOWEST_BYTES_A_SECOND);
        match self.wav() {
            Some(length) => length.of(size_bytes),
            None => self.flac().map_or(lowest, |length| length.of(size_bytes).max(lowest)),
        }
    }

    /// Uncompressed sound, by the fields from which a decoder reckons (and not by the rate that the head gives beside them).
    fn wav(&self) -> Option<Length> {
        let head = &self.0[..];
        if !head.starts_with(b"RIFF") || head.get(8..12)? != b"WAVE" {
            return None;
        }
        let format = chunk(head, b"fmt ")?;
        let word = |at: usize| {
            Some(u64::from(u16::from_le_bytes(
                head.get(format + at..format + at + 2)?.try_into().ok()?,
            )))
        };
        let kind = word(0)?;
        let kind = if kind == 0xfffe { word(24)? } else { kind };
        let rate = u32::from_le_bytes(head.get(format + 4..format + 8)?.try_into().ok()?);
        let frame_bytes = word(2)? * word(14)?.div_ceil(8);
        let is_plain = kind == 1 || kind == 3;
        let bytes_a_second = u64::from(rate) * frame_bytes;
        let head_bytes = chunk(head, b"data").map_or(44, |at| at as u64);
        (is_plain && bytes_a_second > 0).then_some(Length::Rate {
            bytes_a_second,
            head_bytes,
        })
    }

    fn flac(&self) -> Option<Length> {
        let head = &self.0[..];
        if !head.starts_with(b"fLaC") {
            return None;
        }
        let info = head.get(18..26)?;
        let bits = u64::from_be_bytes(info.try_into().ok()?);
        let (rate, samples) = (bits >> 44, bits & 0xf_ffff_ffff);
        (rate > 0 && samples > 0).then(|| Length::Milliseconds(samples * 1000 / rate))
    }

    /// By the rate of its first frame.
    fn mp3(&self) -> Option<Length> {
        let tagged = self.0.starts_with(b"ID3");
        let start = if tagged { tag_bytes(&self.0)? } else { 0 };
        let [sync, version, rate, _] = *self.0.get(start..start + 4)? else {
            return None;
        };
        if sync != 0xff || version & 0xe6 != 0xe2 {
            return None;
        }
        let rates = if version & 0x18 == 0x18 {
            MP3_RATES[0]
        } else {
            MP3_RATES[1]
        };
        let kilobits = *rates.get(usize::from(rate >> 4).checked_sub(1)?)?;
        Some(Length::Rate {
            bytes_a_second: kilobits * 125,
            head_bytes: start as u64,
        })
    }
}

impl Length {
    fn of(self, size_bytes: u64) -> u64 {
        match self {
            Self::Rate {
                bytes_a_second,
                head_bytes,
            } => at_rate(size_bytes.saturating_sub(head_bytes), bytes_a_second),
            Self::Milliseconds(length_ms) => length_ms,
        }
    }
}

fn at_rate(size_bytes: u64, bytes_a_second: u64) -> u64 {
    size_bytes.saturating_mul(1000).div_ceil(bytes_a_second)
}

/// Where the content of a RIFF chunk begins.
fn chunk(head: &[u8], name: &[u8; 4]) -> Option<usize> {
    let mut at = 12;
    loop {
        let found = head.get(at..at + 4)?;
        if found == name {
            return Some(at + 8);
        }
        let size = u32::from_le_bytes(head.get(at + 4..at + 8)?.try_into().ok()?);
        at = at.checked_add(8)?.checked_add(usize::try_from(size).ok()?)?;
    }
}

/// The length of an ID3 tag, head included.
fn tag_bytes(head: &[u8]) -> Option<usize> {
    let size = head.get(6..10)?;
    let total = size.iter().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    Some(total + 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> SoundHead {
        let mut head = SoundHead::default();
        head.push(bytes);
        head
    }

    /// A WAV head of 16-bit sound with this rate and these channels.
    fn wav(rate: u32, channels: u16) -> Vec<u8> {
        let mut bytes = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00".to_vec();
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate.to_le_bytes());
        // The rate of bytes lies, and is not looked at.
        bytes.extend(u32::MAX.to_le_bytes());
        bytes.extend((channels * 2).to_le_bytes());
        bytes.extend(16u16.to_le_bytes());
        bytes.extend(b"data\xff\xff\xff\xff");
        bytes
    }

    #[test]
    fn a_wav_lasts_as_long_as_its_samples_whatever_else_its_head_says() {
        for (rate, channels, size_bytes, length_ms) in [
            (16_000, 1, 44 + 320_000, 10_000),
            (44_100, 2, 44 + 176_400, 1_000),
            (8_000, 1, 44, 0),
        ] {
            let head = head(&wav(rate, channels));
            assert_eq!(head.likely_ms(size_bytes), Some(length_ms), "{rate} {channels}");
            assert_eq!(head.longest_ms(size_bytes), length_ms);
        }
        for broken in [&wav(0, 1)[..], &wav(16_000, 0), &wav(16_000, 1)[..20], b"RIFF"] {
            assert_eq!(head(broken).likely_ms(1_000), None);
            assert_eq!(head(broken).longest_ms(1_000_000), 1_000_000);
        }
    }

    #[test]
    fn flac_and_mp3_say_it_and_are_bounded_by_the_lowest_rate_all_the_same() {
        let mut flac = b"fLaC\x80\x00\x00\x22".to_vec();
        flac.extend([0; 10]);
        // 16 kHz, one channel, 16 bits, 160,000 samples.
        flac.extend((16_000u64 << 44 | 15 << 36 | 160_000).to_be_bytes());
        assert_eq!(head(&flac).likely_ms(5_000), Some(10_000));
        assert_eq!(head(&flac).longest_ms(5_000), 10_000);
        assert_eq!(head(&flac).longest_ms(50_000), 50_000);
        let mp3 = [0xff, 0xfb, 0x90, 0x00];
        assert_eq!(head(&mp3).likely_ms(16_000), Some(1_000));
        assert_eq!(head(&mp3).longest_ms(16_000), 16_000);
        let slow = [0xff, 0xf3, 0x10, 0x00];
        assert_eq!(head(&slow).likely_ms(16_000), Some(16_000));
        assert_eq!(head(b"OggS").likely_ms(16_000), None);
        assert_eq!(head(b"OggS").estimated_ms(16_000), 4_000);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut seed = 7u32;
        for start in [&b"RIFF\0\0\0\0WAVE"[..], b"fLaC", b"ID3", b"\xff\xfb", b""] {
            for length in 0..200 {
                let noise = (0..length).map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                });
                let bytes: Vec<u8> = start.iter().copied().chain(noise).collect();
                let head = head(&bytes);
                assert!(head.longest_ms(u64::MAX) > 0 || head.likely_ms(0).is_some());
            }
        }
    }
}
