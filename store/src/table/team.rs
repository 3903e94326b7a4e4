//! Teams, who is in them, to whom they are assigned.

super::table!(teams "teams" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    name: String,
    description: String,
    cores: Option<i64>,
    memory_mib: Option<i64>,
    devices: Option<i64>,
    drive_bytes: Option<i64>,
    vault_bytes: Option<i64>,
    revision: i64,
    created_ms: i64,
});

super::table!(team_members "team_members" {
    #[sea_orm(primary_key, auto_increment = false)]
    team_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    manager: bool,
    since_ms: i64,
    set_by: Vec<u8>,
});

super::table!(team_assignments "team_assignments" {
    #[sea_orm(primary_key, auto_increment = false)]
    team_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    until_ms: i64,
    set_by: Vec<u8>,
});
