//! Many calls at once: nothing is overspent, nothing stays held, no dead secret lives.

mod dollar;
mod rotation;
mod torn;
