//! The near side of the agent's socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_bytes::ByteBuf;
use ticrypt_crypto::PublicKey;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::signature::EnvelopeBytes;
use ticrypt_keyring::group::GroupSeed;
use ticrypt_keyring::{ListKey, NodeKeys, TreeKey};
use ticrypt_types::{Secret, SessionId};
use tokio::net::UnixStream;
use zeroize::Zeroize;

use super::protocol::{self, Reply, Request, Status, WireGrant, WireKeys, WireSession};
use crate::error::{ClientError, Result};
use crate::keys::{Batch, Keys, PublicIdentity, SealedGrant, SealedSeed};
use crate::session::Capability;

/// Longer than the slowest request, which is opening a thousand grants.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// The identity in the agent.
#[derive(Debug)]
pub struct AgentKeys {
    socket: PathBuf,
    public: PublicIdentity,
}

/// A session the agent remembers.
#[derive(Debug)]
pub struct AgentSession {
    pub keys: Arc<dyn Keys>,
    pub capability: Arc<Capability>,
}

/// What the agent has; `None` if none runs.
pub async fn status(socket: &Path) -> Result<Option<Status>> {
    let Some(mut stream) = dial(socket).await? else { return Ok(None) };
    match ask(&mut stream, &Request::Status).await? {
        Reply::Status(status) => Ok(Some(status)),
        _ => Err(unexpected()),
    }
}

/// Ends the agent; `false` if none runs.
pub async fn lock(socket: &Path) -> Result<bool> {
    let Some(mut stream) = dial(socket).await? else { return Ok(false) };
    match ask(&mut stream, &Request::Lock).await? {
        Reply::Done => Ok(true),
        _ => Err(unexpected()),
    }
}

/// Hands a running agent a key file and its passphrase.
pub async fn unlock(socket: &Path, key_file: &str, bundle: &Bundle, passphrase: &Secret<String>, ttl: Duration) -> Result<Arc<dyn Keys>> {
    let mut request = Request::Unlock {
        key_file: key_file.to_owned(),
        bundle: ByteBuf::from(bundle.as_bytes()),
        passphrase: passphrase.expose().clone(),
        ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
    };
    let reply = ask_at(socket, &request).await;
    if let Request::Unlock { passphrase, .. } = &mut request {
        passphrase.zeroize();
    }
    match reply? {
        Reply::Done => Ok(Arc::new(AgentKeys { socket: socket.to_owned(), public: PublicIdentity::of(bundle.clone()) })),
        _ => Err(unexpected()),
    }
}

/// The session that the agent holds; of kind `LoggedOut` if there is none.
pub async fn connect(socket: &Path) -> Result<AgentSession> {
    let mut stream = dial(socket).await?.ok_or_else(ClientError::logged_out)?;
    let Reply::Identity(bundle) = ask(&mut stream, &Request::Identity).await? else { return Err(unexpected()) };
    let bundle =
        Bundle::parse_and_verify(&bundle).map_err(|e| ClientError::broken("the agent holds a bundle that does not verify").because(e))?;
    let keys: Arc<dyn Keys> = Arc::new(AgentKeys { socket: socket.to_owned(), public: PublicIdentity::of(bundle) });
    let Reply::Session(session) = ask(&mut stream, &Request::Session).await? else { return Err(unexpected()) };
    let capability = Capability::new(session.session, Secret::new(session.token.clone()), session.expires, Arc::clone(&keys));
    Ok(AgentSession { keys, capability: Arc::new(capability) })
}

/// Lets the agent remember a session that was begun with the key it drew.
pub async fn set_session(socket: &Path, capability: &Capability) -> Result<()> {
    let session = WireSession { session: capability.session, token: capability.token().expose().clone(), expires: capability.expires };
    match ask_at(socket, &Request::SetSession(session)).await? {
        Reply::Done => Ok(()),
        _ => Err(unexpected()),
    }
}

#[async_trait]
impl Keys for AgentKeys {
    fn identity(&self) -> &PublicIdentity {
        &self.public
    }

    async fn sign(&self, batch: Batch) -> Result<Vec<EnvelopeBytes>> {
        // Found here, the error names the caller's mistake; the agent makes the same check and relies on its own.
        batch.check(&self.public)?;
        let request = Request::Sign {
            namespace: batch.namespace().word().to_owned(),
            payloads: batch.payloads().into_iter().map(ByteBuf::from).collect(),
        };
        match ask_at(&self.socket, &request).await? {
            Reply::Envelopes(envelopes) if envelopes.len() == batch.len() => Ok(envelopes.into_iter().map(ByteBuf::into_vec).collect()),
            _ => Err(unexpected()),
        }
    }

