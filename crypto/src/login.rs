//! Logins and the connections they hold on (docs/formats.md §4).

use ticrypt_types::{DeploymentId, SessionId, Timestamp, UserId};

use crate::record::{Record, RecordError};
use crate::signature::{Namespace, Payload, PublicKey};
use crate::{Digest, record};

record! {
    /// An identity's answer to a challenge, for a session whose key lives as long as the session.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LoginPayload {
        pub deployment: DeploymentId,
        pub user: UserId,
        pub bundle: Digest,
        pub challenge: [u8; 32],
        pub session_key: PublicKey,
        /// TLS exporter of the connection that carries the request (RFC 9266).
        pub channel: [u8; 32],
        pub at: Timestamp,
    }
}

impl Record for LoginPayload {
    const MAX_LEN: usize = 512;

    fn check(&self) -> Result<(), RecordError> {
        Ok(())
    }
}

impl Payload for LoginPayload {
    const NAMESPACE: Namespace = Namespace::Login;
}

record! {
    /// Binds a further connection to a session; signed with the session's key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SessionBinding {
        pub deployment: DeploymentId,
        pub session: SessionId,
        /// TLS exporter of the connection that is bound.
        pub channel: [u8; 32],
    }
}

impl Record for SessionBinding {
    const MAX_LEN: usize = 128;

    fn check(&self) -> Result<(), RecordError> {
        Ok(())
    }
}

impl Payload for SessionBinding {
    const NAMESPACE: Namespace = Namespace::SessionBinding;
}
