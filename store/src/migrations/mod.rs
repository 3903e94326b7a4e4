//! The schema, step by step. A step that was released is never edited; the next one changes what it made.
//!
//! The version of a schema is the number of steps taken. A database with steps this program does not know is refused.

mod m0001_people;
mod m0002_vault;
mod m0003_audit;
mod m0004_notifications;
mod m0005_projects;
mod m0006_node_tags;
mod m0007_groups;
mod m0008_compartments;
mod m0009_rosters;
mod m0010_teams;
mod m0011_bulks;
mod m0013_joins;
mod m0014_profiles;

use sea_orm_migration::prelude::*;

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_people::Step),
            Box::new(m0002_vault::Step),
            Box::new(m0003_audit::Step),
            Box::new(m0004_notifications::Step),
            Box::new(m0005_projects::Step),
            Box::new(m0006_node_tags::Step),
            Box::new(m0007_groups::Step),
            Box::new(m0008_compartments::Step),
            Box::new(m0009_rosters::Step),
            Box::new(m0010_teams::Step),
            Box::new(m0011_bulks::Step),
            Box::new(m0013_joins::Step),
            Box::new(m0014_profiles::Step),
        ]
    }
}

/// Column types, so that a table reads as its list of columns.
pub(crate) mod column {
    use sea_orm_migration::prelude::*;

    pub(crate) fn bytes(name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.blob().not_null();
        column
    }

    pub(crate) fn bytes_null(name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.blob().null();
        column
    }

    pub(crate) fn number(name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.big_integer().not_null();
        column
    }

    pub(crate) fn number_null(name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.big_integer().null();
        column
    }

    pub(crate) fn text(name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.text().not_null();
        column
    }

    pub(crate) fn text_null(name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.text().null();
        column
    }

    pub(crate) fn flag(name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.boolean().not_null();
        column
    }
}

/// Creates a table with the given columns and primary key.
pub(crate) async fn create(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: Vec<ColumnDef>,
    key: &[&'static str],
) -> Result<(), DbErr> {
    let mut primary = Index::create();
    for column in key {
        primary.col(*column);
    }
    let mut create = Table::create();
    create.table(table).primary_key(&mut primary);
    for column in columns {
        create.col(column);
    }
    manager.create_table(create).await
}

/// Indexes, in the SQL that SQLite and PostgreSQL share.
pub(crate) async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

pub(crate) async fn drop(manager: &SchemaManager<'_>, tables: &[&'static str]) -> Result<(), DbErr> {
    for table in tables {
        manager.drop_table(Table::drop().table(*table).to_owned()).await?;
    }
    Ok(())
}
