//! Images, documents and audio of Converse: bytes in base64 with a word for their format. Files in AWS's stores are
//! refused, and files on the web too, because Converse reads none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::gateway::translate::inner::{Content, Source, Untranslatable};
use crate::gateway::translate::json::Object;
use crate::gateway::translate::members::Members;

/// The formats of documents with their media types.
const DOCUMENTS: [(&str, &str); 9] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

const IMAGES: [&str; 4] = ["png", "jpeg", "gif", "webp"];

const AUDIO: [&str; 13] = [
    "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "m4a", "mpeg", "pcm", "webm",
];

pub(super) fn read_image(mut image: Members<'_>) -> Result<Content, Untranslatable> {
    let media_type = format!("image/{}", image.required_text("format")?);
    let data = read_bytes(&mut image)?;
    Ok(Content::Image(Source::Inline { media_type, data }))
}

pub(super) fn read_audio(mut audio: Members<'_>) -> Result<Content, Untranslatable> {
    let format = audio.required_text("format")?;
    let data = read_bytes(&mut audio)?;
    Ok(Content::Audio { format, data })
}

pub(super) fn read_document(mut document: Members<'_>) -> Result<Content, Untranslatable> {
    let name = document.text("name")?;
    let format = document.text("format")?.unwrap_or_else(|| "txt".to_owned());
    let known = DOCUMENTS.iter().find(|(known, _)| *known == format);
    let unknown = || {
        document.refuse(
            "format",
            format!("documents of the format `{format}` have no counterpart"),
        )
    };
    let (_, media_type) = known.ok_or_else(unknown)?;
    let mut place = document.required_object("source")?;
    let source = if let Some(text) = place.text("text")? {
        Source::Text(text)
    } else {
        Source::Inline {
            media_type: (*media_type).to_owned(),
            data: bytes_of(&mut place)?,
        }
    };
    Ok(Content::Document { source, name })
}

fn read_bytes(file: &mut Members<'_>) -> Result<String, Untranslatable> {
    bytes_of(&mut file.required_object("source")?)
}

fn bytes_of(source: &mut Members<'_>) -> Result<String, Untranslatable> {
    if let Some(name) = source.names().find(|name| *name != "bytes") {
        return Err(source.refuse(name, "a file that one provider keeps cannot be sent to another"));
    }
    source.required_text("bytes")
}

/// An image as Converse takes it; an error says why it cannot.
pub(super) fn write_image(source: &Source) -> Result<Object<'_>, String> {
    let Source::Inline { media_type, data } = source else {
        return Err("this model's provider takes no images by address".to_owned());
    };
    let format = media_type.strip_prefix("image/").unwrap_or_default();
    let format = if format == "jpg" { "jpeg" } else { format };
    if !IMAGES.contains(&format) {
        return Err(format!("this model's provider takes no images of type `{media_type}`"));
    }
    Ok(Object::new().with("image", file(format, data)))
}

pub(super) fn write_audio<'a>(format: &'a str, data: &'a str) -> Result<Object<'a>, String> {
    if !AUDIO.contains(&format) {
        return Err(format!("this model's provider takes no audio of the format `{format}`"));
    }
    Ok(Object::new().with("audio", file(format, data)))
}

/// A document needs a name of its own within a call.
pub(super) fn write_document(source: &Source, name: String) -> Result<Object<'_>, String> {
    let (format, bytes) = match source {
        Source::Inline { media_type, data } => {
            let known = DOCUMENTS.iter().find(|(_, known)| known == media_type);
            let (format, _) =
                known.ok_or_else(|| format!("this model's provider takes no documents of type `{media_type}`"))?;
            (*format, data.clone())
        }
        Source::Text(text) => ("txt", STANDARD.encode(text)),
        Source::Url(_) => return Err("this model's provider takes no documents by address".to_owned()),
    };
    let source = Object::new().with("bytes", bytes);
    let document = Object::new()
        .with("format", format)
        .with("name", name)
        .with("source", source);
    Ok(Object::new().with("document", document))
}

fn file<'a>(format: &'a str, data: &'a str) -> Object<'a> {
    Object::new()
        .with("format", format)
        .with("source", Object::new().with("bytes", data))
}

/// The name in the letters that Converse takes, with its number: two documents of one name are refused.
pub(super) fn document_name(name: Option<&str>, number: usize) -> String {
    let taken = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '(' | ')' | '[' | ']');
    let plain: String = name
        .unwrap_or("document")
        .chars()
        .take(100)
        .map(|letter| if taken(letter) { letter } else { '-' })
        .collect();
    if number == 1 {
        plain
    } else {
        format!("{plain}-{number}")
    }
}
