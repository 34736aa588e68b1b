//! Balances (wallets now, customer credit later) on the hold machine: reserve, extend, settle, release. A prepaid
//! account refuses what it cannot cover; a postpaid one counts and never blocks.

use super::money::Money;
use super::room::{Claim, Fit, Room};

/// Whether an account must cover a call before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Funding {
    Postpaid,
    Prepaid,
}

/// One balance and what is held of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub funding: Funding,
    /// Credits less charges; negative on postpaid accounts and after a call that cost more than its hold.
    pub balance: Money,
    pub held: Money,
}

impl Account {
    pub const fn new(funding: Funding, balance: Money) -> Self {
        Self {
            funding,
            balance,
            held: Money::ZERO,
        }
    }

    /// Sets aside what the claim asks for, or says why not.
    pub fn reserve(&mut self, claim: Claim) -> Fit {
        let fit = match self.funding {
            Funding::Postpaid => Fit::Granted(claim.wanted),
            Funding::Prepaid => Room {
                unspent: self.balance,
                held: self.held,
            }
            .fit(claim),
        };
        if let Fit::Granted(amount) = fit {
            self.held = self.held.saturating_add(amount);
        }
        fit
    }

    /// Ends a hold and books what the call cost.
    pub fn settle(&mut self, hold: Money, actual: Money) {
        self.held = self.held.saturating_sub(hold).or_zero();
        self.balance = self.balance.saturating_sub(actual);
    }

    /// Adds to the balance; a correction may be negative.
    pub fn credit(&mut self, amount: Money) {
        self.balance = self.balance.saturating_add(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepaid_account_refuses_what_it_cannot_cover() {
        let dollar = Money::from_nanos(1_000_000_000);
        let mut account = Account::new(Funding::Prepaid, dollar);
        assert_eq!(account.reserve(Claim::exactly(dollar)), Fit::Granted(dollar));
        assert_eq!(account.reserve(Claim::exactly(Money::from_nanos(1))), Fit::Busy);
        account.settle(dollar, Money::from_nanos(400_000_000));
        assert_eq!(account.balance, Money::from_nanos(600_000_000));
        assert_eq!(account.held, Money::ZERO);
        assert_eq!(account.reserve(Claim::exactly(dollar)), Fit::Never);
    }

    #[test]
    fn a_postpaid_account_counts_and_never_blocks() {
        let dollar = Money::from_nanos(1_000_000_000);
        let mut account = Account::new(Funding::Postpaid, Money::ZERO);
        assert_eq!(account.reserve(Claim::exactly(dollar)), Fit::Granted(dollar));
        account.settle(dollar, dollar);
        assert_eq!(account.balance, Money::from_nanos(-1_000_000_000));
    }
}
