//! The secret half of every format in docs/formats.md: private keys, sign, seal, open, wrap, the key file.
//!
//! Only programs on a person's device or in their VM link this crate; the backend never does. Everything is synchronous and
//! without I/O; randomness comes through one [`Random`], time is a parameter. Keys are zeroed when dropped and never printed.
//!
//! ```text
//!   key file ──passphrase──▶ Identity ──opens grants──▶ NodeKeys (list key, tree key)
//!                               │                          ├ list: names, tags, properties, children's list keys
//!                               ├ signs records            └ tree: children's tree keys, content keys ─▶ chunks
//!                               └ opens seals ──▶ GroupSeed ──opens grants to the group──▶ NodeKeys
//! ```

pub mod aead;
pub mod chunk;
pub mod derive;
pub mod entry;
pub mod grant;
pub mod group;
pub mod identity;
mod kem;
pub mod keyfile;
pub mod name;
pub mod node;
pub mod props;
pub mod random;
pub mod sign;
pub mod version;
pub mod wrap;

pub use aead::{OpenError, SealError};
pub use group::GroupSeed;
pub use identity::Identity;
pub use node::{ListKey, NodeKeys, TreeKey};
pub use random::{Random, SystemRandom};
pub use sign::{SessionKey, SignError, SigningKey};
pub use version::{ContentKey, PropsKey};

#[cfg(test)]
mod vectors;
#[cfg(test)]
mod wycheproof;
