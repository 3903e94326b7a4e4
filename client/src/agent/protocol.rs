//! What goes over the agent's socket: `length u32 ‖ CBOR`, one reply for each request.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use ticrypt_crypto::Namespace;
use ticrypt_types::{SessionId, Timestamp, UserId, UserName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{ClientError, Kind, Result};

/// A full batch of records to be signed fits.
const FRAME_MAX_BYTES: usize = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum Request {
    Status,
    /// Takes an identity; the one before is forgotten with its session.
    Unlock {
        key_file: String,
        bundle: ByteBuf,
        passphrase: String,
        ttl_ms: u64,
    },
    Identity,
    NewSessionKey,
    Bind {
        session: SessionId,
        channel: ByteBuf,
    },
    Sign {
        namespace: String,
        payloads: Vec<ByteBuf>,
    },
    Open {
        grants: Vec<WireGrant>,
    },
    /// The seed of a group's key.
    OpenGroupSeal {
        terms: ByteBuf,
        sealed: ByteBuf,
        key: ByteBuf,
    },
    /// After a login: what later commands act with.
    SetSession(WireSession),
    Session,
    /// Forget everything and end.
    Lock,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Status(Status),
    /// The bundle.
    Identity(ByteBuf),
    PublicKey(ByteBuf),
    Envelopes(Vec<ByteBuf>),
    Keys(Vec<std::result::Result<WireKeys, WireError>>),
    Seed(WireSeed),
    Session(WireSession),
    Failed(WireError),
}

/// What an agent says of itself. Needs no secret, so it does not keep the agent awake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Of the program.
    pub version: String,
    pub pid: u32,
    /// Whose keys are unlocked.
    pub user: Option<UserId>,
    pub name: Option<UserName>,
    pub session: Option<SessionId>,
    pub session_expires: Option<Timestamp>,
    /// Until everything is forgotten, if no request comes.
    pub forgets_in_ms: u64,
    /// Whether the system let the memory be kept from swap.
    pub memory_locked: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireGrant {
    pub(super) envelope: ByteBuf,
    pub(super) sealed: ByteBuf,
    pub(super) sealer_key: ByteBuf,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireKeys {
    pub(super) list: ByteBuf,
    pub(super) tree: Option<ByteBuf>,
}

impl Drop for WireKeys {
    fn drop(&mut self) {
        self.list.zeroize();
        if let Some(tree) = &mut self.tree {
            tree.zeroize();
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireSeed(pub(super) ByteBuf);

impl Drop for WireSeed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct WireSession {
    pub(super) session: SessionId,
    pub(super) token: String,
    pub(super) expires: Timestamp,
}

impl Drop for WireSession {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireError {
    kind: u8,
    code: String,
    message: String,
}

const KINDS: [Kind; 9] = [
    Kind::Invalid,
    Kind::Refused,
    Kind::LoggedOut,
    Kind::NotFound,
    Kind::Stale,
    Kind::Taken,
    Kind::Unavailable,
    Kind::Untrusted,
    Kind::Broken,
];

impl From<ClientError> for WireError {
    fn from(error: ClientError) -> Self {
        let kind = KINDS.iter().position(|kind| *kind == error.kind()).and_then(|at| u8::try_from(at).ok());
        Self { kind: kind.unwrap_or(u8::MAX), code: error.code().to_owned(), message: error.message().to_owned() }
    }
}

impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        let kind = KINDS.get(usize::from(error.kind)).copied().unwrap_or(Kind::Broken);
        Self::new(kind, &error.code, error.message)
    }
}

pub(super) fn namespace_of(word: &str) -> Result<Namespace> {
    let found = Namespace::ALL.into_iter().find(|namespace| namespace.word() == word);
    found.ok_or_else(|| ClientError::invalid(format!("there is no signature of the kind `{word}`")))
}

/// Writes one frame. The buffer is erased: it may hold a passphrase or keys.
pub(super) async fn write<T: Serialize>(stream: &mut UnixStream, value: &T) -> Result<()> {
    let bytes = minicbor_serde::to_vec(value).map_err(|e| ClientError::broken("a message to the agent cannot be written").because(e))?;
    let bytes = Zeroizing::new(bytes);
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length as usize <= FRAME_MAX_BYTES);
    let length = length.ok_or_else(|| ClientError::invalid("too much for the agent at once"))?;
    let written = async {
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    written.await.map_err(gone)
}

/// Reads one frame; `None` at the end of the stream.
pub(super) async fn read<T: for<'de> Deserialize<'de>>(stream: &mut UnixStream) -> Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(gone(e)),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_MAX_BYTES {
        return Err(ClientError::invalid("a message on the agent's socket is too long"));
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    stream.read_exact(&mut bytes).await.map_err(gone)?;
    let value = minicbor_serde::from_slice(&bytes);
    value.map(Some).map_err(|e| {
        ClientError::broken("the agent and this program do not understand each other; run `ticrypt lock`, then `ticrypt login`").because(e)
    })
}

fn gone(error: std::io::Error) -> ClientError {
    ClientError::logged_out().because(error)
}
