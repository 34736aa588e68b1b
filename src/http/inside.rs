//! What the server says to itself. A tool of the MCP server is a call of this server's own HTTP interface, over loopback;
//! one header of such a call tells for whom it is made. It counts only with a token that this process made up at its
//! start and that never leaves it: without the token the header is ignored, as any that is not known.

use std::io;
use std::net::IpAddr;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, web};
use subtle::ConstantTimeEq as _;

use crate::domain::secret::Secret;
use crate::engine::random;

use super::state::AppState;

pub const HEADER: HeaderName = HeaderName::from_static("x-lava-inside");

/// What such calls are known by.
pub struct InsideToken(Secret<String>);

/// Which dialects a spend key may be used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shapes {
    /// The key's own.
    Own,
    /// All: the key was made for a session, whose tools speak several.
    Any,
}

/// For whom a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Where the one came from whom the call is for.
    pub address: Option<IpAddr>,
    pub shapes: Shapes,
}

impl InsideToken {
    pub fn make() -> io::Result<Self> {
        let bytes: [u8; 32] = random::bytes().map_err(io::Error::other)?;
        Ok(Self(Secret::new(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        )))
    }

    /// The header's value for such a call.
    pub fn sign(&self, inside: Inside) -> Option<HeaderValue> {
        let address = inside.address.map_or("-".to_owned(), |address| address.to_string());
        let shapes = match inside.shapes {
            Shapes::Own => "own",
            Shapes::Any => "any",
        };
        HeaderValue::from_str(&format!("{} {address} {shapes}", self.0.expose())).ok()
    }

    fn read(&self, value: &str) -> Option<Inside> {
        let mut parts = value.split(' ');
        let (token, address, shapes) = (parts.next()?, parts.next()?, parts.next()?);
        if !bool::from(token.as_bytes().ct_eq(self.0.expose().as_bytes())) {
            return None;
        }
        Some(Inside {
            address: address.parse().ok(),
            shapes: if shapes == "any" { Shapes::Any } else { Shapes::Own },
        })
    }
}

/// For whom the request is made, where it is one of our own.
pub fn of_request(request: &HttpRequest) -> Option<Inside> {
    let value = request.headers().get(HEADER)?.to_str().ok()?;
    let state = request.app_data::<web::Data<AppState>>()?;
    state.mcp.inside_token().read(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_here_counts() {
        let (token, other) = (InsideToken::make().unwrap(), InsideToken::make().unwrap());
        for address in [None, "10.0.0.1".parse().ok(), "2001:db8::1".parse().ok()] {
            for shapes in [Shapes::Own, Shapes::Any] {
                let inside = Inside { address, shapes };
                let value = token.sign(inside).unwrap();
                assert_eq!(token.read(value.to_str().unwrap()), Some(inside));
                assert_eq!(other.read(value.to_str().unwrap()), None);
            }
        }
        for junk in ["", " ", "- - any", "x 10.0.0.1 any"] {
            assert_eq!(token.read(junk), None, "{junk}");
        }
    }
}
