//! A million usages: each costs what the written-out sum says, whatever it is split into and in whatever order; and
//! rows booked one by one, in batches or the other way round come to the same balance.

use std::collections::BTreeMap;

use super::*;
use crate::domain::price::PriceBook;

const USAGES: usize = 1_000_000;
const BATCH: usize = 1_000;
const KEYS: u64 = 64;
const TIERS: [ServiceTier; 5] = [
    ServiceTier::Standard,
    ServiceTier::Flex,
    ServiceTier::Priority,
    ServiceTier::Ultrafast,
    ServiceTier::Batch,
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Small numbers are as likely as large ones, and zero is a number.
    fn count(&mut self, bound: u64) -> u64 {
        let shift = self.next() % 24;
        (self.next() % bound) >> shift
    }

    fn usage(&mut self) -> Usage {
        Usage {
            input_tokens: self.count(1_200_000),
            cache_read_tokens: self.count(1_200_000),
            cache_write_tokens: self.count(500_000),
            cache_write_1h_tokens: self.count(500_000),
            output_tokens: self.count(200_000),
            reasoning_tokens: self.count(200_000),
            audio_input_tokens: self.count(100_000),
            audio_output_tokens: self.count(100_000),
            web_searches: self.count(20),
            image_input_tokens: self.count(100_000),
            image_output_tokens: self.count(100_000),
            audio_cache_read_tokens: self.count(100_000),
            images: self.count(20),
            characters: self.count(100_000),
            audio_ms: self.count(20_000_000),
            output_audio_ms: self.count(20_000_000),
            pages: self.count(2_000),
            queries: self.count(2_000),
            output_characters: 0,
        }
    }
}

/// The units of a usage beside their rates, written out; sound by the second, in thousandths.
fn parts(price: &ModelPrice, usage: &Usage, tier: ServiceTier) -> [(u64, i128); 17] {
    let rates = price.rates_for(tier, usage.total_input());
    let audio_input = usage.audio_input_tokens.min(usage.input_tokens);
    let image_input = usage.image_input_tokens.min(usage.input_tokens - audio_input);
    let audio_read = usage.audio_cache_read_tokens.min(usage.cache_read_tokens);
    let hidden = usage.reasoning_tokens.min(usage.output_tokens);
    let audio_output = usage.audio_output_tokens.min(usage.output_tokens - hidden);
    let image_output = usage
        .image_output_tokens
        .min(usage.output_tokens - hidden - audio_output);
    let said = |tokens: u64, rate: i64| tokens > 0 && rate > 0;
    let unless = |said: bool, units| if said { 0 } else { units };
    let text = said(usage.input_tokens, rates.input);
    let made = said(usage.output_tokens, rates.output) || said(usage.output_tokens, rates.image_output);
    let heard = said(usage.audio_input_tokens, rates.audio_input);
    let spoken = said(usage.output_tokens, rates.audio_output);
    let plain_input = usage.input_tokens - audio_input - image_input;
    let plain_output = usage.output_tokens - hidden - audio_output - image_output;
    let whole = |rate: i64| i128::from(rate) * 1_000;
    [
        (plain_input, whole(rates.input)),
        (audio_input, whole(rates.audio_input)),
        (image_input, whole(rates.image_input)),
        (usage.cache_read_tokens - audio_read, whole(rates.cache_read)),
        (audio_read, whole(rates.audio_cache_read)),
        (usage.cache_write_tokens, whole(rates.cache_write)),
        (usage.cache_write_1h_tokens, whole(rates.cache_write_1h)),
        (plain_output, whole(rates.output)),
        (hidden, whole(rates.reasoning)),
        (audio_output, whole(rates.audio_output)),
        (image_output, whole(rates.image_output)),
        (unless(made, usage.images), whole(rates.image)),
        (unless(text, usage.characters), whole(rates.character)),
        (unless(heard, usage.audio_ms), rates.second.into()),
        (unless(spoken, usage.output_audio_ms), rates.output_second.into()),
        (unless(text, usage.pages), whole(rates.page)),
        (usage.queries, whole(rates.query)),
    ]
}

