//! Who may do what, executed: every endpoint of the contract by everyone there is, over real TLS, with records that are really signed.
//!
//! What comes out is `table.txt`, reviewed by hand; `UPDATE_GOLDENS=1` writes it anew. An endpoint without a row fails, and so does an
//! answer that breaks one of the rules stated here in code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/people.rs"]
mod people;
#[path = "../vault/records.rs"]
#[allow(dead_code)]
mod records;
#[path = "../support/rosters.rs"]
mod rosters;
#[path = "../support/mod.rs"]
mod support;
mod things;
mod world;

use ticrypt_api::endpoint::ENDPOINTS;
use ticrypt_types::Operation;
use ticrypt_types::operation::Caller;
use world::{SUBJECTS, World};

/// Answers about somebody else's tree, which nobody but its owner and those it is shared with may even see (security C21).
const ABOUT_THE_OWNERS_TREE: &[Operation] = &[
    Operation::NodeList,
    Operation::NodeStat,
    Operation::NodeCreate,
    Operation::NodeRename,
    Operation::NodeMove,
    Operation::NodeTrash,
    Operation::NodeRestore,
    Operation::NodeDelete,
    Operation::NodeRekey,
    Operation::NodeTag,
    Operation::NodeHistory,
    Operation::UploadBegin,
    Operation::VersionPublish,
    Operation::VersionList,
    Operation::ContentOpen,
    Operation::GrantCreate,
    Operation::GrantRevoke,
    Operation::GrantLeave,
    Operation::GrantList,
];

/// Answers about a group of the owner's: nobody but its members, of whom the grantee is one, knows that it is there.
const ABOUT_THE_OWNERS_GROUP: &[Operation] =
    &[Operation::GroupRead, Operation::GroupChange, Operation::GroupSeal, Operation::GroupRename, Operation::GroupDelete];

/// Answers about the owner's team: they manage it, the grantee is in it, and it is there for nobody else, but for who looks after all teams.
const ABOUT_THE_OWNERS_TEAM: &[Operation] =
    &[Operation::TeamMembers, Operation::TeamChange, Operation::TeamAdd, Operation::TeamRemove, Operation::TeamManager];

#[tokio::test]
async fn the_table_of_authorization() {
    let mut world = World::new().await;
    let mut table = format!("{:<18}", "");
    for subject in SUBJECTS {
        table.push_str(&format!(" {subject:<24}"));
    }
    table = format!("{}\n", table.trim_end());
    let mut rows = Vec::new();
    for endpoint in ENDPOINTS {
        let operation = endpoint.operation;
        let mut row = format!("{:<18}", operation.name());
        let mut cells = Vec::new();
        for subject in 0..SUBJECTS.len() {
            let cell = world.attempt(operation, subject).await;
            row.push_str(&format!(" {cell:<24}"));
            cells.push(cell);
        }
        table.push_str(row.trim_end());
        table.push('\n');
        rows.push((operation, cells));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/authorization/table.txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    for (operation, cells) in &rows {
        check(*operation, cells);
    }
    assert!(golden == table, "the table differs; review it, then run with UPDATE_GOLDENS=1:\n{table}");
}

fn check(operation: Operation, cells: &[String]) {
    let name = operation.name();
    if operation.caller() == Caller::Session {
        for cell in &cells[..3] {
            assert!(cell.starts_with("401"), "{name}: {cell} without a session that counts");
        }
    }
    let [_, _, _, stranger, grantee, owner, admin, root] = cells else { panic!("eight cells") };
    if ABOUT_THE_OWNERS_TREE.contains(&operation) {
        for cell in [stranger, admin, root] {
            assert!(cell == "404:not_found" || cell == "200:empty", "{name}: {cell} for somebody with no key");
        }
    }
    if ABOUT_THE_OWNERS_GROUP.contains(&operation) {
        assert!([stranger, admin, root].iter().all(|cell| *cell == "404:not_found"), "{name}: {cells:?}");
        assert!(owner == "200" && grantee != "404:not_found", "{name}: {cells:?}");
    }
    if ABOUT_THE_OWNERS_TEAM.contains(&operation) {
        let of_member = if operation == Operation::TeamMembers { "200" } else { "403:not_team_manager" };
        assert!([stranger, admin].iter().all(|cell| *cell == "404:not_found"), "{name}: {cells:?}");
        assert_eq!([grantee, owner, root], [of_member, "200", "200"], "{name}");
    }
    if operation == Operation::UserLookup {
        assert_eq!(
            [stranger, grantee, owner, admin],
            ["404:not_found", "200", "200", "200"],
            "{name}: the owner is in a team with the grantee"
        );
    }
    if operation == Operation::NodeTag {
        assert_eq!((owner.as_str(), grantee.as_str()), ("403:not_in_working_set", "403:no_tag"), "{name}: only the owner comes further");
    } else if ABOUT_THE_OWNERS_TREE.contains(&operation) && operation != Operation::GrantLeave {
        assert_eq!(owner, "200", "{name}: the owner");
    }
    if matches!(operation, Operation::ChunkRead | Operation::ChunkWrite) {
        assert_eq!(owner, "200", "{name}: the holder of the ticket");
        assert!([stranger, grantee, admin, root].iter().all(|cell| *cell == "403:ticket"), "{name}: {cells:?}");
    }
    if matches!(
        operation,
        Operation::NodeCreate | Operation::NodeRename | Operation::NodeTrash | Operation::VersionPublish | Operation::UploadBegin
    ) {
        assert_eq!(grantee, "403:no_edit", "{name}: somebody who may only view");
    }
}
