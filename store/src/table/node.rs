//! Directories and files.

super::table!(nodes "nodes" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    parent_id: Option<Vec<u8>>,
    owner_id: Vec<u8>,
    kind: i64,
    epoch: i64,
    parent_epoch: i64,
    entry: Vec<u8>,
    leaf_hash: Vec<u8>,
    name_tag: Vec<u8>,
    live_tag: Option<Vec<u8>>,
    trashed_ms: Option<i64>,
    trashed_by: Option<Vec<u8>>,
    created_ms: i64,
    closure_seq: i64,
    rolled_seq: i64,
    head: Option<Vec<u8>>,
    head_hash: Option<Vec<u8>>,
    head_counter: i64,
    current_sequence: i64,
    revision: i64,
    tagged: bool,
});

super::table!(node_tags "node_tags" {
    #[sea_orm(primary_key, auto_increment = false)]
    node_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    project_id: Vec<u8>,
});

super::table!(retired "retired" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
});
