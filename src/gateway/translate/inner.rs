//! What all dialects can say, in one form: a request, a whole answer, and the events of a stream. Dialects are read into
//! it and written from it, so that five of them need ten halves and not twenty pairs. It keeps what a dialect says
//! even where another cannot say it; whoever writes refuses that, or drops it with a warning.

use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::domain::usage::Usage;

/// One call.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub model: String,
    /// Instructions before the conversation.
    pub system: Vec<Part>,
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    /// `Some(false)`: at most one tool call an answer.
    pub parallel_tool_calls: Option<bool>,
    pub max_output_tokens: Option<u64>,
    pub sampling: Sampling,
    pub stop_sequences: Vec<String>,
    pub output_format: OutputFormat,
    pub reasoning: Option<Reasoning>,
    pub stream: bool,
    /// OpenAI's `stream_options.include_usage`; other dialects always tell.
    pub include_usage: bool,
    /// Who the end user is, in the caller's words (`user`, `metadata.user_id`).
    pub user: Option<String>,
    /// The tier that is asked for, in the caller's dialect's words.
    pub service_tier: Option<String>,
    /// Members that the reader dropped because no dialect but the caller's has them, and dropping does no harm.
    pub left_out: Vec<String>,
    /// How the caller's dialect calls what a writer may have to refuse.
    pub words: Words,
}

/// The names of members in the caller's dialect, for refusals and warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    pub conversation: &'static str,
    pub stop_sequences: &'static str,
    pub output_format: &'static str,
    pub reasoning: &'static str,
    pub user: &'static str,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            conversation: "messages",
            stop_sequences: "stop",
            output_format: "response_format",
            reasoning: "reasoning_effort",
            user: "user",
        }
    }
}

/// Numbers as the caller wrote them; nothing is computed with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    pub temperature: Option<Number>,
    pub top_p: Option<Number>,
    pub top_k: Option<Number>,
    pub seed: Option<Number>,
    pub presence_penalty: Option<Number>,
    pub frequency_penalty: Option<Number>,
}

/// What one side says before the other answers. Two turns of one side in a row are merged by readers.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub role: Role,
    pub parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Tool results stand in the user's turns.
    User,
    Assistant,
    /// Instructions behind the start of the conversation.
    System,
}

/// A piece of a turn, with the mark that the cache may end behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub content: Content,
    pub cache: Option<CacheMark>,
}

/// How long what stands before the mark is to be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMark {
    FiveMinutes,
    OneHour,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Text(String),
    Image(Source),
    Document {
        source: Source,
        name: Option<String>,
    },
    Audio {
        /// As in a MIME type: `wav`, `mp3`.
        format: String,
        /// Base64.
        data: String,
    },
    ToolCall(ToolCall),
    ToolResult {
        call_id: String,
        content: Vec<Part>,
        is_error: bool,
    },
    Thinking(Thinking),
    /// The model declines.
    Refusal(String),
}

/// Where a file's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Inline {
        media_type: String,
        /// Base64.
        data: String,
    },
    Url(String),
    /// Plain text (Anthropic's text documents).
    Text(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON text of an object, as the model wrote it.
    pub arguments: String,
    /// What the provider wants back with the call (Google's thought signature).
    pub signature: Option<String>,
}

/// What the model thought, with what proves it to the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thinking {
    Shown {
        text: String,
        /// Anthropic's and Bedrock's signature.
        signature: Option<String>,
    },
    /// Encrypted: Anthropic's `redacted_thinking`, OpenAI's `encrypted_content`.
    Hidden { data: String },
}

/// A tool that the caller runs.
#[derive(Clone, Debug)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    pub parameters: Option<Box<RawValue>>,
    pub strict: Option<bool>,
    pub cache: Option<CacheMark>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool must be called.
    Required,
    Named(String),
}

/// The form that the answer's text must have.
#[derive(Clone, Debug, Default)]
pub enum OutputFormat {
    #[default]
    Text,
    Json,
    Schema {
        name: Option<String>,
        schema: Box<RawValue>,
        strict: Option<bool>,
    },
}

