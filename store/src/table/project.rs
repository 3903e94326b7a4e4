//! Projects, their members and working sets.

super::table!(projects "projects" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    parent_id: Option<Vec<u8>>,
    path: Vec<u8>,
    name: String,
    tag: String,
    colour: String,
    description: String,
    level_id: Option<Vec<u8>>,
    pi_id: Option<Vec<u8>>,
    revision: i64,
    created_ms: i64,
    head_hash: Option<Vec<u8>>,
    counter: i64,
});

super::table!(project_levels "project_levels" {
    #[sea_orm(primary_key, auto_increment = false)]
    project_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    level_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    since_ms: i64,
    until_ms: i64,
});

super::table!(members "members" {
    #[sea_orm(primary_key, auto_increment = false)]
    project_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    role: String,
    restrictions: i64,
    since_ms: i64,
    expires_ms: i64,
    set_by: Vec<u8>,
    revision: i64,
    salt: Option<Vec<u8>>,
    withdrawn: bool,
});

super::table!(project_heads "project_heads" {
    #[sea_orm(primary_key, auto_increment = false)]
    project_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    counter: i64,
    hash: Vec<u8>,
    envelope: Vec<u8>,
    signer_entry: Vec<u8>,
    signer_proof: Vec<u8>,
    log_index: i64,
    log_leaf: Vec<u8>,
    at_ms: i64,
});

super::table!(working_sets "working_sets" {
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    project_id: Vec<u8>,
});
