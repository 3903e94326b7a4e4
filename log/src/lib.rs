//! Logs in which no recorded event can be altered or dropped unseen.
//!
//! ```text
//!  backend                         outsiders
//!  Log ─ append ─▶ journal         verify_dir   files + public keys
//!      ─ tiles, checkpoint ──────▶ Mirror       last checkpoint seen, proofs
//!      ◀─ cosignature ──────────── witness      its own signed memory of the head
//! ```
//!
//! Formats are public standards so that stock tools can check us: RFC 6962 Merkle trees, C2SP
//! tlog-tiles, signed-note, tlog-checkpoint, tlog-cosignature and tlog-witness. This crate is both
//! sides: the backend writes with [`Log`]; clients and the command line verify with
//! [`verify::verify_dir`] and [`mirror::Mirror`]. Leaves are in [`event`].

pub mod checkpoint;
pub mod copy;
pub mod error;
pub mod event;
pub mod export;
pub mod fs;
pub mod journal;
pub mod key;
pub mod merkle;
pub mod mirror;
pub mod note;
pub mod options;
pub mod publisher;
pub mod receipt;
pub mod serve;
mod state;
pub mod tile;
pub mod verify;
pub mod witness;
pub mod writer;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use error::LogError;
pub use key::{NoteSigner, SignatureType, VerifierKey};
pub use merkle::{Hash, leaf_hash};
pub use mirror::Mirror;
pub use options::Options;
pub use receipt::{Receipt, verify_receipt};
pub use verify::{Report, verify_dir};
pub use witness::{WitnessAnswer, WitnessRequest};
pub use writer::{Appended, Log, LogCounters, Recovery};
