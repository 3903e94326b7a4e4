//! Uploads, versions, conflicts, the sweep.

use ticrypt_policy::Permit;
use ticrypt_policy::permit::VersionPublish;
use ticrypt_policy::version::{may_abandon, may_publish, may_upload, may_write_chunk};
use ticrypt_store::node::{Among, Counts};
use ticrypt_store::version::{Chunk, ContentNew, ContentSource, Published, UploadNew, VersionState};
use ticrypt_store::{Digest, StoreError, Taken};
use ticrypt_types::{NodeId, UserId, VersionId};

use crate::lab::{Db, Lab, NOW, actor, at};

fn upload_new(version: VersionId, file: NodeId, directory: Option<NodeId>, chunk_count: u64) -> UploadNew {
    UploadNew { version, file, directory, content_wrap: b"wrap".to_vec(), size: 20_000_000, chunk_count, session_epoch: 1 }
}

async fn begin(lab: &Lab, by: UserId, on: NodeId, upload: UploadNew) -> Result<(), StoreError> {
    let permit = may_upload(&actor(by), &lab.facts(by, on).await, NOW).unwrap();
    lab.store.begin_uploads(vec![permit], vec![upload], NOW).await
}

async fn record(lab: &Lab, by: UserId, version: VersionId, number: u64, hash: Digest, at_ms: u64) -> Result<(), StoreError> {
    let facts = lab.store.upload(version).await?.unwrap().facts();
    let permit = may_write_chunk(&actor(by), &facts, NOW).unwrap();
    lab.store.record_chunk(permit, Chunk { number, hash, stored_len: 8_388_672 }, at(at_ms)).await
}

async fn permit(lab: &Lab, by: UserId, file: NodeId) -> Permit<VersionPublish> {
    may_publish(&actor(by), &lab.facts(by, file).await, NOW).unwrap()
}

async fn current(lab: &Lab, file: NodeId) -> (u64, Digest, VersionId) {
    let current = lab.store.entries(&[file]).await.unwrap().remove(0).current.unwrap();
    (current.manifest.sequence, current.manifest.hash, current.version.id)
}

