//! The rates of one model in one tier: nano-dollars per 1,000,000 units of each kind. What the price file is silent
//! about is filled in before a rate gets here, so a zero means that the unit is free or not billed. Sound is priced by
//! the second and counted in milliseconds, which the sum knows.

/// Nano-dollars per 1,000,000 units; what the file is silent about is already filled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub input: i64,
    /// Falls back to `image_output`.
    pub output: i64,
    /// Falls back to `input`.
    pub cache_read: i64,
    /// Falls back to `input`.
    pub cache_write: i64,
    /// Falls back to `cache_write`.
    pub cache_write_1h: i64,
    /// Falls back to `output`.
    pub reasoning: i64,
    /// Falls back to `input`.
    pub audio_input: i64,
    /// Falls back to `output`.
    pub audio_output: i64,
    /// Falls back to `cache_read`.
    pub audio_cache_read: i64,
    /// Falls back to `input`.
    pub image_input: i64,
    /// Falls back to `output`.
    pub image_output: i64,
    /// An image that is made.
    pub image: i64,
    /// A character of text.
    pub character: i64,
    /// A second of sound that comes in.
    pub second: i64,
    /// A second of sound or video that is made.
    pub output_second: i64,
    /// A page that is read.
    pub page: i64,
    /// A search or ranking.
    pub query: i64,
}

/// The rates of one service tier: the plain ones, and those of calls whose input is longer than a threshold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierRates {
    pub base: Rates,
    /// Ascending by threshold: input tokens above which the rates apply to the whole call.
    pub long_context: Vec<(u64, Rates)>,
}

impl Rates {
    /// Rates of tokens alone: one of everything that goes in, one of everything that comes out.
    pub(super) fn flat(input: i64, output: i64) -> Self {
        Self {
            input,
            output,
            cache_read: input,
            cache_write: input,
            cache_write_1h: input,
            reasoning: output,
            audio_input: input,
            audio_output: output,
            audio_cache_read: input,
            image_input: input,
            image_output: output,
            ..Self::default()
        }
    }

    /// Of each unit the dearer rate.
    pub(super) fn max(&self, other: &Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
            cache_write_1h: self.cache_write_1h.max(other.cache_write_1h),
            reasoning: self.reasoning.max(other.reasoning),
            audio_input: self.audio_input.max(other.audio_input),
            audio_output: self.audio_output.max(other.audio_output),
            audio_cache_read: self.audio_cache_read.max(other.audio_cache_read),
            image_input: self.image_input.max(other.image_input),
            image_output: self.image_output.max(other.image_output),
            image: self.image.max(other.image),
            character: self.character.max(other.character),
            second: self.second.max(other.second),
            output_second: self.output_second.max(other.output_second),
            page: self.page.max(other.page),
            query: self.query.max(other.query),
        }
    }

    /// Every rate beside the name that people know it by.
    pub(super) fn named(&self) -> [(&'static str, i64); 17] {
        [
            ("input token", self.input),
            ("output token", self.output),
            ("cached input token", self.cache_read),
            ("token written to the cache", self.cache_write),
            ("token written to the long cache", self.cache_write_1h),
            ("reasoning token", self.reasoning),
            ("audio input token", self.audio_input),
            ("audio output token", self.audio_output),
            ("cached audio token", self.audio_cache_read),
            ("image input token", self.image_input),
            ("image output token", self.image_output),
            ("image", self.image),
            ("character", self.character),
            ("second of input", self.second),
            ("second of output", self.output_second),
            ("page", self.page),
            ("query", self.query),
        ]
    }
}
