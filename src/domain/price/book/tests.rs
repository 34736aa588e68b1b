//! The shipped price file: what it says, and what holds for every model of it.

use proptest::prelude::*;

use super::*;
use crate::domain::money::Money;
use crate::domain::price::{Bound, HiddenOutput, Mode, PriceError, ServiceTier};
use crate::domain::usage::Usage;

const SHIPPED: &str = include_str!("../../../../config/prices.json");

fn shipped() -> &'static PriceBook {
    static BOOK: std::sync::OnceLock<PriceBook> = std::sync::OnceLock::new();
    BOOK.get_or_init(|| PriceBook::parse(SHIPPED).unwrap().0)
}

fn model(id: &str) -> Arc<ModelPrice> {
    shipped().prices[id].clone()
}

fn names(list: &[&str]) -> Vec<Arc<str>> {
    list.iter().map(|name| Arc::from(*name)).collect()
}

#[test]
fn the_shipped_file_is_read_with_exact_prices() {
    let (book, warnings) = PriceBook::parse(SHIPPED).unwrap();
    assert!(book.models().count() > 2_000, "{}", book.models().count());
    assert!(warnings.len() < 200, "{warnings:?}");
    assert_eq!(book.version(), crc32fast::hash(SHIPPED.as_bytes()));
    let mini = model("gpt-4o-mini");
    assert_eq!(mini.standard.base.input, 150_000_000);
    assert_eq!(mini.standard.base.cache_read, 75_000_000);
    assert_eq!(mini.standard.base.output, 600_000_000);
    assert_eq!(mini.priority.as_ref().unwrap().base.input, 250_000_000);
    assert_eq!(
        (mini.max_input_tokens, mini.max_output_tokens),
        (Some(128_000), Some(16_384))
    );
    assert_eq!((mini.mode, mini.hidden_output), (Mode::Chat, HiddenOutput::Never));
    assert_eq!(mini.web_search_fee, Money::from_nanos(25_000_000));
    let sonnet = model("claude-sonnet-4-6");
    assert_eq!(sonnet.standard.base.cache_write, 3_750_000_000);
    assert_eq!(sonnet.standard.base.cache_write_1h, 6_000_000_000);
    assert_eq!(sonnet.hidden_output, HiddenOutput::OnRequest);
    assert_eq!(model("claude-fable-5").hidden_output, HiddenOutput::Always);
}

#[test]
fn finds_a_model_by_tag_and_prefix_only() {
    let book = shipped();
    let find = |tags: &[&str], prefixes: &[&str], id: &str| {
        book.find(&names(tags), &names(prefixes), id)
            .map(|price| price.id.to_string())
    };
    assert_eq!(
        find(&["openai"], &["openai"], "gpt-4o-mini").as_deref(),
        Some("gpt-4o-mini")
    );
    assert_eq!(
        find(&["gemini"], &["gemini"], "gemini-2.5-flash").as_deref(),
        Some("gemini/gemini-2.5-flash")
    );
    assert_eq!(find(&["groq"], &["groq"], "gpt-4o-mini"), None);
    assert_eq!(find(&["openai"], &["openai"], "no-such-model"), None);
    let tuned = find(&["openai"], &["openai"], "ft:gpt-4o-mini-2024-07-18:acme::abc");
    assert_eq!(tuned.as_deref(), Some("ft:gpt-4o-mini-2024-07-18"));
}

#[test]
fn a_cost_is_one_sum_rounded_half_up_once() {
    let table = [
        // (model, input, read, written, written for an hour, output, expected nano-dollars)
        ("gpt-4o-mini", 1_000, 0, 0, 0, 500, 450_000),
        ("gpt-4o-mini", 0, 0, 0, 0, 0, 0),
        ("gpt-4o-mini", 100, 900, 0, 0, 0, 82_500),
        (
            "claude-sonnet-4-6",
            10,
            100,
            1_000,
            2_000,
            50,
            30_000 + 30_000 + 3_750_000 + 12_000_000 + 750_000,
        ),
    ];
    for (id, input, read, write, hour, output, nanos) in table {
        let usage = Usage {
            input_tokens: input,
            cache_read_tokens: read,
            cache_write_tokens: write,
            cache_write_1h_tokens: hour,
            output_tokens: output,
            ..Usage::default()
        };
        assert_eq!(
            model(id).cost(&usage, ServiceTier::Standard),
            Ok(Money::from_nanos(nanos)),
            "{id}"
        );
    }
    let half = ModelPrice::flat("half", Money::from_nanos(500_000), Money::ZERO);
    let one = Usage {
        input_tokens: 1,
        ..Usage::default()
    };
    assert_eq!(half.cost(&one, ServiceTier::Standard), Ok(Money::from_nanos(1)));
    let less = ModelPrice::flat("less", Money::from_nanos(499_999), Money::ZERO);
    assert_eq!(less.cost(&one, ServiceTier::Standard), Ok(Money::ZERO));
    let bound = Bound {
        input_tokens: 1,
        ..Bound::default()
    };
    assert_eq!(less.upper_bound(&bound), Ok(Money::from_nanos(1)));
}

