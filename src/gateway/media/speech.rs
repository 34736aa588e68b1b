//! Calls that speak a text. Most models bill the characters of the text, which are known before anything is sent.
//! Those that bill tokens say what they used only at the end of a stream of events: of a plain sound the output is
//! estimated by its length, and the bound is what a text of that size can last when it is read very slowly.

use serde::Deserialize;

use super::units::{Unit, has_rate};
use super::wire::MediaAnswer;
use super::{Measured, MediaAsk};
use crate::domain::price::ModelPrice;
use crate::domain::usage::Usage;
use crate::gateway::dialect::BodyError;

/// What a provider may add to a text.
const PROMPT_TOKENS: u64 = 64;
/// Output tokens of any speech, and more for each character: three quarters of a second.
const LEAST_TOKENS: u64 = 512;
const CHARACTER_TOKENS: u64 = 16;
/// `speed` goes down to a quarter.
const SLOWEST: u64 = 4;
/// Tokens of a minute of sound (OpenAI's price of a minute by its price of a token).
const MINUTE_TOKENS: u64 = 1_250;
const MINUTE_MS: u64 = 60_000;
/// Characters that a second of speech has, by and large.
const CHARACTERS_A_SECOND: u64 = 15;
/// PCM of 24 kHz and 16 bits.
const PCM_BYTES_A_SECOND: u64 = 48_000;
/// What is used where a call of ElevenLabs' own names no model.
const ELEVENLABS_MODEL: &str = "eleven_multilingual_v2";

/// How fast the text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pace {
    #[default]
    Usual,
    Slow,
}

/// What a call for speech asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpeechAsk {
    /// Unicode characters of the text.
    pub(super) characters: u64,
    /// Bytes of everything that is read or followed.
    pub(super) text_bytes: u64,
    pub(super) pace: Pace,
    /// The answer is bare PCM, so that its bytes say how long it is.
    pub(super) is_pcm: bool,
}

#[derive(Deserialize)]
struct Fields {
    input: Option<String>,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default)]
    response_format: Option<String>,
    #[serde(default)]
    stream_format: Option<String>,
    #[serde(default)]
    speed: Option<serde_json::Number>,
}

/// A speech that is asked for, and whether its answer is a stream of events.
pub(super) struct Asked {
    pub(super) ask: MediaAsk,
    pub(super) has_events: bool,
}

/// Reads the JSON body of OpenAI's endpoint.
pub(super) fn read(body: &[u8]) -> Result<Asked, BodyError> {
    let fields: Fields = serde_json::from_slice(body).map_err(|error| BodyError {
        param: None,
        message: format!("the body is invalid: {error}"),
    })?;
    let input = fields.input.ok_or_else(|| missing("input"))?;
    let followed = fields.instructions.map_or(0, |text| text.len() as u64);
    let is_slow = fields.speed.is_some_and(|speed| speed.to_string().starts_with('0'));
    Ok(Asked {
        ask: MediaAsk::Speech(SpeechAsk {
            characters: input.chars().count() as u64,
            text_bytes: input.len() as u64 + followed,
            pace: if is_slow { Pace::Slow } else { Pace::Usual },
            is_pcm: fields.response_format.as_deref() == Some("pcm"),
        }),
        has_events: fields.stream_format.as_deref() == Some("sse"),
    })
}

/// Reads the body of ElevenLabs' endpoint: the model, and what is asked of it.
pub(super) fn read_elevenlabs(body: &[u8]) -> Result<(String, MediaAsk), BodyError> {
    #[derive(Deserialize)]
    struct Fields {
        text: Option<String>,
        #[serde(default)]
        model_id: Option<String>,
    }
    let fields: Fields = serde_json::from_slice(body).map_err(|error| BodyError {
        param: None,
        message: format!("the body is invalid: {error}"),
    })?;
    let text = fields.text.ok_or_else(|| missing("text"))?;
    let ask = MediaAsk::Speech(SpeechAsk {
        characters: text.chars().count() as u64,
        text_bytes: text.len() as u64,
        ..SpeechAsk::default()
    });
    Ok((fields.model_id.unwrap_or_else(|| ELEVENLABS_MODEL.to_owned()), ask))
}

