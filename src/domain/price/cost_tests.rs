//! A million usages: each costs what the written-out sum says, whatever it is split into and in whatever order; and
//! rows booked one by one, in batches or the other way round come to the same balance.

use std::collections::BTreeMap;

use super::*;
use crate::domain::price::PriceBook;

const USAGES: usize = 1_000_000;
const BATCH: usize = 1_000;
const KEYS: u64 = 64;
const TIERS: [ServiceTier; 4] = [
    ServiceTier::Standard,
    ServiceTier::Flex,
    ServiceTier::Priority,
    ServiceTier::Ultrafast,
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
            ..Usage::default()
        }
    }
}

/// The units of a usage beside their rates, written out.
fn parts(price: &ModelPrice, usage: &Usage, tier: ServiceTier) -> [(u64, i64); 8] {
    let rates = price.rates_for(tier, usage.total_input());
    let audio_input = usage.audio_input_tokens.min(usage.input_tokens);
    let hidden = usage.reasoning_tokens.min(usage.output_tokens);
    let audio_output = usage.audio_output_tokens.min(usage.output_tokens - hidden);
    [
        (usage.input_tokens - audio_input, rates.input),
        (audio_input, rates.audio_input),
        (usage.cache_read_tokens, rates.cache_read),
        (usage.cache_write_tokens, rates.cache_write),
        (usage.cache_write_1h_tokens, rates.cache_write_1h),
        (usage.output_tokens - hidden - audio_output, rates.output),
        (hidden, rates.reasoning),
        (audio_output, rates.audio_output),
    ]
}

/// The same cost by another way: each part cut in two at random, begun anywhere, in millionths of a nano-dollar.
fn written_out(price: &ModelPrice, usage: &Usage, tier: ServiceTier, random: &mut Random) -> i64 {
    let parts = parts(price, usage, tier);
    let first = random.next() as usize % parts.len();
    let fees = i128::from(price.request_fee.nanos())
        + i128::from(usage.web_searches) * i128::from(price.web_search_fee.nanos());
    let mut millionths = fees * UNITS;
    for (units, rate) in parts[first..].iter().chain(&parts[..first]) {
        let cut = random.next() % (units + 1);
        millionths += i128::from(cut) * i128::from(*rate);
        millionths += i128::from(units - cut) * i128::from(*rate);
    }
    // Half up, by looking at the rest instead of adding a half.
    let up = i128::from(millionths % UNITS * 2 >= UNITS);
    i64::try_from(millionths / UNITS + up).unwrap()
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
