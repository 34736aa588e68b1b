//! Images and sound in the reference.

use serde_json::json;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use super::call::{Call, bytes, events};
use super::checkout::html;
use super::conversations::{answers_or_streams, carried, model, passing};
use super::envelope::Envelope;
use super::part::Part;
use super::schema::{Field, Presence, any_text, open, text, word};

pub fn part() -> Part {
    let about = "Images made and changed, texts spoken and speech written down, in OpenAI's format.";
    Part::new("Images and sound", about)
        .post(&["/v1/images/generations"], images_call())
        .post(&["/v1/images/edits"], edits_call())
        .post(&["/v1/audio/speech"], speech_call())
        .post(
            &["/v1/audio/transcriptions"],
            heard("createTranscription", "Write speech down"),
        )
        .post(
            &["/v1/audio/translations"],
            heard("createTranslation", "Write speech down in English"),
        )
}

fn images_call() -> Call {
    let fields = vec![
        model(),
        text("prompt", "What the image shows.").required(),
        any_text("size", "Its size, such as `1024x1024`.").or_null(),
        any_text("quality", "How fine it is.").or_null(),
    ];
    let call = carried("createImage", "Make an image", Envelope::OpenAi)
        .takes(passing(fields), json!({ "model": "gpt-image-1", "prompt": "A hill" }));
    answers_or_streams(call, images())
}

fn edits_call() -> Call {
    let form = passing(vec![
        model(),
        text("prompt", "What becomes of the image.").required(),
        file("image", "The image; there may be several."),
    ]);
    let call = carried("editImage", "Change an image", Envelope::OpenAi).takes_form("multipart/form-data", form);
    answers_or_streams(call, images())
}

fn speech_call() -> Call {
    let fields = vec![
        model(),
        text("input", "The text to be spoken.").required(),
        anything_spoken(),
        word(
            "response_format",
            &["mp3", "opus", "aac", "flac", "wav", "pcm"],
            "How the sound is written.",
        )
        .or_null(),
    ];
    let contents = vec![
        ("audio/*", bytes()),
        ("text/event-stream", events()),
        ("application/octet-stream", bytes()),
    ];
    carried("createSpeech", "Speak a text", Envelope::OpenAi)
        .takes(
            passing(fields),
            json!({ "model": "tts-1", "input": "Hello", "voice": "alloy" }),
        )
        .answers_in(200, "The sound.", contents)
}

fn anything_spoken() -> Field {
    super::schema::anything("voice", "Whose voice.")
}

fn heard(id: &'static str, title: &'static str) -> Call {
    let form = passing(vec![
        model(),
        file("file", "The sound."),
        any_text(
            "response_format",
            "How the text is written: `json`, `text`, `srt`, `verbose_json` or `vtt`.",
        ),
    ]);
    let contents = vec![
        ("application/json", open("", "What was said.").into()),
        ("text/plain", html()),
        ("text/event-stream", events()),
    ];
    carried(id, title, Envelope::OpenAi)
        .takes_form("multipart/form-data", form)
        .answers_in(200, "What was said.", contents)
}

fn images() -> Object {
    ObjectBuilder::new()
        .description(Some("Images in OpenAI's format."))
        .build()
}

fn file(name: &'static str, says: &str) -> Field {
    let shape = ObjectBuilder::new().schema_type(Type::String).description(Some(says));
    Field {
        name,
        shape: shape.content_media_type("application/octet-stream").into(),
        presence: Presence::Required,
    }
}
