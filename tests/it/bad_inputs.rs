//! Hostile and unlucky input, driven from `bad_inputs.json`: attacks and accidents that other
//! programs fell for.
//!
//! Every entry of the areas that these routes can meet is in exactly one of two tables: [`DRIVEN`]
//! says which test drives it, [`NOT_APPLICABLE`] why none does yet. "REJECT" means refused with
//! 4xx and nothing changed; with which status is for the API's contract to say: 400 for what can't
//! be read, 422 for what can be read and is invalid.
//!
//! One long file: the tables and the tests that they name are held against each other here.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Value, json};
use testkit::{
    Answer, Program, ServerSetup, TestServer, User, encode, entries, scratch, test_data,
};

/// The areas of the file that these routes can meet.
const AREAS: &[&str] = &[
    "slug",
    "page_path",
    "json",
    "header",
    "http",
    "concurrency",
    "fs",
    "attachment",
    "git_push",
    "remote_url",
];

/// Which test drives an entry.
#[rustfmt::skip]
const DRIVEN: &[(&str, &[&str])] = &[
    ("slugs_that_no_wiki_can_have_are_refused_everywhere", &[
        "slug-001", "slug-003", "slug-004", "slug-006", "slug-007", "slug-009", "slug-010", "slug-012", "slug-013",
        "slug-015", "slug-016", "slug-018", "slug-019", "slug-021", "slug-022", "slug-024", "slug-025", "slug-027",
        "slug-028", "slug-030", "slug-031", "slug-033", "slug-034", "slug-037", "slug-040",
    ]),
    ("slugs_at_the_edge_of_the_rules_work_everywhere", &["slug-036", "slug-039"]),
    ("asking_for_wikis_that_never_were_leaves_no_trace", &["slug-042"]),
    ("a_deleted_wiki_is_gone_and_its_name_is_free_for_another", &["slug-043"]),
    ("paths_that_no_page_can_have_are_refused", &[
        "page_path-002", "page_path-003", "page_path-005", "page_path-006", "page_path-011", "page_path-012",
        "page_path-014", "page_path-015", "page_path-017", "page_path-018", "page_path-020", "page_path-021",
        "page_path-023", "page_path-024", "page_path-026", "page_path-027", "page_path-029", "page_path-030",
        "page_path-032", "page_path-038", "page_path-039", "page_path-041", "page_path-042", "page_path-044",
        "page_path-045", "page_path-048", "page_path-050", "page_path-053", "page_path-054", "page_path-062",
        "page_path-063",
    ]),
    ("odd_but_harmless_paths_are_pages_like_any", &[
        "page_path-047", "page_path-051", "page_path-057", "page_path-059", "page_path-060", "page_path-065",
        "page_path-066",
    ]),
    ("a_path_that_is_encoded_twice_is_decoded_once", &["page_path-008", "page_path-009"]),
    ("a_name_is_one_page_however_its_accents_are_typed", &["page_path-033"]),
    ("names_that_one_file_system_would_take_for_one_collide", &["page_path-035", "page_path-036"]),
    ("a_page_and_pages_below_it_live_side_by_side", &["page_path-056"]),
    ("bodies_that_cannot_be_used_are_refused_by_every_route", &[
        "json-001", "json-003", "json-004", "json-006", "json-007", "json-009", "json-010", "json-012", "json-015",
        "json-016", "json-018", "json-019", "json-021",
    ]),
    ("any_text_is_stored_byte_for_byte", &["json-013", "json-034"]),
    ("an_earlier_state_is_read_by_its_revision", &["json-022"]),
    ("an_author_is_named_only_by_tokens_made_for_it", &["json-030"]),
    ("a_commit_says_why_or_what", &["json-031"]),
    ("a_wiki_is_created_with_all_that_is_said_of_it", &["json-033"]),
    ("no_secret_gets_into_the_log", &["json-036"]),
    ("headers_that_only_a_proxy_may_set_give_nobody_any_rights", &[
        "header-012", "header-014", "header-024",
    ]),
    ("what_a_trusted_proxy_says_is_taken_once_or_refused", &[
        "header-002", "header-003", "header-005", "header-006", "header-008", "header-027",
    ]),
    ("the_audit_log_knows_where_a_client_is_from_whoever_may_say", &["header-011"]),
    ("a_page_of_another_site_changes_nothing", &["header-029"]),
    ("a_thousand_slow_connections_to_one_wiki_leave_another_alone", &["http-010"]),
    ("a_client_that_goes_away_ends_git", &["http-025"]),
    ("a_head_that_is_too_large_is_refused", &["header-009"]),
    ("a_wikis_own_host_serves_that_wiki_to_those_who_may_see_it", &["header-015", "http-012", "http-013"]),
    ("hosts_that_are_none_are_refused", &["header-017", "header-018", "header-020", "header-021", "header-023"]),
    ("credentials_that_are_none_are_all_refused_alike", &["header-026", "http-019"]),
    ("unknown_and_wrong_fields_are_named", &["header-030"]),
    ("a_write_that_names_no_version_is_refused", &["header-032", "header-033"]),
    ("a_body_of_which_two_lengths_are_said_is_never_two_requests", &["header-035", "header-036"]),
    ("a_request_id_that_could_forge_a_log_is_replaced", &["header-038"]),
    ("paths_are_routed_as_they_stand", &["http-001", "http-003", "http-004", "http-007"]),
    ("head_is_get_without_a_body_on_every_route", &["http-006"]),
    ("a_body_that_never_ends_is_given_up", &["http-009"]),
    ("what_caches_may_keep_depends_on_who_may_read", &["http-016"]),
    ("a_private_page_and_a_missing_one_are_the_same_to_strangers", &["http-018"]),
    ("a_wiki_deleted_while_saves_are_in_flight_is_whole_in_the_trash", &["http-027"]),
    ("two_hundred_kills_lose_nothing_that_was_acknowledged", &[
        "http-028", "concurrency-007", "concurrency-021", "concurrency-022", "concurrency-024", "concurrency-025",
        "fs-003",
    ]),
    ("a_page_is_created_once", &["http-030"]),
    ("edits_in_the_same_place_are_a_conflict_that_carries_everything", &["concurrency-001"]),
    ("concurrent_savers_of_one_page_lose_nothing", &["concurrency-003"]),
    ("a_hundred_first_requests_at_once_all_work", &["concurrency-012"]),
    ("a_full_disk_refuses_saves_and_loses_none", &["fs-006", "fs-007"]),
    ("a_server_short_of_descriptors_recovers", &["fs-010"]),
    ("a_flipped_bit_is_not_served", &["fs-013"]),
    ("a_damaged_branch_is_repaired_when_the_wiki_is_opened", &["fs-015", "fs-016"]),
    ("a_wiki_db_that_is_none_is_set_aside_and_built_anew", &["fs-018"]),
    ("a_lost_log_of_wiki_db_is_made_up_for_from_git", &["fs-019"]),
    ("a_repository_that_leads_elsewhere_is_refused", &["fs-021", "fs-025"]),
    ("hooks_in_a_repository_are_never_run", &["fs-024"]),
    ("git_gc_between_requests_loses_nothing", &["fs-027"]),
    ("a_repository_restored_from_an_older_copy_is_served_as_it_is", &["fs-030"]),
    ("files_are_private_whatever_the_umask", &["fs-033"]),
    ("names_that_no_attachment_can_have_are_refused", &[
        "attachment-001", "attachment-002", "attachment-011", "attachment-013",
    ]),
    ("what_a_browser_could_run_is_never_shown_in_place", &[
        "attachment-004", "attachment-005", "attachment-007", "attachment-008", "attachment-010",
    ]),
    ("an_attachment_is_read_back_byte_for_byte", &["attachment-014"]),
    ("what_is_too_large_is_refused_and_leaves_nothing", &["attachment-016"]),
    ("an_upload_without_an_end_is_cut_at_the_limit", &["attachment-017"]),
    ("a_body_that_is_packed_in_something_is_refused", &["attachment-019", "attachment-020", "attachment-022"]),
    ("one_range_is_a_part_and_anything_else_the_whole", &["attachment-023"]),
    ("the_etag_of_another_wiki_opens_nothing", &["attachment-025"]),
    ("of_two_uploads_of_one_name_at_once_one_wins", &["attachment-028"]),
    ("what_is_no_revision_is_refused_wherever_one_is_named", &["json-024"]),
    ("a_query_is_words_however_it_is_written", &["json-025", "json-027", "json-028"]),
    ("pages_without_a_common_line_are_compared_in_time", &["http-022"]),
    ("a_long_page_with_a_long_history_is_blamed_as_git_does", &["http-024"]),
    ("a_download_goes_on_when_the_attachment_is_deleted_and_packed", &["attachment-029"]),
    ("urls_that_reach_what_they_must_not_are_refused", &[
        "remote_url-001", "remote_url-002", "remote_url-004", "remote_url-005", "remote_url-007", "remote_url-008",
        "remote_url-010", "remote_url-011", "remote_url-013", "remote_url-014", "remote_url-016", "remote_url-017",
        "remote_url-019", "remote_url-020", "remote_url-022", "remote_url-023", "remote_url-025", "remote_url-026",
        "remote_url-028", "remote_url-029", "remote_url-034", "remote_url-035", "remote_url-037", "remote_url-038",
        "remote_url-040",
    ]),
    ("webhooks_that_the_host_did_not_sign_are_refused", &["header-039", "header-041", "header-042", "header-044"]),
    ("a_wiki_without_a_secret_has_no_webhook", &["header-045"]),
    ("a_webhook_that_is_too_large_is_refused_unread", &["http-021"]),
    ("a_url_without_an_end_is_refused", &["remote_url-041"]),
    ("a_name_that_leads_inside_at_the_second_look_is_not_followed", &["remote_url-031"]),
    ("a_redirect_is_not_followed", &["remote_url-032"]),
    ("branches_that_are_more_than_one_ref_are_refused", &["remote_url-043", "remote_url-044"]),
    ("a_subdirectory_that_git_reads_is_refused", &["remote_url-046"]),
    ("a_pasted_key_is_understood_or_says_why_not", &["remote_url-047"]),
    ("a_remote_may_ask_for_the_token_again_and_again", &["remote_url-049"]),
    ("a_history_that_is_too_large_leaves_nothing_behind", &["remote_url-050"]),
    ("a_branch_that_was_renamed_is_missing_and_not_made_again", &["remote_url-052"]),
    ("a_repository_that_is_gone_or_closed_is_told_from_one_that_is_ill", &["remote_url-056"]),
    ("trees_that_lead_out_of_themselves_are_refused", &[
        "git_push-001", "git_push-002", "git_push-004", "git_push-005", "git_push-007", "git_push-008", "git_push-010",
        "git_push-011", "git_push-013", "git_push-014", "git_push-016", "git_push-017", "git_push-019",
    ]),
    ("names_that_cannot_be_told_apart_or_shown_are_refused", &[
        "git_push-022", "git_push-023", "git_push-025", "git_push-026", "git_push-028", "git_push-029", "git_push-032",
        "git_push-034",
    ]),
    ("objects_that_are_broken_or_missing_are_refused", &[
        "git_push-037", "git_push-038", "git_push-050", "git_push-053",
    ]),
    ("pushes_that_would_fill_memory_or_time_are_refused", &[
        "git_push-040", "git_push-041", "git_push-043", "git_push-044", "git_push-056", "git_push-059",
    ]),
    ("odd_but_harmless_pushes_are_taken", &["git_push-031", "git_push-035", "git_push-052", "git_push-055"]),
    ("what_only_other_programs_would_obey_does_nothing_here", &["git_push-020", "git_push-058"]),
    ("many_or_long_chains_of_small_objects_are_kept_together", &["git_push-046", "git_push-047"]),
    ("no_name_but_the_branchs_is_written_to", &[
        "git_push-061", "git_push-062", "git_push-064", "git_push-065", "git_push-067",
    ]),
    ("a_history_is_not_replaced_by_force", &["git_push-068"]),
    ("what_git_is_asked_for_is_read_before_git_reads_it", &[
        "git_push-070", "git_push-071", "git_push-073", "git_push-074", "git_push-076", "git_push-077",
    ]),
    ("pushes_and_saves_that_race_lose_nothing", &["concurrency-004"]),
];

