//! People, their identity bundles, what administrators stated about them.

super::table!(users "users" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    name: String,
    rank: String,
    state: String,
    cause: Option<String>,
    reason: Option<String>,
    disabled_until_ms: i64,
    epoch: i64,
    revision: i64,
    bundle_hash: Vec<u8>,
    created_ms: i64,
    failed_logins: i64,
    last_failure_ms: i64,
    last_login_ms: i64,
    permissions: i64,
    working_revision: i64,
    profile_id: Option<Vec<u8>>,
});

super::table!(bundles "bundles" {
    #[sea_orm(primary_key, auto_increment = false)]
    hash: Vec<u8>,
    user_id: Vec<u8>,
    generation: i64,
    bundle: Vec<u8>,
    log_index: i64,
    log_leaf: Vec<u8>,
    created_ms: i64,
});

super::table!(statements "statements" {
    #[sea_orm(primary_key)]
    seq: i64,
    user_id: Vec<u8>,
    bundle_hash: Vec<u8>,
    action: i64,
    envelope: Vec<u8>,
    log_index: i64,
    log_leaf: Vec<u8>,
    at_ms: i64,
});
