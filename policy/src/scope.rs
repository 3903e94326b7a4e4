//! What a list may contain: decided once here, turned once into a filter by the store.

use ticrypt_types::UserId;

/// The part of a list its reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only what is this person's own.
    Own(UserId),
    /// Everything.
    All,
}
