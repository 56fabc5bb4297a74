//! What synchronising has to live through, from `sync_scenarios.json`, held against the tests.
//!
//! Every scenario of these groups is in exactly one of two tables: [`DRIVEN`] says which test drives it
//! against a real remote, in which file; [`BY_THE_CLOCK`] which one drives it without, and why.
//! [`LEFT_OUT`] is what no test drives.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use testkit::test_data;

/// The groups that links with remotes have to do with.
const GROUPS: &[&str] =
    &["push", "pull", "merge", "history", "mapping", "auth", "transport", "queue"];

const PUSH: &str = "tests/it/sync_push.rs";
const PULL: &str = "tests/it/sync_pull.rs";
const MERGE: &str = "tests/it/sync_merge.rs";
const MESH: &str = "tests/it/sync_mesh.rs";
const STRAIN: &str = "tests/it/sync_strain.rs";
const CONFLICTS: &str = "tests/it/sync_conflicts.rs";
const HISTORY: &str = "tests/it/sync_history.rs";
const MAPPING: &str = "tests/it/sync_mapping.rs";
const AUTH: &str = "tests/it/sync_auth.rs";
const TRANSPORT: &str = "tests/it/sync_transport.rs";
const RESTARTS: &str = "tests/it/sync_restarts.rs";
const KILLED: &str = "tests/it/sync_chaos/killed.rs";
const CANARY: &str = "tests/it/canary.rs";
const MACHINE: &str = "crates/server/src/sync/machine/tests/standing.rs";

