//! By which unit a price bills: asked of the price itself, by what one unit adds to the cost of nothing. So a price that
//! has several units is charged by the one that the provider reports, and no unit that costs nothing is held.

use crate::domain::money::Money;
use crate::domain::price::{ModelPrice, PriceOverflow, ServiceTier};
use crate::domain::usage::Usage;

/// Enough of any unit to show in a cost.
const PROBE: u64 = 1_000_000;

/// A way of billing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Tokens,
    Images,
    Characters,
    /// Of sound that came in.
    Seconds,
}

/// Whether the price has a rate for the unit.
pub(super) fn has_rate(price: &ModelPrice, unit: Unit) -> bool {
    let probe = match unit {
        Unit::Tokens => Usage {
            input_tokens: 2 * PROBE,
            image_input_tokens: PROBE,
            output_tokens: 2 * PROBE,
            image_output_tokens: PROBE,
            ..Usage::default()
        },
        Unit::Images => Usage {
            images: PROBE,
            ..Usage::default()
        },
        Unit::Characters => Usage {
            characters: PROBE,
            ..Usage::default()
        },
        Unit::Seconds => Usage {
            audio_ms: PROBE,
            ..Usage::default()
        },
    };
    is_billed_by(price, &probe)
}

/// Whether such a usage costs more than a call that used nothing.
pub(super) fn is_billed_by(price: &ModelPrice, usage: &Usage) -> bool {
    let cost = |usage: &Usage| price.cost(usage, ServiceTier::Standard);
    match (cost(usage), cost(&Usage::default())) {
        (Ok(some), Ok(nothing)) => some > nothing,
        // It is too dear to be an amount.
        (Err(PriceOverflow), _) | (_, Err(PriceOverflow)) => true,
    }
}

/// What tokens may be.
#[derive(Clone, Copy)]
enum Matter {
    Text,
    Images,
    Sound,
}

const MATTERS: [Matter; 3] = [Matter::Text, Matter::Images, Matter::Sound];

/// What the usage costs at most, whichever its input and its output turn out to be.
pub(super) fn dearest(price: &ModelPrice, usage: &Usage) -> Result<Money, PriceOverflow> {
    let pairs = MATTERS
        .iter()
        .flat_map(|taken| MATTERS.iter().map(|made| (*taken, *made)));
    let costs = pairs.map(|(taken, made)| price.cost(&made_of(usage, taken, made), ServiceTier::Standard));
    costs
        .reduce(|one, other| Ok(one?.max(other?)))
        .unwrap_or(Err(PriceOverflow))
}

fn made_of(usage: &Usage, taken: Matter, made: Matter) -> Usage {
    let (image_input_tokens, audio_input_tokens) = parts(taken, usage.input_tokens);
    let (image_output_tokens, audio_output_tokens) = parts(made, usage.output_tokens);
    Usage {
        image_input_tokens,
        audio_input_tokens,
        image_output_tokens,
        audio_output_tokens,
        ..*usage
    }
}

/// The tokens that are images, and those that are sound.
const fn parts(matter: Matter, tokens: u64) -> (u64, u64) {
    match matter {
        Matter::Text => (0, 0),
        Matter::Images => (tokens, 0),
        Matter::Sound => (0, tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_price_has_tokens_only_and_a_free_one_has_nothing() {
        let flat = ModelPrice::flat("m", Money::from_nanos(1_000_000_000), Money::from_nanos(2_000_000_000));
        let free = ModelPrice::flat("m", Money::ZERO, Money::ZERO);
        for (unit, has) in [
            (Unit::Tokens, true),
            (Unit::Images, false),
            (Unit::Characters, false),
            (Unit::Seconds, false),
        ] {
            assert_eq!(has_rate(&flat, unit), has, "{unit:?}");
            assert!(!has_rate(&free, unit), "{unit:?}");
        }
        let usage = Usage {
            input_tokens: 10,
            output_tokens: 5,
            ..Usage::default()
        };
        assert_eq!(dearest(&flat, &usage), Ok(Money::from_nanos(10 * 1000 + 5 * 2000)));
    }
}
