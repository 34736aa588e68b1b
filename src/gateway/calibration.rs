//! How many tokens a model makes of a byte of input, learnt from what its provider reports: a moving average by model.
//! It serves estimates only, where a provider never says what it used; holds are bounds and do not rest on it. Each
//! worker learns for itself, and starts again at a token for four bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Ratios are tokens for so many bytes.
const BYTES: u64 = 65_536;
/// What is assumed of a model that has not been seen.
const UNSEEN: u64 = BYTES / 4;
/// No tokeniser in use makes more of a byte; a report above it is not learnt from.
const HIGHEST: u64 = BYTES;
/// The share of the newest report in the average.
const WEIGHT: u64 = 16;
/// Below this the tokens around the text outweigh the text.
const LEAST_BYTES: u64 = 256;

/// A worker's averages, by the price book's name of the model.
#[derive(Debug, Default)]
pub struct Calibration(RefCell<HashMap<Arc<str>, u64>>);

impl Calibration {
    /// The tokens that so many bytes of text are thought to make.
    pub fn estimate(&self, model: &str, text_bytes: u64) -> u64 {
        let ratio = self.0.borrow().get(model).copied().unwrap_or(UNSEEN);
        scale(text_bytes, ratio)
    }

    /// Takes in what a provider reported for an input of nothing but text.
    pub fn learn(&self, model: &Arc<str>, text_bytes: u64, input_tokens: u64) {
        if text_bytes < LEAST_BYTES || input_tokens == 0 {
            return;
        }
        let seen = u128::from(input_tokens) * u128::from(BYTES) / u128::from(text_bytes);
        let Some(seen) = u64::try_from(seen).ok().filter(|seen| *seen <= HIGHEST) else {
            return;
        };
        let mut ratios = self.0.borrow_mut();
        match ratios.get_mut(model) {
            Some(ratio) => *ratio = (*ratio * (WEIGHT - 1) + seen) / WEIGHT,
            None => drop(ratios.insert(model.clone(), seen)),
        }
    }
}

fn scale(bytes: u64, ratio: u64) -> u64 {
    let tokens = (u128::from(bytes) * u128::from(ratio)).div_ceil(u128::from(BYTES));
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_what_providers_report_and_ignores_what_cannot_be_true() {
        let calibration = Calibration::default();
        let model: Arc<str> = "gpt-4o".into();
        assert_eq!(calibration.estimate("gpt-4o", 4_000), 1_000);
        calibration.learn(&model, 4_000, 800);
        assert_eq!(calibration.estimate("gpt-4o", 4_000), 800);
        for (bytes, tokens) in [(100, 90), (4_000, 0), (4_000, 4_001), (u64::MAX, u64::MAX)] {
            calibration.learn(&model, bytes, tokens);
        }
        let left = calibration.estimate("gpt-4o", 4_000);
        // The last report, one token a byte, is possible and moves the average by its share.
        assert_eq!(left, (800 * 15 + 4_000) / 16);
        assert_eq!(calibration.estimate("gpt-4o-mini", 4_000), 1_000);
    }

    #[test]
    fn comes_close_to_a_steady_ratio() {
        let calibration = Calibration::default();
        let model: Arc<str> = "m".into();
        calibration.learn(&model, 10_000, 10_000);
        for _ in 0..200 {
            calibration.learn(&model, 10_000, 2_000);
        }
        let estimate = calibration.estimate("m", 10_000);
        assert!((1_990..=2_010).contains(&estimate), "{estimate}");
    }
}
