//! An answer as it is decided before its first byte: its length, its end and the usage it will report.
//! The dialects only write it down. What is reported follows the directives and may be a lie; what was served is
//! kept apart, in the ledger's entry.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::directive::{Cap, Directives, Report, ReportedUsage, Vocabulary};
use super::request::Call;

/// The shortest answer that is made when no length is asked for, and how many lengths there are from it on.
const NATURAL_TOKENS_MINIMUM: u64 = 8;
const NATURAL_TOKENS_SPAN: u64 = 57;

/// The reported number of tokens for `usage=huge`: the first integer past which a double loses count.
const HUGE: i64 = 1 << 53;

/// One decided answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub id: AnswerId,
    pub created: u64,
    pub model_json: Box<str>,
    pub choice_count: u32,
    /// The tokens of each choice.
    pub token_count: u64,
    pub finish: Finish,
    pub vocabulary: Vocabulary,
    /// Searches of the web that were made for it.
    pub search_count: u32,
    pub usage: Option<Usage>,
}

/// Why the text ends where it ends.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Finish {
    Natural,
    Length,
}

/// The usage as it is reported.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) struct Usage {
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cached_tokens: i64,
    pub cache_write_tokens: i64,
    pub reasoning_tokens: i64,
    /// The output reported when an Anthropic stream begins, before anything was written.
    pub first_output_tokens: i64,
}

/// The number behind the ids that an answer carries; unique over restarts for all practical purposes.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnswerId(u64);

impl Answer {
    /// Decides the answer to a call; `body` is what an unasked length is drawn from.
    pub(super) fn decide(call: &Call<'_>, directives: &Directives, body: &[u8]) -> Self {
        let natural = natural(directives, body);
        let (token_count, finish) = match (directives.cap, call.output_tokens_cap) {
            (Cap::Respected, Some(cap)) if cap < natural => (cap, Finish::Length),
            (Cap::Respected | Cap::Ignored, _) => (natural, Finish::Natural),
        };
        let output_tokens = token_count * u64::from(call.choice_count);
        Self {
            id: AnswerId::next(),
            created: unix_seconds(),
            model_json: call.model_json.into(),
            choice_count: call.choice_count,
            token_count,
            finish,
            vocabulary: directives.vocabulary.clone(),
            search_count: directives.web_searches,
            usage: Usage::reported(&directives.report, call.input_tokens, output_tokens),
        }
    }

    /// The tokens of all choices together.
    pub(super) fn output_tokens(&self) -> u64 {
        self.token_count * u64::from(self.choice_count)
    }

    /// The bytes of the text of all choices together.
    pub(super) fn text_bytes(&self) -> usize {
        self.output_tokens() as usize * super::text::TOKEN_BYTES
    }
}

impl Usage {
    /// What is reported of an answer that took this much.
    pub(super) fn reported(report: &Report, input_tokens: u64, output_tokens: u64) -> Option<Self> {
        let (input, output, first_output) = match report.usage {
            ReportedUsage::Truth => (signed(input_tokens), signed(output_tokens), 1),
            ReportedUsage::Zero => return Some(Self::ZERO),
            ReportedUsage::Missing => return None,
            ReportedUsage::Negative => (-1, -1, -1),
            ReportedUsage::Huge => (HUGE, HUGE, HUGE),
        };
        Some(Self {
            input_tokens: report.input_tokens.unwrap_or(input),
            output_tokens: report.output_tokens.unwrap_or(output),
            cached_tokens: i64::from(report.cached_tokens),
            cache_write_tokens: i64::from(report.cache_write_tokens),
            reasoning_tokens: i64::from(report.reasoning_tokens),
            first_output_tokens: first_output,
        })
    }

    const ZERO: Self = Self {
        input_tokens: 0,
        output_tokens: 0,
        cached_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
        first_output_tokens: 0,
    };
}

impl AnswerId {
    /// The next id; the first is drawn from the clock.
    pub(super) fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        static START: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            scattered(since_epoch.as_nanos() as u64)
        });
        Self(START.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Twenty-nine letters and digits, as long as those that OpenAI makes.
impl fmt::Display for AnswerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = scattered(self.0);
        let second = scattered(first) >> 12;
        write!(formatter, "{first:016x}{second:013x}")
    }
}

/// The finishing steps of splitmix64: neighbours become strangers, and no two numbers become one.
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The length that no cap cuts: of what is to be said, or as asked for, or drawn from the body.
pub(super) fn natural(directives: &Directives, body: &[u8]) -> u64 {
    match &directives.vocabulary {
        Vocabulary::Said(tokens) => tokens.len() as u64,
        Vocabulary::Plain | Vocabulary::MultiByte => directives.output_tokens.unwrap_or_else(|| natural_tokens(body)),
    }
}

/// The length of an answer of which none was asked for.
pub(super) fn natural_tokens(body: &[u8]) -> u64 {
    let (words, tail) = body.as_chunks::<8>();
    let mut hash = body.len() as u64;
    for word in words {
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    for byte in tail {
        hash = (hash.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    NATURAL_TOKENS_MINIMUM + scattered(hash) % NATURAL_TOKENS_SPAN
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The seconds of Unix time.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_natural_length_depends_on_the_body_alone_and_stays_in_its_bounds() {
        let mut lengths = std::collections::BTreeSet::new();
        for number in 0..2_000 {
            let body = format!("body {number}");
            let length = natural_tokens(body.as_bytes());
            assert_eq!(length, natural_tokens(body.as_bytes()));
            lengths.insert(length);
        }
        assert_eq!(
            (lengths.first(), lengths.last(), lengths.len()),
            (Some(&8), Some(&64), 57)
        );
    }

    #[test]
    fn ids_are_of_one_length_and_differ() {
        let ids: std::collections::BTreeSet<String> = (0..1_000).map(|_| AnswerId::next().to_string()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.len() == 29));
    }
}
