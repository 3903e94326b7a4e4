//! Sets of permissions with names.

super::table!(profiles "profiles" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    name: String,
    description: String,
    permissions: i64,
    revision: i64,
    created_ms: i64,
});
