//! How an answer gets back into the client's dialect: whole, as a stream, as a count of tokens, or as an error.

use bytes::Bytes;

use super::super::dialect::Dialect;
use super::super::provider::{EndpointKind, Target};
use super::super::translate::{self, Failure, Naming, Pair, StreamTranslator, Warnings, WriterOptions};
use super::super::{Incoming, Worker};

/// How the answer gets back into the client's dialect.
#[derive(Clone, Debug)]
pub struct Translation {
    pub(super) pair: Pair,
    kind: Kind,
    /// The client asked for the usage chunk (OpenAI's dialect).
    pub(super) include_usage: bool,
    /// The model's name at the provider.
    pub(super) model: String,
    /// Our id of the call, for an answer that has none.
    request_id: String,
    /// Unix seconds, for a dialect that tells them (OpenAI's).
    created_s: u64,
    /// The names of what was dropped because the provider has no word for it, as a header says it.
    pub(in crate::gateway) dropped: Option<String>,
}

/// What is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Conversation,
    Count,
}

impl Translation {
    /// The translation of a call to a target of another dialect.
    pub(in crate::gateway) fn new(worker: &Worker, incoming: &Incoming<'_>, target: &Target) -> Self {
        Self {
            pair: Pair {
                client: incoming.speech,
                provider: target.dialect,
            },
            kind: match target.endpoint {
                EndpointKind::CountTokens => Kind::Count,
                EndpointKind::Chat
                | EndpointKind::Completions
                | EndpointKind::Embeddings
                | EndpointKind::Models
                | EndpointKind::ImageGenerations
                | EndpointKind::ImageEdits
                | EndpointKind::Speech
                | EndpointKind::Transcriptions
                | EndpointKind::Translations
                | EndpointKind::TextToSpeech
                | EndpointKind::Opaque => Kind::Conversation,
            },
            include_usage: false,
            model: target.model.clone().unwrap_or_default(),
            request_id: incoming.id.to_string(),
            created_s: u64::try_from(worker.clock().now().wall_s()).unwrap_or(0),
            dropped: None,
        }
    }

    pub(in crate::gateway) fn pair(&self) -> Pair {
        self.pair
    }

    pub(in crate::gateway) fn note_dropped(&mut self, warnings: &Warnings) {
        self.dropped = Some(warnings.header()).filter(|names| !names.is_empty());
    }

    pub(in crate::gateway) fn client(&self) -> Dialect {
        self.pair.client
    }

    /// A translator for a stream.
    pub(in crate::gateway) fn stream(&self) -> StreamTranslator {
        let options = WriterOptions {
            include_usage: self.include_usage,
            created_s: self.created_s,
            model: self.model.clone(),
        };
        StreamTranslator::new(self.pair, options).with_id(self.request_id.clone())
    }

    /// A whole answer in the client's words; `None` for one that cannot be read.
    pub(in crate::gateway) fn answer(&self, body: &[u8]) -> Option<Bytes> {
        let naming = Naming {
            id: &self.request_id,
            model: &self.model,
            created_s: self.created_s,
        };
        match self.kind {
            Kind::Conversation => translate::named_answer(self.pair, body, naming),
            Kind::Count => translate::count::answer(self.pair.client, body),
        }
    }

    /// A provider's error in the client's words.
    pub(in crate::gateway) fn error(&self, status: u16, body: &[u8]) -> Bytes {
        let failure = Failure {
            status,
            body,
            request_id: Some(&self.request_id),
        };
        translate::error(self.pair, failure)
    }
}
