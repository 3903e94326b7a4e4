//! The writes of contents, as methods of a write in progress.

use std::collections::BTreeMap;

use sea_orm::FromQueryResult;
use ticrypt_policy::Permit;
use ticrypt_policy::permit::{ChunkWrite, UploadAbandon, UploadBegin, VersionPublish};
use ticrypt_types::limits::SMALL_CONTENT_MAX_BYTES;
use ticrypt_types::{NodeId, NodeKind, Timestamp, UserId, VersionId};

use super::{Chunk, ContentNew, ContentSource, Published, UploadNew, VersionState};
use crate::column::{Digest, bytes, digest, id, number, placeholders};
use crate::error::{StoreError, Taken};
use crate::table::insert_all;
use crate::table::version::{chunks, manifests, small_chunks, versions};
use crate::writer::Tx;

impl Tx {
    pub async fn begin_uploads(&self, permits: Vec<Permit<UploadBegin>>, uploads: Vec<UploadNew>, at: Timestamp) -> Result<(), StoreError> {
        self.same_rights(permits.iter().map(Permit::rights)).await?;
        let nodes = self.decided(permits.iter().map(|permit| (permit.on(), permit.revision()))).await?;
        let actor = permits.first().map(Permit::actor).ok_or(StoreError::Invalid("nothing to do; name at least one file"))?;
        let mut rows = Vec::with_capacity(uploads.len());
        for upload in uploads {
            let place = nodes.get(&upload.directory.unwrap_or(upload.file)).ok_or(StoreError::NotFound("node"))?;
            let wanted = if upload.directory.is_some() { NodeKind::Directory } else { NodeKind::File };
            if place.kind != wanted {
                return Err(StoreError::Invalid("an upload is for a file, or for a new file in a directory; name it so"));
            }
            rows.push(versions::Model {
                id: upload.version.as_bytes().to_vec(),
                file_id: upload.file.as_bytes().to_vec(),
                directory_id: upload.directory.map(|id| id.as_bytes().to_vec()),
                state: VersionState::Uploading.word().to_owned(),
                content_wrap: upload.content_wrap,
                size: number(upload.size)?,
                chunk_count: number(upload.chunk_count)?,
                created_by: actor.as_bytes().to_vec(),
                session_epoch: number(upload.session_epoch)?,
                created_ms: at.to_i64(),
                touched_ms: at.to_i64(),
            });
        }
        self.never_used(rows.iter().map(|row| &row.id), Taken::VersionId).await?;
        insert_all::<versions::Entity, versions::ActiveModel>(&self.conn, rows).await
    }

    pub async fn record_chunk(&self, permit: Permit<ChunkWrite>, chunk: Chunk, at: Timestamp) -> Result<(), StoreError> {
        let version = || bytes(permit.on().as_bytes());
        let sql = "UPDATE versions SET touched_ms = $2 WHERE id = $1 AND state = 'uploading' AND chunk_count > $3";
        self.run_or_stale("upload", sql, vec![version(), at.to_i64().into(), number(chunk.number)?.into()]).await?;
        let sql = "INSERT INTO chunks (version_id, number, hash, stored_len) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let number = number(chunk.number)?;
        let values = vec![version(), number.into(), bytes(chunk.hash), i64::try_from(chunk.stored_len).unwrap_or(i64::MAX).into()];
        if self.run(sql, values).await? == 0 {
            let sql = "SELECT * FROM chunks WHERE version_id = $1 AND number = $2";
            let there = self.row::<chunks::Model>(sql, vec![version(), number.into()]).await?;
            if there.is_none_or(|row| row.hash != chunk.hash) {
                return Err(StoreError::Taken(Taken::Chunk));
            }
        }
        Ok(())
    }

