//! Webhooks over the real binary, with a receiver in the test that says what it wants, or nothing.

mod endpoints;
mod fixtures;
mod many;
mod retries;
mod telling;
