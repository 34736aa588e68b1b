//! The cost of 500 usages of 200 models, worked out a second time from the text of the same price file. This side shares
//! nothing with the program's: it reads the JSON by itself, looks every price up by the field's name, and calculates in
//! attodollars (10^-18). Both must agree to the last nano-dollar.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::{PriceBook, ServiceTier};
use crate::domain::usage::Usage;

const FILE: &str = include_str!("../../../config/prices.json");
const MODELS: usize = 200;
const RECORDS: usize = 500;

type Entry = BTreeMap<String, Box<RawValue>>;
/// Counts beside what the file says of their units.
type Parts = Vec<(u64, Option<i128>)>;

/// One entry of the file, asked for one tier and one length of input.
struct Sheet<'a> {
    entry: &'a Entry,
    suffix: &'static str,
    /// As in the fields' names: `200k`.
    threshold: Option<String>,
}

/// Femtodollars a unit; the sixteenth decimal decides the rounding of the fifteenth.
fn femtodollars(text: &str) -> i128 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
    let places = exponent.parse::<i32>().unwrap() - i32::try_from(fraction.len()).unwrap() + 15;
    if places >= 0 {
        return digits * 10_i128.pow(places.unsigned_abs());
    }
    let divisor = 10_i128.checked_pow(places.unsigned_abs());
    divisor.map_or(0, |divisor| (2 * digits + divisor) / (2 * divisor))
}

fn suffix(tier: ServiceTier) -> &'static str {
    match tier {
        ServiceTier::Standard => "",
        ServiceTier::Flex => "_flex",
        ServiceTier::Priority => "_priority",
        ServiceTier::Ultrafast => "_ultrafast",
        ServiceTier::Batch => "_batches",
    }
}

impl<'a> Sheet<'a> {
    fn new(entry: &'a Entry, tier: ServiceTier, total_input: u64) -> Self {
        let is_rate = |name: &&String| name.contains("cost") && !name.ends_with("_decisions");
        let suffix = suffix(tier);
        let has_tier = entry.keys().filter(is_rate).any(|name| name.ends_with(suffix));
        let thresholds: BTreeSet<u64> = entry
            .keys()
            .filter(is_rate)
            .filter_map(|name| name.rsplit_once("_above_")?.1.split_once("k_tokens")?.0.parse().ok())
            .collect();
        let reached = thresholds.into_iter().rfind(|thousands| total_input > thousands * 1000);
        Self {
            entry,
            suffix: if has_tier { suffix } else { "" },
            threshold: reached.map(|thousands| format!("{thousands}k")),
        }
    }

    fn field(&self, name: &str) -> Option<i128> {
        self.entry.get(name).map(|text| femtodollars(text.get()))
    }

    /// The price of a field's unit, in femtodollars.
    fn rate(&self, name: &str) -> Option<i128> {
        let suffix = self.suffix;
        let plain = self.field(&format!("{name}{suffix}")).or_else(|| self.field(name));
        let Some(threshold) = &self.threshold else { return plain };
        let own = self.field(&format!("{name}_above_{threshold}_tokens{suffix}"));
        own.or_else(|| self.field(&format!("{name}_above_{threshold}_tokens")).max(plain))
    }

    fn word(&self, name: &str) -> &str {
        self.entry.get(name).map_or("", |text| text.get().trim_matches('"'))
    }

    /// Pixels of the size in the model's key, at the price of one.
    fn pixels(&self, model: &str) -> i128 {
        let size = model.split('/').find_map(|part| part.split_once("-x-"));
        let area = size.and_then(|(width, height)| Some(width.parse::<i128>().ok()? * height.parse::<i128>().ok()?));
        let rate = |name| self.rate(name).unwrap_or(0);
        area.unwrap_or(0) * (rate("input_cost_per_pixel") + rate("output_cost_per_pixel"))
    }

    fn image(&self, model: &str) -> i128 {
        let makes_images = matches!(self.word("mode"), "image_generation" | "image_edit");
        match (self.rate("output_cost_per_image"), self.rate("input_cost_per_image")) {
            (Some(made), _) => made,
            (None, Some(made)) if makes_images => made,
            (None, _) if makes_images => self.pixels(model),
            (None, _) => 0,
        }
    }

    /// The dearest size of a search's context, and whether a call pays for one search at most.
    fn search(&self) -> (i128, bool) {
        let sizes = self.entry.get("search_context_cost_per_query");
        let sizes: Entry = sizes.map_or_else(BTreeMap::new, |text| serde_json::from_str(text.get()).unwrap());
        let dearest = sizes.values().map(|text| femtodollars(text.get())).max().unwrap_or(0);
        let google = ["gemini", "vertex_ai", "vertex_ai-language-models"].contains(&self.word("litellm_provider"));
        (dearest, google && self.word("web_search_billing_unit") != "per_query")
    }

