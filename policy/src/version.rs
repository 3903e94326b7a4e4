//! Contents: uploading, publishing, opening.

use ticrypt_types::{NodeKind, Permission, Timestamp, UserId, VersionId};

use crate::access::Need;
use crate::actor::Actor;
use crate::denial::Denial;
use crate::node::NodeFacts;
use crate::permit::{ChunkWrite, ContentDownload, ContentOpen, Permit, UploadAbandon, UploadBegin, VersionList, VersionPublish};

/// What is known of an upload attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadFacts {
    pub version: VersionId,
    pub created_by: UserId,
    /// Neither published nor abandoned.
    pub open: bool,
}

/// On a file: a new version. On a directory: a new file in it. Writing either way.
pub fn may_upload(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<UploadBegin>, Denial> {
    actor.check(now)?;
    facts.may_write(actor, upload_need(facts), now)?;
    actor.may(Permission::VaultCreate)?;
    Ok(facts.permit(actor))
}

/// Makes an uploaded version current, or an old one current again.
pub fn may_publish(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<VersionPublish>, Denial> {
    actor.check(now)?;
    facts.may_write(actor, Need::EDIT, now)?;
    file(facts)?;
    Ok(facts.permit(actor))
}

/// Chunks come from whoever began the upload, while it is open; the share was asked when the ticket was handed out.
pub fn may_write_chunk(actor: &Actor, facts: &UploadFacts, now: Timestamp) -> Result<Permit<ChunkWrite>, Denial> {
    own_upload(actor, facts, now)?;
    Ok(Permit::new(actor.user, facts.version, 0, 0))
}

/// One abandons one's own uploads.
pub fn may_abandon(actor: &Actor, facts: &UploadFacts, now: Timestamp) -> Result<Permit<UploadAbandon>, Denial> {
    own_upload(actor, facts, now)?;
    Ok(Permit::new(actor.user, facts.version, 0, 0))
}

/// The content key leaves the server: needs *view*.
pub fn may_open(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<ContentOpen>, Denial> {
    readable(actor, facts, Need::VIEW, now)?;
    Ok(facts.permit(actor))
}

/// Opening to keep a copy: needs *download*.
pub fn may_download(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<ContentDownload>, Denial> {
    readable(actor, facts, Need::DOWNLOAD, now)?;
    Ok(facts.permit(actor))
}

/// A file's manifests, without its content keys: whoever sees the file.
pub fn may_list_versions(actor: &Actor, facts: &NodeFacts, now: Timestamp) -> Result<Permit<VersionList>, Denial> {
    actor.check(now)?;
    facts.unlocked(actor, now)?;
    file(facts)?;
    Ok(facts.permit(actor))
}

fn readable(actor: &Actor, facts: &NodeFacts, need: Need, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    facts.reach(actor, need, now)?;
    file(facts)
}

fn upload_need(facts: &NodeFacts) -> Need {
    if facts.kind == NodeKind::File { Need::EDIT } else { Need::ADD }
}

fn file(facts: &NodeFacts) -> Result<(), Denial> {
    if facts.kind == NodeKind::File { Ok(()) } else { Err(Denial::NotAFile) }
}

fn own_upload(actor: &Actor, facts: &UploadFacts, now: Timestamp) -> Result<(), Denial> {
    actor.check(now)?;
    if facts.created_by != actor.user {
        return Err(Denial::NotYourUpload);
    }
    if facts.open { Ok(()) } else { Err(Denial::UploadOver) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::actor::tests::{actor, id};
    use crate::node::tests::{NOW, all_verbs, facts, grant};
    use ticrypt_types::{Rank, Verbs};

    #[test]
    fn each_content_verb_needs_its_bit() {
        let me = actor(1, Rank::User);
        for verbs in all_verbs() {
            let file = NodeFacts { kind: NodeKind::File, grants: vec![grant(1, verbs)], ..facts(9) };
            let has = |verb| verbs.contains(verb);
            assert_eq!(may_open(&me, &file, NOW).err(), (!has(Verbs::VIEW)).then_some(Denial::NoView));
            assert_eq!(may_download(&me, &file, NOW).err(), (!has(Verbs::DOWNLOAD)).then_some(Denial::NoDownload));
            assert_eq!(may_upload(&me, &file, NOW).err(), (!has(Verbs::EDIT)).then_some(Denial::NoEdit));
            assert_eq!(may_publish(&me, &file, NOW).err(), (!has(Verbs::EDIT)).then_some(Denial::NoEdit));
            assert!(may_list_versions(&me, &file, NOW).is_ok());
        }
    }

    #[test]
    fn kinds_matter() {
        let me = actor(9, Rank::User);
        let directory = NodeFacts { kind: NodeKind::Directory, ..facts(9) };
        assert!(may_upload(&me, &directory, NOW).is_ok(), "a new file in it");
        assert_eq!(may_publish(&me, &directory, NOW), Err(Denial::NotAFile));
        assert_eq!(may_open(&me, &directory, NOW), Err(Denial::NotAFile));
        assert_eq!(may_list_versions(&me, &directory, NOW), Err(Denial::NotAFile));
    }

    #[test]
    fn uploads_belong_to_whoever_began_them() {
        let version = VersionId::from_random([5; 16]);
        let me = actor(1, Rank::SuperAdmin);
        for (created_by, open, expected) in [
            (id(1), true, None),
            (id(1), false, Some(Denial::UploadOver)),
            (id(2), true, Some(Denial::NotYourUpload)),
            (id(2), false, Some(Denial::NotYourUpload)),
        ] {
            let facts = UploadFacts { version, created_by, open };
            assert_eq!(may_write_chunk(&me, &facts, NOW).err(), expected);
            assert_eq!(may_abandon(&me, &facts, NOW).err(), expected);
        }
    }
}
