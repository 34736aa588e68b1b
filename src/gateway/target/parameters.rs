//! Our own parameters in a query, `metadata` and `key`, taken out wherever they stand. A broken escape is refused, and so
//! is a second `metadata`, because readers differ in which of two they take.

use std::borrow::Cow;

use super::TargetError;
use crate::domain::secret::Secret;

/// Whose parameter it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Caldera,
    Target,
}

/// Our own parameters, decoded.
#[derive(Clone, Debug, Default)]
pub struct OwnParameters {
    /// The JSON text of `?metadata=`.
    pub metadata: Option<String>,
    /// The credential of `?key=`: the first that is not empty; all others are dropped, so that none reaches a provider.
    pub key: Option<Secret<String>>,
}

impl OwnParameters {
    /// Takes them out of the query of a route whose other parameters are not ours to judge.
    pub fn read(query: &str) -> Result<Self, TargetError> {
        let mut own = Self::default();
        for piece in pieces(query) {
            own.take(piece)?;
        }
        Ok(own)
    }

    pub(super) fn take(&mut self, piece: &str) -> Result<Owner, TargetError> {
        let Some(value) = piece.strip_prefix("metadata=") else {
            return self.take_key(piece);
        };
        let value = decode(value, Plus::Space).ok_or(broken("metadata"))?;
        if self.metadata.replace(value.into_owned()).is_some() {
            return Err(TargetError {
                param: "metadata",
                message: "`metadata` stands there twice",
            });
        }
        Ok(Owner::Caldera)
    }

    pub(super) fn take_key(&mut self, piece: &str) -> Result<Owner, TargetError> {
        let Some(value) = piece.strip_prefix("key=") else {
            return Ok(Owner::Target);
        };
        let value = decode(value, Plus::Itself).ok_or(broken("key"))?;
        if self.key.is_none() && !value.is_empty() {
            self.key = Some(Secret::new(value.into_owned()));
        }
        Ok(Owner::Caldera)
    }
}

/// The parameters of a query, still encoded.
pub(super) fn pieces(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|piece| !piece.is_empty())
}

/// How a plus is read: form encoders write it for the blanks of JSON; in keys and URLs it stands for itself.
#[derive(Clone, Copy)]
pub(super) enum Plus {
    Space,
    Itself,
}

/// Percent-decodes once; `None` for a broken escape, and for what is not UTF-8.
pub(super) fn decode(value: &str, plus: Plus) -> Option<Cow<'_, str>> {
    if !value.contains(['%', '+']) {
        return Some(Cow::Borrowed(value));
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match (byte, plus) {
            (b'%', Plus::Space | Plus::Itself) => 16 * digit(bytes.next()?)? + digit(bytes.next()?)?,
            (b'+', Plus::Space) => b' ',
            (_, Plus::Space | Plus::Itself) => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

pub(super) const fn broken(param: &'static str) -> TargetError {
    TargetError {
        param,
        message: "a percent escape is broken, or what is escaped is not UTF-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_our_parameters_and_leaves_the_others() {
        let own = OwnParameters::read("beta=true&metadata=%7B%22a%22:+%22b%22%7D&key=&key=k%2B1&key=k2").unwrap();
        assert_eq!(own.metadata.as_deref(), Some(r#"{"a": "b"}"#));
        assert_eq!(own.key.map(|key| key.expose().clone()).as_deref(), Some("k+1"));
        for (query, param) in [
            ("metadata=%7", "metadata"),
            ("metadata=%ff", "metadata"),
            ("metadata={}&metadata={}", "metadata"),
            ("key=%zz", "key"),
        ] {
            assert_eq!(OwnParameters::read(query).unwrap_err().param, param, "{query}");
        }
    }
}