/// Why nothing drives an entry, yet.
#[rustfmt::skip]
const NOT_APPLICABLE: &[(&str, &[&str])] = &[
    ("there is no route that moves pages yet", &["page_path-068", "page_path-069"]),
    ("no handler panics on request; the middleware's own tests make one", &["http-015"]),
    ("git itself detects SHA-1 collisions of the known kind; the two files are too large to be kept here", &["git_push-049"]),
    ("no route deletes a branch; storage's tests publish against a branch that is gone", &["concurrency-006"]),
    ("there is no maintenance yet; fs-027 runs git gc between requests", &["concurrency-009"]),
    ("the registry's tests open more wikis than may be open at once", &["concurrency-010"]),
    ("there is one migration so far; storage's tests break one half way", &["concurrency-013"]),
    ("there is no backup yet, and nothing else that reads for long", &["concurrency-015", "fs-028"]),
    ("the pool's own tests exhaust it", &["concurrency-016"]),
    ("the tests of the context spawn tasks", &["concurrency-018"]),
    ("no test can set the machine's clock", &["concurrency-019"]),
    ("there is no sync yet", &["concurrency-027"]),
    ("it takes a block device that loses what was not synced", &["fs-001", "fs-004"]),
    ("there are no quotas yet", &["fs-009"]),
    ("it takes a failing disk", &["fs-012"]),
    ("the tests may run as root, whom nothing is denied", &["fs-022"]),
    ("running out of inodes is the same error as fs-006, and there is no repacking yet", &["fs-031"]),
    ("it takes such a file system; slugs are lower-case only and pages are git objects", &["fs-034"]),
    ("nothing decodes images", &["attachment-026"]),
    ("nothing is synchronised yet that could be merged", &["remote_url-053", "remote_url-055", "remote_url-058"]),
    ("nothing watches a work tree yet", &["fs-036", "fs-037", "fs-039", "fs-040"]),
];

