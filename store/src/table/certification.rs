//! Requirements, the levels they make up, certifications.

super::table!(requirements "requirements" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    name: String,
    description: String,
    must_expire: bool,
    default_ms: Option<i64>,
    maximum_ms: Option<i64>,
    revision: i64,
});

super::table!(levels "levels" {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Vec<u8>,
    name: String,
    description: String,
    revision: i64,
});

super::table!(level_requirements "level_requirements" {
    #[sea_orm(primary_key, auto_increment = false)]
    level_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    requirement_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    since_ms: i64,
    until_ms: i64,
});

super::table!(certifications "certifications" {
    #[sea_orm(primary_key, auto_increment = false)]
    requirement_id: Vec<u8>,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Vec<u8>,
    since_ms: i64,
    expires_ms: i64,
    given_by: Vec<u8>,
    given_ms: i64,
});
