//! The public half of every format in docs/formats.md: parse, hash, verify.
//!
//! The backend links this crate, so what is *not* here is the point: nothing in it signs, decrypts, unwraps or agrees on a
//! key. Those live in `ticrypt-keyring`, which the backend never links (`cargo xtask tidy` checks it). Everything is synchronous,
//! without I/O, clock or randomness.
//!
//! ```text
//!   bytes ──Envelope::parse──▶ Envelope ──verify_as::<GrantPayload>(key)──▶ Signed<GrantPayload> ──▶ rules between records
//!            (one encoding)                (batch root, ECDSA, own rules)     (only a signature makes one)
//! ```

pub mod batch;
pub mod bundle;
pub mod chunk;
pub mod compartment;
pub mod digest;
pub mod directory;
pub mod entry;
pub mod grant;
pub mod group;
pub mod keyfile;
pub mod login;
pub mod manifest;
pub mod project;
pub mod record;
pub mod signature;
pub mod statement;
pub mod suite;
pub mod trie;
pub mod working_set;

pub use digest::Digest;
pub use record::RecordError;
pub use signature::{Envelope, Namespace, PublicKey, Signed};
pub use suite::Suite;
