//! Histories and moves of every size.

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, OnWiki, TestServer};

use super::case;

/// Pushes commits to a new wiki: each is shell lines that are run in a work tree, and then all is added.
async fn pushed(commits: &[&str]) -> (TestServer, OnWiki) {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let scratch = testkit::scratch();
    let git = Git::init(scratch.path().join("work"));
    for lines in commits {
        let mut bash = std::process::Command::new("bash");
        let output = bash.args(["-euc", lines]).current_dir(git.dir()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        git.commit("Change");
    }
    git.run(&["push", "-q", &wiki.git_url(), "main"]);
    (server, wiki)
}

/// The kinds of change of a page, newest first.
async fn kinds(wiki: &OnWiki, page: &str) -> Vec<String> {
    let commits = wiki.history(page).await;
    let kind = |commit: &Value| commit["changes"][0]["kind"].as_str().unwrap().to_owned();
    commits.iter().map(kind).collect()
}

async fn moved(wiki: &OnWiki, from: &str, to: &str) -> testkit::Answer {
    let order = json!({ "from": from, "to": to, "update_links": true });
    wiki.api(Method::POST, "/moves").json(order).await
}

const LINES: &str = "for n in $(seq 40); do echo \"line $n of the page\"; done > page.md";

#[tokio::test(flavor = "multi_thread")]
async fn both_pages_of_one_that_was_split_keep_its_past() {
    let split = case("rename-split").input;
    let split = format!("mkdir de; {}", split.trim_end_matches("; commit"));
    let (_server, wiki) = pushed(&[LINES, "echo more >> page.md", &split]).await;
    let (de, en) = (kinds(&wiki, "de/page").await, kinds(&wiki, "en/page").await);
    assert_eq!(de[1..], ["modified", "added"]);
    assert_eq!(en[1..], ["modified", "added"]);
    let mut first = [&*de[0], &*en[0]];
    first.sort_unstable();
    assert_eq!(first, ["copied", "renamed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_translation_that_was_edited_at_once_keeps_the_past_too() {
    let split = "mkdir de en; cp page.md en/page.md; echo english >> en/page.md; git mv page.md de/page.md; \
                 sed -i 's/line 7/Zeile 7/' de/page.md";
    let (_server, wiki) = pushed(&[LINES, split]).await;
    assert_eq!(kinds(&wiki, "en/page").await[1..], ["added"]);
    assert_eq!(kinds(&wiki, "de/page").await[1..], ["added"]);
    // Two halves of one page.
    let halves = "head -n 20 page.md > a.md; tail -n 20 page.md > b.md; cp a.md page.md; rm a.md";
    let (_server, wiki) = pushed(&[LINES, halves]).await;
    assert_eq!(kinds(&wiki, "b").await, ["copied", "added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_near_copy_of_a_page_that_changed_has_its_past() {
    case("copy-near");
    let near = "cp page.md b.md; echo x >> page.md; echo y >> b.md";
    let (_server, wiki) = pushed(&[LINES, near]).await;
    assert_eq!(kinds(&wiki, "b").await, ["copied", "added"]);
    assert_eq!(kinds(&wiki, "page").await, ["modified", "added"]);
    // A copy of what stays as it is was a template.
    let (_server, wiki) = pushed(&[LINES, "cp page.md b.md; echo y >> b.md"]).await;
    assert_eq!(kinds(&wiki, "b").await, ["added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_moves_with_other_line_ends_keeps_its_past() {
    let (_server, wiki) = pushed(&[LINES, "sed 's/$/\\r/' page.md > windows.md; rm page.md"]).await;
    assert_eq!(kinds(&wiki, "windows").await, ["renamed", "added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_moves_onto_itself_without_a_commit() {
    case("move-onto-itself");
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let created = wiki.create("a", "x\n").await.good().json();
    wiki.create("caf\u{e9}/b", "x\n").await.good();
    for (from, to) in [
        ("a", "a"),
        ("caf\u{e9}", "caf\u{e9}"),
        ("cafe\u{301}", "caf\u{e9}"),
        ("caf\u{e9}/b", "cafe\u{301}/b"),
    ] {
        let answer = moved(&wiki, from, to).await;
        assert_eq!(answer.status(), 200, "{from}: {}", answer.text());
        assert_eq!(answer.json()["changes"], json!([]), "{from}");
    }
    let log = wiki.changes().await;
    assert_eq!((log.len(), &log[1]["revision"]), (2, &created["revision"]));
    assert_eq!(moved(&wiki, "none", "none").await.status(), 404);
}

/// Pages so short that nothing of them is left when their link changes.
fn folder_of(pages: usize) -> String {
    format!(
        "mkdir -p d; for n in $(seq {pages}); do echo \"[next](/d/p$n.md)\" > d/p$n.md; done; echo '[[d/p5]]' > home.md"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_of_any_size_keeps_what_it_knew() {
    case("move-500-loses-history");
    let (server, wiki) = pushed(&[&folder_of(601)]).await;
    moved(&wiki, "d", "e").await.good();
    assert_eq!(wiki.read("e/p601").await.good().json()["content"], "[next](/e/p601.md)\n");
    assert_eq!(kinds(&wiki, "e/p5").await, ["renamed", "added"]);
    assert_eq!(kinds(&wiki, "e/p601").await, ["renamed", "added"]);
    let etag = wiki.read("e/p5").await.good().etag().to_owned();
    wiki.save("e/p5", &etag, "new\n").await.good();
    moved(&wiki, "e", "f/g").await.good();
    assert_eq!(kinds(&wiki, "f/g/p5").await, ["renamed", "modified", "renamed", "added"]);
    assert_eq!(found_in(&wiki, "next").await, 600);
    server.git("garden").fsck();
}

async fn found_in(wiki: &OnWiki, word: &str) -> usize {
    wiki.search(word).await.len()
}

/// The moment after a large change: what is answered is right, or says that it may lack something.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_large_change_every_answer_is_right_or_says_how_far_the_index_is() {
    let (_server, wiki) = pushed(&[&folder_of(400)]).await;
    let get = |path: &str| wiki.api(Method::GET, path).query("limit", 500).query("q", "next");
    let mut folder = "d".to_owned();
    for round in 0..3 {
        let count = |answer: &Value, list: &str| answer[list].as_array().unwrap().len();
        // At once, before any other request.
        let (search, links, history, changes, pages) = tokio::join!(
            get("/search").into_future(),
            get(&format!("/links/{folder}/p5")).into_future(),
            get(&format!("/history/{folder}/p7")).into_future(),
            get("/changes").into_future(),
            get("/pages").into_future(),
        );
        let right = |answer: &testkit::Answer, is_right: &dyn Fn(&Value) -> bool| {
            let answer = answer.clone().good().json();
            let told = answer["index"].is_object();
            assert!(told || is_right(&answer), "{round}: {answer}");
        };
        right(&search, &|answer| count(answer, "items") == 400);
        right(&links, &|answer| count(answer, "incoming") == 2);
        right(&history, &|answer| count(answer, "items") == round + 1);
        right(&changes, &|answer| count(answer, "items") == round + 1);
        assert_eq!(pages.good().json()["items"].as_array().unwrap().len(), 401);
        let to = format!("d{round}");
        moved(&wiki, &folder, &to).await.good();
        folder = to;
    }
    assert_eq!(found_in(&wiki, "next").await, 400);
}

/// A move is undone with what was edited since; what was edited in the same place is a conflict.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_undone_after_an_edit() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let text = "# Roses\n\n[next](/d/tulips.md)\n\none\ntwo\nthree\n";
    wiki.create("d/roses", text).await.good();
    wiki.create("d/tulips", "x\n").await.good();
    let undone = moved(&wiki, "d", "e").await.good().json();
    let read = wiki.read("e/roses").await.good();
    let edited = read.json()["content"].as_str().unwrap().replace("two", "TWO");
    wiki.save("e/roses", read.etag(), &edited).await.good();
    let reverted = wiki.revert(undone["revision"].as_str().unwrap()).await.good().json();
    assert_eq!(reverted["changes"][0]["kind"], "renamed", "{reverted}");
    let back = wiki.read("d/roses").await.good();
    assert_eq!(back.json()["content"], text.replace("two", "TWO"));
    assert_eq!(wiki.pages().await.len(), 2);
    assert_eq!(kinds(&wiki, "d/roses").await, ["renamed", "modified", "renamed", "added"]);

    let undone = moved(&wiki, "d", "f").await.good().json();
    let read = wiki.read("f/roses").await.good();
    let edited =
        read.json()["content"].as_str().unwrap().replace("/f/tulips.md", "/f/tulips.md#care");
    wiki.save("f/roses", read.etag(), &edited).await.good();
    let refused = wiki.revert(undone["revision"].as_str().unwrap()).await;
    assert_eq!(refused.problem("edit_conflict")["conflicts"], json!(["f/roses"]));
    server.git("garden").fsck();
}

/// Each folder is read once for all of its files, so that others wait for a moment only.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_thousands_of_pages_moves_while_others_save() {
    case("move-slow");
    let (server, wiki) = pushed(&[&folder_of(4000)]).await;
    let (moving, saving) = tokio::join!(
        moved(&wiki, "d", "e"),
        wiki.create("beside", "saved meanwhile\n").into_future()
    );
    assert_eq!(moving.status(), 200);
    assert_eq!(saving.status(), 201);
    let tree = server.git("garden").run(&["ls-tree", "-r", "--name-only", "main", "e"]);
    assert_eq!(tree.lines().count(), 4000);
    assert_eq!(kinds(&wiki, "e/p3999").await, ["renamed", "added"]);
    wiki.read("beside").await.good();
    server.git("garden").fsck();
}
