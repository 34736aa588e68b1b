//! Caldera: a self-hosted AI gateway that controls spend and bills for usage.
//!
//! # The one idea
//! Money is decided by pure state machines, owned by actors, made durable by a journal, and read back from Postgres.
//!
//! # Layers
//! Each imports only what stands to its left; a test reads the imports:
//! `domain <- engine <- { storage, gateway } <- http <- app`.
//!
//! # The way of one request
//! `http::llm` finds the caller and reads the body; `gateway::serve`, once for each target of a call with fallbacks
//! (`gateway::fallback`), resolves the provider and translates the body where
//! that speaks another dialect (`gateway::prepare`, `gateway::translate`), works out what the call may cost, asks the
//! key's shard (`engine::spend`) and a prepaid wallet (`engine::accounts`) for a hold, writes OPEN to the
//! journal (`engine::journal`) and hands the call to a pump (`gateway::pump`, `gateway::stream`). The pump outlives the
//! client, whose connection drives it (`gateway::pumps`, `gateway::conduit`), sends it (`gateway::dispatch`), writes SETTLE before
//! the last byte leaves, and ends the hold. `engine::billing_actor` reads behind the journal and has `storage::writer` put
//! each batch into Postgres in one transaction.
//!
//! # To change ... open ...
//! - how a limit decides: `domain::spend`, `domain::room`; a cycle: `domain::cycle`; the rate limit: `domain::rate`
//! - what a call may cost: `gateway::quote`; what it did cost: `domain::price`; which prices are in force: `engine::prices`
//! - images and sound: `gateway::media`; forms and bodies that are not held in memory: `gateway::upload`, `gateway::spool`
//! - which calls run now and how one is ended: `gateway::live_call`, `gateway::roster`, `http::calls`; the live feed: `http::live`
//! - when a provider is left alone: `gateway::breaker`; when a call is sent again: `gateway::dispatch`
//! - how a provider's answers are read: `gateway::dialect`; which providers there are: `config/providers.toml`
//! - how one dialect becomes another: `gateway::translate`; where calls may go: `gateway::target`, `gateway::egress`
//! - an error's code or status: `http::error`; an option: `config/default.toml` and `app::config`
//! - what a customer is charged: `domain::meter`; his credit and subscription: `domain::customer_account`, owned by
//!   `engine::customer_actor`; how a call is billed to him: `gateway::billing`; a reported request: `http::requests`
//! - checkout and payments: `domain::checkout`, `http::checkout`, `engine::payments`, `gateway::payments`
//! - what is told to webhooks: `domain::webhook`, `storage::webhooks`, `engine::outbox`, `gateway::courier`
//! - a command of the command line: the file of its noun in `app::cli`; whom it asks: `app::cli::client`
//! - agents: `http::mcp`, whose tools are calls of this server by loopback (`http::inside`); signing programs in by the
//!   browser: `http::logins`, `http::dashboard::connect`
//! - what the books must satisfy: `storage::proof`; older names of fields and paths: `http::vocabulary`
//! - what is counted and shown at `/metrics`: `engine::metrics`; of a call: `gateway::watch`; spans: `gateway::trace`; who
//!   gets them: `app::otlp`
//! - what is summed of all that goes through: `domain::traffic`, kept by `storage::writer`, shown by `http::traffic`
//! - what is stored: `migrations/` and the file of its noun in `storage`
//!
//! # Glossary
//! Hold: money set aside for a call in flight. Settle: end a hold with what the call cost. Record: one journal entry.
//! Request: one row of usage. Frame: one SSE message. Dialect: a wire format. Spend key: what applications call with.
//! Customer: whom a merchant bills, by meters, out of the credit of his plan and bundles. Turn: one change of a
//! customer's subscription with all that it does to his credit. Secret key: what manages. Lane: one worker's part of the journal. Shard: one worker's part of the keys.

pub mod app;
pub mod domain;
pub mod engine;
pub mod gateway;
pub mod http;
pub mod storage;
