//! Requests to join projects.

super::table!(joins "joins" {
    #[sea_orm(primary_key, auto_increment = false)]
    project_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    state: String,
    message: String,
    reason: String,
    asked_ms: i64,
    closed_ms: i64,
    revision: i64,
});