pub async fn uploads_from_begin_to_publish(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    // A new file: uploaded before its node exists, then made with it.
    let new = lab.file_new(home, "new", None);
    let (file, version) = (new.entry.node, lab.version_id());
    begin(&lab, owner, home, upload_new(version, file, Some(home), 3)).await.unwrap();
    let upload = lab.store.upload(version).await.unwrap().unwrap();
    assert_eq!((upload.directory, upload.session_epoch, upload.version.state), (Some(home), 1, VersionState::Uploading));
    for number in [2, 0, 1] {
        record(&lab, owner, version, number, [number as u8; 32], 2_000_000 + number).await.unwrap();
    }
    record(&lab, owner, version, 1, [1; 32], 2_500_000).await.expect("the same again");
    assert!(matches!(record(&lab, owner, version, 1, [9; 32], 3_000_000).await, Err(StoreError::Taken(Taken::Chunk))));
    assert!(matches!(record(&lab, owner, version, 3, [3; 32], 3_000_000).await, Err(StoreError::Stale("upload"))));
    assert_eq!(lab.store.upload(version).await.unwrap().unwrap().touched, at(2_500_000), "refused chunks leave no trace");
    let numbers: Vec<u64> = lab.store.chunks(version, 1, 10).await.unwrap().iter().map(|chunk| chunk.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(lab.store.uploads_of(owner, 10).await.unwrap().len(), 1);

    let mut new = new;
    new.content = Some(ContentNew { version, source: ContentSource::Uploaded, manifest: lab.manifest(1, None) });
    lab.create(owner, home, vec![new]).await.unwrap();
    assert_eq!(current(&lab, file).await.2, version);
    let upload = lab.store.upload(version).await.unwrap().unwrap();
    assert_eq!((upload.version.state, upload.directory), (VersionState::Stored, None));
    assert!(lab.store.uploads_of(owner, 10).await.unwrap().is_empty());

    // A new version of it.
    let (sequence, hash, _) = current(&lab, file).await;
    let second = lab.version_id();
    begin(&lab, owner, file, upload_new(second, file, None, 1)).await.unwrap();
    assert!(matches!(begin(&lab, owner, file, upload_new(second, file, None, 1)).await, Err(StoreError::Taken(Taken::VersionId))));
    assert!(matches!(begin(&lab, owner, home, upload_new(lab.version_id(), home, None, 1)).await, Err(StoreError::Invalid(_))));
    record(&lab, owner, second, 0, [5; 32], 2_000_000).await.unwrap();
    let content = ContentNew { version: second, source: ContentSource::Uploaded, manifest: lab.manifest(sequence + 1, Some(hash)) };
    assert_eq!(lab.store.publish(permit(&lab, owner, file).await, content).await.unwrap(), Published::Current);
    assert_eq!(current(&lab, file).await.2, second);
    let history: Vec<u64> = lab.store.versions(file, None, 10).await.unwrap().iter().map(|(manifest, _)| manifest.sequence).collect();
    assert_eq!(history, [2, 1]);
    assert_eq!(lab.store.versions(file, Some(2), 10).await.unwrap().len(), 1);
}

pub async fn an_upload_that_is_not_complete_or_not_ones_own(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    lab.share(owner, home, friend, ticrypt_types::Verbs::ALL).await;
    let (file, other) = (lab.file(owner, home, "file").await, lab.file(owner, home, "other").await);
    let (sequence, hash, _) = current(&lab, file).await;
    let version = lab.version_id();
    begin(&lab, owner, file, upload_new(version, file, None, 2)).await.unwrap();
    record(&lab, owner, version, 0, [5; 32], 2_000_000).await.unwrap();
    let content = |version| ContentNew { version, source: ContentSource::Uploaded, manifest: lab.manifest(sequence + 1, Some(hash)) };
    let missing = lab.store.publish(permit(&lab, owner, file).await, content(version)).await;
    assert!(matches!(missing, Err(StoreError::Invalid(text)) if text.contains("chunks are missing")));
    assert_eq!(current(&lab, file).await.0, sequence, "the sequence was not spent");
    record(&lab, owner, version, 1, [6; 32], 2_000_000).await.unwrap();
    assert!(matches!(lab.store.publish(permit(&lab, friend, file).await, content(version)).await, Err(StoreError::NotFound("upload"))));
    let (_, other_hash, _) = current(&lab, other).await;
    let elsewhere = ContentNew { version, source: ContentSource::Uploaded, manifest: lab.manifest(2, Some(other_hash)) };
    assert!(matches!(lab.store.publish(permit(&lab, owner, other).await, elsewhere).await, Err(StoreError::Invalid(_))));
    lab.store.publish(permit(&lab, owner, file).await, content(version)).await.unwrap();
    let again = content(version);
    assert!(matches!(lab.store.publish(permit(&lab, owner, file).await, again).await, Err(StoreError::NotFound("upload"))));
}

pub async fn small_contents_travel_with_the_node(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let largest = vec![1; ticrypt_types::limits::SMALL_CONTENT_MAX_BYTES];
    let content = lab.small(&largest, 1, None);
    let version = content.version;
    lab.create(owner, home, vec![lab.file_new(home, "largest", Some(content))]).await.unwrap();
    assert_eq!(lab.store.small_contents(&[version, lab.version_id()]).await.unwrap(), [(version, largest.clone())].into());
    assert_eq!(lab.store.chunks(version, 0, 10).await.unwrap()[0].stored_len, largest.len() as u64);
    let too_large = lab.small(&vec![1; largest.len() + 1], 1, None);
    assert!(matches!(lab.create(owner, home, vec![lab.file_new(home, "too large", Some(too_large))]).await, Err(StoreError::Invalid(_))));
    for (sequence, predecessor) in [(0, None), (2, None), (1, Some([1; 32]))] {
        let wrong = lab.small(b"x", sequence, predecessor);
        let refused = lab.create(owner, home, vec![lab.file_new(home, "wrong", Some(wrong))]).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{sequence} {refused:?}");
    }
}

pub async fn a_lost_race_stays_as_a_conflict(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let file = lab.file(owner, home, "file").await;
    let (_, first, _) = current(&lab, file).await;
    let (winner, loser) = (lab.small(b"winner", 2, Some(first)), lab.small(b"loser", 2, Some(first)));
    let (won, lost) = (winner.manifest.hash, loser.manifest.hash);
    assert_eq!(lab.store.publish(permit(&lab, owner, file).await, winner.clone()).await.unwrap(), Published::Current);
    assert_eq!(lab.store.publish(permit(&lab, owner, file).await, loser).await.unwrap(), Published::Conflict);
    assert_eq!(current(&lab, file).await.1, won);
    let history: Vec<_> = lab
        .store
        .versions(file, None, 10)
        .await
        .unwrap()
        .iter()
        .map(|(manifest, _)| (manifest.sequence, manifest.hash, manifest.conflict))
        .collect();
    assert_eq!(history, [(2, won, false), (2, lost, true), (1, first, false)]);
    assert!(lab.store.manifest(file, &lost).await.unwrap().unwrap().0.conflict);
    let counts = lab.store.counts(Among::These(&[file]), NOW).await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(file, Counts { conflicts: 1, shares: 0 })]);
    assert!(lab.store.manifest(file, &[0; 32]).await.unwrap().is_none());
    // The same manifest twice, one that skips, one that follows another.
    assert!(matches!(
        lab.store.publish(permit(&lab, owner, file).await, ContentNew { version: lab.version_id(), ..winner }).await,
        Err(StoreError::Taken(Taken::Manifest))
    ));
    for (sequence, predecessor) in [(4, Some(won)), (0, None), (3, Some(lost)), (3, None)] {
        let refused = lab.store.publish(permit(&lab, owner, file).await, lab.small(b"x", sequence, predecessor)).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{sequence} {refused:?}");
    }
}

