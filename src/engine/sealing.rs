//! Seals secrets for the database (XChaCha20-Poly1305) and opens them again. A sealed text is bound to its place: one
//! that was moved to another row, or changed by a bit, does not open. The key comes from the sealing key file and is
//! never in the database. It fails closed: what does not open is an error, never an empty secret.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::random::{self, NoRandomness};
use crate::domain::secret::Secret;

/// How a sealed text begins: the form of the rest.
const FORM: u8 = 1;
const NONCE_LENGTH: usize = 24;
/// What the file's bytes are used for here; another use has another key.
const PURPOSE: &[u8] = b"caldera stored secrets, form 1";
const DERIVED_PURPOSE: &[u8] = b"caldera derived sealing keys, form 1";

/// What does not open: another key sealed it, for another place, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be opened: it was sealed with another key or for another row")]
pub struct SealBroken;

/// The key that seals.
pub struct SealingKey {
    cipher: XChaCha20Poly1305,
    /// What other keys are derived under.
    root: Zeroizing<[u8; 32]>,
}

/// The key never shows.
impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey(..)")
    }
}

impl SealingKey {
    /// From the bytes of the key file, of any length.
    pub fn new(bytes: &[u8]) -> Self {
        let key = Zeroizing::new(hmac(bytes, &[PURPOSE]));
        Self {
            cipher: XChaCha20Poly1305::new(Key::from_slice(key.as_slice())),
            root: Zeroizing::new(hmac(bytes, &[DERIVED_PURPOSE])),
        }
    }

    /// The key that this one and a caller's text make together (HKDF-SHA256): without either, nothing opens.
    pub fn derive(&self, text: &[u8], purpose: &[u8]) -> Self {
        let material = Zeroizing::new(hkdf(&*self.root, text, purpose));
        Self::new(&*material)
    }

    /// Seals a secret for one place, such as `provider_keys|<row id>|key`.
    pub fn seal(&self, place: &str, secret: &Secret<String>) -> Result<Vec<u8>, NoRandomness> {
        let nonce = random::bytes::<NONCE_LENGTH>()?;
        let payload = Payload {
            msg: secret.expose().as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.expect("only a text of hundreds of gigabytes is too long");
        Ok([&[FORM], &nonce[..], &sealed[..]].concat())
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Secret<String>, SealBroken> {
        let rest = sealed.strip_prefix(&[FORM]).ok_or(SealBroken)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LENGTH).ok_or(SealBroken)?;
        let payload = Payload {
            msg: text,
            aad: place.as_bytes(),
        };
        let opened = self.cipher.decrypt(XNonce::from_slice(nonce), payload);
        let opened = Zeroizing::new(opened.map_err(|_| SealBroken)?);
        let text = std::str::from_utf8(&opened).map_err(|_| SealBroken)?;
        Ok(Secret::new(text.to_owned()))
    }
}

/// 32 bytes as RFC 5869 has them: extracted, then expanded by one block.
fn hkdf(salt: &[u8], material: &[u8], purpose: &[u8]) -> [u8; 32] {
    let extracted = Zeroizing::new(hmac(salt, &[material]));
    hmac(&*extracted, &[purpose, &[1]])
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "provider_keys|pvk_1|key";

    fn sealed(key: &SealingKey) -> Vec<u8> {
        key.seal(PLACE, &Secret::new("sk-hidden-text".to_owned())).unwrap()
    }

    #[test]
    fn a_sealed_secret_opens_in_its_place_and_shows_nothing_before() {
        let key = SealingKey::new(&[7; 32]);
        let (one, other) = (sealed(&key), sealed(&key));
        assert_ne!(one, other, "each has a nonce of its own");
        assert!(!one.windows(6).any(|window| window == b"hidden"));
        assert_eq!(key.open(PLACE, &one).unwrap().expose(), "sk-hidden-text");
        let again = SealingKey::new(&[7; 32]);
        assert_eq!(again.open(PLACE, &other).unwrap().expose(), "sk-hidden-text");
        assert!(!format!("{key:?}").contains('7'));
    }

    #[test]
    fn it_opens_with_no_other_key_in_no_other_place_and_after_no_change() {
        let key = SealingKey::new(&[7; 32]);
        let text = sealed(&key);
        assert_eq!(SealingKey::new(&[8; 32]).open(PLACE, &text).unwrap_err(), SealBroken);
        assert!(SealingKey::new(&[7; 33]).open(PLACE, &text).is_err());
        for place in ["provider_keys|pvk_2|key", "provider_keys|pvk_1|name", ""] {
            assert!(key.open(place, &text).is_err(), "{place}");
        }
        for byte in 0..text.len() {
            let mut changed = text.clone();
            changed[byte] ^= 1;
            assert!(key.open(PLACE, &changed).is_err(), "byte {byte}");
            assert!(key.open(PLACE, &text[..byte]).is_err(), "{byte} bytes");
        }
    }

    #[test]
    fn a_derived_key_needs_both_the_servers_key_and_the_text() {
        let derived = |file: u8, text: &[u8], purpose: &[u8]| SealingKey::new(&[file; 32]).derive(text, purpose);
        let text = sealed(&derived(7, b"order-1", b"answers"));
        let same = derived(7, b"order-1", b"answers");
        assert_eq!(same.open(PLACE, &text).unwrap().expose(), "sk-hidden-text");
        let others = [
            derived(8, b"order-1", b"answers"),
            derived(7, b"order-2", b"answers"),
            derived(7, b"order-1", b"other"),
            SealingKey::new(&[7; 32]),
        ];
        assert!(others.iter().all(|other| other.open(PLACE, &text).is_err()));
    }

    #[test]
    fn the_derivation_is_that_of_rfc_5869() {
        // Its first test case; the first block of what it expands to.
        let salt: Vec<u8> = (0..=0x0c).collect();
        let purpose: Vec<u8> = (0xf0..=0xf9).collect();
        let hex: String = hkdf(&salt, &[0x0b; 22], &purpose)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    }
}
