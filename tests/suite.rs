//! The suite: the real binary against a real Postgres and the simulated provider. One test binary; one file a noun.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

mod at_once;
mod billing;
mod breakers;
mod checkout;
mod clients;
mod credit;
mod customers;
mod durability;
mod egress;
mod endpoints;
mod fallbacks;
mod gateway;
mod google;
mod headers;
mod idempotency;
mod limits;
mod management;
mod media;
mod meters;
mod operator;
mod payments;
mod plans;
mod prices;
mod proof;
mod provider_keys;
mod retries;
mod storage;
mod streams;
mod subscriptions;
mod support;
mod tidy;
mod tls;
mod translation;
mod vocabulary;
mod webhooks;
