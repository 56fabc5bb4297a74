//! Names, and searches, in every script.

use http::Method;
use testkit::{Git, OnWiki, TestServer};

use super::case;

/// `café` as two files may be called that are one to people.
const COMPOSED: &str = "caf\u{e9}";
const DECOMPOSED: &str = "cafe\u{301}";

/// A wiki that holds files of any name, pushed into its repository past the server.
async fn brought(files: &[(&str, &str)]) -> (TestServer, OnWiki, tempfile::TempDir) {
    let (server, _, editor) = TestServer::with_garden().await;
    let scratch = testkit::scratch();
    let git = Git::init(scratch.path().join("work"));
    git.run(&["config", "core.precomposeunicode", "false"]);
    for (file, content) in files {
        git.write(file, content);
    }
    git.commit("Bring");
    git.run(&["push", "-q", server.git("garden").dir().to_str().unwrap(), "main"]);
    (server, editor.on("garden"), scratch)
}

fn paths(items: &[serde_json::Value]) -> Vec<&str> {
    items.iter().map(|item| item["path"].as_str().unwrap()).collect()
}

/// The pages that a search finds.
async fn found(wiki: &OnWiki, query: &str) -> Vec<String> {
    let found = wiki.search(query).await;
    found.iter().map(|page| page["path"].as_str().unwrap().to_owned()).collect()
}

