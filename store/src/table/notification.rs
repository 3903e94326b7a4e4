//! What people are told.

super::table!(notifications "notifications" {
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    sequence: i64,
    kind: String,
    grant_id: Option<Vec<u8>>,
    node_id: Option<Vec<u8>>,
    group_id: Option<Vec<u8>>,
    team_id: Option<Vec<u8>>,
    project_id: Option<Vec<u8>>,
    requirement_id: Option<Vec<u8>>,
    ends_ms: Option<i64>,
    other_id: Option<Vec<u8>>,
    at_ms: i64,
});

super::table!(notification_reads "notification_reads" {
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    sequence: i64,
});