/// Which test in which file drives a scenario.
#[rustfmt::skip]
const DRIVEN: &[(&str, &str, &str)] = &[
    ("SY-001", PUSH, "a_save_is_on_the_remote_within_seconds_and_leaves_the_queue_only_then"),
    ("SY-002", PUSH, "a_burst_of_saves_is_pushed_in_a_few_pushes"),
    ("SY-003", PUSH, "a_look_that_finds_nothing_new_pushes_nothing_and_commits_nothing"),
    ("SY-004", PUSH, "a_save_is_on_the_remote_within_seconds_and_leaves_the_queue_only_then"),
    ("SY-005", PUSH, "a_push_that_landed_unheard_is_not_made_again"),
    ("SY-006", PUSH, "a_push_that_was_lost_is_made_again_and_the_queue_waits"),
    ("SY-007", PUSH, "somebody_who_pushes_between_fetch_and_push_is_merged_with"),
    ("SY-008", PUSH, "a_remote_that_refuses_is_left_alone_after_three_tries_and_says_why"),
    ("SY-009", PUSH, "a_locked_branch_is_waited_for"),
    ("SY-010", PUSH, "three_hundred_saves_made_offline_are_one_push_with_all_their_history"),
    ("SY-011", PUSH, "a_mirror_that_somebody_wrote_into_is_asked_about_and_never_overwritten"),
    ("SY-012", PULL, "a_commit_of_others_is_in_the_wiki_its_search_and_its_events"),
    ("SY-013", PULL, "a_hosts_message_is_answered_at_once_and_followed_by_a_look"),
    ("SY-014", PULL, "many_messages_during_a_run_are_one_more_run"),
    ("SY-015", PULL, "news_of_our_own_push_is_none"),
    ("SY-016", PULL, "five_hundred_files_in_one_commit_are_one_change"),
    ("SY-017", PULL, "pages_that_others_delete_rename_and_add_are_gone_moved_and_there"),
    ("SY-018", PULL, "pages_that_others_delete_rename_and_add_are_gone_moved_and_there"),
    ("SY-019", PULL, "pages_that_others_delete_rename_and_add_are_gone_moved_and_there"),
    ("SY-020", PULL, "pages_that_others_delete_rename_and_add_are_gone_moved_and_there"),
    ("SY-021", PULL, "more_than_may_be_taken_over_pauses_the_link_and_nothing_else"),
    ("SY-022", PULL, "what_a_wiki_does_not_understand_is_carried_as_it_is"),
    ("SY-023", PULL, "a_tree_that_leads_out_of_itself_is_not_taken"),
    ("SY-024", PULL, "names_that_differ_in_case_only_are_both_kept"),
    ("SY-025", PULL, "what_a_wiki_does_not_understand_is_carried_as_it_is"),
    ("SY-026", PULL, "what_a_wiki_does_not_understand_is_carried_as_it_is"),
    ("SY-027", PULL, "readers_cause_one_look_and_an_order_another"),
    ("SY-028", MERGE, "different_pages_and_different_paragraphs_are_merged_without_a_word"),
    ("SY-029", MERGE, "different_pages_and_different_paragraphs_are_merged_without_a_word"),
    ("SY-030", MERGE, "the_same_line_is_kept_twice_and_somebody_is_told_and_can_resolve_it"),
    ("SY-031", CONFLICTS, "the_same_change_is_none_and_lines_side_by_side_are_a_conflict"),
    ("SY-032", MERGE, "what_one_side_deleted_and_the_other_edited_stays"),
    ("SY-033", MERGE, "what_one_side_deleted_and_the_other_edited_stays"),
    ("SY-034", MERGE, "what_one_side_deleted_and_the_other_edited_stays"),
    ("SY-035", CONFLICTS, "two_pages_that_get_one_name_are_both_kept"),
    ("SY-036", CONFLICTS, "pages_that_were_renamed_keep_what_both_sides_did"),
    ("SY-037", CONFLICTS, "pages_that_were_renamed_keep_what_both_sides_did"),
    ("SY-038", CONFLICTS, "two_pages_that_get_one_name_are_both_kept"),
    ("SY-039", CONFLICTS, "a_file_and_a_directory_of_one_name_are_both_kept"),
    ("SY-040", CONFLICTS, "of_an_attachment_that_both_changed_both_are_kept"),
    ("SY-041", CONFLICTS, "the_same_change_is_none_and_lines_side_by_side_are_a_conflict"),
    ("SY-042", CONFLICTS, "histories_that_crossed_are_merged_and_nothing_is_lost"),
    ("SY-043", MERGE, "saves_that_come_during_a_merge_are_all_there_afterwards"),
    ("SY-044", MERGE, "a_draft_on_a_page_that_was_pulled_stays_and_its_save_is_a_conflict"),
    ("SY-045", MERGE, "too_many_conflicts_and_too_many_deletions_are_asked_about_first"),
    ("SY-046", MERGE, "too_many_conflicts_and_too_many_deletions_are_asked_about_first"),
    ("SY-047", CONFLICTS, "the_same_change_is_none_and_lines_side_by_side_are_a_conflict"),
    ("SY-048", MERGE, "two_wikis_on_one_remote_become_the_same_with_one_conflict_page"),
    ("SY-049", MESH, "two_wikis_that_pull_from_each_other_resolve_a_conflict_once"),
    ("SY-050", MERGE, "attributes_in_the_repository_have_no_say_in_a_merge"),
    ("SY-051", HISTORY, "a_replaced_history_is_asked_about_and_the_old_one_kept"),
    ("SY-052", HISTORY, "commits_of_the_wiki_survive_whatever_is_decided"),
    ("SY-053", HISTORY, "histories_with_nothing_in_common_are_asked_about_or_joined_as_was_said"),
    ("SY-054", HISTORY, "a_branch_that_is_gone_is_not_made_again"),
    ("SY-056", HISTORY, "a_history_that_is_cut_off_is_refused_in_words"),
    ("SY-057", HISTORY, "a_remote_of_another_format_is_refused_in_words"),
    ("SY-058", MAPPING, "a_directory_of_a_project_is_the_wiki_and_nothing_else_of_it_is_touched"),
    ("SY-059", MAPPING, "a_directory_of_a_project_is_the_wiki_and_nothing_else_of_it_is_touched"),
    ("SY-060", MAPPING, "a_directory_of_a_project_is_the_wiki_and_nothing_else_of_it_is_touched"),
    ("SY-061", MAPPING, "a_directory_that_is_not_there_yet_is_made_and_one_that_was_deleted_is_asked_about"),
    ("SY-062", MAPPING, "what_is_no_directory_there_is_asked_about_and_left_alone"),
    ("SY-063", MAPPING, "a_directory_of_a_project_is_the_wiki_and_nothing_else_of_it_is_touched"),
    ("SY-064", MAPPING, "of_a_wiki_only_the_pages_of_a_group_leave_it"),
    ("SY-065", AUTH, "a_wrong_token_is_shown_once_and_another_one_goes_on_at_once"),
    ("SY-066", AUTH, "a_wrong_token_is_shown_once_and_another_one_goes_on_at_once"),
    ("SY-067", AUTH, "a_deploy_key_that_may_only_read_pulls_on"),
    ("SY-068", AUTH, "a_hosts_key_is_confirmed_by_somebody_and_no_other_is_taken"),
    ("SY-069", AUTH, "a_hosts_key_is_confirmed_by_somebody_and_no_other_is_taken"),
    ("SY-070", AUTH, "a_push_that_is_asked_twice_answers_twice"),
    ("SY-071", CANARY, "no_secret_of_a_link_is_left_anywhere"),
    ("SY-072", AUTH, "two_wikis_at_work_at_once_show_each_its_own_token"),
    ("SY-073", TRANSPORT, "a_name_that_leads_inside_is_not_followed_whatever_else_it_says"),
    ("SY-074", TRANSPORT, "a_redirect_is_not_followed_wherever_it_leads"),
    ("SY-075", TRANSPORT, "a_host_that_sends_a_byte_a_second_is_given_up_and_others_get_their_turn"),
    ("SY-076", TRANSPORT, "without_a_git_that_is_new_enough_links_rest_and_say_so_and_the_wiki_works"),
    ("SY-077", TRANSPORT, "a_host_that_asks_to_come_later_is_left_alone_for_so_long"),
    ("SY-079", KILLED, "a_server_that_is_killed_in_any_state_of_a_link_goes_on_where_it_was"),
    ("SY-080", RESTARTS, "what_the_remote_is_seen_to_have_leaves_the_queue_and_nothing_else_does"),
    ("SY-081", RESTARTS, "of_two_peers_the_one_that_is_down_keeps_nothing_from_the_other"),
    ("SY-082", STRAIN, "a_disk_that_fills_up_under_a_fetch_is_given_back_and_the_wiki_works"),
    ("SY-083", STRAIN, "ten_thousand_saves_that_wait_are_one_push"),
    ("SY-084", RESTARTS, "a_downtime_is_told_with_how_long_it_was_and_what_waits"),
    ("SY-085", RESTARTS, "a_server_that_is_offline_starts_nothing_and_queues_everything"),
];