#[test]
fn the_whole_call_is_dearer_above_the_threshold() {
    let price = model("gpt-5.4");
    let at = Usage {
        input_tokens: 272_000,
        ..Usage::default()
    };
    let above = Usage {
        input_tokens: 272_001,
        ..Usage::default()
    };
    assert_eq!(
        price.cost(&at, ServiceTier::Standard),
        Ok(Money::from_nanos(272_000 * 2_500))
    );
    assert_eq!(
        price.cost(&above, ServiceTier::Standard),
        Ok(Money::from_nanos(272_001 * 5_000))
    );
    assert_eq!(
        price.cost(&above, ServiceTier::Flex),
        Ok(Money::from_nanos(272_001 * 2_500))
    );
    let cached = Usage {
        cache_read_tokens: 272_001,
        ..Usage::default()
    };
    assert_eq!(
        price.cost(&cached, ServiceTier::Standard),
        Ok(Money::from_nanos(272_001 * 500))
    );
}

#[test]
fn units_beside_tokens_cost_what_the_file_says() {
    let usage = |count: fn(&mut Usage)| {
        let mut usage = Usage::default();
        count(&mut usage);
        usage
    };
    let second = |usage: &mut Usage| usage.audio_ms = 1_500;
    let table: [(&str, Usage, ServiceTier, i64); 13] = [
        (
            "tts-1",
            usage(|usage| usage.characters = 7),
            ServiceTier::Standard,
            7 * 15_000,
        ),
        ("whisper-1", usage(second), ServiceTier::Standard, 150_000),
        ("groq/whisper-large-v3", usage(second), ServiceTier::Standard, 46_245),
        // 0.000283333333333 dollars a second: finer than a nano-dollar in the middle, rounded at the end.
        ("gpt-live-transcribe", usage(second), ServiceTier::Standard, 425_000),
        (
            "gpt-4o-mini-tts",
            usage(|usage| usage.output_audio_ms = 10),
            ServiceTier::Standard,
            2_500,
        ),
        (
            "mistral/mistral-ocr-3",
            usage(|usage| usage.pages = 3),
            ServiceTier::Standard,
            6_000_000,
        ),
        (
            "mistral/mistral-ocr-3",
            usage(|usage| usage.pages = 3),
            ServiceTier::Batch,
            3_000_000,
        ),
        (
            "rerank-v3.5",
            usage(|usage| usage.queries = 2),
            ServiceTier::Standard,
            4_000_000,
        ),
        (
            "xai/grok-imagine-image",
            usage(|usage| usage.images = 2),
            ServiceTier::Standard,
            40_000_000,
        ),
        (
            "gemini/gemini-2.5-flash",
            usage(|usage| (usage.cache_read_tokens, usage.audio_cache_read_tokens) = (30, 10)),
            ServiceTier::Standard,
            20 * 30 + 10 * 100,
        ),
        // A grounded call is billed once, but for the models where each query counts.
        (
            "gemini/gemini-2.5-flash",
            usage(|usage| usage.web_searches = 5),
            ServiceTier::Standard,
            35_000_000,
        ),
        (
            "gemini/gemini-3-flash-preview",
            usage(|usage| usage.web_searches = 5),
            ServiceTier::Standard,
            70_000_000,
        ),
        (
            "gemini-2.5-pro",
            usage(|usage| (usage.input_tokens, usage.output_tokens) = (200_001, 1)),
            ServiceTier::Batch,
            200_001 * 1_250 + 7_500,
        ),
    ];
    for (id, usage, tier, nanos) in table {
        assert_eq!(
            model(id).cost(&usage, tier),
            Ok(Money::from_nanos(nanos)),
            "{id} {usage:?}"
        );
    }
}

#[test]
fn an_off_peak_price_holds_in_its_hours_and_is_kept_by_the_call() {
    let price = model("deepseek/deepseek-v4-pro");
    // Monday 2026-11-16, 02:00 and 05:00 UTC.
    let peak = price.at(1_794_794_400_000);
    let night = price.at(1_794_805_200_000);
    assert!(Arc::ptr_eq(&peak, &price));
    assert_eq!(
        (night.standard.base.input, night.standard.base.cache_read),
        (660_000_000, 22_000_000)
    );
    assert!(peak.standard.base.input > night.standard.base.input);
    assert_eq!(
        (&night.id, night.max_output_tokens),
        (&price.id, price.max_output_tokens)
    );
    assert!(
        Arc::ptr_eq(&night.at(1_794_794_400_000), &night),
        "the hour of admission counts"
    );
    let plain = model("gpt-4o-mini");
    assert!(Arc::ptr_eq(&plain.at(0), &plain));
}

