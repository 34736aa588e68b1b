//! Storage against a real Postgres: the billing writer, the management queries, the lease and the replica.

mod customers;
pub mod fixtures;
mod idempotency;
mod lease;
mod payments;
mod pool;
mod renewals;
mod retention;
mod rollups;
mod size;
mod spend_keys;
mod subscriptions;
mod tariffs;
mod tenants;
mod throughput;
mod traffic;
mod traffic_size;
mod usage;
mod webhooks;
mod writer;