/// One entry of the file.
#[derive(Clone, Debug)]
pub(super) struct Bad {
    pub(super) id: String,
    pub(super) input: String,
}

fn all() -> BTreeMap<String, Bad> {
    let text = std::fs::read_to_string(test_data("bad_inputs.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of_these_areas = |entry: &&Value| AREAS.contains(&entry["area"].as_str().unwrap());
    entries
        .iter()
        .filter(of_these_areas)
        .map(|entry| {
            let id = entry["id"].as_str().unwrap().to_owned();
            let input = generated(entry["input"].as_str().unwrap());
            (id.clone(), Bad { id, input })
        })
        .collect()
}

/// `gen:repeat(text,times)` stands for what is too long to be written down, also several in a row.
fn generated(input: &str) -> String {
    if input.starts_with("gen:") && input.contains(")+gen:") {
        let parts = input.split("+gen:").enumerate();
        return parts
            .map(
                |(at, part)| {
                    if at == 0 { generated(part) } else { generated(&format!("gen:{part}")) }
                },
            )
            .collect();
    }
    let repeat = input.strip_prefix("gen:repeat(").and_then(|rest| rest.strip_suffix(')'));
    match repeat.and_then(|rest| rest.rsplit_once(',')) {
        Some((text, times)) => text.repeat(times.parse().unwrap()),
        None => input.to_owned(),
    }
}

/// The entries that the test of this name drives.
pub(super) fn driven_by(test: &str) -> Vec<Bad> {
    let (_, ids) = DRIVEN.iter().find(|(name, _)| *name == test).expect("a test of the table");
    let mut all = all();
    ids.iter().map(|id| all.remove(*id).unwrap()).collect()
}

#[test]
fn every_entry_is_driven_by_one_test_or_has_a_reason_why_not() {
    let tables = DRIVEN.iter().chain(NOT_APPLICABLE).flat_map(|(_, ids)| ids.iter());
    let listed: Vec<String> = tables.map(|id| (*id).to_owned()).collect();
    let once: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), once.len(), "an entry is listed twice");
    let known: BTreeSet<String> = all().into_keys().collect();
    assert_eq!(once, known);
    let sources = [
        include_str!("admin.rs"),
        include_str!("attachments.rs"),
        include_str!("bad_inputs.rs"),
        include_str!("browsers.rs"),
        include_str!("crash.rs"),
        include_str!("diff_blame.rs"),
        include_str!("disk_full.rs"),
        include_str!("export.rs"),
        include_str!("git_http/racing.rs"),
        include_str!("git_push_inputs.rs"),
        include_str!("hostile.rs"),
        include_str!("pages.rs"),
        include_str!("remote_ssh.rs"),
        include_str!("remote_url.rs"),
        include_str!("remote_webhook.rs"),
        include_str!("remote_wire.rs"),
        include_str!("proxy.rs"),
        include_str!("slow_clients.rs"),
    ];
    for (test, _) in DRIVEN {
        let definition = format!("fn {test}(");
        assert!(sources.iter().any(|source| source.contains(&definition)), "there is no {test}");
    }
}

/// Everything that a refused request must leave as it was.
#[derive(Debug, PartialEq)]
pub(super) struct State {
    wikis: Vec<Value>,
    pub(super) pages: Vec<Value>,
    refs: String,
    files: BTreeSet<String>,
}

impl State {
    /// The state of a server that has one wiki, `garden`.
    pub(super) async fn of(server: &TestServer, operator: &User) -> Self {
        Self {
            wikis: operator.wikis().await,
            pages: operator.on("garden").pages().await,
            refs: server.git("garden").run(&["for-each-ref"]),
            files: entries(server.dir()),
        }
    }
}

/// Checks that an answer is a refusal, and a short one however long the input was.
#[track_caller]
pub(super) fn refused(answer: &Answer, id: &str) -> Value {
    assert!((400..500).contains(&answer.status()), "{id}: {answer}");
    assert!(answer.bytes().len() < 2000, "{id}: an answer of {} bytes", answer.bytes().len());
    answer.any_problem()
}

/// A wiki with a page in it, and the state to compare with.
pub(super) async fn garden() -> (TestServer, User, State) {
    let (server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    operator.on("garden").create("home", "hello").await.good();
    // Opens wiki.db, so that nothing is created later.
    operator.on("garden").pages().await;
    let state = State::of(&server, &operator).await;
    (server, operator, state)
}

#[tokio::test]
async fn slugs_that_no_wiki_can_have_are_refused_everywhere() {
    let (server, operator, before) = garden().await;
    let parent = entries_beside(&server);
    for Bad { id, input } in driven_by("slugs_that_no_wiki_can_have_are_refused_everywhere") {
        let created = operator.create_wiki(&input).await;
        assert_eq!(created.status(), 422, "{id}: {created}");
        let code = refused(&created, &id)["code"].as_str().unwrap().to_owned();
        let reserved = ["slug-027", "slug-028", "slug-030", "slug-031", "slug-033"];
        let expected = if reserved.contains(&&*id) { "reserved_slug" } else { "invalid_slug" };
        assert_eq!(code, expected, "{id}");

        // In a URL it is nobody's: encoded, and as it is where the client lets it pass.
        for written in [encode(&input).replace('/', "%2F"), input.clone()] {
            if written.parse::<http::Uri>().is_err() && written == input {
                continue;
            }
            let fits =
                |path: String| path.parse::<http::uri::PathAndQuery>().is_ok().then_some(path);
            let Some(base) = fits(format!("/w/{written}/api/v1/pages/home")) else { continue };
            refused(&operator.public(Method::GET, &base).await, &id);
            let write = operator.public(Method::PUT, &base).header("if-none-match", "*");
            refused(&write.json(json!({ "content": "x" })).await, &id);
            if !input.is_empty() {
                refused(&operator.admin(Method::GET, format!("/wikis/{written}")).await, &id);
                refused(&operator.admin(Method::DELETE, format!("/wikis/{written}")).await, &id);
            }
        }
        assert_eq!(State::of(&server, &operator).await, before, "{id}");
    }
    assert_eq!(entries_beside(&server), parent);
}

/// What else is where the data directory is, but for other tests' directories.
fn entries_beside(server: &TestServer) -> BTreeSet<String> {
    let beside = std::fs::read_dir(server.dir().parent().unwrap()).unwrap();
    let names = beside.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.contains("wikigrove") && !name.starts_with(".tmp")).collect()
}

#[tokio::test]
async fn slugs_at_the_edge_of_the_rules_work_everywhere() {
    let (_server, operator, _) = garden().await;
    for Bad { id, input } in driven_by("slugs_at_the_edge_of_the_rules_work_everywhere") {
        let created = operator.create_wiki(&input).await.good();
        assert_eq!(created.json()["slug"], input.as_str(), "{id}");
        operator.on(&input).create("home", &id).await.good();
        assert_eq!(operator.on(&input).read("home").await.good().json()["content"], id.as_str());
        operator.admin(Method::GET, format!("/wikis/{input}")).await.good();
        operator.delete_wiki(&input).await.good();
    }
}

