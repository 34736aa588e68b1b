//! When the owner of a spend key is told that it nears its limit: once each at 50, 80 and 100 percent of a cycle. What
//! was told already in the cycle is remembered by whoever asks; raising a limit tells nothing a second time.

use crate::domain::money::Money;

/// Percent of the limit.
pub const PERCENTS: [i32; 3] = [50, 80, 100];

/// The thresholds that this spend has reached and that are above what was told last (0 where nothing was).
pub fn reached(limit: Money, spent: Money, told_percent: i32) -> impl Iterator<Item = i32> {
    PERCENTS.into_iter().filter(move |percent| {
        let at = i128::from(limit.nanos()) * i128::from(*percent);
        *percent > told_percent && i128::from(spent.nanos()) * 100 >= at
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_is_reached_at_its_last_nano() {
        #[rustfmt::skip]
        let table: [(i64, i64, i32, &[i32]); 10] = [
            (1_000, 0, 0, &[]), (1_000, 499, 0, &[]), (1_000, 500, 0, &[50]), (1_000, 799, 50, &[]),
            (1_000, 800, 50, &[80]), (1_000, 5_000, 0, &[50, 80, 100]), (1_000, 5_000, 100, &[]),
            (3, 1, 0, &[]), (3, 2, 0, &[50]), (i64::MAX, i64::MAX, 80, &[100]),
        ];
        for (limit, spent, told, expected) in table {
            let found: Vec<i32> = reached(Money::from_nanos(limit), Money::from_nanos(spent), told).collect();
            assert_eq!(found, expected, "{spent} of {limit}, told {told}");
        }
    }
}