    /// The tokens in femtodollars: parts first, the rest of each whole at the plain price.
    fn tokens(&self, usage: &Usage) -> i128 {
        let input = self.rate("input_cost_per_token").unwrap_or(0);
        let image_output = self.rate("output_cost_per_image_token");
        let output = self.rate("output_cost_per_token").or(image_output).unwrap_or(0);
        let cached = self.rate("cache_read_input_token_cost").unwrap_or(input);
        let written = self.rate("cache_creation_input_token_cost").unwrap_or(input);
        let hour = self.rate("cache_creation_input_token_cost_above_12hr");
        let hour = hour.or_else(|| self.rate("cache_creation_input_token_cost_above_1hr"));
        let mut sum = i128::from(usage.cache_write_tokens) * written;
        sum += i128::from(usage.cache_write_1h_tokens) * hour.unwrap_or(written);
        let wholes: [(u64, i128, Parts); 3] = [
            (
                usage.input_tokens,
                input,
                vec![
                    (usage.audio_input_tokens, self.rate("input_cost_per_audio_token")),
                    (usage.image_input_tokens, self.rate("input_cost_per_image_token")),
                ],
            ),
            (
                usage.cache_read_tokens,
                cached,
                vec![(
                    usage.audio_cache_read_tokens,
                    self.rate("cache_read_input_audio_token_cost"),
                )],
            ),
            (
                usage.output_tokens,
                output,
                vec![
                    (usage.reasoning_tokens, self.rate("output_cost_per_reasoning_token")),
                    (usage.audio_output_tokens, self.rate("output_cost_per_audio_token")),
                    (usage.image_output_tokens, image_output),
                ],
            ),
        ];
        for (whole, plain, parts) in wholes {
            let mut rest = whole;
            for (part, rate) in parts {
                let part = part.min(rest);
                rest -= part;
                sum += i128::from(part) * rate.unwrap_or(plain);
            }
            sum += i128::from(rest) * plain;
        }
        sum
    }

    /// The first of the fields that is there.
    fn first(&self, names: &[&str]) -> i128 {
        names.iter().find_map(|name| self.rate(name)).unwrap_or(0)
    }

    /// Nano-dollars, half up, with the kinds of units that cost something.
    fn cost(&self, model: &str, usage: &Usage, kinds: &mut BTreeMap<&'static str, usize>) -> i128 {
        let input = self.rate("input_cost_per_token").unwrap_or(0);
        let audio_input = self.rate("input_cost_per_audio_token").unwrap_or(input);
        let output = self.first(&["output_cost_per_token", "output_cost_per_image_token"]);
        let image_output = self.rate("output_cost_per_image_token").unwrap_or(output);
        let audio_output = self.rate("output_cost_per_audio_token").unwrap_or(output);
        let read = usage.input_tokens > 0 && input > 0;
        let heard = usage.audio_input_tokens > 0 && audio_input > 0;
        let made = usage.output_tokens > 0 && (output > 0 || image_output > 0);
        let spoken = usage.output_tokens > 0 && audio_output > 0;
        let (search, once) = self.search();
        let searches = if once {
            usage.web_searches.min(1)
        } else {
            usage.web_searches
        };
        let in_second = self.first(&[
            "input_cost_per_second",
            "input_cost_per_audio_per_second",
            "cost_per_second",
        ]);
        let out_second = self.first(&["output_cost_per_second", "output_cost_per_video_per_second"]);
        let character = self.first(&["input_cost_per_character", "output_cost_per_character"]);
        // Attodollars, that is femtodollars by the thousand, for milliseconds are thousandths of a second.
        let lines = [
            ("tokens", 1000 * self.tokens(usage)),
            (
                "images",
                1000 * i128::from(usage.images) * self.image(model) * i128::from(!made),
            ),
            (
                "characters",
                1000 * i128::from(usage.characters) * character * i128::from(!read),
            ),
            (
                "pages",
                1000 * i128::from(usage.pages) * self.first(&["ocr_cost_per_page"]) * i128::from(!read),
            ),
            (
                "seconds in",
                i128::from(usage.audio_ms) * in_second * i128::from(!heard),
            ),
            (
                "seconds out",
                i128::from(usage.output_audio_ms) * out_second * i128::from(!spoken),
            ),
            (
                "queries",
                1000 * i128::from(usage.queries) * self.first(&["input_cost_per_query"]),
            ),
            ("searches", 1000 * i128::from(searches) * search),
            ("calls", 1000 * self.field("input_cost_per_request").unwrap_or(0)),
        ];
        for (kind, cost) in lines {
            *kinds.entry(kind).or_default() += usize::from(cost > 0);
        }
        let attodollars: i128 = lines.iter().map(|(_, cost)| cost).sum();
        (attodollars + 500_000_000) / 1_000_000_000
    }
}