#[tokio::test]
async fn asking_for_wikis_that_never_were_leaves_no_trace() {
    let (server, operator, before) = garden().await;
    let ready = async || operator.admin(Method::GET, "/health/ready").await.good().json();
    let open = ready().await;
    for n in 0..500 {
        let slug = format!("never-created-{n}");
        operator.on(&slug).read("home").await.problem("unknown_wiki");
        operator.on(&slug).create("home", "x").await.problem("unknown_wiki");
    }
    assert_eq!(ready().await, open);
    assert_eq!(State::of(&server, &operator).await, before);
}

#[tokio::test]
async fn paths_that_no_page_can_have_are_refused() {
    let (server, operator, before) = garden().await;
    let etag = operator.on("garden").read("home").await.good().etag().to_owned();
    for Bad { id, input } in driven_by("paths_that_no_page_can_have_are_refused") {
        let wiki = operator.on("garden");
        let created = wiki.create(&input, "x").await;
        // A dot segment is refused before any route.
        let climbs = input.split('/').any(|segment| segment == "." || segment == "..");
        assert_eq!(created.status(), if climbs { 400 } else { 422 }, "{id}: {created}");
        let code = refused(&created, &id)["code"].as_str().unwrap().to_owned();
        let expected = if id == "page_path-053" { "path_too_deep" } else { "invalid_path" };
        assert!([expected, "invalid_path"].contains(&&*code), "{id}: {code}");
        assert!(!created.text().contains(['\u{1b}', '\u{202e}', '\u{7f}']), "{id}: {created}");
        assert!(!created.header("content-type").contains("html"), "{id}");
        for call in [
            wiki.read(&input),
            wiki.markdown(&input),
            wiki.save(&input, &etag, "x"),
            wiki.delete(&input, &etag),
            wiki.draft(&input),
            wiki.put_draft(&input, "x"),
            wiki.delete_draft(&input),
        ] {
            refused(&call.await, &id);
        }
        assert!(wiki.drafts().await.is_empty(), "{id}");
        assert_eq!(State::of(&server, &operator).await, before, "{id}");
    }
}

#[tokio::test]
async fn odd_but_harmless_paths_are_pages_like_any() {
    let (server, operator, before) = garden().await;
    let wiki = operator.on("garden");
    for Bad { id, input } in driven_by("odd_but_harmless_paths_are_pages_like_any") {
        wiki.put_draft(&input, &id).await.good();
        assert_eq!(wiki.drafts().await, [&*input], "{id}");
        let created = wiki.create(&input, &id).await.good();
        assert_eq!(created.json()["path"], input.as_str(), "{id}");
        assert!(wiki.drafts().await.is_empty(), "{id}");
        let page = wiki.read(&input).await.good();
        assert_eq!(page.json()["content"], id.as_str());
        let files = server.git("garden").run(&["ls-tree", "-r", "-z", "--name-only", "main"]);
        assert!(files.split('\0').any(|file| file == format!("{input}.md")), "{id}: {files}");
        // Only below the wiki; and what programs ask a host for is no page there.
        operator.public(Method::GET, format!("/{}", encode(&input))).await.any_problem();
        let shown = operator.public(Method::GET, format!("/w/garden/{}", encode(&input))).await;
        let is_for_programs = ["robots.txt", "favicon.ico"].contains(&&*input);
        assert_ne!(shown.text().contains("<article>"), is_for_programs, "{id}: {shown}");
        let saved = wiki.save(&input, page.etag(), "changed").await.good();
        wiki.delete(&input, saved.etag()).await.good();
    }
    assert_eq!(wiki.pages().await, before.pages);
    server.git("garden").fsck();
}

#[tokio::test]
async fn a_path_that_is_encoded_twice_is_decoded_once() {
    let (server, operator, before) = garden().await;
    let [twice, overlong] = &driven_by("a_path_that_is_encoded_twice_is_decoded_once")[..] else {
        panic!("two entries");
    };
    let wiki = operator.on("garden");
    let as_it_is = |method, input: &str| wiki.api(method, format!("/pages/{input}"));
    let refusal = as_it_is(Method::PUT, &overlong.input).header("if-none-match", "*");
    let refusal = refusal.json(json!({ "content": "x" })).await;
    assert_eq!(refusal.status(), 400);
    refusal.problem("invalid_utf8");
    as_it_is(Method::GET, &overlong.input).await.problem("invalid_utf8");
    assert_eq!(State::of(&server, &operator).await, before);

    let write = as_it_is(Method::PUT, &twice.input).header("if-none-match", "*");
    let created = write.json(json!({ "content": "x" })).await.good();
    assert_eq!(created.json()["path"], "%2e%2e%2fx");
    as_it_is(Method::GET, &twice.input).await.good();
    wiki.read("x").await.problem("page_not_found");
}

