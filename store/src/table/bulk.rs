//! Bulk actions and their requests.

super::table!(bulks "bulks" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    user_id: Vec<u8>,
    operation: String,
    state: String,
    items: i64,
    done: i64,
    failed: i64,
    started_ms: i64,
    changed_ms: i64,
    revision: i64,
});

super::table!(bulk_items "bulk_items" {
    #[sea_orm(primary_key, auto_increment = false)]
    bulk_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    number: i64,
    parameters: String,
    body: Vec<u8>,
    state: String,
    code: Option<String>,
    message: Option<String>,
});
