//! The form of our keys: prefix, 32 base62 characters, and a 6-character base62 CRC32 of all before it. Junk is refused
//! by its checksum before any look-up. Plain text exists once, at minting; what is kept is an HMAC-SHA256 under a
//! pepper that is not in the database, and a preview.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::ids::Mode;
use super::secret::Secret;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BODY_LENGTH: usize = 32;
const CHECK_LENGTH: usize = 6;

/// What kind of key a token is, by its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    Secret(Mode),
    Wallet,
    Spend,
}

impl KeyKind {
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Secret(Mode::Live) => "aks_live_",
            Self::Secret(Mode::Test) => "aks_test_",
            Self::Wallet => "lava_wk_",
            Self::Spend => "lava_sk_",
        }
    }
}

/// A new key of this kind.
/// `random` must be 64 bytes from the operating system; two of them make one character, so the bias is under 2^-10.
pub fn mint(kind: KeyKind, random: &[u8; 2 * BODY_LENGTH]) -> Secret<String> {
    let mut text = String::with_capacity(kind.prefix().len() + BODY_LENGTH + CHECK_LENGTH);
    text.push_str(kind.prefix());
    for pair in random.chunks_exact(2) {
        let value = usize::from(u16::from_be_bytes([pair[0], pair[1]]));
        text.push(char::from(ALPHABET[value % 62]));
    }
    let check = checksum(&text);
    text.push_str(&check);
    Secret::new(text)
}

/// The kind of a token whose form and checksum are right; `None` for anything else.
pub fn parse_kind(token: &str) -> Option<KeyKind> {
    let kinds = [
        KeyKind::Secret(Mode::Live),
        KeyKind::Secret(Mode::Test),
        KeyKind::Wallet,
        KeyKind::Spend,
    ];
    let kind = kinds.into_iter().find(|kind| token.starts_with(kind.prefix()))?;
    let body = kind.prefix().len() + BODY_LENGTH;
    let whole =
        token.len() == body + CHECK_LENGTH && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (whole && checksum(&token[..body]) == token[body..]).then_some(kind)
}

/// What may be shown of a key: prefix, eight characters, four stars.
pub fn preview(token: &str) -> String {
    let prefix = parse_kind(token).map_or(0, |kind| kind.prefix().len());
    let shown: String = token.chars().take(prefix + 8).collect();
    format!("{shown}****")
}

/// Six base62 digits of the CRC32 (IEEE), most significant first.
fn checksum(text: &str) -> String {
    let mut value = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; CHECK_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[value % 62];
        value /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// What is stored of a key.
pub type KeyHash = [u8; 32];

/// The keyed hash under which tokens are stored and looked up.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// A pepper of any length; 32 random bytes are usual.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Hmac::new_from_slice(bytes).expect("HMAC takes keys of every length"))
    }

    pub fn hash(&self, token: &str) -> KeyHash {
        let mut hmac = self.0.clone();
        hmac.update(token.as_bytes());
        hmac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_key_parses_and_every_change_of_it_is_refused() {
        let token = mint(KeyKind::Spend, &[7; 64]);
        let token = token.expose();
        assert_eq!(token.len(), 8 + 32 + 6);
        assert_eq!(parse_kind(token), Some(KeyKind::Spend));
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(parse_kind(&changed), None, "{changed}");
        }
        assert_eq!(parse_kind(&token[..token.len() - 1]), None);
        assert_eq!(parse_kind(&format!("{token}0")), None);
        assert_eq!(parse_kind("lava_sk_ü"), None);
        assert_eq!(parse_kind(""), None);
    }

    #[test]
    fn a_preview_shows_eight_characters() {
        let token = mint(KeyKind::Spend, &[0; 64]);
        assert_eq!(preview(token.expose()), "lava_sk_00000000****");
    }

    #[test]
    fn two_peppers_hash_apart() {
        assert_ne!(Pepper::new(b"one").hash("token"), Pepper::new(b"two").hash("token"));
    }
}
