//! What went wrong, and what was being done. This program has one kind of failure: it says so and ends.

use std::fmt::{Debug, Display, Formatter};

/// A failure that ends the program, as one readable sentence.
pub struct Failure(String);

impl Failure {
    /// A failure with nothing beneath it.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Debug for Failure {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        Display::fmt(self, formatter)
    }
}

/// Says what was being done when something failed.
pub trait Doing<T> {
    /// Turns the error into a [`Failure`] that begins with `what`.
    fn doing(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: Display> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}
