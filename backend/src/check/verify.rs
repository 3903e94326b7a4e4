//! `check`: what a suspicious reader would do, over everything.
//!
//! ```text
//!   people ─▶ bundles ─▶ trees ─┬─▶ directories: head signed, over exactly the stored entries
//!                               ├─▶ files: manifests signed, over exactly the recorded chunks
//!                               └─▶ grants: signed by the bundle they name
//!   chunk store ◀─▶ rows: every recorded chunk is there with its length (with `deep`: its hash); none is there without a row
//!   logs: every entry leads to the signed root
//! ```

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::{Entry, leaf_hash};
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::record::Record;
use ticrypt_crypto::signature::{Payload, VerifyCache};
use ticrypt_crypto::{Digest, Envelope, PublicKey, Signed};
use ticrypt_log::verify::{Trust, verify_dir};
use ticrypt_policy::PeopleScope;
use ticrypt_store::blobs::ChunkKey;
use ticrypt_store::node::Node;
use ticrypt_store::version::VersionState;
use ticrypt_types::{NodeId, NodeKind, UserId, UserName, VersionId};

use super::{CheckError, Place, Progress, Report};

const PAGE: u64 = 1_000;

/// Checks everything; `deep` reads every chunk and hashes it. What is wrong is in the report.
pub async fn check(place: &Place, deep: bool, mut tell: impl FnMut(Progress) + Send) -> Result<Report, CheckError> {
    let mut checker = Checker { place, report: Report::default(), keys: HashMap::new(), cache: VerifyCache::default(), tell: &mut tell };
    let people = checker.people().await?;
    for person in people {
        checker.tree(person).await?;
    }
    let recorded = checker.recorded_chunks(deep).await?;
    checker.chunks_without_rows(&recorded).await?;
    checker.logs().await?;
    Ok(checker.report)
}

struct Checker<'a, T: FnMut(Progress) + Send> {
    place: &'a Place,
    report: Report,
    /// Signing keys by the bundle's record hash.
    keys: HashMap<[u8; 32], PublicKey>,
    cache: VerifyCache,
    tell: &'a mut T,
}