impl SpeechAsk {
    /// Every usage that the call may come to at most, one a unit.
    pub(super) fn most(&self, price: &ModelPrice) -> Vec<Usage> {
        let mut most = Vec::new();
        if has_rate(price, Unit::Characters) {
            most.push(self.by_the_character());
        }
        if has_rate(price, Unit::Tokens) {
            let slowness = match self.pace {
                Pace::Usual => 1,
                Pace::Slow => SLOWEST,
            };
            let spoken = self.characters.saturating_mul(CHARACTER_TOKENS * slowness);
            most.push(Usage {
                input_tokens: self.text_bytes + PROMPT_TOKENS,
                output_tokens: spoken.saturating_add(LEAST_TOKENS),
                ..Usage::default()
            });
        }
        most
    }

    pub(super) fn estimate(&self, price: Option<&ModelPrice>) -> Usage {
        if price.is_none_or(|price| has_rate(price, Unit::Characters)) {
            return self.by_the_character();
        }
        self.by_length(self.characters * 1000 / CHARACTERS_A_SECOND)
    }

    /// The characters are what the provider bills, whatever the answer says; tokens are told, or estimated.
    pub(super) fn measure(&self, price: Option<&ModelPrice>, answer: &MediaAnswer) -> Measured {
        if price.is_none_or(|price| has_rate(price, Unit::Characters)) {
            let characters = answer.characters.unwrap_or(self.characters);
            return Measured::told(Usage {
                characters,
                ..Usage::default()
            });
        }
        match (answer.tokens, self.length_ms(answer)) {
            (Some(tokens), _) => Measured::told(tokens.of_speech()),
            (None, Some(length_ms)) => Measured::estimated(self.by_length(length_ms)),
            (None, None) => Measured::estimated(self.estimate(price)),
        }
    }

    /// How long the sound is that was sent, where its bytes say it.
    fn length_ms(&self, answer: &MediaAnswer) -> Option<u64> {
        if self.is_pcm {
            return Some(answer.size_bytes.saturating_mul(1000) / PCM_BYTES_A_SECOND);
        }
        answer.length_ms
    }

    fn by_the_character(&self) -> Usage {
        Usage {
            characters: self.characters,
            ..Usage::default()
        }
    }

    fn by_length(&self, length_ms: u64) -> Usage {
        let spoken = length_ms.saturating_mul(MINUTE_TOKENS).div_ceil(MINUTE_MS);
        Usage {
            input_tokens: self.text_bytes.div_ceil(4),
            output_tokens: spoken,
            audio_output_tokens: spoken,
            ..Usage::default()
        }
    }
}

fn missing(param: &str) -> BodyError {
    BodyError {
        param: Some(param.to_owned()),
        message: format!("`{param}` is required"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(body: &str) -> SpeechAsk {
        match read(body.as_bytes()).unwrap().ask {
            MediaAsk::Speech(ask) => ask,
            MediaAsk::Images(_) | MediaAsk::Hearing(_) => panic!("it asks for speech"),
        }
    }

    #[test]
    fn characters_are_counted_as_people_count_them_and_not_as_bytes() {
        let ask = speech(r#"{"model":"tts-1","input":"h\u00e9llo \ud83d\ude00"}"#);
        assert_eq!((ask.characters, ask.text_bytes), (7, 11));
        assert_eq!(read(b"{}").err().unwrap().param.as_deref(), Some("input"));
    }

    #[test]
    fn a_sound_is_measured_by_its_length_where_its_bytes_say_it() {
        let tokens = ModelPrice::flat("m", crate::domain::money::Money::MAX, crate::domain::money::Money::MAX);
        let ask = speech(r#"{"input":"four score and seven","response_format":"pcm"}"#);
        let answer = MediaAnswer {
            size_bytes: 48_000 * 60,
            ..MediaAnswer::default()
        };
        let measured = ask.measure(Some(&tokens), &answer);
        assert_eq!(measured.usage.output_tokens, 1_250);
        assert_eq!(measured.source, crate::domain::request::UsageSource::Estimated);
        let mp3 = speech(r#"{"input":"0123456789abcde0123456789abcde"}"#);
        assert_eq!(mp3.measure(Some(&tokens), &answer).usage.output_tokens, 42);
    }

    #[test]
    fn a_slow_reading_is_bounded_by_four_times_the_usual() {
        let price = ModelPrice::flat(
            "m",
            crate::domain::money::Money::ZERO,
            crate::domain::money::Money::from_nanos(1_000_000),
        );
        let at = |speed: &str| {
            let ask = speech(&format!(r#"{{"input":"0123456789","speed":{speed}}}"#));
            ask.most(&price)[0].output_tokens
        };
        assert_eq!((at("1.0"), at("0.25")), (512 + 160, 512 + 640));
    }
}
