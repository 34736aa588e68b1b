//! How much a model may think: OpenAI's words and the budgets of tokens that other dialects ask for, by one table in
//! both directions.

use super::inner::Reasoning;

/// The words from the least to the most, each with its tokens.
const EFFORTS: [(&str, u64); 5] = [
    ("minimal", 1_024),
    ("low", 2_048),
    ("medium", 8_192),
    ("high", 16_384),
    ("xhigh", 32_768),
];

/// Reads an effort of any dialect; `None` for a word that nobody has.
pub fn of_word(word: &str) -> Option<Reasoning> {
    match word {
        "none" => Some(Reasoning::Off),
        "max" => Some(Reasoning::Effort("xhigh".to_owned())),
        _ => EFFORTS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(known, _)| Reasoning::Effort((*known).to_owned())),
    }
}

/// The tokens that a word allows; one that is not in the table counts as `medium`.
pub fn budget_tokens(effort: &str) -> u64 {
    EFFORTS
        .iter()
        .find(|(known, _)| *known == effort)
        .map_or(8_192, |(_, tokens)| *tokens)
}

/// The least word whose tokens cover a budget.
pub fn word(budget_tokens: u64) -> &'static str {
    EFFORTS
        .iter()
        .find(|(_, tokens)| budget_tokens <= *tokens)
        .map_or("xhigh", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_budgets_lead_to_each_other() {
        for (known, tokens) in EFFORTS {
            assert_eq!(of_word(known), Some(Reasoning::Effort(known.to_owned())));
            assert_eq!((budget_tokens(known), word(tokens)), (tokens, known));
        }
        let table = [
            (0, "minimal"),
            (1_025, "low"),
            (10_000, "high"),
            (31_999, "xhigh"),
            (u64::MAX, "xhigh"),
        ];
        for (tokens, expected) in table {
            assert_eq!(word(tokens), expected);
        }
        assert_eq!(of_word("none"), Some(Reasoning::Off));
        assert_eq!(of_word("much"), None);
    }
}
