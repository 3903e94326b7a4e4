//! The contract of the store: every case runs on SQLite and on PostgreSQL, and both must agree.
//!
//! On SQLite each case is a test of its own. On PostgreSQL all are one test, so that one server serves them, each in a fresh
//! database; it names every case that failed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bulks;
mod compartments;
mod contents;
mod copies;
mod groups;
mod joins;
mod lab;
mod nodes;
mod people;
mod postgres;
mod profiles;
mod projects;
mod rekey;
mod schema;
mod shares;
mod tags;
mod teams;
mod together;
mod told;

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;
use futures::future::BoxFuture;
use lab::Db;

type Case = fn(Db) -> BoxFuture<'static, ()>;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn on_sqlite(case: Case) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("a ?&%name#.db").display());
    runtime().block_on(case(Db { url }));
}

macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        mod sqlite {
            use super::*;
            $($(#[test] fn $case() { on_sqlite(|db| super::$module::$case(db).boxed()); })+)+
        }

        const ALL: &[(&str, Case)] = &[$($((stringify!($case), |db| $module::$case(db).boxed())),+),+];
    };
}

cases! {
    schema: a_new_database_has_the_known_schema, a_newer_schema_is_refused, an_older_schema_is_named_and_migrated_with_its_data,
        every_column_is_classed, addresses_are_checked;
    people: the_first_account_is_made_once, accounts_change_on_the_revision_decided_on, losing_ends_sessions,
        two_super_admins_cannot_demote_each_other, identities_rotate_in_order, sessions_live_and_end, failed_logins_are_counted,
        settings_and_the_clock, lists_keep_to_their_scope, events_are_found_by_subject;
    nodes: a_home_is_made_once, many_nodes_in_one_transaction, nested_directories_at_once, names_are_unique_until_trashed,
        heads_follow_one_another, renaming, moving, moving_out_of_a_share_closes, cycles_and_depth_are_refused, the_trash_and_back,
        deleting_for_good_tells_whose_chunks_go, facts_of_many_nodes, listing_in_pages, permits_go_stale;
    contents: uploads_from_begin_to_publish, an_upload_that_is_not_complete_or_not_ones_own, small_contents_travel_with_the_node,
        a_lost_race_stays_as_a_conflict, older_versions_come_back, abandoned_uploads_are_swept, walking_over_all_versions;
    projects: a_project_and_its_line, memberships_go_on_or_begin_anew, what_a_level_asks_is_kept_with_its_time, certifications_go_on_or_begin_anew,
        working_sets_belong_to_people, decisions_about_projects_go_stale, lists_of_projects_and_people;
    shares: a_share_opens_and_its_end_closes, a_decision_from_before_an_end_is_stale, leaving, expiry_closes, new_terms_replace_old_ones,
        who_shares_what, counted_alike_by_ids_and_by_place, a_compromised_identity_closes_what_it_reached, what_was_sealed_to_a_lost_identity_is_dead,
        a_new_home_after_a_lost_one;
    copies: every_table_is_copied, a_copy_is_of_one_moment_and_comes_back, logins_do_not_come_back, holds_last_while_they_are_renewed;
    told: both_sides_of_a_share_are_told_but_not_who_acts, what_falls_with_a_share_is_told_to_those_it_hits,
        accounts_and_those_who_activate_them_are_told, registrations_are_told_to_who_may_activate_them, sequences_have_no_gaps_and_the_newest_are_kept, reading_moves_on_and_never_back,
        a_wake_up_comes_with_the_commit_and_to_nobody_else;
    rekey: new_keys_open_again, nobody_is_left_out, new_keys_from_the_top_down, many_nodes_in_one_step, a_file_gets_new_wraps, a_closure_meanwhile_still_holds;
    tags: a_tag_and_its_keys, a_tag_that_came_meanwhile, an_owner_is_not_left_without_keys, what_tells_people_apart, what_passes_by_the_clock_is_told;
    compartments: a_key_for_tags_and_who_holds_it, a_clock_closes_a_key_for_tags, decisions_about_keys_for_tags_go_stale;
    profiles: a_profile_is_written_applied_and_deleted, decisions_about_profiles_go_stale;
    bulks: a_list_is_over_when_nothing_is_open, lists_are_stopped_and_the_oldest_go;
    teams: a_team_from_its_making_to_its_end, out_of_the_last_team, who_sees_whom_by_teams, teams_in_the_care_of_sub_admins,
        what_a_teams_trees_hold;
    joins: a_request_from_asking_to_a_head, what_is_asked_of_what_is_not_there, who_is_away_waits_and_what_is_decided_goes_stale, reminders_once_for_each_end;
    groups: a_group_and_its_directory, what_is_in_ones_groups_tells_people_apart, a_group_is_founded_whole_or_not_at_all, who_is_in_a_group_follows_its_heads, decisions_about_groups_go_stale,
        a_lost_key_closes_the_directory, the_newest_key_is_sealed_once_to_each, a_deleted_group_leaves_nothing;
    together: a_failed_write_undoes_itself_only, a_panic_undoes_itself_only, two_creates_with_one_name, two_publishes,
        eight_writers_at_once, answers_come_after_the_commit, closing_finishes_what_was_accepted, a_caller_that_leaves_does_not_stop_a_write,
        ten_thousand_nodes;
}

#[test]
fn postgres() {
    let server = postgres::Server::start();
    let mut failed = Vec::new();
    for (name, case) in ALL {
        let url = server.fresh_database(name);
        let started = std::time::Instant::now();
        if catch_unwind(AssertUnwindSafe(|| runtime().block_on(case(Db { url })))).is_err() {
            failed.push(*name);
        }
        println!("{name}: {:?}", started.elapsed());
    }
    assert!(failed.is_empty(), "on PostgreSQL these failed: {failed:?}");
}
