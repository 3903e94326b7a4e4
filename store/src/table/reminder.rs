//! Reminders that were given.

super::table!(reminders "reminders" {
    #[sea_orm(primary_key, auto_increment = false)]
    kind: String,
    #[sea_orm(primary_key, auto_increment = false)]
    of_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    ends_ms: i64,
    days: i64,
});
