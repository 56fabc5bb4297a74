//! What synchronising has to stand, scenario by scenario, from `sync_scenarios.json`.
//!
//! Every scenario of the groups that there is something for is in exactly one of two tables: [`DRIVEN`]
//! says which test drives it, be it one of this binary or one beside the code, [`NOT_DRIVEN`] why none does.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::test_data;

/// The groups that there is something for.
const GROUPS: &[&str] =
    &["push", "pull", "merge", "history", "mapping", "auth", "transport", "queue"];

/// Which test drives a scenario.
#[rustfmt::skip]
const DRIVEN: &[(&str, &[&str])] = &[
    ("a_save_is_on_the_remote_within_seconds_and_leaves_the_queue_only_then", &["SY-001", "SY-004"]),
    ("a_burst_of_saves_is_pushed_in_a_few_pushes", &["SY-002"]),
    ("a_look_that_finds_nothing_new_pushes_nothing_and_commits_nothing", &["SY-003"]),
    ("a_push_that_landed_unheard_is_not_made_again", &["SY-005"]),
    ("a_push_that_was_lost_is_made_again_and_the_queue_waits", &["SY-006"]),
    ("somebody_who_pushes_between_fetch_and_push_is_merged_with", &["SY-007"]),
    ("a_remote_that_refuses_is_left_alone_after_three_tries_and_says_why", &["SY-008"]),
    ("a_locked_branch_is_waited_for", &["SY-009"]),
    ("three_hundred_saves_made_offline_are_one_push_with_all_their_history", &["SY-010", "SY-085"]),
    ("a_mirror_that_somebody_wrote_into_is_asked_about_and_never_overwritten", &["SY-011"]),
    ("a_commit_of_others_is_in_the_wiki_its_search_and_its_events", &["SY-012"]),
    ("a_hosts_message_is_answered_at_once_and_followed_by_a_look", &["SY-013"]),
    ("many_messages_during_a_run_are_one_more_run", &["SY-014"]),
    ("news_of_our_own_push_is_none", &["SY-015"]),
    ("five_hundred_files_in_one_commit_are_one_change", &["SY-016"]),
    ("pages_that_others_delete_rename_and_add_are_gone_moved_and_there", &["SY-017", "SY-018", "SY-019", "SY-020"]),
    ("more_than_may_be_taken_over_pauses_the_link_and_nothing_else", &["SY-021"]),
    ("what_a_wiki_does_not_understand_is_carried_as_it_is", &["SY-022", "SY-025", "SY-026"]),
    ("a_tree_that_leads_out_of_itself_is_not_taken", &["SY-023"]),
    ("names_that_differ_in_case_only_are_both_kept", &["SY-024"]),
    ("readers_cause_one_look_and_an_order_another", &["SY-027"]),
    ("different_pages_and_different_paragraphs_are_merged_without_a_word", &["SY-028", "SY-029"]),
    ("the_same_line_is_kept_twice_and_somebody_is_told_and_can_resolve_it", &["SY-030", "SY-047"]),
    ("both_sides_agreeing_is_clean", &["SY-031"]),
    ("what_one_side_deleted_and_the_other_edited_stays", &["SY-032", "SY-033", "SY-034"]),
    ("two_new_pages_of_one_name_are_both_kept", &["SY-035"]),
    ("an_edit_follows_a_rename", &["SY-036"]),
    ("a_page_that_was_renamed_twice_is_there_twice", &["SY-037"]),
    ("two_pages_renamed_to_one_name_are_both_kept", &["SY-038"]),
    ("a_page_makes_room_for_a_directory", &["SY-039"]),
    ("what_is_no_text_stays_side_by_side", &["SY-040"]),
    ("what_touches_stays_side_by_side", &["SY-041"]),
    ("histories_that_crossed_are_merged_from_a_common_state", &["SY-042"]),
    ("saves_that_come_during_a_merge_are_all_there_afterwards", &["SY-043"]),
    ("a_draft_on_a_page_that_was_pulled_stays_and_its_save_is_a_conflict", &["SY-044"]),
    ("too_many_conflicts_and_too_many_deletions_are_asked_about_first", &["SY-045", "SY-046"]),
    ("two_wikis_on_one_remote_become_the_same_with_one_conflict_page", &["SY-048"]),
    ("two_ends_that_settle_one_conflict_without_each_other_have_one_tree_if_the_winner_is_stable", &["SY-049"]),
    ("attributes_in_the_repository_have_no_say_in_a_merge", &["SY-050"]),
    ("a_replaced_history_is_asked_about_and_the_old_one_kept", &["SY-051"]),
    ("commits_of_the_wiki_survive_whatever_is_decided", &["SY-052"]),
    ("histories_with_nothing_in_common_are_asked_about_or_joined_as_was_said", &["SY-053"]),
    ("a_branch_that_is_gone_is_not_made_again", &["SY-054"]),
    ("a_repository_is_gone_after_a_day_and_looked_for_every_six_hours_without_a_word", &["SY-055"]),
    ("a_shallow_history_is_refused", &["SY-056"]),
    ("a_remote_of_another_format_is_refused_in_words", &["SY-057"]),
    ("a_directory_there_is_the_whole_wiki_here", &["SY-058", "SY-059", "SY-060", "SY-063"]),
    ("a_directory_that_is_missing_is_made_and_one_that_is_a_file_is_asked_about", &["SY-061", "SY-062"]),
    ("of_a_wiki_only_what_is_wanted_leaves_it", &["SY-064"]),
    ("a_wrong_token_is_tried_once_and_a_new_one_at_once", &["SY-065", "SY-066"]),
    ("a_key_that_may_only_read_still_pulls", &["SY-067"]),
    ("a_deploy_key_shows_its_public_half_and_waits_for_a_host_that_is_known", &["SY-068"]),
    ("a_host_that_shows_another_key_gets_nothing", &["SY-069"]),
    ("a_remote_may_ask_for_the_token_again_and_again", &["SY-070"]),
    ("a_token_is_found_in_no_answer_file_or_log_of_the_remotes", &["SY-071"]),
    ("two_wikis_at_once_show_each_remote_its_own_token", &["SY-072"]),
    ("a_name_that_leads_inside_is_not_followed", &["SY-073"]),
    ("a_redirect_is_not_followed", &["SY-074"]),
    ("a_remote_that_answers_by_drops_is_given_up_and_others_go_on", &["SY-075"]),
    ("no_git_and_an_old_git_are_told_apart", &["SY-076"]),
    ("a_host_that_asks_for_time_gets_it", &["SY-077"]),
    ("a_hundred_wikis_do_not_come_back_together", &["SY-078"]),
    ("a_process_that_is_killed_at_any_moment_of_a_run_leaves_nothing_undone_or_done_twice", &["SY-079"]),
    ("a_wiki_that_is_ahead_pushes_and_jobs_go_when_the_remote_is_seen_to_have_it", &["SY-080"]),
    ("of_two_remotes_the_one_that_answers_gets_everything", &["SY-081"]),
    ("a_peer_that_is_down_is_news_after_ten_minutes_and_after_a_day_and_when_it_is_back", &["SY-084"]),
];

