//! A multipart form, read as it arrives: its small fields, the size and the head of its files, and the place of its model.
//! Readers differ in what they make of an odd form, and a form must not be one call here and another at its provider:
//! so only the one plain spelling that all of them read alike is taken, and everything else is refused. Nothing but the
//! small fields is kept; the bytes themselves are the spool's.

use std::ops::Range;

use memchr::memmem::Finder;

use super::sound::SoundHead;
use crate::gateway::dialect::BodyError;

/// The largest head of a part.
const HEAD_LIMIT_BYTES: usize = 8 << 10;
/// The largest value of a field that is read; of others only the size is.
const VALUE_LIMIT_BYTES: usize = 256;
const PART_LIMIT: usize = 1_000;
/// Fields that are read.
const READ: [&str; 8] = [
    "model",
    "n",
    "size",
    "quality",
    "stream",
    "partial_images",
    "url",
    "file_id",
];

/// A whole form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormParts {
    values: Vec<(&'static str, String)>,
    model_place: Range<u64>,
    /// Bytes of all fields that are not files.
    pub text_bytes: u64,
    pub files: Vec<FormFile>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormFile {
    pub size_bytes: u64,
    pub head: SoundHead,
}

/// A form on its way in.
#[derive(Debug)]
pub struct FormReader {
    delimiter: Finder<'static>,
    /// Bytes that are not understood yet, the first of them at `offset` of a body with a line end before it.
    pending: Vec<u8>,
    offset: u64,
    state: State,
    parts: FormParts,
    part_count: usize,
}

#[derive(Debug)]
enum State {
    Start,
    BehindDelimiter,
    Head,
    Value(Option<(&'static str, Vec<u8>, u64)>),
    File(FormFile),
    End,
}

/// The boundary that a content type names; `None` for one that is not of a form.
pub fn boundary(content_type: &str) -> Option<Result<&str, BodyError>> {
    let mut pieces = content_type.split(';').map(str::trim);
    if !pieces.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut named = pieces.filter_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    });
    let value = named.next().filter(|_| named.next().is_none());
    let bare = value.map(|value| {
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        quoted.unwrap_or(value)
    });
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    let fits = |text: &&str| (1..=70).contains(&text.len()) && text.bytes().all(is_plain);
    Some(
        bare.filter(fits)
            .ok_or_else(|| refused("the content type must name one boundary of 1 to 70 plain characters")),
    )
}

impl FormReader {
    pub fn new(boundary: &str) -> Self {
        Self {
            delimiter: Finder::new(&format!("\r\n--{boundary}")).into_owned(),
            pending: b"\r\n".to_vec(),
            offset: 0,
            state: State::Start,
            parts: FormParts::default(),
            part_count: 0,
        }
    }

    /// Takes in the next bytes of the body.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        self.pending.extend_from_slice(chunk);
        while self.step()? {}
        Ok(())
    }

    /// The form, once its last byte is in.
    pub fn finish(self) -> Result<FormParts, BodyError> {
        let is_over = matches!(self.state, State::End) && (self.pending.is_empty() || self.pending == b"\r\n");
        if is_over {
            Ok(self.parts)
        } else {
            Err(refused("the form ends before its last boundary, or goes on behind it"))
        }
    }

    /// One step ahead; false where more bytes are needed for it.
    fn step(&mut self) -> Result<bool, BodyError> {
        match self.state {
            State::Start => self.start(),
            State::BehindDelimiter => self.behind_delimiter(),
            State::Head => self.head(),
            State::Value(_) | State::File(_) => self.content(),
            State::End if self.pending.len() > 2 => Err(refused("the form goes on behind its last boundary")),
            State::End => Ok(false),
        }
    }

    fn start(&mut self) -> Result<bool, BodyError> {
        let delimiter = self.delimiter.needle();
        if self.pending.len() < delimiter.len() {
            return Ok(false);
        }
        if !self.pending.starts_with(delimiter) {
            return Err(refused(
                "the form does not begin with the boundary that the content type names",
            ));
        }
        self.drop_bytes(self.delimiter.needle().len());
        self.state = State::BehindDelimiter;
        Ok(true)
    }

    fn behind_delimiter(&mut self) -> Result<bool, BodyError> {
        let Some(two) = self.pending.get(..2) else {
            return Ok(false);
        };
        self.state = match two {
            b"--" => State::End,
            b"\r\n" => State::Head,
            _ => return Err(refused("a boundary must end its line")),
        };
        self.drop_bytes(2);
        Ok(true)
    }

    fn head(&mut self) -> Result<bool, BodyError> {
        let window = &self.pending[..self.pending.len().min(HEAD_LIMIT_BYTES)];
        let Some(end) = memchr::memmem::find(window, b"\r\n\r\n") else {
            return if self.pending.len() < HEAD_LIMIT_BYTES {
                Ok(false)
            } else {
                Err(refused("a part of the form has too long a head"))
            };
        };
        let head = std::str::from_utf8(&self.pending[..end]).map_err(|_| refused("a part's head is not UTF-8"))?;
        let part = Part::read(head)?;
        self.drop_bytes(end + 4);
        self.part_count += 1;
        if self.part_count > PART_LIMIT {
            return Err(refused("the form has too many parts"));
        }
        self.state = if part.is_file {
            if READ.contains(&part.name.as_str()) {
                return Err(refused_field(&part.name, "must be a field, not a file"));
            }
            State::File(FormFile::default())
        } else {
            self.value_of(&part.name)?
        };
        Ok(true)
    }

    fn value_of(&self, name: &str) -> Result<State, BodyError> {
        let Some(known) = READ.into_iter().find(|known| known.eq_ignore_ascii_case(name.trim())) else {
            return Ok(State::Value(None));
        };
        if known != name {
            return Err(refused_field(known, "must be spelled so"));
        }
        if self.parts.values.iter().any(|(name, _)| *name == known) {
            return Err(refused_field(known, "stands there twice"));
        }
        Ok(State::Value(Some((known, Vec::new(), self.offset))))
    }

    /// The content of a part, up to what might be the start of a boundary.
    fn content(&mut self) -> Result<bool, BodyError> {
        let found = self.delimiter.find(&self.pending);
        let reserved = self.delimiter.needle().len() - 1;
        let size = found.unwrap_or(self.pending.len().saturating_sub(reserved));
        let content = &self.pending[..size];
        match &mut self.state {
            State::Value(value) => {
                self.parts.text_bytes += size as u64;
                if let Some((name, value, _)) = value {
                    value.extend_from_slice(content);
                    if value.len() > VALUE_LIMIT_BYTES {
                        return Err(refused_field(name, "is too long"));
                    }
                }
            }
            State::File(file) => {
                file.size_bytes += size as u64;
                file.head.push(content);
            }
            State::Start | State::BehindDelimiter | State::Head | State::End => {}
        }
        self.drop_bytes(size);
        if found.is_none() {
            return Ok(false);
        }
        let end = self.offset;
        self.drop_bytes(reserved + 1);
        match std::mem::replace(&mut self.state, State::BehindDelimiter) {
            State::Value(Some((name, value, start))) => self.keep(name, value, start..end)?,
            State::File(file) => self.parts.files.push(file),
            State::Value(None) | State::Start | State::BehindDelimiter | State::Head | State::End => {}
        }
        Ok(true)
    }

    fn keep(&mut self, name: &'static str, value: Vec<u8>, place: Range<u64>) -> Result<(), BodyError> {
        let value = String::from_utf8(value).map_err(|_| refused_field(name, "is not UTF-8"))?;
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(refused_field(name, "must be a text without control characters"));
        }
        if name == "model" {
            // The line end before the body is none of its bytes.
            self.parts.model_place = place.start - 2..place.end - 2;
        }
        self.parts.values.push((name, value));
        Ok(())
    }

    fn drop_bytes(&mut self, count: usize) {
        self.pending.drain(..count);
        self.offset += count as u64;
    }
}

