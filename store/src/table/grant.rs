//! Shares.

super::table!(grants "grants" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    node_id: Vec<u8>,
    hash: Vec<u8>,
    envelope: Vec<u8>,
    sealed: Vec<u8>,
    owner_id: Vec<u8>,
    sealer_id: Vec<u8>,
    recipient_id: Vec<u8>,
    recipient_bundle: Vec<u8>,
    verbs: i64,
    epoch: i64,
    expires_ms: i64,
    authority_hash: Option<Vec<u8>>,
    predecessor_hash: Option<Vec<u8>>,
    created_ms: i64,
    ended_ms: Option<i64>,
    ended_by: Option<Vec<u8>>,
    revocation: Option<Vec<u8>>,
});
