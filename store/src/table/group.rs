//! Groups, their heads, members and seals, and those of their compartments.

super::table!(groups "groups" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    name: String,
    owner_id: Vec<u8>,
    root_id: Vec<u8>,
    head_hash: Vec<u8>,
    counter: i64,
    generation: i64,
    key_head: Vec<u8>,
    key_lost: bool,
    revision: i64,
    created_ms: i64,
});

super::table!(group_heads "group_heads" {
    #[sea_orm(primary_key, auto_increment = false)]
    group_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    counter: i64,
    hash: Vec<u8>,
    envelope: Vec<u8>,
    log_index: i64,
    log_leaf: Vec<u8>,
    at_ms: i64,
});

super::table!(group_members "group_members" {
    #[sea_orm(primary_key, auto_increment = false)]
    group_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    permissions: i64,
    bundle_hash: Vec<u8>,
});

super::table!(group_seals "group_seals" {
    #[sea_orm(primary_key, auto_increment = false)]
    group_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    generation: i64,
    bundle_hash: Vec<u8>,
    bundle_generation: i64,
    sealed: Vec<u8>,
    at_ms: i64,
});

super::table!(compartments "compartments" {
    #[sea_orm(primary_key, auto_increment = false)]
    group_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    tags: Vec<u8>,
    generation: i64,
    head_hash: Vec<u8>,
    key_lost: bool,
});

super::table!(compartment_heads "compartment_heads" {
    #[sea_orm(primary_key, auto_increment = false)]
    group_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    tags: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    generation: i64,
    hash: Vec<u8>,
    envelope: Vec<u8>,
    log_index: i64,
    log_leaf: Vec<u8>,
    at_ms: i64,
});

super::table!(compartment_seals "compartment_seals" {
    #[sea_orm(primary_key, auto_increment = false)]
    group_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    tags: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    generation: i64,
    bundle_hash: Vec<u8>,
    bundle_generation: i64,
    sealed: Vec<u8>,
    at_ms: i64,
});
