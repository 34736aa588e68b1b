//! Translates between dialects: a client's request into the provider's, and the provider's answers, streams and errors
//! back. It is pure: no connection, no clock, no randomness; the same bytes in give the same bytes out. What the target
//! cannot express is refused by name where that would change the meaning, and dropped with a warning where it is
//! harmless. The gateway calls it when client and provider speak different dialects; it fails closed.

mod anthropic;
mod arguments;
pub mod bedrock;
mod carried;
pub mod count;
mod effort;
pub mod google;
pub mod inner;
mod issuer;
mod json;
mod members;
mod openai;
pub mod responses;
mod source;
mod stream;
mod switch;
#[cfg(test)]
#[path = "trial_tests.rs"]
mod trial;

use bytes::Bytes;

use super::dialect::{ErrorDetail, OutputCapField, Speech, error_body};
use inner::{Answer, Request, note};
use stream::{ReadEvents, WriteEvents};

pub use inner::Untranslatable;
pub use stream::{StreamTranslator, WriterOptions};
pub use switch::without_foreign;

/// Who speaks what. Requests go from the client's dialect to the provider's, everything else comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub client: Speech,
    pub provider: Speech,
}

/// What the provider's row and the model say of a request that is about to be written.
#[derive(Clone, Copy, Debug)]
pub struct WriteTarget<'a> {
    /// The model's name as the provider knows it.
    pub model: &'a str,
    /// The field that caps output (OpenAI's dialect).
    pub cap_field: OutputCapField,
    /// The cap for a call without one, in a dialect that requires one (tokens).
    pub default_output_cap: u64,
    /// The provider takes `stream_options` (OpenAI's dialect).
    pub takes_stream_options: bool,
    /// The model takes `reasoning_effort` (OpenAI's dialect); others refuse a call that has it.
    pub takes_reasoning_effort: bool,
    /// The host wants back what the model thought before it called a tool (OpenAI's dialect).
    pub echoes_reasoning: bool,
}

/// Names of members that were dropped because the target has no word for them and dropping does no harm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings(Vec<String>);

impl Warnings {
    /// Notes a member, once.
    pub fn add(&mut self, member: impl Into<String>) {
        note(&mut self.0, member.into());
    }

    /// The names, in the order in which they were dropped: plain words, fit for a header.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The names as the value of a header.
    pub fn header(&self) -> String {
        self.0.join(", ")
    }
}

/// A request in the provider's dialect.
#[derive(Clone, Debug)]
pub struct Translated {
    pub body: Bytes,
    pub warnings: Warnings,
}

/// An error as a provider told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    /// The provider's word for it: `overloaded_error`, `rate_limit_exceeded`.
    pub kind: String,
    pub message: String,
}

/// A provider's answer that is an error.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    pub status: u16,
    pub body: &'a [u8],
    pub request_id: Option<&'a str>,
}

/// What an answer is called where its provider does not say (Bedrock tells neither id nor model).
#[derive(Clone, Copy, Debug)]
pub struct Naming<'a> {
    pub id: &'a str,
    pub model: &'a str,
    /// Unix seconds.
    pub created_s: u64,
}

/// Everything that one dialect can do.
struct Table {
    read_request: fn(&[u8]) -> Result<Request, Untranslatable>,
    write_request: fn(&Request, &WriteTarget<'_>, &mut Warnings) -> Result<Vec<u8>, Untranslatable>,
    read_answer: fn(&[u8]) -> Option<Answer>,
    write_answer: fn(&Answer, u64) -> Vec<u8>,
    read_error: fn(&[u8]) -> Option<ProviderError>,
    reader: fn() -> Box<dyn ReadEvents>,
    writer: fn(WriterOptions) -> Box<dyn WriteEvents>,
    /// Where instructions may stand.
    instructions: Instructions,
}

/// Where a dialect has a place for instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    /// Before the conversation only.
    First,
    Anywhere,
}

const fn table(speech: Speech) -> &'static Table {
    match speech {
        Speech::OpenAi => &openai::TABLE,
        Speech::Anthropic => &anthropic::TABLE,
        Speech::Google => &google::TABLE,
        Speech::Bedrock => &bedrock::TABLE,
        Speech::Responses => &responses::TABLE,
    }
}

/// The client's request in the provider's dialect, with the names of what was dropped.
pub fn request(pair: Pair, body: &[u8], target: &WriteTarget<'_>) -> Result<Translated, Untranslatable> {
    let request = (table(pair.client).read_request)(body)?;
    written(pair, request, target)
}

/// The same for a call that streams because its URL says so (Google, Bedrock).
pub fn streaming_request(pair: Pair, body: &[u8], target: &WriteTarget<'_>) -> Result<Translated, Untranslatable> {
    let mut request = (table(pair.client).read_request)(body)?;
    request.stream = true;
    written(pair, request, target)
}

fn written(pair: Pair, mut request: Request, target: &WriteTarget<'_>) -> Result<Translated, Untranslatable> {
    match table(pair.provider).instructions {
        Instructions::First => request.tell_instructions_as_users(),
        Instructions::Anywhere => {}
    }
    issuer::forget_foreign(&mut request, pair.provider);
    let mut warnings = Warnings(std::mem::take(&mut request.left_out));
    let body = (table(pair.provider).write_request)(&request, target, &mut warnings)?;
    Ok(Translated {
        body: body.into(),
        warnings,
    })
}

/// The provider's whole answer in the client's dialect; `None` for one that is not of the provider's dialect.
/// `created_s` is the Unix time that OpenAI's dialect tells.
#[cfg(test)]
pub fn answer(pair: Pair, body: &[u8], created_s: u64) -> Option<Bytes> {
    let naming = Naming {
        id: "",
        model: "",
        created_s,
    };
    named_answer(pair, body, naming)
}

/// The same with names for an answer that tells none.
pub fn named_answer(pair: Pair, body: &[u8], naming: Naming<'_>) -> Option<Bytes> {
    let mut answer = (table(pair.provider).read_answer)(body)?;
    for (name, fallback) in [(&mut answer.id, naming.id), (&mut answer.model, naming.model)] {
        if name.is_empty() {
            fallback.clone_into(name);
        }
    }
    Some((table(pair.client).write_answer)(&answer, naming.created_s).into())
}

/// The provider's error in the client's shape, with the provider's status, word and message. A body that cannot be
/// read (a page of HTML) is not shown.
pub fn error(pair: Pair, failure: Failure<'_>) -> Bytes {
    let told = (table(pair.provider).read_error)(failure.body);
    let told = told.unwrap_or_else(|| ProviderError {
        kind: "provider_error".to_owned(),
        message: format!(
            "the provider answered with status {} and no readable error",
            failure.status
        ),
    });
    let detail = ErrorDetail {
        status: failure.status,
        code: &told.kind,
        message: &told.message,
        request_id: failure.request_id,
        ..ErrorDetail::default()
    };
    error_body(pair.client, detail).to_string().into()
}

#[cfg(test)]
mod tests;
