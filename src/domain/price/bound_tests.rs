//! Bounds are bounds: 5,000 requests as a client could send them, each against 200 models of the shipped file, with a
//! usage that a provider could report for it. No usage costs more than what would have been held.

use super::*;
use crate::domain::price::PriceBook;

const REQUESTS: usize = 5_000;
const MODELS: usize = 200;

/// What a client asks for; the bound is made of this and of nothing else.
struct Request {
    input_tokens: u64,
    choices: u64,
    cap: u64,
    web_searches: u64,
    tier: ServiceTier,
    long_cache: bool,
    audio: bool,
    has_images: bool,
    images: u64,
    characters: u64,
    audio_ms: u64,
    output_audio_ms: u64,
    pages: u64,
    queries: u64,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn up_to(&mut self, most: u64) -> u64 {
        self.next() % (most + 1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.next().is_multiple_of(count)
    }

    fn sometimes(&mut self, most: u64) -> u64 {
        if self.one_in(3) { self.up_to(most) } else { 0 }
    }

    /// Lengths about the thresholds of the file, and any other.
    fn length(&mut self) -> u64 {
        const THRESHOLDS: [u64; 4] = [100_000, 128_000, 200_000, 272_000];
        let threshold = THRESHOLDS[self.next() as usize % THRESHOLDS.len()];
        match self.next() % 3 {
            0 => threshold - 2 + self.up_to(4),
            1 => self.up_to(2_000),
            _ => self.up_to(1_000_000),
        }
    }

    fn tier(&mut self) -> ServiceTier {
        use ServiceTier::*;
        [Standard, Flex, Priority, Ultrafast, Batch][self.next() as usize % 5]
    }

    fn request(&mut self) -> Request {
        Request {
            input_tokens: self.length(),
            choices: 1 + self.sometimes(7),
            cap: self.up_to(64_000),
            web_searches: self.sometimes(10),
            tier: self.tier(),
            long_cache: self.one_in(2),
            audio: self.one_in(2),
            has_images: self.one_in(2),
            images: self.sometimes(10),
            characters: self.sometimes(4_096),
            audio_ms: self.sometimes(7_200_000),
            output_audio_ms: self.sometimes(600_000),
            pages: self.sometimes(500),
            queries: self.sometimes(20),
        }
    }

    /// Some of a whole, or all of it.
    fn part(&mut self, whole: u64) -> u64 {
        if self.one_in(4) { whole } else { self.up_to(whole) }
    }

    /// A truthful report: nothing in it is more than the request allows, and every kind of token may be all of it.
    fn usage(&mut self, request: &Request) -> Usage {
        let total = self.part(request.input_tokens);
        let input_tokens = self.part(total);
        let cache_read_tokens = self.part(total - input_tokens);
        let written = total - input_tokens - cache_read_tokens;
        let hour = if request.long_cache { self.part(written) } else { 0 };
        let output_tokens = self.part(request.choices * request.cap);
        let reasoning_tokens = self.part(output_tokens);
        let sound = |random: &mut Self, whole| if request.audio { random.part(whole) } else { 0 };
        let audio_input_tokens = sound(self, input_tokens);
        let audio_output_tokens = sound(self, output_tokens - reasoning_tokens);
        let audio_cache_read_tokens = sound(self, cache_read_tokens);
        let seen = input_tokens - audio_input_tokens;
        Usage {
            input_tokens,
            cache_read_tokens,
            cache_write_tokens: written - hour,
            cache_write_1h_tokens: hour,
            output_tokens,
            reasoning_tokens,
            audio_input_tokens,
            audio_output_tokens,
            web_searches: self.part(request.web_searches),
            image_input_tokens: if request.has_images { self.part(seen) } else { 0 },
            image_output_tokens: self.part(output_tokens - reasoning_tokens - audio_output_tokens),
            audio_cache_read_tokens,
            images: self.part(request.images),
            characters: self.part(request.characters),
            audio_ms: self.part(request.audio_ms),
            output_audio_ms: self.part(request.output_audio_ms),
            pages: self.part(request.pages),
            queries: self.part(request.queries),
            output_characters: 0,
        }
    }
}

fn bound(request: &Request) -> Bound {
    Bound {
        input_tokens: request.input_tokens,
        output_tokens: request.choices * request.cap,
        web_searches: request.web_searches,
        service_tier: request.tier,
        long_cache: request.long_cache,
        audio: request.audio,
        image_input: request.has_images,
        images: request.images,
        characters: request.characters,
        audio_ms: request.audio_ms,
        output_audio_ms: request.output_audio_ms,
        pages: request.pages,
        queries: request.queries,
    }
}

/// Every eleventh or so of the book by name, and those that have most to them.
fn models(book: &PriceBook) -> Vec<&ModelPrice> {
    let mut all: Vec<&ModelPrice> = book.models().map(|price| &**price).collect();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    let rich = |price: &&&ModelPrice| {
        !price.standard.long_context.is_empty() && price.flex.is_some() && price.priority.is_some()
    };
    let mut chosen: Vec<&ModelPrice> = all.iter().filter(rich).take(MODELS / 4).copied().collect();
    let step = all.len() / (MODELS - chosen.len());
    chosen.extend(all.iter().step_by(step).take(MODELS - chosen.len()));
    chosen
}

#[test]
fn of_five_thousand_requests_to_two_hundred_models_none_costs_more_than_its_bound() {
    let (book, _) = PriceBook::parse(include_str!("../../../config/prices.json")).unwrap();
    let models = models(&book);
    assert_eq!(models.len(), MODELS);
    let mut random = Random(2);
    let (mut reached, mut priced) = (0, 0);
    for _ in 0..REQUESTS {
        let request = random.request();
        let (bound, usage) = (bound(&request), random.usage(&request));
        // A provider may also serve a call at the standard tier.
        let served = if random.one_in(3) {
            ServiceTier::Standard
        } else {
            request.tier
        };
        for model in &models {
            let cost = model.cost(&usage, served).unwrap();
            let most = model.upper_bound(&bound).unwrap();
            assert!(
                cost <= most,
                "{}: {cost} > {most} {served:?} {usage:?} {bound:?}",
                model.id
            );
            reached += usize::from(cost == most && most > Money::ZERO);
            priced += usize::from(most > Money::ZERO);
        }
    }
    // The bounds are not far from what they bound: some are met to the nano-dollar.
    assert!(reached > 100 && priced > REQUESTS * MODELS / 2, "{reached} of {priced}");
}

#[test]
fn a_bound_that_is_used_whole_at_the_dearest_rate_is_met() {
    let (book, _) = PriceBook::parse(include_str!("../../../config/prices.json")).unwrap();
    let whole = Bound {
        audio_ms: 60_000,
        output_audio_ms: 60_000,
        images: 3,
        characters: 100,
        pages: 7,
        queries: 2,
        web_searches: 4,
        ..Bound::default()
    };
    let usage = Usage {
        audio_ms: 60_000,
        output_audio_ms: 60_000,
        images: 3,
        characters: 100,
        pages: 7,
        queries: 2,
        web_searches: 4,
        ..Usage::default()
    };
    for price in book.models() {
        let cost = price.cost(&usage, ServiceTier::Standard).unwrap();
        let most = price.upper_bound(&whole).unwrap();
        let slack = Money::from_nanos(1);
        assert!(
            cost <= most && most <= cost.saturating_add(slack),
            "{}: {cost} {most}",
            price.id
        );
    }
}