pub async fn older_versions_come_back(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let (file, other) = (lab.file(owner, home, "file").await, lab.file(owner, home, "other").await);
    let (_, first, old) = current(&lab, file).await;
    let second = lab.small(b"second", 2, Some(first));
    let second_hash = second.manifest.hash;
    lab.store.publish(permit(&lab, owner, file).await, second).await.unwrap();
    let back = |version| ContentNew { version, source: ContentSource::Older, manifest: lab.manifest(3, Some(second_hash)) };
    let foreign = current(&lab, other).await.2;
    assert!(matches!(lab.store.publish(permit(&lab, owner, file).await, back(foreign)).await, Err(StoreError::NotFound("version"))));
    assert_eq!(lab.store.publish(permit(&lab, owner, file).await, back(old)).await.unwrap(), Published::Current);
    assert_eq!((current(&lab, file).await.0, current(&lab, file).await.2), (3, old));
}

pub async fn abandoned_uploads_are_swept(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let file = lab.file(owner, home, "file").await;
    let (given_up, stale, living) = (lab.version_id(), lab.version_id(), lab.version_id());
    for version in [given_up, stale, living] {
        begin(&lab, owner, file, upload_new(version, file, None, 2)).await.unwrap();
    }
    record(&lab, owner, stale, 0, [1; 32], 1_500_000).await.unwrap();
    record(&lab, owner, living, 0, [1; 32], 5_000_000).await.unwrap();
    let facts = lab.store.upload(given_up).await.unwrap().unwrap().facts();
    lab.store.abandon(may_abandon(&actor(owner), &facts, NOW).unwrap(), at(1_200_000)).await.unwrap();
    assert!(matches!(
        lab.store.abandon(may_abandon(&actor(owner), &facts, NOW).unwrap(), at(1_300_000)).await,
        Err(StoreError::Stale("upload"))
    ));
    assert_eq!(lab.store.abandon_stale(at(2_000_000), at(6_000_000)).await.unwrap(), 1);
    let late = may_write_chunk(&actor(owner), &facts, NOW).unwrap();
    let refused = lab.store.record_chunk(late, Chunk { number: 0, hash: [1; 32], stored_len: 1 }, at(7_000_000)).await;
    assert!(matches!(refused, Err(StoreError::Stale("upload"))));

    let due = |found: Vec<ticrypt_store::node::DeletedVersion>| found.iter().map(|gone| gone.version).collect::<Vec<_>>();
    assert_eq!(due(lab.store.abandoned_before(at(1_200_000), 10).await.unwrap()), []);
    assert_eq!(due(lab.store.abandoned_before(at(1_200_001), 10).await.unwrap()), [given_up]);
    assert_eq!(due(lab.store.abandoned_before(at(9_000_000), 10).await.unwrap()), [given_up, stale]);
    lab.store.forget_abandoned(vec![given_up, stale, living]).await.unwrap();
    assert!(lab.store.upload(stale).await.unwrap().is_none() && lab.store.upload(living).await.unwrap().is_some());
    assert!(lab.store.chunks(stale, 0, 10).await.unwrap().is_empty());
}

pub async fn walking_over_all_versions(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let file = lab.file(owner, home, "small, so not among them").await;
    let mut expected = Vec::new();
    for n in 0..7 {
        let version = lab.version_id();
        begin(&lab, owner, file, upload_new(version, file, None, 4)).await.unwrap();
        for number in 0..n % 4 {
            record(&lab, owner, version, number, [n as u8; 32], 2_000_000).await.unwrap();
        }
        expected.push((version, n % 4));
    }
    expected.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let some = lab.store.stored_versions(after, 3).await.unwrap();
        let Some(last) = some.last() else { break };
        after = Some(last.version);
        assert!(some.iter().all(|found| found.file == file && found.chunk_count == 4));
        seen.extend(some.iter().map(|found| (found.version, found.chunks.len() as u64)));
    }
    assert_eq!(seen, expected);
}
