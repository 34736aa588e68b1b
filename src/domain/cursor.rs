//! The opaque cursor of a list: the id of the last item, in base64url. A cursor that does not decode is the caller's error.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where a list goes on: after the item with these bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub u128);

impl Cursor {
    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.to_be_bytes())
    }

    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(u128::from_be_bytes(bytes.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_trip_and_junk_does_not() {
        assert_eq!(Cursor::decode(&Cursor(42).encode()), Some(Cursor(42)));
        for junk in ["", "x", "====", "AAAA", "ü"] {
            assert_eq!(Cursor::decode(junk), None, "{junk}");
        }
    }
}
