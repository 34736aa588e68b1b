//! What fits into a budget: the one comparison that spend limits and prepaid balances share. A refusal says whether
//! waiting can help (room is held by calls in flight) or not (it is spent).

use super::money::Money;

/// What a budget has left, and what of it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Limit less settled spend, or a balance; negative where it was overspent.
    pub unspent: Money,
    /// Set aside for calls in flight.
    pub held: Money,
}

/// How much a call needs at least, and how much it would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub minimum: Money,
    pub wanted: Money,
}

impl Claim {
    pub const fn exactly(amount: Money) -> Self {
        Self {
            minimum: amount,
            wanted: amount,
        }
    }
}

/// Whether a claim fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// This much, between the minimum and what was wanted.
    Granted(Money),
    /// It would fit if calls in flight ended.
    Busy,
    /// It cannot fit before the budget is renewed or raised.
    Never,
}

impl Room {
    /// What is neither spent nor held; never negative.
    pub fn available(self) -> Money {
        self.unspent.saturating_sub(self.held).or_zero()
    }

    /// Grants what fits. A budget that is spent to the last nano-dollar admits nothing, not even a free call.
    pub fn fit(self, claim: Claim) -> Fit {
        let available = self.available();
        if claim.minimum > self.unspent || self.unspent <= Money::ZERO {
            Fit::Never
        } else if claim.minimum > available || available == Money::ZERO {
            Fit::Busy
        } else {
            Fit::Granted(claim.wanted.min(available).max(claim.minimum))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_what_fits_and_says_why_not() {
        let cents = |cents: i64| Money::from_nanos(cents * 10_000_000);
        let table = [
            (100, 0, 10, 20, Fit::Granted(cents(20))),
            (100, 85, 10, 20, Fit::Granted(cents(15))),
            (100, 90, 10, 20, Fit::Granted(cents(10))),
            (100, 91, 10, 20, Fit::Busy),
            (100, 0, 101, 200, Fit::Never),
            (0, 0, 0, 0, Fit::Never),
            (-5, 0, 0, 0, Fit::Never),
            (100, 100, 0, 0, Fit::Busy),
            (100, 200, 1, 1, Fit::Busy),
        ];
        for (unspent, held, minimum, wanted, fit) in table {
            let room = Room {
                unspent: cents(unspent),
                held: cents(held),
            };
            let claim = Claim {
                minimum: cents(minimum),
                wanted: cents(wanted),
            };
            assert_eq!(room.fit(claim), fit, "{room:?} {claim:?}");
        }
    }
}