/// The same cost by another way: each part cut in two at random, begun anywhere, in thousand-millionths of a
/// nano-dollar.
fn written_out(price: &ModelPrice, usage: &Usage, tier: ServiceTier, random: &mut Random) -> i64 {
    const FINE: i128 = UNITS * 1_000;
    let parts = parts(price, usage, tier);
    let first = random.next() as usize % parts.len();
    let searches = match price.web_search_unit {
        WebSearchUnit::Search => usage.web_searches,
        WebSearchUnit::Call => u64::from(usage.web_searches > 0),
    };
    let fees = i128::from(price.request_fee.nanos()) + i128::from(searches) * i128::from(price.web_search_fee.nanos());
    let mut sum = fees * FINE;
    for (units, rate) in parts[first..].iter().chain(&parts[..first]) {
        let cut = random.next() % (units + 1);
        sum += i128::from(cut) * rate;
        sum += i128::from(units - cut) * rate;
    }
    // Half up, by looking at the rest instead of adding a half.
    let up = i128::from(sum % FINE * 2 >= FINE);
    i64::try_from(sum / FINE + up).unwrap()
}

#[test]
fn of_a_million_usages_each_costs_its_written_out_sum_and_rows_sum_to_the_balance() {
    let (book, _) = PriceBook::parse(include_str!("../../../config/prices.json")).unwrap();
    let mut models: Vec<_> = book.models().collect();
    models.sort_by(|one, other| one.id.cmp(&other.id));
    let mut random = Random(16);
    let mut rows: Vec<(u64, Money)> = Vec::with_capacity(USAGES);
    for _ in 0..USAGES {
        let model = models[random.next() as usize % models.len()];
        let (usage, tier) = (random.usage(), TIERS[random.next() as usize % TIERS.len()]);
        let cost = model.cost(&usage, tier).unwrap();
        let expected = written_out(model, &usage, tier, &mut random);
        assert_eq!(cost.nanos(), expected, "{} {tier:?} {usage:?}", model.id);
        rows.push((random.next() % KEYS, cost));
    }
    assert_balances(&rows);
}

/// One by one from the first, in batches summed by key from the last: the same to the nano-dollar.
fn assert_balances(rows: &[(u64, Money)]) {
    let exact: i128 = rows.iter().map(|(_, cost)| i128::from(cost.nanos())).sum();
    let funded = Money::from_nanos(i64::MAX / 2);
    let mut balance = funded;
    let mut spent = BTreeMap::<u64, Money>::new();
    for (key, cost) in rows {
        balance = balance.checked_sub(*cost).unwrap();
        let own = spent.entry(*key).or_default();
        *own = own.checked_add(*cost).unwrap();
    }
    assert_eq!(i128::from(funded.nanos()) - i128::from(balance.nanos()), exact);
    let mut batched = BTreeMap::<u64, Money>::new();
    let mut batched_balance = funded;
    for batch in rows.chunks(BATCH).rev() {
        let mut deltas = BTreeMap::<u64, Money>::new();
        for (key, cost) in batch.iter().rev() {
            let delta = deltas.entry(*key).or_default();
            *delta = delta.checked_add(*cost).unwrap();
        }
        for (key, delta) in deltas {
            let own = batched.entry(key).or_default();
            *own = own.checked_add(delta).unwrap();
            batched_balance = batched_balance.checked_sub(delta).unwrap();
        }
    }
    assert_eq!(batched, spent);
    assert_eq!(batched_balance, balance);
    eprintln!("{} rows cost {exact} nano-dollars, in any order", rows.len());
}

#[test]
fn a_sum_past_the_largest_amount_is_an_error_and_the_largest_is_none() {
    let price = ModelPrice::flat("flat", Money::from_nanos(1_000_000), Money::MAX);
    let cost = |input_tokens| {
        price.cost(
            &Usage {
                input_tokens,
                ..Usage::default()
            },
            ServiceTier::Standard,
        )
    };
    assert_eq!(cost(i64::MAX as u64), Ok(Money::MAX));
    assert_eq!(cost(i64::MAX as u64 + 1), Err(PriceOverflow));
    let output = Usage {
        output_tokens: u64::MAX,
        ..Usage::default()
    };
    assert_eq!(price.cost(&output, ServiceTier::Standard), Err(PriceOverflow));
}
