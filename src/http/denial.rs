//! Denials as answers: the statuses, the figures and the retry headers of each refusal of a spend key, an account or a
//! subscription.
//! A refusal that waiting cures says when to come back; one that it does not cure says not to retry, because the
//! official clients would otherwise repeat a 4xx that cannot change.

use crate::domain::money::Money;
use crate::domain::rate::RateStatus;
use crate::domain::spend::{Denial, Now, SpendShortage};
use crate::domain::subscription::Refusal;
use crate::engine::accounts::{AccountRefusal, PostError};
use crate::engine::customer_accounts::{ChangeError, CreditRefusal};
use crate::engine::spend::Stopped;

use super::error::{ApiError, ErrorCode};
use super::time::iso_seconds;

impl ApiError {
    /// The answer to a call that a key refuses; `now` turns the instant of a reset into seconds to wait.
    pub fn denied(denial: &Denial, now: Now) -> Self {
        match denial {
            Denial::Invalid => Self::new(ErrorCode::InvalidApiKey),
            Denial::Paused => Self::new(ErrorCode::KeyPaused),
            Denial::Expired => Self::new(ErrorCode::KeyExpired),
            Denial::ShapeMismatch { expected } => Self::new(ErrorCode::RequestShapeMismatch)
                .say(format!("This key takes requests of shape `{}` only.", expected.name()))
                .field("expected", expected.name()),
            Denial::ModelNotAllowed => Self::new(ErrorCode::ModelNotAllowed),
            Denial::ProviderNotAllowed => Self::new(ErrorCode::ProviderNotAllowed),
            Denial::IpNotAllowed => Self::new(ErrorCode::IpNotAllowed),
            // The words of the hosted service, which its clients know.
            Denial::SpendLimit(shortage) => short(
                ErrorCode::SpendLimitReached,
                "Service key spend limit exceeded",
                shortage,
            )
            .do_not_retry(),
            Denial::Busy(shortage) => short(
                ErrorCode::BudgetBusy,
                "What is left is held by calls in flight",
                shortage,
            )
            .retry_after(1),
            Denial::RequestLimit {
                limit,
                cycle,
                resets_at,
            } => {
                let error = Self::new(ErrorCode::RequestLimitReached)
                    .say(format!("The {} request limit of {limit} is reached.", cycle.name()))
                    .field("scope", "spend_key")
                    .field("limit", *limit)
                    .field("cycle", cycle.name())
                    .field("resets_at", resets_at.map(iso_seconds));
                let waiting = resets_at.map(|at| u64::try_from(at.saturating_sub(now.wall_s())).unwrap_or(0).max(1));
                waiting.into_iter().fold(error, Self::retry_after).do_not_retry()
            }
            Denial::RateLimited(status) => too_fast(*status),
            Denial::TooManyParallel { limit } => Self::new(ErrorCode::TooManyParallel)
                .say(format!("This key takes {limit} calls at once."))
                .field("scope", "spend_key")
                .field("limit", *limit)
                .retry_after(1),
        }
    }
}

impl From<AccountRefusal> for ApiError {
    fn from(refusal: AccountRefusal) -> Self {
        match refusal {
            AccountRefusal::Insufficient { balance, held } => {
                uncovered(ErrorCode::InsufficientBalance, balance, held).do_not_retry()
            }
            AccountRefusal::Busy { balance, held } => uncovered(ErrorCode::BudgetBusy, balance, held).retry_after(1),
            AccountRefusal::Unknown => Self::internal("finding a wallet's account", &"it is unknown to its shard"),
            AccountRefusal::Overloaded => Self::new(ErrorCode::Overloaded),
            AccountRefusal::Stopped => Self::from(Stopped),
        }
    }
}

impl From<CreditRefusal> for ApiError {
    fn from(refusal: CreditRefusal) -> Self {
        match refusal {
            CreditRefusal::NotOnPlan => Self::new(ErrorCode::MeterNotOnPlan).param("meter_slug"),
            CreditRefusal::Account(AccountRefusal::Insufficient { balance, held }) => {
                uncredited(ErrorCode::InsufficientBalance, balance, held).do_not_retry()
            }
            CreditRefusal::Account(AccountRefusal::Busy { balance, held }) => {
                uncredited(ErrorCode::BudgetBusy, balance, held).retry_after(1)
            }
            CreditRefusal::Account(refusal) => refusal.into(),
        }
    }
}

impl From<PostError> for ApiError {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Unknown => Self::new(ErrorCode::NotFound),
            PostError::JournalFull => Self::new(ErrorCode::BillingBacklog),
            PostError::Stopped => Self::from(Stopped),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let conflict = |words: &str, param: &str| Self::new(ErrorCode::Conflict).say(words).param(param);
        match error {
            ChangeError::Refused(Refusal::Cancelled) => conflict("The subscription is cancelled.", "subscription_id"),
            ChangeError::Refused(Refusal::NothingPending) => conflict("No change is pending.", "pending_change"),
            ChangeError::Refused(Refusal::NotDue) => conflict("No such payment is due.", "subscription_id"),
            ChangeError::NoSubscription => conflict("The customer has no active subscription.", "customer_id"),
            ChangeError::HasSubscription => conflict("The customer is subscribed to this plan already.", "customer_id"),
            ChangeError::NotOnPlan => CreditRefusal::NotOnPlan.into(),
            ChangeError::NoCustomer => Self::new(ErrorCode::CustomerNotFound).param("customer_id"),
            ChangeError::NoBundle => Self::missing("auto_top_up_bundle_id", "credit bundle of this plan"),
            ChangeError::JournalFull => Self::new(ErrorCode::BillingBacklog),
            ChangeError::Stopped => Self::from(Stopped),
        }
    }
}