    pub async fn publish(&self, permit: Permit<VersionPublish>, content: ContentNew) -> Result<Published, StoreError> {
        self.check_rights(permit.rights()).await?;
        let file = self.node(permit.on()).await?;
        if file.revision != permit.revision() || file.kind != NodeKind::File {
            return Err(StoreError::Stale("file"));
        }
        let manifest = &content.manifest;
        if manifest.sequence == 0 || manifest.sequence > file.current_sequence + 1 {
            return Err(StoreError::Invalid("the manifest skips a sequence; load the file again"));
        }
        let wins = manifest.sequence == file.current_sequence + 1;
        if wins && self.current_hash(file.id, file.current_sequence).await? != manifest.predecessor {
            return Err(StoreError::Invalid("the manifest does not follow the current one; load the file again"));
        }
        if wins {
            let sql = "UPDATE nodes SET current_sequence = $2 WHERE id = $1";
            self.run_or_stale("file", sql, vec![bytes(file.id.as_bytes()), number(manifest.sequence)?.into()]).await?;
        }
        self.take_contents(permit.actor(), vec![(file.id, content)], !wins).await?;
        Ok(if wins { Published::Current } else { Published::Conflict })
    }

    /// Contents of files made in the same transaction.
    pub(crate) async fn take_first_contents(&self, actor: UserId, contents: Vec<(NodeId, ContentNew)>) -> Result<(), StoreError> {
        for (_, content) in &contents {
            let manifest = &content.manifest;
            let right = manifest.sequence == 1 && manifest.predecessor.is_none();
            if !right || matches!(content.source, ContentSource::Older) {
                return Err(StoreError::Invalid("the first manifest of a file has sequence 1 and no predecessor; sign it so"));
            }
        }
        self.take_contents(actor, contents, false).await
    }

    async fn take_contents(&self, actor: UserId, contents: Vec<(NodeId, ContentNew)>, conflict: bool) -> Result<(), StoreError> {
        let (mut version_rows, mut chunk_rows, mut small_rows, mut manifest_rows) = (vec![], vec![], vec![], vec![]);
        let (mut uploaded, mut older) = (BTreeMap::new(), BTreeMap::new());
        for (file, ContentNew { version, source, manifest }) in contents {
            match source {
                ContentSource::Uploaded => drop(uploaded.insert(version, file)),
                ContentSource::Older => drop(older.insert(version, file)),
                ContentSource::Small { content_wrap, size, hash, bytes } => {
                    if bytes.len() > SMALL_CONTENT_MAX_BYTES {
                        return Err(StoreError::Invalid("the content is too large to travel with the metadata; upload it in chunks"));
                    }
                    let id = version.as_bytes().to_vec();
                    chunk_rows.push(chunks::Model {
                        version_id: id.clone(),
                        number: 0,
                        hash: hash.to_vec(),
                        stored_len: number(bytes.len() as u64)?,
                    });
                    small_rows.push(small_chunks::Model { version_id: id.clone(), bytes });
                    version_rows.push(versions::Model {
                        id,
                        file_id: file.as_bytes().to_vec(),
                        directory_id: None,
                        state: VersionState::Stored.word().to_owned(),
                        content_wrap,
                        size: number(size)?,
                        chunk_count: 1,
                        created_by: actor.as_bytes().to_vec(),
                        session_epoch: 0,
                        created_ms: manifest.at.to_i64(),
                        touched_ms: manifest.at.to_i64(),
                    });
                }
            }
            manifest_rows.push(manifests::Model {
                file_id: file.as_bytes().to_vec(),
                sequence: number(manifest.sequence)?,
                hash: manifest.hash.to_vec(),
                envelope: manifest.envelope,
                props_key: manifest.props_key,
                version_id: version.as_bytes().to_vec(),
                writer_id: actor.as_bytes().to_vec(),
                conflict,
                at_ms: manifest.at.to_i64(),
            });
        }
        self.finish_uploads(actor, &uploaded).await?;
        self.check_stored(&older).await?;
        self.never_used(version_rows.iter().map(|row| &row.id), Taken::VersionId).await?;
        insert_all::<versions::Entity, versions::ActiveModel>(&self.conn, version_rows).await?;
        insert_all::<chunks::Entity, chunks::ActiveModel>(&self.conn, chunk_rows).await?;
        insert_all::<small_chunks::Entity, small_chunks::ActiveModel>(&self.conn, small_rows).await?;
        insert_all::<manifests::Entity, manifests::ActiveModel>(&self.conn, manifest_rows).await
    }

