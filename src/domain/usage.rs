//! What a provider says that a call used, in one shape for every dialect.
//! Counts come from outside, so a count that cannot be true (negative, or above `COUNT_MAX`) is not a count:
//! whoever reads an answer treats it as missing. An explicit zero is a value.

/// The largest count that is believed, in tokens or searches.
pub const COUNT_MAX: u64 = 1 << 40;

/// The usage of one call. Parts stand inside their wholes: reasoning and output audio inside `output_tokens`,
/// input audio inside `input_tokens`; the three cache counts stand beside `input_tokens`.
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
}

impl Usage {
    /// The counts in the order of the fields, for records of fixed form.
    pub const fn to_array(self) -> [u64; 9] {
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

    /// The inverse of [`Usage::to_array`].
    pub const fn from_array(counts: [u64; 9]) -> Self {
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
        };
        assert_eq!(usage.total_input(), 15);
        assert_eq!(usage.total(), 31);
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