/// Why nothing drives a scenario.
#[rustfmt::skip]
const NOT_DRIVEN: &[(&str, &[&str])] = &[
    ("it takes a disk that is full for git and not for the test; what was fetched is removed after every run", &["SY-082"]),
    ("ten thousand saves take minutes; SY-010 pushes three hundred at once", &["SY-083"]),
];

/// Where the tests are.
const SOURCES: &[&str] = &[
    include_str!("remote_ssh.rs"),
    include_str!("remote_wire.rs"),
    include_str!("sync_auth.rs"),
    include_str!("sync_history.rs"),
    include_str!("sync_mapping.rs"),
    include_str!("sync_merge.rs"),
    include_str!("sync_pull.rs"),
    include_str!("sync_push.rs"),
    include_str!("sync_queue.rs"),
    include_str!("sync_transport.rs"),
    include_str!("../../crates/server/src/remote/git.rs"),
    include_str!("../../crates/server/src/sync/backoff.rs"),
    include_str!("../../crates/server/src/sync/machine/tests/running.rs"),
    include_str!("../../crates/server/src/sync/machine/tests/standing.rs"),
    include_str!("../../crates/server/src/sync/simulation/stories.rs"),
    include_str!("../../crates/storage/src/merge/tests.rs"),
    include_str!("../../crates/storage/src/merge/files/tests.rs"),
    include_str!("../../crates/storage/src/sync/tests.rs"),
    include_str!("../../crates/storage/src/sync/tests/histories.rs"),
];

#[test]
fn every_scenario_is_driven_by_a_test_or_has_a_reason_why_not() {
    let text = std::fs::read_to_string(test_data("sync_scenarios.json")).unwrap();
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    let ours = |scenario: &&Value| GROUPS.contains(&scenario["group"].as_str().unwrap());
    let known: BTreeSet<&str> =
        all.iter().filter(ours).map(|scenario| scenario["id"].as_str().unwrap()).collect();
    let listed: Vec<&str> =
        DRIVEN.iter().chain(NOT_DRIVEN).flat_map(|(_, ids)| ids.iter().copied()).collect();
    let once: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(listed.len(), once.len(), "a scenario is listed twice");
    assert_eq!(once, known);
    for (test, _) in DRIVEN {
        let declared = format!("fn {test}(");
        let found = SOURCES.iter().any(|source| source.contains(&declared));
        assert!(found, "there is no test {test}");
    }
}