/// Creates a page with each text and expects that each of its queries finds it alone, and shows the place.
async fn assert_found(texts: &[(&str, &[&str])]) {
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    wiki.create("other", "Nothing of all this ✿\n").await.good();
    for (at, (text, _)) in texts.iter().enumerate() {
        wiki.create(&format!("page-{at}"), text).await.good();
    }
    for (at, (_, queries)) in texts.iter().enumerate() {
        for query in *queries {
            let page = format!("page-{at}");
            let results = wiki.search(query).await;
            assert!(paths(&results).contains(&&*page), "{query}: {:?}", paths(&results));
            assert!(!paths(&results).contains(&"other"), "{query}: {:?}", paths(&results));
            let result = results.iter().find(|result| result["path"] == *page).unwrap();
            assert!(result["snippet"].as_str().unwrap().contains("<mark>"), "{query}: {result}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_decomposed_is_found_as_people_type_it() {
    let case = case("search-nfd-text").content();
    let decomposed: String = unicode_normalization::UnicodeNormalization::nfd(&*case).collect();
    assert_ne!(case, decomposed);
    assert_found(&[
        (&decomposed, &["서울"]),
        ("フ\u{309a}ロク\u{3099}ラム\n", &["プログラム", "フ\u{309a}ロク\u{3099}ラム"]),
        ("и\u{306}ога\n", &["йога", "ЙОГА"]),
        ("un caf\u{e9}\n", &["cafe\u{301}", "CAFE", "café"]),
        ("tie\u{302}\u{301}ng Vie\u{323}\u{302}t\n", &["tiếng Việt", "tieng viet"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_any_script_finds_what_they_type() {
    let points = case("search-arabic-hebrew-points").content();
    assert_found(&[
        (&points, &["שלום", "שָׁלוֹם"]),
        ("كُتُبٌ كتـــاب\n", &["كتب", "كتاب"]),
        ("أحمد إلى المدرسة\n", &["احمد", "الى المدرسه"]),
        ("کتاب ۱۲۳ می\u{200c}خواهم\n", &["كتاب 123", "می خواهم", "می\u{200c}خواهم"]),
        (&case("latin-l-stroke").input, &["lodz", "smorrebrod", "duong", "Łódź"]),
        (&case("fullwidth-halfwidth").input, &["ABC123", "テスト", "データ", "ﾃｽﾄ"]),
        ("Ὀδυσσεύς\n", &["οδυσσευς", "ΟΔΥΣΣΕΥΣ", "οδυσσευσ"]),
        ("서울에서 만나요\n", &["서울", "만나"]),
        ("ภาษาไทยเขียนติดกัน\n", &["ไทย", "เขียน"]),
        ("ភាសា\u{200b}ខ្មែរ\n", &["ខ្មែរ"]),
        ("東京都の人々\n", &["東京", "人々"]),
        ("Straße und Œuvre\n", &["strasse", "oeuvre", "STRASSE"]),
        ("İstanbul, Iğdır\n", &["istanbul", "igdir"]),
        ("हिन्दी में लिखा\n", &["हिन्दी", "हिन\u{94d}\u{200d}दी"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emoji_is_a_word_and_its_selector_is_nothing() {
    let glued = case("search-emoji-glued").content();
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    wiki.create("warning", &glued).await.good();
    wiki.create("love", "With ❤\u{fe0f} and 👍🏽\n").await.good();
    assert_eq!(found(&wiki, "warning").await, ["warning"]);
    assert_eq!(found(&wiki, "⚠").await, ["warning"]);
    assert_eq!(found(&wiki, "⚠\u{fe0f}").await, ["warning"]);
    assert_eq!(found(&wiki, "❤\u{fe0f}").await, ["love"]);
    assert_eq!(found(&wiki, "👍").await, ["love"]);
    assert_eq!(found(&wiki, "👎").await, [""; 0]);
    assert_eq!(found(&wiki, "\u{fe0f}").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_signs_only_one_leading_dash_excludes() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    wiki.create("git", &case("search-double-dash").content()).await.good();
    for query in [
        "--depth",
        "run --depth",
        "run ---depth",
        "–depth",
        "run — depth",
        "run - depth",
        "run (depth)",
        "+depth",
        "depth:",
        "^depth",
        "depth -- 1",
        "\"--depth 1\"",
        "~depth",
        "- run",
    ] {
        assert_eq!(found(&wiki, query).await, ["git"], "{query}");
    }
    for query in ["run -depth", "run -\"depth 1\"", "-depth"] {
        assert_eq!(found(&wiki, query).await, [""; 0], "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_name_is_decomposed_is_the_page_that_people_ask_for() {
    case("nfc-name-of-nfd-file");
    let page = format!("{DECOMPOSED}.md");
    let below = format!("{DECOMPOSED}/{DECOMPOSED}.md");
    let photo = format!("{DECOMPOSED}/e\u{301}te\u{301}.png");
    let links = format!("[[{COMPOSED}]] [[{COMPOSED}/{COMPOSED}]]\n");
    let files =
        [(&*page, "# Café\n\n[[home]]\n"), (&*below, "x\n"), (&*photo, "png"), ("home.md", &links)];
    let (server, wiki, _scratch) = brought(&files).await;
    let get = |what: &str, path: &str| {
        wiki.api(Method::GET, format!("/{what}/{}", testkit::encode(path)))
    };
    for asked in [COMPOSED, DECOMPOSED] {
        let read = wiki.read(asked).await.good();
        assert_eq!(read.json()["path"], DECOMPOSED, "{asked}");
        assert_eq!(wiki.history(asked).await.len(), 1, "{asked}");
        let linked = get("links", asked).await.good().json();
        assert_eq!(linked["incoming"][0]["path"], "home", "{asked}");
        assert_eq!(linked["outgoing"][0]["path"], "home", "{asked}");
        get("render", asked).await.good();
        get("blame", asked).await.good();
        get("diff", asked).await.good();
        wiki.read(&format!("{asked}/{COMPOSED}")).await.good();
        wiki.attachment(&format!("{asked}/\u{e9}t\u{e9}.png")).await.good();
        let listed = wiki.list().query("prefix", asked).await.good().json();
        assert_eq!(
            paths(listed["items"].as_array().unwrap()),
            [DECOMPOSED, &below[..below.len() - 3]]
        );
        let searched =
            wiki.api(Method::GET, "/search").query("q", "x").query("prefix", asked).await;
        assert_eq!(searched.good().json()["items"].as_array().unwrap().len(), 1, "{asked}");
    }
    let home = get("links", "home").await.good().json();
    assert_eq!(home["broken"].as_array().unwrap().len(), 0, "{home}");

    // A page that is there is written where it is, and a new one goes beside it.
    let etag = wiki.read(COMPOSED).await.good().etag().to_owned();
    wiki.save(COMPOSED, &etag, "new\n").await.good();
    wiki.create(COMPOSED, "again\n").await.problem("page_exists");
    wiki.create(&format!("{COMPOSED}/menu"), "soup\n").await.good();
    let draft = wiki.put_draft(COMPOSED, "mine\n").await.good().json();
    assert_eq!(draft["path"], DECOMPOSED);
    let etag = wiki.read(&format!("{COMPOSED}/{COMPOSED}")).await.good().etag().to_owned();
    wiki.delete(&format!("{COMPOSED}/{COMPOSED}"), &etag).await.good();
    let tree = server.git("garden").run(&["ls-tree", "-r", "-z", "--name-only", "main"]);
    let menu = format!("{DECOMPOSED}/menu.md");
    assert_eq!(
        tree.trim_end_matches('\0').split('\0').collect::<Vec<_>>(),
        [&*page, &*photo, &*menu, "home.md"]
    );
    let order = serde_json::json!({ "from": COMPOSED, "to": "coffee", "update_links": true });
    wiki.api(Method::POST, "/moves").json(order).await.good();
    assert_eq!(
        wiki.read("home").await.good().json()["content"],
        format!("[[coffee]] [[{COMPOSED}/{COMPOSED}]]\n")
    );
    assert_eq!(wiki.history("coffee").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decomposed_name_finds_what_is_composed() {
    let page = format!("{COMPOSED}/{COMPOSED}.md");
    let (_server, wiki, _scratch) = brought(&[(&page, "x\n")]).await;
    let asked = format!("{DECOMPOSED}/{DECOMPOSED}");
    wiki.read(&asked).await.good();
    assert_eq!(wiki.history(&asked).await.len(), 1);
    let listed = wiki.list().query("prefix", DECOMPOSED).await.good().json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_rules_judge_what_is_created_and_not_what_exists() {
    case("odd-name-not-editable");
    let files = [
        ("a: b?.md", "one\n"),
        ("a: b?/x.png", "png"),
        ("con.md", "one\n"),
        (" lead .md", "one\n"),
    ];
    let (server, wiki, scratch) = brought(&files).await;
    for page in ["a: b?", "con", " lead "] {
        let etag = wiki.read(page).await.good().etag().to_owned();
        let saved = wiki.save(page, &etag, "two\n").await.good();
        wiki.save(page, &etag, "three\n").await.problem("edit_conflict");
        assert_eq!(wiki.read(page).await.good().etag(), saved.etag(), "{page}");
    }
    wiki.create("a: b?/c", "below\n").await.good();
    wiki.create("a: b?/c:d", "below\n").await.problem("invalid_path");
    wiki.create("c: d?", "new\n").await.problem("invalid_path");
    wiki.create("con/x", "new\n").await.problem("invalid_path");

    let work = Git::clone(&wiki.git_url(), scratch.path().join("clone"));
    work.write("a: b?.md", "pushed\n").write("a: b?/e.md", "pushed\n").commit("Push");
    work.run(&["push", "-q", "origin", "main"]);
    assert_eq!(wiki.read("a: b?").await.good().json()["content"], "pushed\n");
    work.write("e: f?.md", "new\n").commit("Odd");
    assert!(!work.output(&["push", "-q", "origin", "main"]).status.success());
    server.git("garden").fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_is_written_with_is_part_of_its_names() {
    case("khmer-zwsp");
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    for page in
        ["ភាសា\u{200b}ខ្មែរ", "می\u{200c}خواهم", "ภาษา\u{200b}ไทย", "क्\u{200d}ष", "👩\u{200d}💻"]
    {
        wiki.create(page, "x\n").await.good();
        wiki.read(page).await.good();
    }
    for page in ["pa\u{200b}ge", "pa\u{200c}ge", "pa\u{200d}ge", "ខ្មែរ\u{200b}", "می\u{200c}"]
    {
        wiki.create(page, "x\n").await.problem("invalid_path");
    }
}
