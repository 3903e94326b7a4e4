//! The tables as rows, one file per noun. Rows stay inside this crate; what leaves it has types of its own.

pub(crate) mod audit;
pub(crate) mod bulk;
pub(crate) mod certification;
pub(crate) mod grant;
pub(crate) mod group;
pub(crate) mod join;
pub(crate) mod node;
pub(crate) mod notification;
pub(crate) mod profile;
pub(crate) mod project;
pub(crate) mod reminder;
pub(crate) mod session;
pub(crate) mod setting;
pub(crate) mod team;
pub(crate) mod user;
pub(crate) mod version;

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel};

use crate::error::StoreError;

/// Rows in one INSERT: enough to make the statement's overhead small, few enough to stay under every limit on parameters.
pub(crate) const ROWS_PER_INSERT: usize = 100;

macro_rules! table {
    ($module:ident $name:literal { $($(#[$attribute:meta])* $column:ident: $ty:ty),+ $(,)? }) => {
        pub(crate) mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $name)]
            pub struct Model { $($(#[$attribute])* pub $column: $ty),+ }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}
pub(crate) use table;

/// Inserts many rows in few statements.
pub(crate) async fn insert_all<E, A>(conn: &impl ConnectionTrait, rows: Vec<E::Model>) -> Result<(), StoreError>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
    E::Model: IntoActiveModel<A>,
{
    let mut rows = rows.into_iter();
    loop {
        let some: Vec<A> = rows.by_ref().take(ROWS_PER_INSERT).map(IntoActiveModel::into_active_model).collect();
        if some.is_empty() {
            return Ok(());
        }
        E::insert_many(some).exec_without_returning(conn).await?;
    }
}