    async fn open(&self, grants: Vec<SealedGrant>) -> Result<Vec<Result<NodeKeys>>> {
        let count = grants.len();
        let grants = grants.into_iter().map(|grant| WireGrant {
            envelope: ByteBuf::from(grant.envelope),
            sealed: ByteBuf::from(grant.sealed),
            sealer_key: ByteBuf::from(grant.sealer_key.as_bytes().to_vec()),
        });
        match ask_at(&self.socket, &Request::Open { grants: grants.collect() }).await? {
            Reply::Keys(opened) if opened.len() == count => {
                Ok(opened.into_iter().map(|one| one.map_err(Into::into).and_then(node_keys)).collect())
            }
            _ => Err(unexpected()),
        }
    }

    async fn open_group_seal(&self, seal: SealedSeed) -> Result<GroupSeed> {
        let request = Request::OpenGroupSeal {
            terms: ByteBuf::from(seal.terms.to_bytes()),
            sealed: ByteBuf::from(seal.sealed),
            key: ByteBuf::from(seal.key.as_bytes().to_vec()),
        };
        match ask_at(&self.socket, &request).await? {
            Reply::Seed(seed) => {
                let bytes = <&[u8; 32]>::try_from(seed.0.as_slice()).map_err(|_| unexpected())?;
                GroupSeed::from_bytes(bytes).map_err(|_| unexpected())
            }
            _ => Err(unexpected()),
        }
    }

    async fn new_session_key(&self) -> Result<PublicKey> {
        match ask_at(&self.socket, &Request::NewSessionKey).await? {
            Reply::PublicKey(bytes) => PublicKey::from_bytes(&bytes).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }

    async fn bind(&self, session: SessionId, channel: [u8; 32]) -> Result<EnvelopeBytes> {
        let request = Request::Bind { session, channel: ByteBuf::from(channel.to_vec()) };
        match ask_at(&self.socket, &request).await? {
            Reply::Envelopes(mut envelopes) => envelopes.pop().map(ByteBuf::into_vec).ok_or_else(unexpected),
            _ => Err(unexpected()),
        }
    }
}

fn node_keys(wire: WireKeys) -> Result<NodeKeys> {
    let key = |bytes: &ByteBuf| <[u8; 32]>::try_from(bytes.as_slice()).map(zeroize::Zeroizing::new).map_err(|_| unexpected());
    let provider = |e| ClientError::broken("the keys the agent opened cannot be used").because(e);
    let list = ListKey::from_bytes(&*key(&wire.list)?).map_err(provider)?;
    let tree = match &wire.tree {
        Some(tree) => Some(TreeKey::from_bytes(&*key(tree)?).map_err(provider)?),
        None => None,
    };
    Ok(NodeKeys { list, tree })
}

/// Connects, if something of this very user listens.
async fn dial(socket: &Path) -> Result<Option<UnixStream>> {
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => return Ok(None),
        Err(e) => return Err(crate::home::io_error("connect to", socket, e)),
    };
    let peer = stream.peer_cred().map_err(|e| crate::home::io_error("look at", socket, e))?;
    if peer.uid() != rustix::process::getuid().as_raw() {
        return Err(ClientError::untrusted(format!("the agent at {} belongs to another user; remove the socket", socket.display())));
    }
    Ok(Some(stream))
}

async fn ask_at(socket: &Path, request: &Request) -> Result<Reply> {
    let mut stream = dial(socket).await?.ok_or_else(ClientError::logged_out)?;
    ask(&mut stream, request).await
}

async fn ask(stream: &mut UnixStream, request: &Request) -> Result<Reply> {
    let asked = async {
        protocol::write(stream, request).await?;
        protocol::read(stream).await?.ok_or_else(ClientError::logged_out)
    };
    match tokio::time::timeout(REPLY_TIMEOUT, asked).await {
        Ok(Ok(Reply::Failed(error))) => Err(error.into()),
        Ok(reply) => reply,
        Err(_) => Err(ClientError::unavailable("the agent does not answer; run `ticrypt lock`, then `ticrypt login`")),
    }
}

fn unexpected() -> ClientError {
    ClientError::broken("the agent gave an answer to another question; run `ticrypt lock`, then `ticrypt login`")
}
