//! The dialects that a provider speaks, and its endpoints in each: which request of a client is one of them, and what
//! its address is. An address may hold the model, which then stands there as one escaped segment.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use url::Url;

use super::row::Endpoint;
use super::{CredentialStyle, EndpointKind};
use crate::gateway::call::{Addressed, Streams};
use crate::gateway::dialect::Dialect;

const MODEL: &str = "{model}";

/// What stands for itself in a segment of a path (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A dialect that a provider speaks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Face {
    pub(super) dialect: Dialect,
    /// Where its endpoints stand behind the base address.
    #[serde(default)]
    path: String,
    /// How it takes its credential, where that differs.
    pub(super) credential: Option<CredentialStyle>,
    #[serde(default)]
    conversations: Conversations,
}

/// Which conversations a face is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Conversations {
    #[default]
    All,
    /// Only those whose caller named the address: the others are better translated.
    Forwarded,
}

impl Face {
    /// The dialect of the row itself.
    pub(super) fn own(dialect: Dialect, credential: CredentialStyle) -> Self {
        Self {
            dialect,
            path: String::new(),
            credential: Some(credential),
            conversations: Conversations::All,
        }
    }
}

/// An endpoint of one provider.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) kind: EndpointKind,
    pub(super) dialect: Dialect,
    pub(super) style: CredentialStyle,
    conversations: Conversations,
    method: String,
    /// Behind the base address.
    path: Arc<str>,
    stream_path: Option<String>,
    base: String,
    /// The whole address, where it holds no model.
    uri: Option<Uri>,
}

/// An address that is called, and its path behind the public base.
pub(super) struct Place {
    pub(super) uri: Uri,
    pub(super) path: Arc<str>,
}

impl Served {
    pub(super) fn new(endpoint: &Endpoint, face: &Face, style: CredentialStyle, base: &Url) -> Self {
        let path = format!("{}{}", face.path, endpoint.path);
        let base = base.as_str().trim_end_matches('/').to_owned();
        let is_plain = !path.contains('*') && !path.contains(MODEL);
        Self {
            kind: endpoint.kind,
            dialect: face.dialect,
            style: face.credential.unwrap_or(style),
            conversations: face.conversations,
            method: endpoint.method.clone(),
            stream_path: endpoint.stream_path.as_ref().map(|tail| format!("{}{tail}", face.path)),
            uri: is_plain.then(|| format!("{base}{path}").parse().ok()).flatten(),
            path: path.into(),
            base,
        }
    }

    pub(super) fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// Whether a call that names no address goes here in its own dialect.
    pub(super) fn is_chosen_for(&self, kind: EndpointKind, dialect: Dialect) -> bool {
        self.kind == kind
            && self.dialect == dialect
            && (kind != EndpointKind::Chat || self.conversations == Conversations::All)
    }

    /// The address for a model; `None` for a name that makes none.
    pub(super) fn place(&self, model: &str, streams: Streams) -> Option<Place> {
        if let Some(uri) = &self.uri {
            return Some(Place {
                uri: uri.clone(),
                path: self.path.clone(),
            });
        }
        let template = match (streams, &self.stream_path) {
            (Streams::Yes, Some(path)) => path.as_str(),
            (Streams::Yes | Streams::No, _) => &self.path,
        };
        let model = self.bare(model);
        let path = template.replace(MODEL, &utf8_percent_encode(model, SEGMENT).to_string());
        let uri = format!("{}{path}", self.base).parse().ok()?;
        Some(Place { uri, path: path.into() })
    }

    /// Google's ids may come with the name of their collection.
    fn bare<'m>(&self, model: &'m str) -> &'m str {
        match self.dialect {
            Dialect::Google => model.strip_prefix("models/").unwrap_or(model),
            Dialect::OpenAi | Dialect::Anthropic | Dialect::Bedrock | Dialect::Responses => model,
        }
    }

    /// Whether a request to this path is one to this endpoint, with what its address says of the call.
    pub(super) fn matched(&self, method: &str, path: &str, query: Option<&str>) -> Option<Option<Addressed>> {
        if self.method != method {
            return None;
        }
        if self.path.contains('*') {
            let (wanted, given) = (self.path.split('/'), path.split('/'));
            let fits = |(wanted, given): (&str, &str)| wanted == given || (wanted == "*" && !given.is_empty());
            let is_same = wanted.clone().count() == given.clone().count() && wanted.zip(given).all(fits);
            return is_same.then_some(None);
        }
        if !self.path.contains(MODEL) {
            return (*self.path == *path).then_some(None);
        }
        if let Some(model) = inside(&self.path, path) {
            return Some(Some(addressed(model, Streams::No)));
        }
        let (stream_path, wanted) = self
            .stream_path
            .as_deref()?
            .split_once('?')
            .unwrap_or((self.stream_path.as_deref()?, ""));
        let has_query = wanted.is_empty() || query.unwrap_or_default().split('&').any(|piece| piece == wanted);
        let model = inside(stream_path, path).filter(|_| has_query)?;
        Some(Some(addressed(model, Streams::Yes)))
    }
}

fn addressed(model: Cow<'_, str>, streams: Streams) -> Addressed {
    Addressed {
        model: model.into_owned(),
        streams,
    }
}

/// The model in a path that fits a template.
fn inside<'p>(template: &str, path: &'p str) -> Option<Cow<'p, str>> {
    let (before, behind) = template.split_once(MODEL)?;
    let segment = path.strip_prefix(before)?.strip_suffix(behind)?;
    let is_one = !segment.is_empty() && !segment.contains('/');
    is_one.then(|| percent_decode_str(segment).decode_utf8().ok()).flatten()
}
