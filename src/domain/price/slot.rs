//! What a field of the price file prices: the part of a usage, the service tier and the threshold, all in its name
//! (`input_cost_per_token_above_200k_tokens_priority`). A name that is no price of ours has no slot.

use super::ServiceTier;

/// The part of a usage that a rate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    LongCacheWrite,
    Reasoning,
    AudioInput,
    AudioOutput,
    AudioCacheRead,
    ImageInput,
    ImageOutput,
    /// An image that is made.
    MadeImage,
    /// An image that comes in; where the model makes images, one that is made.
    Image,
    /// All pixels of an image of the size in the model's key, by each of the two fields.
    InputPixels,
    OutputPixels,
    Character,
    OutputCharacter,
    /// Seconds of input under the three names that they have.
    InputSecond,
    AudioSecond,
    AnySecond,
    /// Seconds of output under the two.
    OutputSecond,
    VideoSecond,
    Page,
    Query,
}

/// The names that start a rate's field, longest first where one is the start of another.
const PARTS: [(&str, Part); 25] = [
    ("cache_creation_input_token_cost_above_12hr", Part::LongCacheWrite),
    ("cache_creation_input_token_cost_above_1hr", Part::LongCacheWrite),
    ("cache_creation_input_token_cost", Part::CacheWrite),
    ("cache_read_input_audio_token_cost", Part::AudioCacheRead),
    ("cache_read_input_token_cost", Part::CacheRead),
    ("output_cost_per_reasoning_token", Part::Reasoning),
    ("output_cost_per_audio_token", Part::AudioOutput),
    ("output_cost_per_image_token", Part::ImageOutput),
    ("output_cost_per_image", Part::MadeImage),
    ("output_cost_per_pixel", Part::OutputPixels),
    ("output_cost_per_character", Part::OutputCharacter),
    ("output_cost_per_video_per_second", Part::VideoSecond),
    ("output_cost_per_second", Part::OutputSecond),
    ("output_cost_per_token", Part::Output),
    ("input_cost_per_audio_per_second", Part::AudioSecond),
    ("input_cost_per_audio_token", Part::AudioInput),
    ("input_cost_per_image_token", Part::ImageInput),
    ("input_cost_per_image", Part::Image),
    ("input_cost_per_pixel", Part::InputPixels),
    ("input_cost_per_character", Part::Character),
    ("input_cost_per_second", Part::InputSecond),
    ("input_cost_per_query", Part::Query),
    ("input_cost_per_token", Part::Input),
    ("ocr_cost_per_page", Part::Page),
    ("cost_per_second", Part::AnySecond),
];

/// Which rate a field sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) part: Part,
    pub(super) tier: ServiceTier,
    /// Zero for the plain rate.
    pub(super) above_tokens: u64,
}

impl Slot {
    /// The rate that a field's name sets, or `None` for fields that are no rate of ours.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (part, rest) = PARTS
            .iter()
            .find_map(|(start, part)| Some((*part, name.strip_prefix(start)?)))?;
        let (above_tokens, rest) = match rest.strip_prefix("_above_") {
            Some(rest) => {
                let (thousands, rest) = rest.split_once("k_tokens")?;
                (thousands.parse::<u64>().ok()?.checked_mul(1000)?, rest)
            }
            None => (0, rest),
        };
        let tier = match rest {
            "" => ServiceTier::Standard,
            "_flex" => ServiceTier::Flex,
            "_priority" => ServiceTier::Priority,
            "_ultrafast" => ServiceTier::Ultrafast,
            "_batches" => ServiceTier::Batch,
            _ => return None,
        };
        Some(Self {
            part,
            tier,
            above_tokens,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_slots_apart_by_name() {
        use Part::*;
        use ServiceTier::*;
        let table = [
            ("input_cost_per_token", Some((Input, Standard, 0))),
            ("output_cost_per_token_flex", Some((Output, Flex, 0))),
            (
                "cache_creation_input_token_cost_above_1hr",
                Some((LongCacheWrite, Standard, 0)),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                Some((LongCacheWrite, Standard, 200_000)),
            ),
            (
                "cache_creation_input_token_cost_above_12hr_above_272k_tokens_ultrafast",
                Some((LongCacheWrite, Ultrafast, 272_000)),
            ),
            (
                "cache_read_input_token_cost_above_272k_tokens_priority",
                Some((CacheRead, Priority, 272_000)),
            ),
            (
                "cache_read_input_audio_token_cost_batches",
                Some((AudioCacheRead, Batch, 0)),
            ),
            ("input_cost_per_token_batches", Some((Input, Batch, 0))),
            ("input_cost_per_image", Some((Image, Standard, 0))),
            ("input_cost_per_image_token", Some((ImageInput, Standard, 0))),
            ("output_cost_per_image_token_batches", Some((ImageOutput, Batch, 0))),
            ("output_cost_per_image", Some((MadeImage, Standard, 0))),
            (
                "input_cost_per_character_above_128k_tokens",
                Some((Character, Standard, 128_000)),
            ),
            ("cost_per_second", Some((AnySecond, Standard, 0))),
            ("input_cost_per_audio_per_second", Some((AudioSecond, Standard, 0))),
            ("ocr_cost_per_page_batches", Some((Page, Batch, 0))),
            ("input_cost_per_query", Some((Query, Standard, 0))),
            ("output_cost_per_second_1080p", None),
            ("output_cost_per_token_decisions", None),
            ("input_cost_per_token_cache_hit", None),
        ];
        for (name, expected) in table {
            let expected = expected.map(|(part, tier, above_tokens)| Slot {
                part,
                tier,
                above_tokens,
            });
            assert_eq!(Slot::of(name), expected, "{name}");
        }
    }
}