/// What lasts longer than a test may: which test in which file takes the machine through it, by a clock
/// that is set. (Real remotes that answer nothing, or that there is nothing, are in the tests of above.)
#[rustfmt::skip]
const BY_THE_CLOCK: &[(&str, &str, &str)] = &[
    // A day of answers that there is no repository.
    ("SY-055", MACHINE, "a_repository_is_gone_after_a_day_and_looked_for_every_six_hours_without_a_word"),
    // A hundred links through a quarter of an hour of failures.
    ("SY-078", "crates/server/src/sync/backoff.rs", "a_hundred_wikis_do_not_come_back_together"),
];

/// What of a scenario no test drives, and why.
const LEFT_OUT: &[(&str, &str)] = &[("SY-064", "pages with a tag: a wiki has no tags")];

#[test]
fn every_scenario_is_driven_by_a_test_or_has_a_reason_why_not() {
    let text = std::fs::read_to_string(test_data("sync_scenarios.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let said = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    let of_these = entries.iter().filter(|entry| GROUPS.contains(&said(entry, "group").as_str()));
    let known: BTreeSet<String> = of_these.map(|entry| said(entry, "id")).collect();
    let tests = || DRIVEN.iter().chain(BY_THE_CLOCK);
    let listed: Vec<String> = tests().map(|(id, ..)| (*id).to_owned()).collect();
    let once: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), once.len(), "a scenario is listed twice");
    assert_eq!(once, known);
    assert!(LEFT_OUT.iter().all(|(id, _)| known.contains(*id)));

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (id, file, test) in tests() {
        let source = std::fs::read_to_string(root.join(file)).unwrap();
        let at = source.find(&format!("fn {test}() {{")).unwrap_or_else(|| {
            panic!("{id}: there is no {test} in {file}");
        });
        let before = source[..at].trim_end().trim_end_matches("async").trim_end();
        let attribute = before.lines().last().unwrap_or_default();
        assert!(attribute.contains("test"), "{id}: {test} in {file} is no test");
    }
}
