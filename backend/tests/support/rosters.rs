//! Heads of projects as a manager's client makes them, from what the server shows.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;

use ticrypt_api::Blob;
use ticrypt_api::project::{MemberListReply, NewMember, ProjectHeadsReply};
use ticrypt_crypto::project::{ProjectHeadPayload, RosterEntry, roster};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::{Digest, Envelope};
use ticrypt_types::{DeploymentId, MemberRole, ProjectId, Restrictions, Timestamp, UserId};

use crate::support::random;

#[derive(Clone)]
pub struct Roster {
    deployment: DeploymentId,
    project: ProjectId,
    parent: Option<ProjectId>,
    pub pi: Option<UserId>,
    pub counter: u64,
    pub previous: Option<Digest>,
    entries: BTreeMap<UserId, RosterEntry>,
}

impl Roster {
    /// Before the first head.
    pub fn founded(deployment: DeploymentId, project: ProjectId, parent: Option<ProjectId>, founder: UserId) -> Self {
        let mut roster = Self { deployment, project, parent, pi: Some(founder), counter: 0, previous: None, entries: BTreeMap::new() };
        roster.set(&NewMember { role: MemberRole::Manager, ..member(founder) });
        roster
    }

    pub fn read(deployment: DeploymentId, project: ProjectId, members: &MemberListReply, heads: &ProjectHeadsReply) -> Self {
        let newest = Envelope::parse(&heads.heads.last().unwrap().head.0).unwrap();
        let head: ProjectHeadPayload = newest.claimed().unwrap();
        let mut read = Self {
            deployment,
            project,
            parent: head.parent,
            pi: head.pi,
            counter: head.counter,
            previous: Some(newest.record_hash()),
            entries: BTreeMap::new(),
        };
        for view in &members.members {
            let new = NewMember {
                user: view.user,
                role: view.role,
                restrictions: view.restrictions,
                expires_ms: view.expires_ms,
                update: false,
                salt: view.salt.clone(),
            };
            read.set(&new);
        }
        read
    }

    pub fn set(&mut self, new: &NewMember) {
        let NewMember { user, role, restrictions, expires_ms, .. } = *new;
        let (deployment, project, expires) = (self.deployment, self.project, expires_ms.unwrap_or(Timestamp::ABSENT));
        let salt = new.salt.0.as_slice().try_into().unwrap();
        self.entries.insert(user, RosterEntry { deployment, project, user, role, restrictions, expires, salt });
    }

    pub fn remove(&mut self, user: UserId) {
        self.entries.remove(&user);
    }

    pub fn entry(&self, user: UserId) -> Blob {
        Blob(self.entries[&user].to_bytes())
    }

    /// The next head over these members.
    pub fn head(&self, writer: UserId, writer_bundle: Digest, at: Timestamp) -> ProjectHeadPayload {
        ProjectHeadPayload {
            deployment: self.deployment,
            project: self.project,
            parent: self.parent,
            counter: self.counter + 1,
            previous: self.previous,
            members: self.entries.len() as u64,
            root: roster(self.entries.values().cloned()).unwrap().root(),
            pi: self.pi,
            writer,
            writer_bundle,
            at,
        }
    }
}

/// A plain member to be.
pub fn member(user: UserId) -> NewMember {
    let salt = Blob(random::<16>().to_vec());
    NewMember { user, role: MemberRole::User, restrictions: Restrictions::NONE, expires_ms: None, update: false, salt }
}