impl FormParts {
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The model, and where its name stands in the body.
    pub fn model(&self) -> Result<(&str, Range<u64>), BodyError> {
        let model = self.value("model").ok_or_else(|| BodyError {
            param: Some("model".to_owned()),
            message: "`model` is required".to_owned(),
        })?;
        Ok((model, self.model_place.clone()))
    }

    /// A field that is a count; `None` where it is not there.
    pub fn count(&self, name: &str) -> Result<Option<u64>, BodyError> {
        let read = |value: &str| -> Option<u64> { value.parse().ok().filter(|count| *count <= u64::from(u32::MAX)) };
        let value = self.value(name);
        value
            .map(|value| read(value).ok_or_else(|| refused_field(name, "must be a whole number")))
            .transpose()
    }
}

/// What the head of a part says.
struct Part {
    name: String,
    is_file: bool,
}

impl Part {
    fn read(head: &str) -> Result<Self, BodyError> {
        let mut disposition = None;
        for line in head.split("\r\n") {
            let (name, value) = line.split_once(':').ok_or_else(|| refused("a part's head is odd"))?;
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if name.is_empty() || !name.bytes().all(is_token) || value.chars().any(char::is_control) {
                return Err(refused("a part's head is odd"));
            }
            if name.eq_ignore_ascii_case("content-transfer-encoding") {
                return Err(refused("a part must not have a transfer encoding"));
            }
            if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value.trim()).is_some() {
                return Err(refused("a part has two dispositions"));
            }
        }
        let disposition = disposition.ok_or_else(|| refused("a part has no content-disposition"))?;
        let rest = disposition
            .get(..9)
            .filter(|start| start.eq_ignore_ascii_case("form-data"))
            .and_then(|_| disposition.get(9..));
        Self::of_parameters(rest.ok_or_else(|| refused("a part's disposition must be form-data"))?)
    }

    /// `; name="file"; filename="a.wav"`, each once.
    fn of_parameters(mut rest: &str) -> Result<Self, BodyError> {
        let odd = || refused("a part's disposition must be form-data with one quoted name");
        let (mut name, mut is_file) = (None, false);
        while !rest.is_empty() {
            let piece = rest.strip_prefix(';').ok_or_else(odd)?.trim_start();
            let (key, value) = piece.split_once("=\"").ok_or_else(odd)?;
            let end = quote_end(value).ok_or_else(odd)?;
            let (value, behind) = (&value[..end], value[end + 1..].trim_start());
            match key {
                "name" if name.is_none() && !value.contains(['\\', '%']) => name = Some(value.to_owned()),
                // The plain name stands beside it.
                "filename" if !is_file => is_file = true,
                _ => return Err(odd()),
            }
            rest = behind;
        }
        Ok(Self {
            name: name.ok_or_else(odd)?,
            is_file,
        })
    }
}

/// Where a quoted text ends, with backslashes before the quotes in it.
fn quote_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

fn refused(message: &str) -> BodyError {
    BodyError {
        param: None,
        message: message.to_owned(),
    }
}

fn refused_field(name: &str, why: &str) -> BodyError {
    BodyError {
        param: Some(name.to_owned()),
        message: format!("`{name}` {why}"),
    }
}

#[cfg(test)]
mod tests;
