//! A value that must not be seen: zeroed when dropped, never printed, not copied or compared by habit.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Holds key material or a passphrase. There is no `Clone`, `PartialEq`, `Serialize` or `Display` on purpose;
/// [`Secret::expose`] is the one word to look for in a review.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. What is made of it is the caller's to protect.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new(*b"hunter2")), "Secret(..)");
    }
}
