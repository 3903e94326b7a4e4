//! What a person's device does: holds the keys, talks to one deployment, believes nothing that does not verify.
//!
//! ```text
//!   Home ── Deployment ── Transport ──────────────▶ server (pinned TLS, one session, few connections)
//!              │              ▲
//!              │           Session ── Keys ── Unlocked (this process) or AgentKeys (over a socket)
//!              ├── Mirror   (both logs: last checkpoint, tiles; refuses older and forked ones)
//!              ├── Users    (bundles, key-log proofs, pins)
//!              ├── Groups   (signed heads replayed, seeds)
//!              └── Seen     (highest counters; refuses older states)
//! ```
//!
//! The command line and the local web interface are thin layers over [`Session`]; the vault engine is in [`vault`].

pub mod access;
pub mod account;
pub mod agent;
pub mod audit;
pub mod bulk;
pub mod certification;
pub mod clock;
pub mod deployment;
pub mod entropy;
pub mod error;
pub mod events;
pub mod group;
mod heads;
pub mod home;
pub mod keys;
pub mod login;
pub mod mirror;
pub mod profile;
pub mod project;
mod races;
pub mod receipts;
pub mod reset;
pub mod session;
pub mod show;
pub mod state;
pub mod team;
pub mod transport;
pub mod users;
pub mod vault;
pub mod when;

pub use deployment::Deployment;
pub use error::{ClientError, Kind};
pub use home::Home;
pub use keys::{Batch, Keys, NodeKeys, SealedGrant, SealedSeed};
pub use session::Session;
pub use transport::Transport;
