//! Where a subject stands in the audit log. Derived from the log, and can be made again from it.

super::table!(audit_index "audit_index" {
    #[sea_orm(primary_key, auto_increment = false)]
    subject: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    event_index: i64,
});