/// How much the model may think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reasoning {
    Off,
    /// OpenAI's words: `minimal`, `low`, `medium`, `high`, `xhigh`.
    Effort(String),
    /// At most so many tokens.
    Budget(u64),
    /// As much as the model finds right (Anthropic's `adaptive`, Google's -1).
    Adaptive,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub id: String,
    pub model: String,
    pub parts: Vec<Part>,
    pub stop: Stop,
    pub usage: Usage,
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    End,
    OutputCap,
    /// The sequence, where the provider names it.
    Sequence(Option<String>),
    ToolCalls,
    /// A filter or the model itself refused.
    Refusal,
    /// The provider paused a long turn (Anthropic's `pause_turn`): the caller sends it back to go on.
    Pause,
}

/// One event of a stream. Parts come one after the other: each begins, grows and ends before the next begins, but for
/// tool calls of OpenAI's dialect, which its reader keeps in order.
#[derive(Clone, Debug)]
pub enum Event {
    Begin {
        id: String,
        model: String,
        /// What is known of the input at the start.
        usage: Option<Usage>,
    },
    PartBegin(PartKind),
    /// More of the part that is open.
    Text(String),
    /// More of the JSON text of the arguments of the tool call that is open.
    Arguments(String),
    Signature(String),
    PartEnd,
    Stop(Stop),
    Usage(Usage),
    /// The provider broke off with an error of its own.
    Error {
        kind: String,
        message: String,
    },
    End,
}

/// What kind of part a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    Text,
    Thinking,
    /// Comes whole.
    HiddenThinking {
        data: String,
    },
    Refusal,
    ToolCall {
        id: String,
        name: String,
        signature: Option<String>,
    },
}

/// A member of a request or answer that the other dialect has no word for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Untranslatable {
    /// The member, as the caller wrote it: `messages.2.content.0`.
    pub param: String,
    pub message: String,
}

/// The most members that are named as dropped; a body with more is hardly one of a client's library.
pub const NAMES_MAX: usize = 64;

/// The longest name that is told (bytes).
const NAME_MAX: usize = 64;

/// Adds a name to a list of what was dropped, once. Names end in a header and may come from the caller, so one that is
/// not a plain word is only counted as `unknown`.
pub fn note(names: &mut Vec<String>, name: String) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_word = !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(plain);
    let name = if is_word { name } else { "unknown".to_owned() };
    if names.len() < NAMES_MAX && !names.contains(&name) {
        names.push(name);
    }
}

/// The longest message of a refusal: it may quote the caller (characters).
const MESSAGE_MAX: usize = 300;

impl Untranslatable {
    pub fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MESSAGE_MAX) {
            message.truncate(end);
        }
        Self {
            param: param.into(),
            message,
        }
    }
}

impl Request {
    /// Adds what one side says, to its turn where it spoke last.
    pub fn say(&mut self, role: Role, parts: Vec<Part>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.parts.extend(parts),
            Some(_) | None => self.turns.push(Turn { role, parts }),
        }
    }

    /// Makes instructions in the middle of the conversation a part of what the user says, for a dialect that has no place
    /// for them there. They are marked as Anthropic's own tools mark them for models that know no such role.
    pub fn tell_instructions_as_users(&mut self) {
        if self.turns.iter().all(|turn| turn.role != Role::System) {
            return;
        }
        self.leave_out(format!("{}.role", self.words.conversation));
        for turn in std::mem::take(&mut self.turns) {
            match turn.role {
                Role::User | Role::Assistant => self.say(turn.role, turn.parts),
                Role::System => self.say(Role::User, turn.parts.into_iter().map(Part::into_reminder).collect()),
            }
        }
    }

    /// Notes a member that is left out, once.
    pub fn leave_out(&mut self, member: impl Into<String>) {
        note(&mut self.left_out, member.into());
    }
}

impl Part {
    fn into_reminder(self) -> Self {
        match self.content {
            Content::Text(text) => Self {
                content: Content::Text(format!("<system-reminder>\n{text}\n</system-reminder>")),
                cache: self.cache,
            },
            content => Self { content, ..self },
        }
    }

    pub fn of(content: Content) -> Self {
        Self { content, cache: None }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Content::Text(text.into()))
    }
}

/// A JSON value as raw text, for schemas that are made here.
pub fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("a JSON value is written as JSON")
}