impl From<Stopped> for ApiError {
    fn from(_: Stopped) -> Self {
        Self::new(ErrorCode::Stopping)
    }
}

fn short(code: ErrorCode, words: &str, shortage: &SpendShortage) -> ApiError {
    let SpendShortage {
        limit,
        cycle,
        spent,
        held,
        needed,
        resets_at,
    } = *shortage;
    let name = cycle.name();
    ApiError::new(code)
        .say(format!(
            "{words} ({name} limit {limit}: {spent} spent, {held} held, this call needs {needed})."
        ))
        .field("scope", "spend_key")
        .field("limit", limit.to_string())
        .field("cycle", name)
        .field("spent", spent.to_string())
        .field("held", held.to_string())
        .field("needed", needed.to_string())
        .field("resets_at", resets_at.map(iso_seconds))
}

fn too_fast(status: RateStatus) -> ApiError {
    ApiError::new(ErrorCode::RateLimited)
        .say(format!("This key takes {} requests a minute.", status.limit))
        .field("scope", "spend_key")
        .field("limit", status.limit)
        .retry_after(status.retry_in_us.div_ceil(1_000_000).max(1))
}

fn uncredited(code: ErrorCode, balance: Money, held: Money) -> ApiError {
    ApiError::new(code)
        .say(format!(
            "The customer's credit cannot cover this call: {balance} is left, of which {held} is held."
        ))
        .field("scope", "customer")
        .field("balance", balance.to_string())
        .field("held", held.to_string())
}

fn uncovered(code: ErrorCode, balance: Money, held: Money) -> ApiError {
    ApiError::new(code)
        .say(format!(
            "The wallet cannot cover this call: its balance is {balance}, of which {held} is held."
        ))
        .field("scope", "wallet")
        .field("balance", balance.to_string())
        .field("held", held.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cycle::Cycle;
    use crate::domain::key::RequestShape;

    const NOW: Now = Now {
        wall_ms: 1_000_000,
        monotonic_us: 0,
    };

    fn shortage() -> SpendShortage {
        SpendShortage {
            limit: Money::from_nanos(5_000_000_000),
            cycle: Cycle::Daily,
            spent: Money::from_nanos(4_000_000_000),
            held: Money::from_nanos(1_000_000_000),
            needed: Money::from_nanos(1),
            resets_at: Some(1_700_000_000),
        }
    }

    fn refuses(denial: &Denial, status: u16, code: &str, headers: &[(&str, &str)]) {
        let error = ApiError::denied(denial, NOW);
        assert_eq!((error.status().as_u16(), error.code().word()), (status, code));
        let shown: Vec<(&str, &str)> = error
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(shown, headers, "{denial:?}");
    }

    #[test]
    fn every_denial_has_the_status_and_the_code_of_the_table() {
        refuses(&Denial::Invalid, 401, "invalid_api_key", &[]);
        refuses(&Denial::Paused, 401, "key_paused", &[]);
        refuses(&Denial::Expired, 401, "key_expired", &[]);
        refuses(
            &Denial::ShapeMismatch {
                expected: RequestShape::OpenAi,
            },
            403,
            "request_shape_mismatch",
            &[],
        );
        refuses(&Denial::ModelNotAllowed, 403, "model_not_allowed", &[]);
        refuses(&Denial::ProviderNotAllowed, 403, "provider_not_allowed", &[]);
        refuses(&Denial::IpNotAllowed, 403, "ip_not_allowed", &[]);
    }

    #[test]
    fn a_limit_says_whether_and_when_to_come_back() {
        let never = ("x-should-retry", "false");
        refuses(&Denial::SpendLimit(shortage()), 402, "spend_limit_reached", &[never]);
        refuses(&Denial::Busy(shortage()), 429, "budget_busy", &[("retry-after", "1")]);
        let rate = RateStatus {
            limit: 60,
            remaining: 0,
            full_in_us: 9_000_000,
            retry_in_us: 2_100_000,
        };
        refuses(&Denial::RateLimited(rate), 429, "rate_limited", &[("retry-after", "3")]);
        refuses(
            &Denial::TooManyParallel { limit: 4 },
            429,
            "too_many_parallel",
            &[("retry-after", "1")],
        );
        for (resets_at, seconds) in [(Some(1060), Some("60")), (Some(900), Some("1")), (None, None)] {
            let denial = Denial::RequestLimit {
                limit: 10,
                cycle: Cycle::Daily,
                resets_at,
            };
            let headers: Vec<(&str, &str)> = seconds
                .map(|seconds| ("retry-after", seconds))
                .into_iter()
                .chain([never])
                .collect();
            refuses(&denial, 429, "request_limit_reached", &headers);
        }
    }

    #[test]
    fn a_shortage_names_its_scope_and_its_figures() {
        let body = ApiError::denied(&Denial::SpendLimit(shortage()), NOW).body();
        let error = &body["error"];
        let figures = [
            ("scope", "spend_key"),
            ("limit", "5.00"),
            ("spent", "4.00"),
            ("held", "1.00"),
            ("cycle", "daily"),
        ];
        for (field, value) in figures {
            assert_eq!(error[field], value, "{body}");
        }
        assert_eq!(error["resets_at"], "2023-11-14T22:13:20.000Z");
        let prepaid = AccountRefusal::Insufficient {
            balance: Money::ZERO,
            held: Money::ZERO,
        };
        let body = ApiError::from(prepaid).body();
        assert_eq!(
            (&body["error"]["scope"], &body["error"]["balance"]),
            (&"wallet".into(), &"0.00".into())
        );
    }
}