/// A linear congruential generator, for this side alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn sometimes(&mut self, sides: u64) -> u64 {
        if self.roll(2) == 0 { 0 } else { self.roll(sides) }
    }

    /// Now and then any tier, else one that the entry prices.
    fn tier(&mut self, entry: &Entry, tiers: &[ServiceTier]) -> usize {
        let ends = |tier: ServiceTier| entry.keys().any(|name| name.ends_with(suffix(tier)));
        let priced: Vec<usize> = (0..tiers.len()).filter(|place| ends(tiers[*place])).collect();
        let any = self.roll(tiers.len() as u64) as usize;
        // The last of them is the rarest.
        let own = priced[self.roll(priced.len() as u64).max(self.roll(priced.len() as u64)) as usize];
        if self.roll(5) == 0 { any } else { own }
    }

    fn usage(&mut self) -> Usage {
        let counts = std::array::from_fn(|place| match place {
            8 => self.sometimes(8),
            12 | 16 | 17 => self.sometimes(12),
            13 => self.sometimes(5_000),
            14 | 15 => self.sometimes(4_000_000),
            _ => self.sometimes(300_000),
        });
        Usage::from_array(counts)
    }
}

/// Those that show most, then others at even steps, 200 in all.
fn chosen<'a>(entries: &'a BTreeMap<String, Entry>, book: &PriceBook) -> Vec<&'a str> {
    let priced: Vec<&str> = entries
        .keys()
        .map(String::as_str)
        .filter(|id| book.get(id).is_some())
        .collect();
    let telling = [
        "output_cost_per_reasoning_token",
        "cache_read_input_audio_token_cost",
        "input_cost_per_query",
        "ocr_cost_per_page",
        "input_cost_per_character",
        "input_cost_per_second",
        "output_cost_per_second",
        "output_cost_per_video_per_second",
        "output_cost_per_image",
        "input_cost_per_image_token",
        "input_cost_per_pixel",
        "input_cost_per_request",
        "input_cost_per_token_ultrafast",
        "input_cost_per_token_above_200k_tokens",
        "input_cost_per_token_above_200k_tokens_priority",
        "input_cost_per_token_above_128k_tokens",
        "input_cost_per_token_above_272k_tokens_flex",
        "input_cost_per_token_above_272k_tokens_batches",
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
        "cache_creation_input_token_cost_above_12hr",
        "search_context_cost_per_query",
    ];
    let mut models: BTreeSet<&str> = BTreeSet::new();
    for field in telling {
        let with: Vec<&str> = priced
            .iter()
            .copied()
            .filter(|id| entries[*id].contains_key(field))
            .collect();
        models.extend(with.iter().step_by((with.len() / 10).max(1)).take(10));
    }
    for id in priced.iter().step_by(priced.len() / MODELS) {
        if models.len() < MODELS {
            models.insert(id);
        }
    }
    models.into_iter().collect()
}

#[test]
fn five_hundred_usages_of_two_hundred_models_cost_the_same_by_an_independent_calculation() {
    let entries: BTreeMap<String, Entry> = serde_json::from_str(FILE).unwrap();
    let (book, _) = PriceBook::parse(FILE).unwrap();
    let models = chosen(&entries, &book);
    assert_eq!(models.len(), MODELS);
    let tiers = [
        ServiceTier::Standard,
        ServiceTier::Batch,
        ServiceTier::Flex,
        ServiceTier::Priority,
        ServiceTier::Ultrafast,
    ];
    let (mut dice, mut kinds, mut long, mut by_tier) = (Dice(500), BTreeMap::new(), 0, [0; 5]);
    for record in 0..RECORDS {
        let model = models[record % MODELS];
        let mut usage = dice.usage();
        let place = dice.tier(&entries[model], &tiers);
        if record % 3 == 0 {
            // Alone: what is billed by the token hides what is billed by the unit.
            (usage.input_tokens, usage.output_tokens, usage.audio_input_tokens) = (0, 0, 0);
        }
        let sheet = Sheet::new(&entries[model], tiers[place], usage.total_input());
        let expected = sheet.cost(model, &usage, &mut kinds);
        let cost = book.get(model).unwrap().cost(&usage, tiers[place]).unwrap();
        assert_eq!(
            i128::from(cost.nanos()),
            expected,
            "{model} {:?} {usage:?}",
            tiers[place]
        );
        long += usize::from(sheet.threshold.is_some());
        by_tier[place] += usize::from(sheet.suffix == suffix(tiers[place]));
    }
    assert!(kinds.values().all(|count| *count >= 3) && kinds.len() == 9, "{kinds:?}");
    assert!(
        long >= 50 && by_tier.iter().all(|count| *count >= 5),
        "{long} {by_tier:?}"
    );
    eprintln!("{RECORDS} usages of {MODELS} models agree: {kinds:?}, {long} long, by tier {by_tier:?}");
}
