//! OpenAI's transcriptions and translations of sound. The length of the sound is what its WAV header says, else what
//! the directive `audio_ms` says, else a second. The older model costs by the second, begun ones counted, and reports
//! that in JSON only; the newer ones cost tokens and can be streamed.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Number, Value, json};

use super::answer::{AnswerId, Usage, natural_tokens};
use super::directive::{Directives, Vocabulary};
use super::form::Form;
use super::ledger::{Ledger, OpenEntry};
use super::provider::Provider;
use super::reel::{Reel, Words};
use super::refusal::Refusal;
use super::reply::{Incoming, Reply, Whole};
use super::sound::wav_ms;
use super::stream::{Frame, Part, Reported};
use super::turn::words;

/// The length of a sound that does not say its own.
const LENGTH_MS_DEFAULT: u64 = 1_000;
/// The length of sound that is one token.
const TOKEN_MS: u64 = 100;

/// Whether the text stays in the language of the sound.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Task {
    Transcribe,
    Translate,
}

/// What is asked for.
struct Order {
    task: Task,
    model: String,
    format: String,
    prompt: String,
    streamed: bool,
    length_ms: u64,
}

/// `POST /v1/audio/transcriptions`
pub(super) async fn transcribe(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer(Task::Transcribe, ledger, request, body).await
}

/// `POST /v1/audio/translations`
pub(super) async fn translate(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    answer(Task::Translate, ledger, request, body).await
}

async fn answer(task: Task, ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let form = Form::read(&request, body.clone()).await;
    let text = form.as_ref().map(Form::text).unwrap_or_default();
    Incoming::new(Provider::OpenAi, ledger, request, body)
        .answer(&text, |directives, entry| {
            let order = Order::read(task, &form?, directives)?;
            entry.model = order.model.as_str().into();
            entry.stream = order.streamed;
            entry.id = format!("trsc_{}", AnswerId::next());
            let output_tokens = directives
                .output_tokens
                .unwrap_or_else(|| natural_tokens(text.as_bytes()));
            if order.costs_tokens() {
                Ok(order.by_tokens(directives, output_tokens, entry))
            } else {
                Ok(order.by_seconds(&words(&directives.vocabulary, output_tokens), entry))
            }
        })
        .await
}

impl Order {
    fn read(task: Task, form: &Form, directives: &Directives) -> Result<Self, Refusal> {
        let missing = |name: &str| Refusal::bad_request(format!("Missing required parameter: '{name}'."));
        let file = form.files("file").next().ok_or_else(|| missing("file"))?;
        let order = Self {
            task,
            model: form.field("model").ok_or_else(|| missing("model"))?.to_owned(),
            format: form.field("response_format").unwrap_or("json").to_owned(),
            prompt: form.field("prompt").unwrap_or_default().to_owned(),
            streamed: form.field("stream") == Some("true") && !form.field("model").is_some_and(is_whisper),
            length_ms: wav_ms(file).or(directives.audio_ms).unwrap_or(LENGTH_MS_DEFAULT),
        };
        let known = match order.costs_tokens() {
            true => ["json", "text"].as_slice(),
            false => ["json", "text", "verbose_json", "srt", "vtt"].as_slice(),
        };
        if !known.contains(&order.format.as_str()) {
            return Err(Refusal::bad_request(format!(
                "response_format '{}' is not compatible with model '{}'.",
                order.format, order.model
            )));
        }
        if task == Task::Translate && order.costs_tokens() {
            return Err(Refusal::bad_request("This model does not translate.".to_owned()));
        }
        Ok(order)
    }

    fn costs_tokens(&self) -> bool {
        !is_whisper(&self.model)
    }

    fn seconds(&self) -> u64 {
        self.length_ms.div_ceil(1_000)
    }

    fn by_seconds(&self, text: &str, entry: &mut OpenEntry) -> Reply {
        entry.sums.audio_ms = self.seconds() * 1_000;
        let usage = json!({"type": "duration", "seconds": self.seconds()});
        let end = |fraction: char| {
            let (minutes, ms) = (self.length_ms / 60_000, self.length_ms % 60_000);
            format!(
                "{:02}:{:02}:{:02}{fraction}{:03}",
                minutes / 60,
                minutes % 60,
                ms / 1_000,
                ms % 1_000
            )
        };
        match self.format.as_str() {
            "text" => plain(format!("{text}\n")),
            "srt" => plain(format!("1\n00:00:00,000 --> {}\n{text}\n\n", end(','))),
            "vtt" => plain(format!("WEBVTT\n\n00:00:00.000 --> {}\n{text}\n\n", end('.'))),
            "verbose_json" => {
                let segment = json!({"id": 0, "start": 0, "end": self.duration(), "text": text});
                let task = match self.task {
                    Task::Transcribe => "transcribe",
                    Task::Translate => "translate",
                };
                let body = json!({
                    "task": task, "language": "english", "duration": self.duration(), "text": text,
                    "segments": [segment], "usage": usage,
                });
                Reply::json(&body, None)
            }
            _ => Reply::json(&json!({"text": text, "usage": usage}), None),
        }
    }

    fn by_tokens(&self, directives: &Directives, output_tokens: u64, entry: &mut OpenEntry) -> Reply {
        let (sound, text) = (
            self.length_ms.div_ceil(TOKEN_MS),
            (self.prompt.len() as u64).div_ceil(4),
        );
        entry.sums.input_tokens = sound + text;
        let usage = Usage::reported(&directives.report, sound + text, output_tokens);
        let reported = usage.as_ref().map(Reported::whole);
        let transcript = words(&directives.vocabulary, output_tokens);
        let mut body = json!({"text": transcript});
        if let Some(usage) = usage {
            body["usage"] = json!({
                "type": "tokens", "input_tokens": usage.input_tokens,
                "input_token_details": {"text_tokens": text, "audio_tokens": sound},
                "output_tokens": usage.output_tokens,
                "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
            });
        }
        if self.streamed {
            return Reply::events(reel(body, directives.vocabulary.clone(), output_tokens, reported));
        }
        entry.sums.output_tokens = output_tokens;
        if self.format == "text" {
            return plain(format!("{transcript}\n"));
        }
        Reply::json(&body, reported)
    }

    /// Seconds with three places, without a calculation that rounds.
    fn duration(&self) -> Value {
        let text = format!("{}.{:03}", self.length_ms / 1_000, self.length_ms % 1_000);
        text.parse::<Number>().map_or(Value::Null, Value::Number)
    }
}

fn is_whisper(model: &str) -> bool {
    model.contains("whisper")
}

fn reel(mut done: Value, vocabulary: Vocabulary, count: u64, reported: Option<Reported>) -> Reel {
    let event = |body: &Value| Frame::silent(format!("data: {body}\n\n"));
    let mut reel = Reel::default();
    reel.push_words(Words {
        vocabulary,
        count,
        write: Box::new(move |_, word| event(&json!({"type": "transcript.text.delta", "delta": word}))),
    });
    done["type"] = json!("transcript.text.done");
    reel.push(Part::Closing, event(&done).reporting(reported));
    reel
}

fn plain(text: String) -> Reply {
    Reply::Whole(Whole {
        content_type: "text/plain; charset=utf-8",
        headers: Vec::new(),
        body: text.into_bytes(),
        reported: None,
    })
}