/// The body that an entry describes.
fn body(bad: &Bad) -> Vec<u8> {
    match bad.id.as_str() {
        "json-001" => Vec::new(),
        // Within what routes with an `Idempotency-Key` take, which is less than others do.
        "json-010" => b"[".repeat(60_000),
        "json-015" => {
            let text = "\u{feff}{\"content\":\"x\"}";
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
        _ => bad.input.clone().into_bytes(),
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_used_are_refused_by_every_route() {
    let (server, operator, before) = garden().await;
    let etag = operator.on("garden").read("home").await.good().etag().to_owned();
    let wiki = operator.on("garden");
    let routes = || {
        [
            ("create", wiki.create("new", "")),
            ("save", wiki.save("home", &etag, "")),
            ("delete", wiki.delete("home", &etag)),
            ("create wiki", operator.create_wiki("x")),
            ("change wiki", operator.change_wiki("garden", json!({}))),
            ("create token", operator.admin(Method::POST, "/wikis/garden/tokens")),
            ("settings", wiki.change_preferences(json!({}))),
            ("draft", wiki.put_draft("new", "")),
            ("revert", wiki.revert("")),
            ("restore", wiki.restore("").header("idempotency-key", "k")),
        ]
    };
    let mut bodies: Vec<(String, Vec<u8>)> = Vec::new();
    for bad in driven_by("bodies_that_cannot_be_used_are_refused_by_every_route") {
        bodies.push((bad.id.clone(), body(&bad)));
    }
    bodies.push(("json-015".into(), b"\xef\xbb\xbf{\"content\":\"x\"}".to_vec()));
    bodies.push(("not UTF-8".into(), b"{\"content\":\"\xff\"}".to_vec()));
    for (id, body) in bodies {
        for (route, call) in routes() {
            let answer = call.body("application/json", body.clone()).await;
            let problem = refused(&answer, &format!("{id} on {route}"));
            let expected: &[u16] = match &*id {
                "json-001" | "json-003" | "json-007" | "json-010" | "json-012" | "json-015"
                | "not UTF-8" => &[400],
                _ => &[422],
            };
            assert!(expected.contains(&answer.status()), "{id} on {route}: {answer}");
            let code = match &*id {
                "json-007" => "duplicate_key",
                _ if answer.status() == 400 => "invalid_json",
                // Each of them is an object whose names are none of a setting.
                _ if route == "settings" && body.starts_with(b"{") && id != "json-016" => {
                    "unknown_preference"
                }
                _ => "invalid_value",
            };
            assert_eq!(problem["code"], code, "{id} on {route}");
            if id == "json-006" && route == "create" {
                assert_eq!(problem["errors"][0]["pointer"], "/content");
            }
        }
        assert_eq!(State::of(&server, &operator).await, before, "{id}");
    }
    // json-018, json-019 and json-021, where these routes take them.
    wiki.list().query("limit", 1_000_000_000).await.problem("invalid_value");
    for revision in ["HEAD", "deadbeef"] {
        wiki.read("home").query("at", revision).await.problem("invalid_revision");
    }
}

#[tokio::test]
async fn any_text_is_stored_byte_for_byte() {
    let (server, operator, _) = garden().await;
    let wiki = operator.on("garden");
    for Bad { id, input } in driven_by("any_text_is_stored_byte_for_byte") {
        let sent: Value = serde_json::from_str(&input).unwrap();
        let text = sent["content"].as_str().unwrap();
        let created = wiki.create(&id, "").json(sent.clone()).await.good();
        assert_eq!(wiki.read(&id).await.good().json()["content"], text, "{id}");
        assert_eq!(wiki.markdown(&id).await.good().text(), text, "{id}");
        let stored = server.git("garden").bytes(&["cat-file", "blob", created.etag()]);
        assert_eq!(stored, text.as_bytes(), "{id}");
        let listed = wiki.pages().await;
        let listed = listed.iter().find(|page| page["path"] == id.as_str()).unwrap();
        assert_eq!(
            (&listed["etag"], &listed["size"]),
            (&json!(created.etag()), &json!(text.len()))
        );
        // Conflict markers that somebody wrote are no conflict.
        let saved = wiki.save(&id, created.etag(), &format!("{text}\nmore")).await.good();
        assert_eq!(saved.json()["merged"], false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_gets_into_the_log() {
    let data = scratch();
    let server = super::program(data.path()).env("RUST_LOG", "trace").serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    let editor = operator.token("garden", "editor").await;
    let hidden = "hunter2hunter2hunter2";
    editor
        .on("garden")
        .create("home", "x")
        .json(json!({ "secret": hidden }))
        .await
        .problem("invalid_value");
    editor.on("garden").list().query("prefix", hidden).await.good();
    editor.with_token(hidden).on("garden").list().await.problem("unauthenticated");
    let basic = format!("Basic {hidden}");
    editor.without_token().on("garden").list().header("authorization", basic).await.any_problem();
    let (token, editors) = (operator.secret().to_owned(), editor.secret().to_owned());
    server.terminate();
    let (_, log) = server.ended();
    assert!(log.contains("request answered"), "{log}");
    for secret in [&*token, &*editors, hidden] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret is in the log");
    }
}

#[tokio::test]
async fn headers_that_only_a_proxy_may_set_give_nobody_any_rights() {
    let (server, operator, before) = garden().await;
    let anyone = server.anonymous();
    let reader = operator.token("garden", "reader").await;
    let before = State { files: entries(server.dir()), ..before };
    for (id, name, value) in [
        ("header-002", "x_wiki_user", "admin"),
        ("header-003", "x.wiki.user", "admin"),
        ("header-005", "x-wiki-user", "a, admin"),
        ("header-006", "x-wiki-user", " \tadmin\t "),
        ("header-008", "x-wiki-user", ""),
        ("header-011", "x-forwarded-for", "127.0.0.1"),
        ("header-012", "x-forwarded-uri", "/public"),
        ("header-014", "x-http-method-override", "DELETE"),
        ("header-024", "x-forwarded-host", "other.example"),
        ("header-027", "x-wiki-user", "admin"),
        ("header-027", "x-forwarded-user", "admin"),
        ("header-027", "remote-user", "operator"),
    ] {
        assert!(all().contains_key(id));
        let home = || anyone.on("garden").read("home").header(name, value);
        home().await.problem("unknown_wiki");
        anyone.admin(Method::GET, "/wikis").header(name, value).await.problem("unauthenticated");
        // Nor more rights to somebody who has some.
        let write = reader.on("garden").create("new", "x").header(name, value).await;
        assert_eq!(write.status(), 403, "{id}");
        reader.on("garden").read("home").header(name, value).await.good();
        operator.on("garden").read("home").header(name, value).await.good();
        assert_eq!(State::of(&server, &operator).await, before, "{id}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (server, operator, _) = garden().await;
    let input = "a".repeat(70_000);
    let answer = server
        .raw(format!(
            "GET /w/garden/api/v1/pages HTTP/1.1\r\nHost: x\r\nX-Wiki-User: {input}\r\n\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let answer = server.raw(format!("GET /{input} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    operator.on("garden").read("home").await.good();
}

/// A server on which wikis have hosts of their own, with two wikis that each have a page.
async fn two_hosts() -> (TestServer, User, User) {
    let (server, operator) = ServerSetup::default().base_domain("wikis.example").start().await;
    for slug in ["garden", "kitchen"] {
        operator.create_wiki(slug).await.good();
        let call = operator.public(Method::PUT, "/api/v1/pages/home");
        let call =
            call.header("host", format!("{slug}.wikis.example")).header("if-none-match", "*");
        call.json(json!({ "content": format!("of the {slug}") })).await.good();
    }
    let reader = operator.token("garden", "reader").await;
    (server, operator, reader)
}

#[tokio::test]
async fn a_wikis_own_host_serves_that_wiki_to_those_who_may_see_it() {
    let (server, _, reader) = two_hosts().await;
    let home = |host: &str| reader.public(Method::GET, "/api/v1/pages/home").header("host", host);
    for host in ["garden.wikis.example", "GARDEN.Wikis.example.", "garden.wikis.example:8080"] {
        assert_eq!(home(host).await.good().json()["content"], "of the garden", "{host}");
    }
    // header-015
    for host in ["kitchen.wikis.example", "nobodys.wikis.example", "a.garden.wikis.example"] {
        home(host).await.problem("unknown_wiki");
    }
    for host in ["wikis.example", "evil.example", "gardenwikis.example"] {
        home(host).await.any_problem();
    }
    // http-012 and http-013: on one connection, one after the other and both at once.
    let request = |host: &str, connection: &str| {
        format!(
            "GET /api/v1/pages/home HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\
             Connection: {connection}\r\n\r\n",
            reader.secret()
        )
    };
    let mixed = [
        request("garden.wikis.example", "keep-alive"),
        request("kitchen.wikis.example", "keep-alive"),
        request("garden.wikis.example", "close"),
    ];
    let answers = server.raw(mixed.concat()).await;
    let statuses: Vec<_> =
        answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "404", "200"], "{answers}");
    assert_eq!(answers.matches("of the garden").count(), 2);
    assert!(!answers.contains("of the kitchen"));
}

#[tokio::test]
async fn hosts_that_are_none_are_refused() {
    let (server, _, reader) = two_hosts().await;
    let token = reader.secret();
    for (id, line) in [
        ("header-017", "Host: garden.wikis.example:99999\r\n"),
        ("header-018", "Host: garden.wikis.example@evil\r\n"),
        ("header-020", ""),
        ("header-021", "Host: garden.wikis.example\r\nHost: kitchen.wikis.example\r\n"),
        ("header-021", "Host: garden.wikis.example\r\nHost: garden.wikis.example\r\n"),
    ] {
        let answer = server
            .raw(format!(
                "GET /api/v1/pages/home HTTP/1.1\r\n{line}Authorization: Bearer {token}\r\n\
                 Connection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{id}: {answer}");
        assert!(!answer.contains("of the"), "{id}: {answer}");
    }
    // header-023
    let call = reader.public(Method::GET, "/api/v1/pages/home").http2();
    let answer = call.header("host", "garden.wikis.example").await;
    assert_eq!(answer.status(), 400, "{answer}");
    let absolute = "GET http://kitchen.wikis.example/api/v1/pages/home HTTP/1.1\r\n\
                    Host: garden.wikis.example\r\nConnection: close\r\n\r\n";
    let answer = server.raw(absolute).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn a_body_of_which_two_lengths_are_said_is_never_two_requests() {
    let (server, operator, before) = garden().await;
    // What a proxy that believes the length takes for a body, one that believes the chunks takes
    // for a second request.
    let body = r#"{"content":"smuggled"}"#;
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let inner = format!(
        "PUT /w/garden/api/v1/pages/inner HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        operator.secret(),
        body.len()
    );
    let whole = chunks.len() + inner.len();
    for (id, lines) in [
        ("header-035", format!("Transfer-Encoding: chunked\r\nContent-Length: {whole}\r\n")),
        ("header-035", format!("Content-Length: {whole}\r\nTransfer-Encoding: chunked\r\n")),
        ("header-035", format!("Content-Length: {whole}\r\nContent-Length: 6\r\n")),
        ("header-035", format!("Content-Length: +{whole}\r\n")),
        ("header-036", "Transfer-Encoding: xchunked\r\n".to_owned()),
        ("header-036", "Transfer-Encoding: chunked, identity\r\n".to_owned()),
        ("header-036", "Transfer-Encoding: identity\r\n".to_owned()),
        ("header-036", "Transfer-Encoding : chunked\r\n".to_owned()),
        ("header-036", "Transfer-Encoding:\r\n chunked\r\n".to_owned()),
    ] {
        let head = format!(
            "PUT /w/garden/api/v1/pages/outer HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/json\r\n{lines}\r\n",
            operator.secret()
        );
        let answers = server.raw(format!("{head}{chunks}{inner}")).await;
        // The connection ends, so what follows is nobody's request.
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{id} {lines}: {answers}");
        let both = lines.contains("Content-Length") && lines.contains("chunked");
        if both {
            // Hyper believes the chunks and closes, as RFC 9112 (6.3) allows, before anybody could refuse.
            assert!(answers.starts_with("HTTP/1.1 201 "), "{id} {lines}: {answers}");
            let outer = operator.on("garden").read("outer").await.good();
            operator.on("garden").delete("outer", outer.etag()).await.good();
        } else {
            assert!(answers.starts_with("HTTP/1.1 400 "), "{id} {lines}: {answers}");
        }
        assert_eq!(operator.on("garden").pages().await, before.pages, "{id} {lines}");
    }
}

#[tokio::test]
async fn a_request_id_that_could_forge_a_log_is_replaced() {
    let (server, operator, _) = garden().await;
    let id_for = async |sent: &[u8]| {
        let call = operator.on("garden").read("home").header("x-request-id", sent);
        call.await.good().header("x-request-id").to_owned()
    };
    assert_eq!(id_for(b"my-id-1").await, "my-id-1");
    for bad in [&b"x".repeat(10_000)[..], b"a b", b"\xff", b"", b"a\tb"] {
        let made = id_for(bad).await;
        assert!((1..=64).contains(&made.len()) && made.as_bytes() != bad, "{made}");
        assert!(made.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{made}");
    }
    let split =
        "GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\rSet-Cookie: b\r\nConnection: close\r\n\r\n";
    let answer = server.raw(split).await;
    assert!(!answer.to_ascii_lowercase().contains("set-cookie"), "{answer}");
}

#[tokio::test]
async fn paths_are_routed_as_they_stand() {
    let (server, operator, before) = garden().await;
    let raw = async |line: &str| {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            operator.secret()
        );
        let answer = server.raw(request).await;
        assert!(!answer.to_ascii_lowercase().contains("\r\nlocation:"), "{line}: {answer}");
        answer[9..12].parse::<u16>().unwrap()
    };
    for line in [
        "GET /w/a/../garden/api/v1/pages/home",
        "GET /w/garden/api/v1/pages/a/../home",
        "GET /w/garden/api/v1/pages/%2e%2e/home",
        "GET /w/./garden/api/v1/pages/home",
        "DELETE /../w/garden/api/v1/pages/home",
    ] {
        assert_eq!(raw(line).await, 400, "{line}");
    }
    for line in [
        "GET //evil.com/x",
        "GET //w/garden/api/v1/pages/home",
        "GET /w/garden;jsessionid=1/api/v1/pages/home",
        "GET /w/garden/api/v1/pages;x=1",
        "GET /w//garden/api/v1/pages/home",
        "GET /W/garden/api/v1/pages/home",
        "GET /w/garden/api/v1/pages/home;v=1",
    ] {
        assert_eq!(raw(line).await, 404, "{line}");
    }
    assert!(matches!(raw("OPTIONS *").await, 204 | 405));
    assert_eq!(raw("TRACE /w/garden/api/v1/pages/home").await, 405);
    assert_eq!(raw("CONNECT garden:443").await, 405);
    assert_eq!(State::of(&server, &operator).await, before);
}

#[tokio::test]
async fn head_is_get_without_a_body_on_every_route() {
    let (_server, operator, _) = garden().await;
    let anyone = operator.without_token();
    let wikis = anyone.public(Method::GET, "/openapi.json").await.good().json();
    let control = anyone.control(Method::GET, "/openapi.json").await.good().json();
    let routes = |document: &Value| -> Vec<String> {
        let paths = document["paths"].as_object().unwrap();
        // The body of the events never ends.
        let is_readable =
            |path: &str, item: &Value| item.get("get").is_some() && !path.ends_with("/events");
        let readable = paths.iter().filter(|(path, item)| is_readable(path, item));
        readable
            .map(|(path, _)| path.replace("{path}", "home").replace("{slug}", "garden"))
            .collect()
    };
    assert!(routes(&wikis).len() >= 3 && routes(&control).len() >= 5);
    for user in [&operator, &anyone] {
        let of_wiki = routes(&wikis).into_iter().map(|path| format!("/w/garden{path}"));
        let public = of_wiki.map(|path| {
            (path.clone(), user.public(Method::GET, &path), user.public(Method::HEAD, &path))
        });
        let of_control = routes(&control).into_iter();
        let control = of_control.map(|path| {
            (path.clone(), user.control(Method::GET, &path), user.control(Method::HEAD, &path))
        });
        for (path, get, head) in public.chain(control) {
            let (get, head) = (get.await, head.await);
            assert_eq!(head.status(), get.status(), "{path}");
            assert!(head.bytes().is_empty(), "{path}");
            for name in ["content-type", "etag", "cache-control", "www-authenticate"] {
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let setup = ServerSetup::default().limits(|limits| {
        limits.request_timeout = std::time::Duration::from_millis(300);
    });
    let (server, operator) = setup.start().await;
    operator.create_wiki("garden").await.good();
    for length in ["Transfer-Encoding: chunked", "Content-Length: 1000"] {
        let answer = server
            .raw(format!(
                "PUT /w/garden/api/v1/pages/new HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\
                 Authorization: Bearer {}\r\nContent-Type: application/json\r\n{length}\r\n\r\n",
                operator.secret()
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("\"code\":\"request_timeout\""), "{answer}");
    }
    operator.on("garden").create("new", "x").await.good();
}

#[tokio::test]
async fn a_private_page_and_a_missing_one_are_the_same_to_strangers() {
    let (server, operator, _) = garden().await;
    operator.create_wiki("kitchen").await.good();
    let neighbour = operator.token("kitchen", "admin").await;
    for stranger in [server.anonymous(), neighbour] {
        let mut bodies = BTreeSet::new();
        for (wiki, page) in
            [("garden", "home"), ("garden", "none"), ("nobodys", "home"), ("garden", ".git/x")]
        {
            let answer = stranger.on(wiki).read(page).header("x-request-id", "same").await;
            assert_eq!(answer.status(), 404, "{wiki} {page}");
            bodies.insert(answer.text().to_owned());
        }
        assert_eq!(bodies.len(), 1, "{bodies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiki_deleted_while_saves_are_in_flight_is_whole_in_the_trash() {
    let (server, operator) = TestServer::start().await;
    for round in 0..5 {
        operator.create_wiki("garden").await.good();
        let id = operator.wikis().await[0]["id"].as_str().unwrap().to_owned();
        let saving = (0..8).map(|n| {
            let wiki = operator.on("garden");
            wikigrove_tenant::spawn(async move {
                let mut saved = Vec::new();
                for part in 0.. {
                    let text = format!("{round} {n} {part}");
                    let answer = wiki.create(&format!("p{n}-{part}"), &text).await;
                    if answer.status() != 201 {
                        answer.problem("unknown_wiki");
                        break;
                    }
                    saved.push(answer.etag().to_owned());
                }
                saved
            })
        });
        let saving: Vec<_> = saving.collect();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        operator.delete_wiki("garden").await.good();
        assert!(!server.dir().join("wikis/garden").exists());
        let trash = testkit::Git::at(server.dir().join("trash").join(id).join("repo"));
        let kept = trash.run(&["rev-list", "--objects", "--all"]);
        for saved in saving {
            for etag in saved.await.unwrap() {
                assert!(kept.contains(&etag), "an acknowledged save is missing from the trash");
            }
        }
        assert!(!server.dir().join("wikis/garden").exists());
        trash.fsck();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_first_requests_at_once_all_work() {
    let (server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let asking: Vec<_> = (0..100)
        .map(|n| {
            let wiki = operator.on("garden");
            wikigrove_tenant::spawn(async move {
                match n % 4 {
                    0 => wiki.create(&format!("page-{n}"), "x").await,
                    1 => wiki.list().await,
                    2 => wiki.preferences().await,
                    _ => wiki.change_preferences(json!({ "sidebar_menutree_maxdepth": n })).await,
                }
            })
        })
        .collect();
    for answer in asking {
        answer.await.unwrap().good();
    }
    assert_eq!(operator.on("garden").pages().await.len(), 25);
    let settings = operator.on("garden").preferences().await.good().json();
    let last = settings["sidebar_menutree_maxdepth"].as_u64().unwrap();
    assert!(last % 4 == 3 && last < 100, "{settings}");
    server.git("garden").fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_short_of_descriptors_recovers() {
    let data = scratch();
    let server = super::program(data.path()).after("ulimit -n 64").serve();
    let operator = server.operator();
    for n in 0..20 {
        operator.create_wiki(&format!("wiki-{n}")).await.good();
    }
    let asking: Vec<_> = (0..100)
        .map(|n| {
            let operator = operator.clone();
            wikigrove_tenant::spawn(async move {
                let wiki = operator.on(format!("wiki-{}", n % 20));
                let call = wiki.create(&format!("page-{n}"), "x");
                // An idle connection would keep its descriptor.
                let answer = call.header("connection", "close").attempt().await;
                answer.map(|answer| answer.status())
            })
        })
        .collect();
    let mut saved = 0;
    for answer in asking {
        // No connection at all is an answer, too, while there are none left.
        let answer = answer.await.unwrap();
        if let Ok(status) = answer {
            // gix can't always say why it found no repository, so 500 is possible.
            assert!(matches!(status, 201 | 500 | 503), "{status}: {}", server.logged());
            saved += usize::from(status == 201);
        }
    }
    let mut found = 0;
    for n in 0..20 {
        found += operator.on(format!("wiki-{n}")).pages().await.len();
        operator.on(format!("wiki-{n}")).create("after", "x").await.good();
    }
    assert!(found >= saved, "{found} of {saved} acknowledged saves are there");
    server.stop();
}

/// A server's data directory after a clean stop, with a wiki `garden` of two pages saved one after
/// the other.
async fn stopped_garden(data: &std::path::Path) -> Program {
    let program = super::program(data);
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    operator.create_wiki("kitchen").await.good();
    operator.on("garden").create("home", "hello").await.good();
    operator.on("garden").create("roses", "red").await.good();
    operator.on("garden").pages().await;
    operator.on("kitchen").create("home", "secret").await.good();
    server.stop();
    program
}

/// The wiki is what it was, and takes changes.
async fn assert_whole(operator: &User, program: &Program) {
    let wiki = operator.on("garden");
    let texts = async |path: &str| wiki.read(path).await.good().json()["content"].clone();
    assert_eq!((texts("home").await, texts("roses").await), (json!("hello"), json!("red")));
    assert_eq!(wiki.pages().await.len(), 2);
    let new = wiki.create("new", "x").await.good();
    assert_eq!(wiki.pages().await.len(), 3);
    wiki.delete("new", new.etag()).await.good();
    program.git("garden").fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_not_served() {
    let data = scratch();
    let program = stopped_garden(data.path()).await;
    let blob = program.git("garden").run(&["rev-parse", "main:roses.md"]);
    let file = program.git("garden").dir().join("objects").join(&blob[..2]).join(&blob[2..]);
    assert!(file.exists(), "the page is a loose object");
    // Another text's object in its place: well-formed, and not what its name says.
    let other = program.git("garden").run(&["rev-parse", "main:home.md"]);
    let other = program.git("garden").dir().join("objects").join(&other[..2]).join(&other[2..]);
    for damaged in [std::fs::read(&other).unwrap(), {
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    }] {
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, damaged).unwrap();
        let server = program.serve();
        let operator = server.operator();
        let answer = operator.on("garden").read("roses").await;
        assert_eq!(answer.status(), 500, "{answer}");
        answer.problem("internal");
        assert_eq!(operator.on("garden").read("home").await.good().json()["content"], "hello");
        operator.on("garden").list().await.good();
        server.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_branch_is_repaired_when_the_wiki_is_opened() {
    let data = scratch();
    let program = stopped_garden(data.path()).await;
    let branch = program.git("garden").dir().join("refs/heads/main");
    for damage in ["", "0000000000000000000000000000000000000000\n", "garbage", "\0\0\0\0"] {
        assert!(branch.exists());
        std::fs::write(&branch, damage).unwrap();
        let server = program.serve();
        assert_whole(&server.operator(), &program).await;
        server.stop();
    }
    std::fs::remove_file(&branch).unwrap();
    let server = program.serve();
    assert_whole(&server.operator(), &program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiki_db_that_is_none_is_set_aside_and_built_anew() {
    let data = scratch();
    let program = stopped_garden(data.path()).await;
    let wiki = data.path().join("wikis/garden");
    std::fs::write(wiki.join("wiki.db"), "this is a text file and not a database\n".repeat(200))
        .unwrap();
    let server = program.serve();
    assert_whole(&server.operator(), &program).await;
    assert!(entries(&wiki).iter().any(|name| name.starts_with("wiki.db.corrupt-")));
    assert!(server.logged().contains("wiki.db was corrupt"), "{}", server.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_log_of_wiki_db_is_made_up_for_from_git() {
    let data = scratch();
    let program = stopped_garden(data.path()).await;
    let server = program.serve();
    let first = server.operator().on("garden").create("killed", "x").await.good();
    server.kill();
    let wiki = data.path().join("wikis/garden");
    std::fs::remove_file(wiki.join("wiki.db-wal")).unwrap();
    let server = program.serve();
    let operator = server.operator();
    assert_eq!(operator.on("garden").pages().await.len(), 3);
    operator.on("garden").delete("killed", first.etag()).await.good();
    assert_whole(&operator, &program).await;
    server.stop();
    let database = rusqlite::Connection::open(wiki.join("wiki.db")).unwrap();
    let check: String = database.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_leads_elsewhere_is_refused() {
    let data = scratch();
    let program = stopped_garden(data.path()).await;
    let wikis = data.path().join("wikis");
    // fs-025
    let alternates = wikis.join("garden/repo/objects/info/alternates");
    std::fs::create_dir_all(alternates.parent().unwrap()).unwrap();
    std::fs::write(&alternates, format!("{}\n", wikis.join("kitchen/repo/objects").display()))
        .unwrap();
    let server = program.serve();
    server.operator().on("garden").read("home").await.problem("internal");
    assert_eq!(
        server.operator().on("kitchen").read("home").await.good().json()["content"],
        "secret"
    );
    server.stop();
    std::fs::remove_file(&alternates).unwrap();
    // fs-021: a link in the place of the repository, and one in the place of the wiki.
    for place in [wikis.join("garden/repo"), wikis.join("garden")] {
        let aside = data.path().join("aside");
        std::fs::rename(&place, &aside).unwrap();
        let target = if place.ends_with("repo") {
            wikis.join("kitchen/repo")
        } else {
            wikis.join("kitchen")
        };
        std::os::unix::fs::symlink(target, &place).unwrap();
        let server = program.serve();
        let answer = server.operator().on("garden").read("home").await;
        assert_eq!(answer.status(), 500, "{}: {answer}", place.display());
        server.operator().on("garden").create("new", "x").await.problem("internal");
        assert_eq!(server.operator().on("kitchen").pages().await.len(), 1);
        server.stop();
        std::fs::remove_file(&place).unwrap();
        std::fs::rename(&aside, &place).unwrap();
    }
    let server = program.serve();
    assert_whole(&server.operator(), &program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_in_a_repository_are_never_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = scratch();
    let program = stopped_garden(data.path()).await;
    let ran = data.path().join("ran");
    let hooks = program.git("garden").dir().join("hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for name in [
        "pre-receive",
        "update",
        "post-update",
        "post-receive",
        "post-commit",
        "reference-transaction",
    ] {
        let hook = hooks.join(name);
        std::fs::write(&hook, format!("#!/bin/sh\ntouch '{}'\n", ran.display())).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let server = program.serve();
    assert_whole(&server.operator(), &program).await;
    server.stop();
    assert!(!ran.exists());
}

#[tokio::test]
async fn git_gc_between_requests_loses_nothing() {
    let (server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let wiki = operator.on("garden");
    let mut etag = wiki.create("home", "0").await.good().etag().to_owned();
    for n in 1..10 {
        etag = wiki.save("home", &etag, &n.to_string()).await.good().etag().to_owned();
        wiki.create(&format!("page-{n}"), &n.to_string()).await.good();
        if n % 3 == 0 {
            server.git("garden").run(&["gc", "-q", "--prune=now"]);
        }
    }
    let listed = wiki.pages().await;
    assert_eq!(listed.len(), 10);
    for n in 1..10 {
        let page = wiki.read(&format!("page-{n}")).await.good();
        assert_eq!(page.json()["content"], n.to_string().as_str());
    }
    let root = server.git("garden").run(&["rev-list", "--max-parents=0", "main"]);
    assert_eq!(wiki.read("home").query("at", root).await.good().json()["content"], "0");
    server.git("garden").fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_restored_from_an_older_copy_is_served_as_it_is() {
    let data = scratch();
    let program = stopped_garden(data.path()).await;
    let repo = program.git("garden").dir().to_owned();
    let copy = data.path().join("copy");
    testkit::Git::at(data.path()).run(&["clone", "-q", "--mirror", repo.to_str().unwrap(), "copy"]);
    let server = program.serve();
    server.operator().on("garden").create("later", "x").await.good();
    server.operator().on("garden").pages().await;
    server.stop();
    std::fs::remove_dir_all(&repo).unwrap();
    std::fs::rename(&copy, &repo).unwrap();
    let server = program.serve();
    let operator = server.operator();
    operator.on("garden").read("later").await.problem("page_not_found");
    assert_whole(&operator, &program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_private_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = scratch();
    let program = super::program(&data.path().join("data")).after("umask 0");
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    let page = operator.on("garden").create("a/b", "hello").await.good();
    operator.on("garden").save("a/b", page.etag(), "hello again").await.good();
    operator.on("garden").pages().await;
    operator.create_wiki("deleted").await.good();
    operator.delete_wiki("deleted").await.good();
    let mut open = Vec::new();
    for name in entries(program.data()).into_iter().chain([String::new()]) {
        let mode = program.data().join(&name).symlink_metadata().unwrap().permissions().mode();
        if mode & 0o077 != 0 {
            open.push(format!("{name} {:o}", mode & 0o777));
        }
    }
    // Inside the private directories of wikis git decides; nobody else gets there.
    let open: Vec<_> = open.iter().filter(|name| !name.contains("/repo/")).collect();
    assert!(open.is_empty(), "{open:?}");
    server.stop();
}
