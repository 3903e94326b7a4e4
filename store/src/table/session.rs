//! Logins.

super::table!(sessions "sessions" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    user_id: Vec<u8>,
    token_hash: Vec<u8>,
    session_key: Vec<u8>,
    epoch: i64,
    created_ms: i64,
    last_seen_ms: i64,
    expires_ms: i64,
    ended_ms: Option<i64>,
    client: String,
});
