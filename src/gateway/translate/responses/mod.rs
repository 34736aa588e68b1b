//! OpenAI's responses, in both directions. Source of the shapes: the API reference of responses and its page on
//! streaming events. What OpenAI keeps between calls (earlier answers, conversations, prompts, files, background runs)
//! and the tools that it runs itself are refused by name: another provider has none of it. Encrypted reasoning is
//! carried in both directions, so that tool loops go on.

mod answer;
mod input;
mod items;
mod read_request;
mod reader;
mod sealed;
mod tools;
mod usage;
mod write_input;
mod write_request;
mod writer;

use super::{Instructions, Table, openai};

pub use usage::read_usage;
pub(in crate::gateway) use usage::{WireUsage, write_usage};

pub(super) static TABLE: Table = Table {
    read_request: read_request::read_request,
    write_request: write_request::write_request,
    read_answer: answer::read_answer,
    write_answer: answer::write_answer,
    read_error: openai::TABLE.read_error,
    reader: || Box::new(reader::EventReader::new()),
    writer: |options| Box::new(writer::EventWriter::new(options)),
    instructions: Instructions::Anywhere,
};

#[cfg(test)]
mod tests;
