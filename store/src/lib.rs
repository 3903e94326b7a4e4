//! The server's memory: metadata in SQLite or PostgreSQL, chunks in a folder or an S3 bucket.
//!
//! ```text
//! reads   ──▶ pool of connections ───────────────────────────┐
//!                                                            ├──▶ SQLite (WAL) or PostgreSQL
//! writes  ──▶ bounded queue ──▶ one writer task: many        │
//!             (closures over    writes in one transaction, ──┘
//!              a transaction)   each in its own savepoint
//! ```
//!
//! Ciphertext is never parsed here: a signed record is kept as the bytes it came in, beside the columns the caller took out of
//! it. Every column is classed in `columns.toml`. There is no clock: times are parameters.
//!
//! # API, by noun
//! Every write takes a [`Permit`](ticrypt_policy::Permit) and is conditional on the state it was decided on; when that has
//! changed it answers [`StoreError::Stale`] and the caller loads the facts and decides again. A write is durable when its
//! future answers. What must happen together goes through [`Store::write`], whose [`Tx`] has the same writes as methods.
//!
//! | noun | reads | writes |
//! |---|---|---|
//! | [`setting`] | `setting`, `clock_mark`, `closure_seq` | `set_setting`, `remove_setting`, `advance_clock`, `next_closure_seq` |
//! | [`user`] | `user`, `user_by_name`, `users`, `user_facts`, `has_users`, `bundle`, `bundles_of`, `newest_bundle`, `statements_of` | `bootstrap`, `register`, `activate`, `deactivate`, `disable`, `set_rank`, `set_permissions`, `reset`, `rotate`, `close_reachable` |
//! | [`session`] | `session`, `session_by_token`, `sessions`, `login_facts` | `begin_session`, `fail_login`, `touch_session`, `end_session` |
//! | [`project`] | `project`, `projects`, `project_facts`, `members`, `member`, `member_facts`, `standing`, `working_set`, `active_set`, `actor` | `create_project`, `change_project`, `delete_project`, `set_member`, `remove_member`, `set_working_set` |
//! | [`team`] | `team`, `teams`, `team_facts`, `team_members`, `team_member_facts`, `team_assignments`, `charged`, `vault_bytes` | `create_team`, `change_team`, `set_quotas`, `delete_team`, `add_team_member`, `remove_team_member`, `set_team_manager`, `assign_team`, `unassign_team` |
//! | [`join`] | `join_facts`, `joins_of`, `open_joins`, `answerers` | `ask_to_join`, `withdraw_join`, `refuse_join` |
//! | [`reminder`] | `endings` | `remind` |
//! | [`sight`] | `sees`, `is_in_care` | |
//! | [`certification`] | `requirement`, `requirements`, `levels`, `level_facts`, `requirement_facts`, `certifications`, `certification` | `set_requirement`, `delete_requirement`, `set_level`, `delete_level`, `certify`, `expire_certification` |
//! | [`node`] | `node`, `node_facts`, `home`, `lost_homes`, `list_entries`, `directory_leaves`, `trash_of`, `subtree` | `create_home`, `create_nodes`, `rename`, `move_nodes`, `trash`, `restore`, `delete`, `rekey` |
//! | [`version`] | `upload`, `chunks`, `small_contents`, `versions`, `histories`, `contents_of`, `manifest` | `begin_uploads`, `record_chunk`, `publish`, `abandon`, `abandon_stale`, `forget_abandoned` |
//! | [`grant`] | `grant`, `grant_by_hash`, `grants_by_hash`, `grants_on`, `grants_resting_on`, `shared_with`, `shared_by`, `dead_by`, `dead_on`, `expired` | `insert_grant`, `end_grants`, `leave_grant`, `end_expired` |
//! | [`group`] | `group`, `groups_of`, `own_group`, `group_facts`, `group_heads`, `group_seal`, `group_waiting` | `create_group`, `change_group`, `seal_group`, `rename_group`, `delete_group` |
//! | [`notification`] | `notifications`, `notifications_after`, `reading`, `news_of` | `read_notifications`; `Tx::notify` beside other writes |
//! | [`audit`] | `history` | `index_events` |
//! | [`check`] | `stored_versions`, `abandoned_before` | |
//! | [`hold`] | `chunks_are_held` | `hold_chunks`, `renew_hold`, `release_hold` |
//! | [`snapshot`] | `copy_to`, `is_empty` | `fill_from`, `settle_restored` |
//! | [`blobs`] | `ChunkStore`: `get`, `list` | `put`, `replace`, `delete`, `delete_version` |

pub mod audit;
pub mod blobs;
pub mod bulk;
pub mod certification;
pub mod check;
mod column;
mod connect;
mod error;
pub mod grant;
pub mod group;
pub mod hold;
pub mod join;
mod migrations;
pub mod node;
pub mod notification;
pub mod profile;
pub mod project;
pub mod reminder;
mod retired;
pub mod session;
pub mod setting;
pub mod sight;
pub mod snapshot;
mod table;
pub mod team;
pub mod user;
pub mod version;
mod writer;

pub use column::Digest;
pub use connect::{Backend, Options, Store};
pub use error::{StoreError, Taken};
pub use writer::Tx;
