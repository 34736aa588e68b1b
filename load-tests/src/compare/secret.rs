//! Mints the secret key that Caldera is started with: prefix, 32 random base62 characters, and 6 more that check them.

use crate::failure::{Doing, Failure};

const PREFIX: &str = "aks_live_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A fresh secret key of a live merchant.
pub fn mint() -> Result<String, Failure> {
    let mut text = PREFIX.to_owned();
    while text.len() < PREFIX.len() + 32 {
        let mut random = [0_u8; 64];
        getrandom::fill(&mut random).doing("drawing a secret key")?;
        // 248 is the largest multiple of 62 in a byte: what lies above would make some characters likelier.
        let letters = random
            .iter()
            .filter(|byte| **byte < 248)
            .map(|byte| letter(u32::from(*byte)));
        text.extend(letters.take(PREFIX.len() + 32 - text.len()));
    }
    let check = checksum(&text);
    Ok(text + &check)
}

/// CRC32 (IEEE) of the text as six base62 characters, most significant first.
fn checksum(text: &str) -> String {
    let mut left = crc32fast::hash(text.as_bytes());
    let mut letters = ['0'; 6];
    for place in letters.iter_mut().rev() {
        *place = letter(left);
        left /= 62;
    }
    letters.iter().collect()
}

fn letter(value: u32) -> char {
    char::from(ALPHABET[(value % 62) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_prefix_secret_and_checksum() {
        let key = mint().unwrap();
        assert_eq!(key.len(), PREFIX.len() + 38);
        let (text, check) = key.split_at(PREFIX.len() + 32);
        assert_eq!(checksum(text), check);
        assert_ne!(mint().unwrap(), key);
    }

    #[test]
    fn the_checksum_is_padded_to_six_characters() {
        // CRC32 of "123456789" is 0xCBF43926, the check value of the algorithm.
        assert_eq!(checksum("123456789"), "3jZRME");
        assert_eq!(checksum(""), "000000");
    }
}