    /// Uploads become stored, if they are the actor's, of that file, and complete.
    async fn finish_uploads(&self, actor: UserId, uploads: &BTreeMap<VersionId, NodeId>) -> Result<(), StoreError> {
        #[derive(FromQueryResult)]
        struct Row {
            id: Vec<u8>,
            file_id: Vec<u8>,
            complete: bool,
        }
        let ids: Vec<_> = uploads.keys().collect();
        for some in ids.chunks(1_000) {
            let list = placeholders(2, some.len());
            let mut values = vec![bytes(actor.as_bytes())];
            values.extend(some.iter().map(|id| bytes(id.as_bytes())));
            let sql = format!(
                "SELECT v.id, v.file_id, (SELECT COUNT(*) FROM chunks c WHERE c.version_id = v.id) = v.chunk_count AS complete \
                 FROM versions v WHERE v.created_by = $1 AND v.state = 'uploading' AND v.id IN ({list})"
            );
            let rows = self.rows::<Row>(&sql, values.clone()).await?;
            if rows.len() != some.len() {
                return Err(StoreError::NotFound("upload"));
            }
            for row in rows {
                let version: VersionId = id("versions.id", &row.id)?;
                if uploads.get(&version) != Some(&id("versions.file_id", &row.file_id)?) {
                    return Err(StoreError::Invalid("the upload is another file's; begin one for this file"));
                }
                if !row.complete {
                    return Err(StoreError::Invalid("chunks are missing; upload them and publish again"));
                }
            }
            let sql = format!("UPDATE versions SET state = 'stored', directory_id = NULL WHERE created_by = $1 AND id IN ({list})");
            self.run(&sql, values).await?;
        }
        Ok(())
    }

    /// Older versions of the same file, named by a new manifest.
    async fn check_stored(&self, older: &BTreeMap<VersionId, NodeId>) -> Result<(), StoreError> {
        for (version, file) in older {
            let sql = "SELECT * FROM versions WHERE id = $1 AND file_id = $2 AND state = 'stored'";
            let row = self.row::<versions::Model>(sql, vec![bytes(version.as_bytes()), bytes(file.as_bytes())]).await?;
            row.ok_or(StoreError::NotFound("version"))?;
        }
        Ok(())
    }

    async fn current_hash(&self, file: NodeId, sequence: u64) -> Result<Option<Digest>, StoreError> {
        let sql = "SELECT * FROM manifests WHERE file_id = $1 AND sequence = $2 AND NOT conflict";
        let row = self.row::<manifests::Model>(sql, vec![bytes(file.as_bytes()), number(sequence)?.into()]).await?;
        row.map(|row| digest("manifests.hash", &row.hash)).transpose()
    }

    pub async fn abandon(&self, permit: Permit<UploadAbandon>, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE versions SET state = 'abandoned', touched_ms = $2 WHERE id = $1 AND state = 'uploading'";
        self.run_or_stale("upload", sql, vec![bytes(permit.on().as_bytes()), at.to_i64().into()]).await
    }

    pub async fn abandon_stale(&self, before: Timestamp, at: Timestamp) -> Result<u64, StoreError> {
        let sql = "UPDATE versions SET state = 'abandoned', touched_ms = $2 WHERE state = 'uploading' AND touched_ms < $1";
        self.run(sql, vec![before.to_i64().into(), at.to_i64().into()]).await
    }

    pub async fn forget_abandoned(&self, versions: Vec<VersionId>) -> Result<(), StoreError> {
        for some in versions.chunks(1_000) {
            let list = placeholders(1, some.len());
            let values = || some.iter().map(|id| bytes(id.as_bytes())).collect();
            let gone = format!("SELECT id FROM versions WHERE state = 'abandoned' AND id IN ({list})");
            self.run(&format!("INSERT INTO retired {gone}"), values()).await?;
            self.run(&format!("DELETE FROM chunks WHERE version_id IN ({gone})"), values()).await?;
            self.run(&format!("DELETE FROM versions WHERE state = 'abandoned' AND id IN ({list})"), values()).await?;
        }
        Ok(())
    }
}
