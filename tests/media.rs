//! Images and sound: held by what they can cost, billed by what their provider bills, and passed on as they come.

mod hearing;
mod making;
mod raw;
