//! What is compared, and the figures of each: three lanes that the same load goes through.

use serde::Serialize;

use crate::tally::Quantiles;

/// A way from the client to the simulated provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// Straight to the simulated provider; what every other lane adds to.
    Direct,
    /// Through the bare pass-through: the yardstick.
    PassThrough,
    /// Through Caldera with everything on.
    Caldera,
}

impl Lane {
    /// The name as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::PassThrough => "pass-through",
            Self::Caldera => "caldera",
        }
    }

    /// The model that this lane asks for. Only Caldera's is billed: the simulated provider counts by model, so the books of
    /// Caldera are not mixed with what the other lanes were served. Both names have the same length.
    pub fn model(self) -> &'static str {
        match self {
            Self::Direct | Self::PassThrough => "gpt-4o-none",
            Self::Caldera => "gpt-4o-mini",
        }
    }
}

/// The figures of one round, or the medians of several.
#[derive(Clone, Copy, Serialize)]
pub struct Figures {
    pub requests_per_second: u64,
    /// User and system time of the lane's own process, for each answered request. For the direct lane: the simulated provider's.
    pub cpu_nanos: u64,
    /// The same of the processes of the private Postgres; 0 where there is none.
    pub postgres_cpu_nanos: u64,
    pub latency: Quantiles,
    pub first_byte: Quantiles,
    pub resident_kib: u64,
    pub error_count: u64,
}

impl Figures {
    /// The median of each figure by itself; errors are summed and memory is the highest.
    pub fn median_of(rounds: &[Self]) -> Self {
        Self {
            requests_per_second: median(rounds, |round| round.requests_per_second),
            cpu_nanos: median(rounds, |round| round.cpu_nanos),
            postgres_cpu_nanos: median(rounds, |round| round.postgres_cpu_nanos),
            latency: median_quantiles(rounds, |round| round.latency),
            first_byte: median_quantiles(rounds, |round| round.first_byte),
            resident_kib: rounds.iter().map(|round| round.resident_kib).max().unwrap_or(0),
            error_count: rounds.iter().map(|round| round.error_count).sum(),
        }
    }
}

fn median_quantiles(rounds: &[Figures], figure: impl Fn(&Figures) -> Quantiles) -> Quantiles {
    Quantiles {
        p50_nanos: median(rounds, |round| figure(round).p50_nanos),
        p99_nanos: median(rounds, |round| figure(round).p99_nanos),
        p999_nanos: median(rounds, |round| figure(round).p999_nanos),
    }
}

fn median(rounds: &[Figures], figure: impl Fn(&Figures) -> u64) -> u64 {
    let mut values: Vec<u64> = rounds.iter().map(figure).collect();
    values.sort_unstable();
    let middle = values.len() / 2;
    match values.as_slice() {
        [] => 0,
        values if values.len() % 2 == 1 => values[middle],
        values => values[middle - 1].midpoint(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(value: u64) -> Figures {
        let quantiles = Quantiles {
            p50_nanos: value,
            p99_nanos: value,
            p999_nanos: value,
        };
        Figures {
            requests_per_second: value,
            cpu_nanos: value,
            postgres_cpu_nanos: value,
            latency: quantiles,
            first_byte: quantiles,
            resident_kib: value,
            error_count: value,
        }
    }

    #[test]
    fn one_wild_round_does_not_move_the_median() {
        for (values, expected) in [(&[5, 900, 7][..], 7), (&[4, 6], 5), (&[3], 3), (&[], 0)] {
            let rounds: Vec<Figures> = values.iter().map(|value| figures(*value)).collect();
            assert_eq!(Figures::median_of(&rounds).latency.p99_nanos, expected);
        }
    }

    #[test]
    fn errors_of_all_rounds_are_summed() {
        assert_eq!(Figures::median_of(&[figures(1), figures(2), figures(0)]).error_count, 3);
    }

    #[test]
    fn the_models_of_all_lanes_have_the_same_length() {
        let lengths = [Lane::Direct, Lane::PassThrough, Lane::Caldera].map(|lane| lane.model().len());
        assert_eq!(lengths, [lengths[0]; 3]);
    }
}
