//! What a provider says that a call used, in one shape for every dialect.
//! Counts come from outside, so a count that cannot be true (negative, or above `COUNT_MAX`) is not a count:
//! whoever reads an answer treats it as missing. An explicit zero is a value.

/// The largest count that is believed, in tokens or searches.
pub const COUNT_MAX: u64 = 1 << 40;

/// The usage of one call. Parts stand inside their wholes: reasoning, output audio and output images inside
/// `output_tokens`, input audio and input images inside `input_tokens`, cached audio inside `cache_read_tokens`, output
/// characters inside `characters`; the three cache counts stand beside `input_tokens`. What is no token (images, characters, sound, pages, queries) is
/// counted only where it is what the provider bills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input that no cache served or kept, audio included.
    pub input_tokens: u64,
    /// Input served from the provider's cache.
    pub cache_read_tokens: u64,
    /// Input written to the provider's cache for five minutes.
    pub cache_write_tokens: u64,
    /// Input written to the provider's cache for an hour or longer.
    pub cache_write_1h_tokens: u64,
    /// Output, reasoning and audio included.
    pub output_tokens: u64,
    /// The part of the output that was hidden reasoning.
    pub reasoning_tokens: u64,
    /// The part of the uncached input that was audio.
    pub audio_input_tokens: u64,
    /// The part of the output that was audio.
    pub audio_output_tokens: u64,
    /// Searches that the provider ran and bills one by one (count).
    pub web_searches: u64,
    /// The part of the uncached input that was images.
    pub image_input_tokens: u64,
    /// The part of the output that was images.
    pub image_output_tokens: u64,
    /// The part of the input from the cache that was audio.
    pub audio_cache_read_tokens: u64,
    /// Images that were made (count).
    pub images: u64,
    /// Characters of text that are billed by the character.
    pub characters: u64,
    /// Milliseconds of sound or video that came in and are billed by their length.
    pub audio_ms: u64,
    /// Milliseconds of sound or video that were made and are billed by their length.
    pub output_audio_ms: u64,
    /// Pages that were read (count).
    pub pages: u64,
    /// Searches or rankings that are billed one by one, beside web searches (count).
    pub queries: u64,
    /// The part of the characters that came out.
    pub output_characters: u64,
}

/// How many counts nearly every call has, and how many it has none of.
pub const USUAL_COUNT: usize = 9;
pub const RARE_COUNT: usize = 10;
pub const COUNTS: usize = USUAL_COUNT + RARE_COUNT;

/// The counts of [`Usage::rare`] by name, in its order.
pub const RARE_NAMES: [&str; RARE_COUNT] = [
    "image_input_tokens",
    "image_output_tokens",
    "audio_cache_read_tokens",
    "images",
    "characters",
    "audio_ms",
    "output_audio_ms",
    "pages",
    "queries",
    "output_characters",
];

impl Usage {
    /// The counts that nearly every call has, in the order of the fields, for records of fixed form.
    pub const fn usual(self) -> [u64; USUAL_COUNT] {
        [
            self.input_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.cache_write_1h_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.audio_input_tokens,
            self.audio_output_tokens,
            self.web_searches,
        ]
    }

    /// The counts that nearly every call has none of, in the order of [`RARE_NAMES`]; records leave out their zeros.
    pub const fn rare(self) -> [u64; RARE_COUNT] {
        [
            self.image_input_tokens,
            self.image_output_tokens,
            self.audio_cache_read_tokens,
            self.images,
            self.characters,
            self.audio_ms,
            self.output_audio_ms,
            self.pages,
            self.queries,
            self.output_characters,
        ]
    }

    /// All counts: the usual ones, then the rare ones.
    pub fn to_array(self) -> [u64; COUNTS] {
        let mut counts = [0; COUNTS];
        counts[..USUAL_COUNT].copy_from_slice(&self.usual());
        counts[USUAL_COUNT..].copy_from_slice(&self.rare());
        counts
    }

    /// The inverse of [`Usage::to_array`].
    pub const fn from_array(counts: [u64; COUNTS]) -> Self {
        Self {
            input_tokens: counts[0],
            cache_read_tokens: counts[1],
            cache_write_tokens: counts[2],
            cache_write_1h_tokens: counts[3],
            output_tokens: counts[4],
            reasoning_tokens: counts[5],
            audio_input_tokens: counts[6],
            audio_output_tokens: counts[7],
            web_searches: counts[8],
            image_input_tokens: counts[9],
            image_output_tokens: counts[10],
            audio_cache_read_tokens: counts[11],
            images: counts[12],
            characters: counts[13],
            audio_ms: counts[14],
            output_audio_ms: counts[15],
            pages: counts[16],
            queries: counts[17],
            output_characters: counts[18],
        }
    }

    /// What of it came in: everything that the provider made taken out.
    pub const fn without_output(self) -> Self {
        Self {
            output_tokens: 0,
            reasoning_tokens: 0,
            audio_output_tokens: 0,
            image_output_tokens: 0,
            images: 0,
            output_audio_ms: 0,
            characters: self.characters.saturating_sub(self.output_characters),
            output_characters: 0,
            ..self
        }
    }

    /// Every input token, cached or not.
    pub fn total_input(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_read_tokens)
            .saturating_add(self.cache_write_tokens)
            .saturating_add(self.cache_write_1h_tokens)
    }

    /// Every token.
    pub fn total(&self) -> u64 {
        self.total_input().saturating_add(self.output_tokens)
    }

    /// True when every count can be believed.
    pub fn is_plausible(&self) -> bool {
        self.to_array().iter().all(|count| *count <= COUNT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{COUNT_MAX, Usage};

    #[test]
    fn totals_add_the_caches_and_not_the_parts() {
        let usage = Usage {
            input_tokens: 1,
            cache_read_tokens: 2,
            cache_write_tokens: 4,
            cache_write_1h_tokens: 8,
            output_tokens: 16,
            reasoning_tokens: 15,
            audio_input_tokens: 1,
            audio_output_tokens: 1,
            web_searches: 9,
            image_input_tokens: 1,
            image_output_tokens: 1,
            audio_cache_read_tokens: 1,
            images: 1,
            ..Usage::default()
        };
        assert_eq!(usage.total_input(), 15);
        assert_eq!(usage.total(), 31);
    }

    #[test]
    fn every_count_has_a_place_of_its_own_in_the_array() {
        let counts: [u64; super::COUNTS] = std::array::from_fn(|place| place as u64 + 1);
        assert_eq!(Usage::from_array(counts).to_array(), counts);
    }

    #[test]
    fn a_count_above_the_maximum_is_not_believed() {
        let at_most = Usage {
            output_tokens: COUNT_MAX,
            ..Usage::default()
        };
        let above = Usage {
            output_tokens: COUNT_MAX + 1,
            ..Usage::default()
        };
        assert!(at_most.is_plausible());
        assert!(!above.is_plausible());
    }
}
