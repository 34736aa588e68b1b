//! The actors: they own live state, carry messages and keep time; what to decide stands in `domain`. The engine never
//! touches Postgres or a provider: what it needs answered is declared in `ports`.

pub mod account_actor;
pub mod accounts;
pub mod answers;
pub mod billing_actor;
pub mod clock;
pub mod codes;
pub mod customer_accounts;
pub mod customer_actor;
pub mod customers;
pub mod journal;
pub mod keyring;
pub mod metrics;
pub mod options;
pub mod outbox;
pub mod payments;
pub mod ports;
pub mod prices;
pub mod provider_keys;
pub mod random;
pub mod refusals;
pub mod retention;
pub mod sealing;
pub mod spend;
pub mod spend_actor;
pub mod tariffs;
pub mod top_ups;
mod unwinding;
pub mod waiting;
