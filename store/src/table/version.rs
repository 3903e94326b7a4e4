//! Contents: upload attempts, their chunks, the manifests that make them versions.

super::table!(versions "versions" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    file_id: Vec<u8>,
    directory_id: Option<Vec<u8>>,
    state: String,
    content_wrap: Vec<u8>,
    size: i64,
    chunk_count: i64,
    created_by: Vec<u8>,
    session_epoch: i64,
    created_ms: i64,
    touched_ms: i64,
});

super::table!(chunks "chunks" {
    #[sea_orm(primary_key, auto_increment = false)]
    version_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    number: i64,
    hash: Vec<u8>,
    stored_len: i64,
});

super::table!(small_chunks "small_chunks" {
    #[sea_orm(primary_key, auto_increment = false)]
    version_id: Vec<u8>,
    bytes: Vec<u8>,
});

super::table!(manifests "manifests" {
    #[sea_orm(primary_key, auto_increment = false)]
    file_id: Vec<u8>,
    sequence: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    hash: Vec<u8>,
    envelope: Vec<u8>,
    props_key: Vec<u8>,
    version_id: Vec<u8>,
    writer_id: Vec<u8>,
    conflict: bool,
    at_ms: i64,
});