#[test]
fn a_conversation_model_without_a_price_of_its_tokens_is_not_in_the_book() {
    for id in [
        "openai/container",
        "medlm-large",
        "bedrock/*/1-month-commitment/cohere.command-text-v14",
    ] {
        assert!(SHIPPED.contains(&format!("\"{id}\"")), "{id}");
        assert!(shipped().get(id).is_none(), "{id}");
    }
    assert!(!model("tts-1").prices_tokens);
}

#[test]
fn refuses_a_file_with_a_negative_price() {
    let error = PriceBook::parse(r#"{"m": {"litellm_provider": "x", "input_cost_per_token": -1e-6}}"#).unwrap_err();
    assert!(matches!(error, PriceError::NotAPrice { .. }));
    assert!(matches!(PriceBook::parse("[]"), Err(PriceError::Unreadable(_))));
}

#[test]
fn a_sum_that_is_no_amount_is_an_error() {
    let price = ModelPrice::flat("huge", Money::MAX, Money::MAX);
    let usage = Usage {
        input_tokens: u64::MAX,
        output_tokens: u64::MAX,
        ..Usage::default()
    };
    assert!(price.cost(&usage, ServiceTier::Standard).is_err());
    let bound = Bound {
        input_tokens: u64::MAX,
        output_tokens: u64::MAX,
        ..Bound::default()
    };
    assert!(price.upper_bound(&bound).is_err());
}

prop_compose! {
    fn usages()(
        input in 0u64..1_200_000, read in 0u64..1_200_000, write in 0u64..500_000, hour in 0u64..500_000,
        output in 0u64..200_000, reasoning in 0u64..200_000, audio_in in 0u64..100_000, audio_out in 0u64..100_000,
        searches in 0u64..20,
    ) -> Usage {
        Usage {
            input_tokens: input, cache_read_tokens: read, cache_write_tokens: write, cache_write_1h_tokens: hour,
            output_tokens: output, reasoning_tokens: reasoning, audio_input_tokens: audio_in,
            audio_output_tokens: audio_out, web_searches: searches, ..Usage::default()
        }
    }
}

fn tiers() -> impl Strategy<Value = ServiceTier> {
    use ServiceTier::*;
    prop_oneof![Just(Standard), Just(Flex), Just(Priority), Just(Ultrafast), Just(Batch)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_model_costs_more_than_its_bound(
        usage in usages(), asked in tiers(), slack in 0u64..1_000_000, long_cache: bool, audio: bool,
    ) {
        let mut usage = usage;
        if !long_cache { usage.cache_write_1h_tokens = 0; }
        if !audio { (usage.audio_input_tokens, usage.audio_output_tokens) = (0, 0); }
        let bound = Bound {
            input_tokens: usage.total_input() + slack,
            output_tokens: usage.output_tokens + slack,
            web_searches: usage.web_searches,
            service_tier: asked,
            long_cache,
            audio,
            ..Bound::default()
        };
        for price in shipped().models() {
            let most = price.upper_bound(&bound).unwrap();
            for served in [asked, ServiceTier::Standard] {
                prop_assert!(price.cost(&usage, served).unwrap() <= most, "{}", price.id);
            }
        }
    }

    #[test]
    fn a_split_changes_a_cost_by_rounding_only(whole in usages(), parts in 1u64..50) {
        // A flat price, so that no threshold and no fixed fee stands between the parts.
        let price = ModelPrice::flat("flat", Money::from_nanos(150_000_001), Money::from_nanos(600_000_003));
        let whole = Usage { web_searches: 0, reasoning_tokens: 0, audio_input_tokens: 0, audio_output_tokens: 0, ..whole };
        let mut sum = 0;
        for index in 0..parts {
            let share = |total: u64| total / parts + u64::from(index < total % parts);
            let part = Usage {
                input_tokens: share(whole.input_tokens), cache_read_tokens: share(whole.cache_read_tokens),
                cache_write_tokens: share(whole.cache_write_tokens),
                cache_write_1h_tokens: share(whole.cache_write_1h_tokens),
                output_tokens: share(whole.output_tokens), ..Usage::default()
            };
            sum += price.cost(&part, ServiceTier::Standard).unwrap().nanos();
        }
        let once = price.cost(&whole, ServiceTier::Standard).unwrap().nanos();
        prop_assert!(sum.abs_diff(once) <= parts.div_ceil(2) + 1, "{sum} {once}");
    }

    #[test]
    fn no_usage_makes_the_sums_panic(
        counts in proptest::array::uniform19(any::<u64>()), tier in tiers(), pick in any::<prop::sample::Index>(),
    ) {
        let usage = Usage::from_array(counts);
        let prices: Vec<_> = shipped().models().collect();
        let price = pick.get(&prices);
        let _ = price.cost(&usage, tier);
        let _ = price.upper_bound(&Bound { input_tokens: counts[0], output_tokens: counts[4], ..Bound::default() });
    }
}
