//! A value that must not leave by accident: no `Serialize`, no `Display`, a `Debug` that says nothing, and memory that
//! is wiped on drop. Whoever needs the plain text asks for it by name, with `expose`.

use std::fmt;

use zeroize::Zeroize;

/// Something secret, such as the plain text of a key.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The plain value; the caller sees that it goes nowhere else.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
