//! Pure decisions: money, time, limits, prices. Nothing here reads a clock, draws randomness or does input and output;
//! state, input and `now` go in, a verdict comes out, so one seed replays a whole run.

pub mod account;
pub mod billing_period;
pub mod call;
pub mod credential;
pub mod credit;
pub mod cursor;
pub mod customer;
pub mod customer_account;
pub mod cycle;
pub mod ids;
pub mod key;
pub mod metadata;
pub mod meter;
pub mod money;
pub mod plan;
pub mod price;
pub mod rate;
pub mod request;
pub mod room;
pub mod secret;
pub mod slug;
pub mod spend;
pub mod subscription;
pub mod terms;
pub mod usage;
mod words;
