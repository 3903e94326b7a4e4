//! Removes uploads nobody went on with, and chunks that no row names.
//!
//! ```text
//!   uploading, untouched for long ─▶ abandoned ─▶ chunks deleted ─▶ row forgotten
//!   chunk without a version        ─▶ deleted
//! ```
//!
//! A chunk is stored only after its upload has a row, so one without a row belongs to nothing and never will. A backup that is being
//! taken may still need it: holds are asked for after the row was not found and before the chunk goes (`ticrypt_store::hold`).

use std::collections::HashMap;

use futures::TryStreamExt;
use std::fmt;

use serde::Serialize;
use ticrypt_policy::PeopleScope;
use ticrypt_types::{Timestamp, UserName, VersionId};

use super::{CheckError, Place, Progress};

const PAGE: u64 = 1_000;

/// What a sweep removed, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    pub abandoned_uploads: u64,
    pub orphaned_chunks: u64,
    pub orphaned_bytes: u64,
    /// Objects in the chunk store that were not written by this program; they are left alone.
    pub foreign_objects: u64,
    pub dry_run: bool,
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} abandoned uploads, {} orphaned chunks ({} bytes); {} foreign objects left alone",
            if self.dry_run { "would remove" } else { "removed" },
            self.abandoned_uploads,
            self.orphaned_chunks,
            self.orphaned_bytes,
            self.foreign_objects
        )
    }
}

/// Sweeps uploads last touched before `before`; `now` is the server's time. A dry run only counts.
pub async fn sweep(
    place: &Place,
    before: Timestamp,
    now: Timestamp,
    dry_run: bool,
    mut tell: impl FnMut(Progress) + Send,
) -> Result<Swept, CheckError> {
    let mut swept = Swept { dry_run, ..Swept::default() };
    if dry_run {
        swept.abandoned_uploads = untouched(place, before).await?;
    } else {
        place.store.abandon_stale(before, now).await?;
    }
    // Given up by their owners, or just now: what was touched at this very moment waits for the next sweep.
    loop {
        let limit = if dry_run { u64::from(u32::MAX) } else { PAGE };
        let gone = place.store.abandoned_before(now.plus_millis(1), limit).await?;
        swept.abandoned_uploads += gone.len() as u64;
        if dry_run || gone.is_empty() {
            break;
        }
        refuse_if_held(place).await?;
        for version in &gone {
            place.chunks.delete_version(version.file, version.version).await?;
        }
        place.store.forget_abandoned(gone.into_iter().map(|version| version.version).collect()).await?;
        tell(Progress { step: "abandoned uploads", done: swept.abandoned_uploads });
    }
    orphans(place, dry_run, &mut swept, &mut tell).await?;
    Ok(swept)
}

async fn orphans(place: &Place, dry_run: bool, swept: &mut Swept, tell: &mut (impl FnMut(Progress) + Send)) -> Result<(), CheckError> {
    let mut known: HashMap<VersionId, bool> = HashMap::new();
    let mut objects = place.chunks.list();
    let mut seen = 0;
    while let Some(object) = objects.try_next().await? {
        seen += 1;
        if seen % 10_000 == 0 {
            tell(Progress { step: "chunks", done: seen });
        }
        let Some(key) = object.key else {
            swept.foreign_objects += 1;
            continue;
        };
        let is_known = match known.get(&key.version) {
            Some(is_known) => *is_known,
            None => {
                let is_known = place.store.upload(key.version).await?.is_some_and(|upload| upload.version.file == key.file);
                known.insert(key.version, is_known);
                is_known
            }
        };
        if !is_known {
            swept.orphaned_chunks += 1;
            swept.orphaned_bytes += object.size_bytes;
            if !dry_run {
                refuse_if_held(place).await?;
                place.chunks.delete(key).await?;
            }
        }
    }
    Ok(())
}

async fn refuse_if_held(place: &Place) -> Result<(), CheckError> {
    if place.store.chunks_are_held().await? { Err(CheckError::Held) } else { Ok(()) }
}

/// Uploads under way that nobody touched since.
async fn untouched(place: &Place, before: Timestamp) -> Result<u64, CheckError> {
    let (mut count, mut after): (u64, Option<UserName>) = (0, None);
    loop {
        let people = place.store.users(PeopleScope::All, after.as_ref(), PAGE).await?;
        for person in &people {
            let uploads = place.store.uploads_of(person.id, u64::from(u32::MAX)).await?;
            count += uploads.iter().filter(|upload| upload.touched < before).count() as u64;
        }
        let Some(last) = people.last() else { return Ok(count) };
        after = Some(last.name.clone());
    }
}
