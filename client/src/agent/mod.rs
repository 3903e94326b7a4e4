//! The agent: holds the unlocked identity for a while, so that a second command needs no passphrase (security D25).
//!
//! ```text
//!   ticrypt login ── key file, bundle, passphrase ──▶ agent      one process for each home and deployment
//!   ticrypt ls    ── typed requests ────────────────▶  │ identity, session key: never leave
//!                 ◀─ envelopes, node keys, token ─────  │ forgotten after a time without requests, or by `ticrypt lock`
//!        └──────── own TLS connections ───────────▶ server
//! ```
//!
//! The agent answers typed requests only. It signs records that it parsed and encoded itself, of this person and deployment; it opens
//! grants made to this person; it binds connections to the session it helped to begin. It never signs bytes or unseals a box on request,
//! never gives out the identity or the session's key, and never talks to the network: what a command has after asking the agent is node
//! keys it could have asked for one by one, a token, and one binding for each of its own connections. A command therefore pays one local
//! round trip for its session, one for each connection, one for the grants it opens and one for each batch it signs, not half a second
//! of key derivation.
//!
//! Guarded by a directory of mode 0700, the uid at the other end (checked on both sides), memory that is not dumpable and, where the
//! limits of the system allow, not swapped. Malware under the same user is out of scope: it could read the terminal as well.

mod client;
mod protocol;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ticrypt_crypto::Digest;
use ticrypt_types::DeploymentId;

pub use client::{AgentKeys, AgentSession, connect, lock, set_session, status, unlock};
pub use protocol::Status;
pub use server::{Agent, harden};

use crate::error::{ClientError, Result};
use crate::home::{self, Home};

/// Idle time after which everything is forgotten, unless the person says otherwise.
pub const DEFAULT_TTL: Duration = Duration::from_secs(15 * 60);
/// Longest idle time a person may ask for.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// `sun_path` of Linux, with its zero.
const SOCKET_PATH_MAX: usize = 107;

/// Where the agent of a home and deployment listens: below the runtime directory if the system has one, else below the home.
pub fn socket_path(home: &Home, deployment: DeploymentId, runtime_dir: Option<PathBuf>) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let of = Digest::of_parts(&[home.path().as_os_str().as_bytes(), &[0], deployment.as_bytes()]);
    let (short, _) = of.as_bytes().split_at(8);
    let name = format!("{}.sock", HEXLOWER.encode(short));
    let dir = match runtime_dir.filter(|dir| dir.is_absolute() && dir.is_dir()) {
        Some(dir) => dir.join("ticrypt"),
        None => home.path().join("agent"),
    };
    home::make_private(&dir)?;
    check_private(&dir)?;
    let path = dir.join(name);
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        return Err(ClientError::invalid(format!(
            "the path {} is too long for a socket; use a shorter --home, or set XDG_RUNTIME_DIR",
            path.display()
        )));
    }
    Ok(path)
}

/// Somebody else's directory, or one that others can enter, could hold somebody else's agent.
fn check_private(dir: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(dir).map_err(|e| home::io_error("look at", dir, e))?;
    let mine = metadata.uid() == rustix::process::getuid().as_raw();
    if !metadata.is_dir() || !mine || metadata.mode() & 0o077 != 0 {
        return Err(ClientError::invalid(format!("{} must be your own directory with mode 700; remove it and try again", dir.display())));
    }
    Ok(())
}
