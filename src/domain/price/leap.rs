//! Prices that leap: a new book in which a model costs ten times what it does in the book before, or a tenth. That is a
//! slipped digit more often than it is a price, so whoever changes the book refuses it until it is said to be meant,
//! in the entry itself or in the call that changes the book. What is priced in one of the books only does not leap; but
//! where the operator's entry leaves out what the entry that it replaces prices, he is told.

use std::fmt;

use super::{ModelPrice, PriceBook, Rates, ServiceTier};
use crate::domain::money::Money;

pub(super) const TIERS: [(ServiceTier, &str); 5] = [
    (ServiceTier::Standard, "standard"),
    (ServiceTier::Flex, "flex"),
    (ServiceTier::Priority, "priority"),
    (ServiceTier::Ultrafast, "ultrafast"),
    (ServiceTier::Batch, "batch"),
];

/// How far a price may move at most, in either direction.
const FACTOR: i128 = 10;
/// The kinds of tokens stand first among the named rates; of them a zero is a price too.
const TOKEN_KINDS: usize = 11;

/// The first price of a model that leaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leap {
    pub model: String,
    /// The unit, and where it is not the plain price, which.
    what: String,
    /// Nano-dollars for a million units.
    before: i64,
    now: i64,
}

impl fmt::Display for Leap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            model,
            what,
            before,
            now,
        } = self;
        write!(
            formatter,
            "{model}: a million units ({what}) would cost {now} instead of {before} nano-dollars"
        )
    }
}

impl PriceBook {
    /// The models of this book whose price leaps from that in the book before, in the order of their names; those left
    /// out whose entries say that they mean it.
    pub fn leaps_from(&self, before: &Self) -> Vec<Leap> {
        let both = self
            .models()
            .filter(|price| !self.accepted.contains(&price.id))
            .filter_map(|price| Some((price, before.get(&price.id)?)));
        let mut leaps: Vec<Leap> = both.filter_map(|(now, before)| leap(before, now)).collect();
        leaps.sort_by(|one, other| one.model.cmp(&other.model));
        leaps
    }

    /// How many models this book prices otherwise than the one before, or only one of the two prices at all.
    pub fn count_changes_from(&self, before: &Self) -> usize {
        let same = |price: &&std::sync::Arc<ModelPrice>| {
            before
                .get(&price.id)
                .is_some_and(|before| before.costs_the_same_as(price))
        };
        let common = self.models().filter(|price| before.get(&price.id).is_some()).count();
        self.models().count() - self.models().filter(same).count() + before.models().count() - common
    }
}

impl ModelPrice {
    /// Whether nothing but the book that it stands in is different.
    pub(super) fn costs_the_same_as(&self, other: &Self) -> bool {
        let plain = |price: &Self| Self {
            book_version: None,
            off_peak: None,
            ..price.clone()
        };
        let off_peak = match (&self.off_peak, &other.off_peak) {
            (None, None) => true,
            (Some(one), Some(other)) => one.windows == other.windows && one.price.costs_the_same_as(&other.price),
            (Some(_), None) | (None, Some(_)) => false,
        };
        off_peak && plain(self) == plain(other)
    }
}

fn leap(before: &ModelPrice, now: &ModelPrice) -> Option<Leap> {
    let off_peak = |price: &ModelPrice| price.off_peak.as_ref().map(|off_peak| off_peak.price.clone());
    tier_leap(before, now).or_else(|| fee_leap(before, now)).or_else(|| {
        let now = off_peak(now)?;
        match off_peak(before) {
            Some(before) => tier_leap(&before, &now),
            None => tier_leap(before, &now),
        }
    })
}

fn tier_leap(before: &ModelPrice, now: &ModelPrice) -> Option<Leap> {
    TIERS.iter().find_map(|(tier, name)| {
        let (before_tier, now_tier) = (before.tier(*tier), now.tier(*tier));
        let thresholds = before_tier.long_context.iter().chain(&now_tier.long_context);
        let lengths = std::iter::once(0).chain(thresholds.map(|(above, _)| above.saturating_add(1)));
        lengths.into_iter().find_map(|length| {
            let rates = (before.rates_for(*tier, length), now.rates_for(*tier, length));
            let (what, before, after) = rate_leap(rates)?;
            let threshold = if length > 0 {
                format!(", from {length}")
            } else {
                String::new()
            };
            Some(Leap {
                model: now.id.to_string(),
                what: format!("{what}, {name}{threshold}"),
                before,
                now: after,
            })
        })
    })
}

/// The first rate that leaps: its name, what it was and what it is.
fn rate_leap((before, now): (&Rates, &Rates)) -> Option<(&'static str, i64, i64)> {
    let pairs = before.named().into_iter().zip(now.named()).enumerate();
    let mut leaping = pairs.filter(|(place, ((_, before), (_, now)))| {
        let priced = (*before != 0 && *now != 0) || *place < TOKEN_KINDS;
        priced && is_leap(*before, *now)
    });
    leaping
        .next()
        .map(|(_, ((name, before), (_, now)))| (name, before, now))
}

