//! What the suite stands on: a real Postgres, the real binary, the simulated provider, and clients to talk to them.

pub mod certificates;
pub mod collector;
pub mod crowd;
pub mod database_proxy;
pub mod form;
pub mod house;
pub mod http;
pub mod postgres;
pub mod process;
pub mod scripted;
pub mod server;
pub mod simulator;
pub mod stream;
pub mod stripe;
pub mod stub;
pub mod visitor;
