//! What the server remembers about itself.

super::table!(settings "settings" {
    #[sea_orm(primary_key, auto_increment = false)]
    key: String,
    value: Vec<u8>,
});
