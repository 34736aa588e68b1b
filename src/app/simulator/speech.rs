//! Text that is spoken: OpenAI's `audio/speech` and ElevenLabs' `text-to-speech`. The sound is silence as long as the
//! text would take. OpenAI's older models and ElevenLabs cost by the character, which only ElevenLabs reports; the
//! newer cost tokens, which only a stream of events reports.

use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{AnswerId, Usage, natural_tokens};
use super::directive::Directives;
use super::ledger::{Ledger, OpenEntry};
use super::provider::Provider;
use super::reel::Reel;
use super::refusal::Refusal;
use super::reply::{Incoming, Reply, Whole};
use super::sound::{Encoding, TOKEN_MS};
use super::stream::{Frame, Part, Reported};

/// The length of one character that is spoken.
const CHARACTER_MS: u64 = 72;
const CHARACTER_COUNT_MAXIMUM: u64 = 4096;
/// The bytes of one piece of sound that goes out.
const PIECE_BYTES: usize = 4096;

/// `POST /v1/audio/speech`
pub(super) async fn speak(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let incoming = Incoming::new(Provider::OpenAi, ledger, request, body);
    incoming
        .answer_json(|body, directives, entry| {
            let model = required(body, "model")?;
            let input = required(body, "input")?;
            required(body, "voice")?;
            entry.model = model.into();
            entry.id = format!("speech_{}", AnswerId::next());
            let character_count = input.chars().count() as u64;
            if character_count > CHARACTER_COUNT_MAXIMUM {
                return Err(Refusal::bad_request(format!(
                    "Invalid 'input': string too long. Expected a string with maximum length {CHARACTER_COUNT_MAXIMUM}."
                )));
            }
            let (encoding, content_type) = encoding(body["response_format"].as_str())?;
            let events = body["stream_format"] == "sse";
            if model.starts_with("tts-") {
                if events {
                    return Err(Refusal::bad_request(
                        "stream_format 'sse' is not supported for this model.".to_owned(),
                    ));
                }
                entry.sums.characters = character_count;
                let sound = encoding.silence(character_count * CHARACTER_MS);
                return Ok(Reply::Streamed {
                    content_type,
                    reel: pieces(sound, 0),
                });
            }
            let speech = Speech::decide(input, directives, entry);
            if events {
                entry.stream = true;
                return Ok(Reply::events(speech.events(encoding)));
            }
            Ok(Reply::Streamed {
                content_type,
                reel: pieces(encoding.silence(speech.output_tokens * TOKEN_MS), speech.output_tokens),
            })
        })
        .await
}

/// `POST /v1/text-to-speech/{voice}`
pub(super) async fn elevenlabs(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let incoming = Incoming::new(Provider::ElevenLabs, ledger, request, body);
    incoming
        .answer_json(|body, _, entry| {
            let text = required(body, "text")?;
            entry.model = body["model_id"].as_str().unwrap_or("eleven_multilingual_v2").into();
            entry.id = AnswerId::next().to_string();
            let character_count = text.chars().count() as u64;
            entry.sums.characters = character_count;
            Ok(Reply::Whole(Whole {
                content_type: "audio/mpeg",
                headers: vec![
                    ("character-cost", character_count.to_string()),
                    ("history-item-id", entry.id.clone()),
                ],
                body: Encoding::Mp3.silence(character_count * CHARACTER_MS),
                reported: None,
            }))
        })
        .await
}

/// A speech that costs tokens.
struct Speech {
    output_tokens: u64,
    usage: Option<Usage>,
}

impl Speech {
    fn decide(input: &str, directives: &Directives, entry: &mut OpenEntry) -> Self {
        let output_tokens = directives
            .output_tokens
            .unwrap_or_else(|| natural_tokens(input.as_bytes()))
            .max(1);
        entry.sums.input_tokens = (input.len() as u64).div_ceil(4);
        let usage = Usage::reported(&directives.report, entry.sums.input_tokens, output_tokens);
        Self { output_tokens, usage }
    }

    fn events(&self, encoding: Encoding) -> Reel {
        let mut reel = Reel::default();
        let sound = STANDARD.encode(encoding.silence(TOKEN_MS));
        for _ in 0..self.output_tokens {
            reel.push_content(1, event(&json!({"type": "speech.audio.delta", "audio": sound})));
        }
        let mut done = json!({"type": "speech.audio.done"});
        if let Some(usage) = &self.usage {
            done["usage"] = json!({
                "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
                "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
            });
        }
        let reported = self.usage.as_ref().map(Reported::whole);
        reel.push(Part::Closing, event(&done).reporting(reported));
        reel
    }
}

/// Sound in pieces; the tokens go with the first of them that they reach.
fn pieces(sound: Vec<u8>, token_count: u64) -> Reel {
    let mut sound = Bytes::from(sound);
    let mut reel = Reel::default();
    let piece_count = (sound.len().div_ceil(PIECE_BYTES) as u64).max(1);
    for index in 0..piece_count {
        let piece = sound.split_to(PIECE_BYTES.min(sound.len()));
        let until = |index: u64| token_count * index / piece_count;
        reel.push_content(until(index + 1) - until(index), Frame::silent(piece));
    }
    reel
}

fn encoding(name: Option<&str>) -> Result<(Encoding, &'static str), Refusal> {
    match name {
        None | Some("mp3") => Ok((Encoding::Mp3, "audio/mpeg")),
        Some("wav") => Ok((Encoding::Wav, "audio/wav")),
        Some("pcm") => Ok((Encoding::Pcm, "audio/pcm")),
        // Compressed sound that nobody here plays.
        Some("opus") => Ok((Encoding::Mp3, "audio/ogg")),
        Some("aac") => Ok((Encoding::Mp3, "audio/aac")),
        Some("flac") => Ok((Encoding::Mp3, "audio/flac")),
        Some(other) => Err(Refusal::bad_request(format!(
            "Invalid value: '{other}' for 'response_format'."
        ))),
    }
}

fn required<'body>(body: &'body Value, name: &str) -> Result<&'body str, Refusal> {
    let text = body[name].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| Refusal::bad_request(format!("Missing required parameter: '{name}'.")))
}

fn event(body: &Value) -> Frame {
    Frame::silent(format!("data: {body}\n\n"))
}