fn fee_leap(before: &ModelPrice, now: &ModelPrice) -> Option<Leap> {
    let million = |fee: Money| fee.nanos().saturating_mul(1_000_000);
    let mut leaping = fees(before, now).into_iter().filter(|(_, before, now)| {
        let priced = *before != Money::ZERO && *now != Money::ZERO;
        priced && is_leap(before.nanos(), now.nanos())
    });
    leaping.next().map(|(what, before, after)| Leap {
        model: now.id.to_string(),
        what: what.to_owned(),
        before: million(before),
        now: million(after),
    })
}

pub(super) fn fees(before: &ModelPrice, now: &ModelPrice) -> [(&'static str, Money, Money); 2] {
    [
        ("call", before.request_fee, now.request_fee),
        ("web search", before.web_search_fee, now.web_search_fee),
    ]
}

/// What is billed beside tokens by the price before and free by this one, because nothing is said of it.
pub(super) fn left_out(before: &ModelPrice, now: &ModelPrice) -> Vec<&'static str> {
    let rates = before.standard.base.named().into_iter().zip(now.standard.base.named());
    let units = rates
        .skip(TOKEN_KINDS)
        .filter(|((_, before), (_, now))| *before != 0 && *now == 0)
        .map(|((name, _), _)| name);
    let gone = |(_, before, now): &(&str, Money, Money)| *before != Money::ZERO && *now == Money::ZERO;
    let fees = fees(before, now).into_iter().filter(gone).map(|(name, _, _)| name);
    units.chain(fees).collect()
}

fn is_leap(before: i64, now: i64) -> bool {
    let (before, now) = (i128::from(before), i128::from(now));
    before != now && (now >= before * FACTOR || now * FACTOR <= before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(entry: &str) -> PriceBook {
        PriceBook::parse(&format!(
            r#"{{"m": {{"litellm_provider": "openai", "mode": "chat", {entry}}}}}"#
        ))
        .unwrap()
        .0
    }

    #[test]
    fn a_price_leaps_at_ten_times_and_at_a_tenth_and_not_before() {
        let base = r#""input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "input_cost_per_token_flex": 5e-7,
            "search_context_cost_per_query": {"high": 0.01}"#;
        let table = [
            (base, None),
            (
                r#""input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "input_cost_per_token_flex": 5e-7,
                   "search_context_cost_per_query": {"high": 0.1}"#,
                Some("web search"),
            ),
            (
                r#""input_cost_per_token": 9.999e-6, "output_cost_per_token": 2e-6, "input_cost_per_token_flex": 5e-7"#,
                None,
            ),
            (
                r#""input_cost_per_token": 1e-5, "output_cost_per_token": 2e-6"#,
                Some("input token"),
            ),
            (
                r#""input_cost_per_token": 1e-7, "output_cost_per_token": 2e-6"#,
                Some("input token"),
            ),
            (
                r#""input_cost_per_token": 0, "output_cost_per_token": 2e-6"#,
                Some("input token"),
            ),
            (
                r#""input_cost_per_token": 1e-6, "output_cost_per_token": 2e-5"#,
                Some("output token"),
            ),
            (
                r#""input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "cache_read_input_token_cost": 1e-7"#,
                Some("cached input token"),
            ),
            (
                r#""input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "input_cost_per_token_flex": 5e-6"#,
                Some("input token, flex"),
            ),
            (
                r#""input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
                   "output_cost_per_token_above_200k_tokens": 2e-5"#,
                Some("output token, standard, from 200001"),
            ),
            (
                r#""input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
                   "off_peak_pricing":
                   {"input_cost_per_token": 1e-7, "windows": [{"hours_utc": "00:00-01:00"}]}"#,
                Some("input token, standard"),
            ),
        ];
        for (entry, what) in table {
            let leaps = book(entry).leaps_from(&book(base));
            let told = leaps.first().map(ToString::to_string);
            assert_eq!(told.is_some(), what.is_some(), "{entry}: {told:?}");
            let (told, what) = (told.unwrap_or_default(), what.unwrap_or_default());
            assert!(told.contains(what), "{entry}: {told}");
        }
    }

    #[test]
    fn a_leap_that_is_meant_and_a_unit_that_had_no_price_are_none() {
        let base = book(r#""input_cost_per_token": 1e-6"#);
        let meant = book(r#""input_cost_per_token": 1e-4, "caldera_accept": true"#);
        let more = book(r#""input_cost_per_token": 1e-6, "input_cost_per_query": 0.5"#);
        let free = book(r#""input_cost_per_token": 0"#);
        assert_eq!(meant.leaps_from(&base), []);
        assert_eq!(more.leaps_from(&base), []);
        assert_eq!(base.leaps_from(&free).len(), 1, "a free model that begins to cost");
        assert_eq!(base.leaps_from(&PriceBook::default()), []);
        assert_eq!((more.count_changes_from(&base), base.count_changes_from(&base)), (1, 0));
        assert_eq!(PriceBook::default().count_changes_from(&base), 1);
    }
}
