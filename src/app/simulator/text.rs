//! The words that answers are made of: one output token is one word of four bytes.
//! The text is a fixed list repeated, so that a whole answer is copied and not composed, and so that its length in
//! bytes tells its length in tokens.

use std::sync::Arc;

use serde_json::Value;

use super::directive::Vocabulary;

/// The bytes of one output token: three letters and a space, or as many bytes of other scripts.
pub(super) const TOKEN_BYTES: usize = 4;

const PLAIN: &str = "the sun has set and all are now out for one old fox who can see \
                     far off and not let his big dog run too low but you may ask how \
                     any cat got its red hat war ash oak elm ivy sea bay cap tea jam \
                     nut fig pea egg ham pie ice oil ink pen key map bed box cup jar ";

/// Characters of one to four bytes; each word has four bytes, with a space where one fits.
const MULTI_BYTE: &str = "éa où 日 🙂né 本 ñandá 語 🚀fürça 水 🔥";

/// The text of one token, as it stands in a JSON string.
pub(super) fn word(vocabulary: &Vocabulary, position: u64) -> &str {
    let list = match vocabulary {
        Vocabulary::Said(tokens) => return tokens.get(position as usize).map_or("", |token| token),
        Vocabulary::Plain => PLAIN,
        Vocabulary::MultiByte => MULTI_BYTE,
    };
    let count = (list.len() / TOKEN_BYTES) as u64;
    let start = (position % count) as usize * TOKEN_BYTES;
    &list[start..start + TOKEN_BYTES]
}

/// The text as it is, of one that stands in a JSON string; a token never ends inside an escape.
pub(super) fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

/// Appends the text of that many tokens, as it stands in a JSON string.
pub(super) fn append(vocabulary: &Vocabulary, token_count: u64, target: &mut Vec<u8>) {
    let list = match vocabulary {
        Vocabulary::Said(tokens) => {
            let wanted = tokens.iter().take(token_count as usize);
            return wanted.for_each(|token| target.extend_from_slice(token.as_bytes()));
        }
        Vocabulary::Plain => PLAIN.as_bytes(),
        Vocabulary::MultiByte => MULTI_BYTE.as_bytes(),
    };
    let mut missing_bytes = token_count as usize * TOKEN_BYTES;
    while missing_bytes > 0 {
        let piece = &list[..missing_bytes.min(list.len())];
        target.extend_from_slice(piece);
        missing_bytes -= piece.len();
    }
}

/// A text as tokens of four characters, escaped for JSON.
pub(super) fn tokens(text: &str) -> Arc<[Box<str>]> {
    let characters: Vec<char> = text.chars().collect();
    let escaped = |piece: &[char]| {
        let quoted = Value::from(String::from_iter(piece)).to_string();
        quoted[1..quoted.len() - 1].into()
    };
    characters.chunks(TOKEN_BYTES).map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_four_bytes_and_the_text_is_the_words_in_order() {
        for vocabulary in [Vocabulary::Plain, Vocabulary::MultiByte] {
            let mut text = Vec::new();
            append(&vocabulary, 150, &mut text);
            let words: String = (0..150).map(|position| word(&vocabulary, position)).collect();
            assert_eq!(String::from_utf8(text).unwrap(), words);
            assert_eq!(words.len(), 150 * TOKEN_BYTES);
        }
    }

    #[test]
    fn what_is_to_be_said_is_said_whole_and_can_stand_in_json() {
        let said = r#"{"place":"Gräz\n"}"#;
        let vocabulary = Vocabulary::Said(tokens(said));
        let mut text = Vec::new();
        append(&vocabulary, 99, &mut text);
        let words: String = (0..99).map(|position| word(&vocabulary, position)).collect();
        assert_eq!(String::from_utf8(text).unwrap(), words);
        let read: String = serde_json::from_str(&format!("\"{words}\"")).unwrap();
        assert_eq!(read, said);
    }
}