impl<T: FnMut(Progress) + Send> Checker<'_, T> {
    /// Accounts and every generation of their bundles.
    async fn people(&mut self) -> Result<Vec<UserId>, CheckError> {
        let (mut ids, mut after): (Vec<UserId>, Option<UserName>) = (Vec::new(), None);
        loop {
            let people = self.place.store.users(PeopleScope::All, after.as_ref(), PAGE).await?;
            for person in &people {
                self.bundles(person.id, &person.bundle).await?;
                ids.push(person.id);
            }
            self.report.people = ids.len() as u64;
            (self.tell)(Progress { step: "people", done: self.report.people });
            let Some(last) = people.last() else { return Ok(ids) };
            after = Some(last.name.clone());
        }
    }

    async fn bundles(&mut self, user: UserId, current: &[u8; 32]) -> Result<(), CheckError> {
        let mut previous: Option<Bundle> = None;
        let mut has_current = false;
        for stored in self.place.store.bundles_of(user).await? {
            self.report.bundles += 1;
            let bundle = match Bundle::parse_and_verify(&stored.bytes) {
                Ok(bundle) => bundle,
                Err(error) => {
                    self.report.found("bundle", user, format!("generation {}: {error}", stored.generation));
                    continue;
                }
            };
            if bundle.hash().to_bytes() != stored.hash || bundle.payload().user != user {
                self.report.found("bundle", user, format!("generation {} is not the one its row names", stored.generation));
            }
            if let Some(error) = previous.as_ref().and_then(|previous| bundle.verify_successor(previous).err()) {
                self.report.found("bundle", user, format!("generation {}: {error}", stored.generation));
            }
            has_current |= stored.hash == *current;
            self.keys.insert(stored.hash, bundle.payload().signing_key);
            previous = Some(bundle);
        }
        if !has_current {
            self.report.found("bundle", user, "the account's current bundle is not stored");
        }
        Ok(())
    }

    async fn tree(&mut self, owner: UserId) -> Result<(), CheckError> {
        // Those it is shared with still read a tree whose owner lost the keys.
        let mut roots = self.place.store.lost_homes(owner).await?;
        roots.extend(self.place.store.home(owner).await?);
        for root in roots {
            self.nodes_below(root.id).await?;
        }
        Ok(())
    }

    async fn nodes_below(&mut self, root: NodeId) -> Result<(), CheckError> {
        let nodes = self.place.store.subtree(root).await?;
        for some in nodes.chunks(PAGE as usize) {
            for entry in self.place.store.entries(some).await? {
                self.entry_record(&entry.node);
                match entry.node.kind {
                    NodeKind::Directory => self.directory(&entry.node).await?,
                    NodeKind::File => self.file(&entry.node).await?,
                }
            }
            for grant in self.place.store.grants_on(some).await? {
                self.report.grants += 1;
                let signed = self.signed::<GrantPayload>(&grant.envelope, |grant| grant.sealer_bundle);
                match signed {
                    Err(why) => self.report.found("grant", grant.id, why),
                    Ok(signed) if signed.record_hash().to_bytes() != grant.hash || signed.node != grant.node => {
                        self.report.found("grant", grant.id, "the record is not the one its row names");
                    }
                    Ok(_) => {}
                }
            }
            (self.tell)(Progress { step: "nodes", done: self.report.directories + self.report.files });
        }
        Ok(())
    }

    /// Verifies with the key of the bundle that the record names.
    fn signed<P: Payload>(&mut self, envelope: &[u8], bundle: impl Fn(&P) -> Digest) -> Result<Signed<P>, String> {
        let envelope = Envelope::parse(envelope).map_err(|error| error.to_string())?;
        let claimed: P = envelope.claimed().map_err(|error| error.to_string())?;
        let key = self.keys.get(bundle(&claimed).as_bytes()).ok_or("it names a bundle that is not stored")?;
        envelope.verify_as_cached(key, &mut self.cache).map_err(|error| error.to_string())
    }

    fn entry_record(&mut self, node: &Node) {
        if node.parent.is_none() {
            return;
        }
        match Entry::parse(&node.entry) {
            Err(error) => self.report.found("entry", node.id, error),
            Ok(entry) => {
                let said = (Some(entry.parent), u64::from(entry.parent_epoch), entry.child, entry.kind, u64::from(entry.child_epoch));
                let stored = (node.parent, node.parent_epoch, node.id, node.kind, node.epoch);
                if said != stored || entry.name_tag != node.name_tag || leaf_hash(&node.entry).to_bytes() != node.leaf {
                    self.report.found("entry", node.id, "the record is not the one its row describes");
                }
            }
        }
    }

    async fn directory(&mut self, node: &Node) -> Result<(), CheckError> {
        self.report.directories += 1;
        let leaves = self.place.store.directory_leaves(node.id).await?;
        // Beside a running server it may have changed since its row was read; then it is looked at once more, whole.
        let Some(node) = self.place.store.node(node.id).await? else { return Ok(()) };
        let Some(bytes) = &node.head else {
            self.report.found("head", node.id, "the directory has no head");
            return Ok(());
        };
        let head = match self.signed::<HeadPayload>(bytes, |head| head.writer_bundle) {
            Ok(head) => head,
            Err(why) => {
                self.report.found("head", node.id, why);
                return Ok(());
            }
        };
        let said = (head.directory, head.counter, u64::from(head.epoch), Some(head.record_hash().to_bytes()));
        if said != (node.id, node.head_counter, node.epoch, node.head_hash) {
            self.report.found("head", node.id, "the head is not the one its row describes");
        }
        if head.verify_leaves(digests(&leaves)).is_err() {
            let again = self.place.store.directory_leaves(node.id).await?;
            let moved = self.place.store.node(node.id).await?.is_none_or(|now| now.head_counter != node.head_counter);
            if let (Err(error), false) = (head.verify_leaves(digests(&again)), moved) {
                self.report.found("head", node.id, error);
            }
        }
        Ok(())
    }

    async fn file(&mut self, node: &Node) -> Result<(), CheckError> {
        self.report.files += 1;
        let history = self.place.store.versions(node.id, None, u64::from(u32::MAX)).await?;
        if node.current_sequence > 0 && !history.iter().any(|(m, _)| m.sequence == node.current_sequence && !m.conflict) {
            self.report.found("manifest", node.id, "the current manifest is missing");
        }
        for (manifest, version) in history {
            self.report.manifests += 1;
            let signed = match self.signed::<ManifestPayload>(&manifest.envelope, |manifest| manifest.writer_bundle) {
                Ok(signed) => signed,
                Err(why) => {
                    self.report.found("manifest", node.id, format!("sequence {}: {why}", manifest.sequence));
                    continue;
                }
            };
            let said = (signed.file, signed.sequence, signed.record_hash().to_bytes(), signed.version, signed.size);
            if said != (node.id, manifest.sequence, manifest.hash, version.id, version.size) || version.state != VersionState::Stored {
                self.report.found("manifest", node.id, format!("sequence {} is not the one its row describes", manifest.sequence));
            }
            let chunks = self.place.store.chunks(version.id, 0, version.chunk_count.saturating_add(1)).await?;
            let hashes: Vec<Digest> = chunks.iter().map(|chunk| Digest::new(chunk.hash)).collect();
            if let Err(error) = signed.verify_chunks(&hashes) {
                self.report.found("chunks", version.id, error);
            }
            let small = self.place.store.small_contents(&[version.id]).await?;
            if let Some(bytes) = small.get(&version.id)
                && hashes.first() != Some(&Digest::of(bytes))
            {
                self.report.found("small_content", version.id, "the bytes are not those of the recorded hash");
            }
        }
        Ok(())
    }

    /// Every recorded chunk is in the chunk store. Gives the versions that have rows.
    async fn recorded_chunks(&mut self, deep: bool) -> Result<HashSet<VersionId>, CheckError> {
        let (mut known, mut after) = (HashSet::new(), None);
        loop {
            let versions = self.place.store.stored_versions(after, PAGE).await?;
            let Some(last) = versions.last() else { return Ok(known) };
            after = Some(last.version);
            for version in versions {
                known.insert(version.version);
                for chunk in version.chunks {
                    self.report.chunks += 1;
                    let key = ChunkKey { file: version.file, version: version.version, number: chunk.number };
                    self.chunk(key, chunk.stored_len, chunk.hash, deep).await?;
                }
            }
            (self.tell)(Progress { step: "chunks", done: self.report.chunks });
        }
    }

    async fn chunk(&mut self, key: ChunkKey, stored_len: u64, hash: [u8; 32], deep: bool) -> Result<(), CheckError> {
        let about = || format!("{}/{}/{}", key.file, key.version, key.number);
        match self.place.chunks.size(key).await? {
            None => {
                // Deleted for good between the row and the look: then the row is gone as well.
                if self.place.store.upload(key.version).await?.is_some() {
                    self.report.found("chunk_missing", about(), "the chunk is recorded and not in the chunk store");
                }
            }
            Some(size) if size != stored_len => {
                self.report.found("chunk_length", about(), format!("{size} bytes, recorded are {stored_len}"));
            }
            Some(_) if deep => {
                let bytes = self.place.chunks.get(key).await?;
                let found = tokio::task::spawn_blocking(move || Digest::of(&bytes)).await.map_err(|_| CheckError::Task)?;
                if found.to_bytes() != hash {
                    self.report.found("chunk_hash", about(), "the bytes are not those of the recorded hash");
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    async fn chunks_without_rows(&mut self, known: &HashSet<VersionId>) -> Result<(), CheckError> {
        let mut objects = self.place.chunks.list();
        while let Some(object) = objects.try_next().await? {
            match object.key {
                None => self.report.found("foreign_object", object.path, "not a chunk of this program"),
                Some(key) if known.contains(&key.version) => {}
                // Begun since the rows were read, abandoned and waiting for the sweep, or an orphan.
                Some(key) if self.place.store.upload(key.version).await?.is_some() => {}
                Some(_) => self.report.found("chunk_orphan", object.path, "no row names it; run `ticrypt-backend sweep`"),
            }
        }
        Ok(())
    }

    async fn logs(&mut self) -> Result<(), CheckError> {
        for log in &self.place.logs {
            let (directory, key, witnesses, quorum) = (log.directory.clone(), log.key.clone(), log.witnesses.clone(), log.quorum);
            let verified = tokio::task::spawn_blocking(move || {
                verify_dir(&directory, &Trust { log_key: &key, witnesses: &witnesses, quorum, seen: &[] })
            });
            match verified.await.map_err(|_| CheckError::Task)? {
                Ok(report) => self.report.log_entries += report.checkpoint.size,
                Err(error) => self.report.found("log", log.name, chain(&error)),
            }
            (self.tell)(Progress { step: "log entries", done: self.report.log_entries });
        }
        Ok(())
    }
}

fn digests(leaves: &[(NodeId, [u8; 32])]) -> Vec<(NodeId, Digest)> {
    leaves.iter().map(|(id, leaf)| (*id, Digest::new(*leaf))).collect()
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
