//! Moving in from OtterWiki, and back.
//!
//! One long file, as it is one round trip: names, then the way in, then the way out, all of them with the
//! same fixture and held against each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use serde_json::{Value, json};
use testkit::{Git, Program, entries, test_data};
use wikigrove_tenant::storage::otterwiki::{
    CaseMode, clean_slashes, sanitize_attachment, sanitize_page_name, slugify, title_case,
};

/// Every name of the list, in both modes, field by field: what OtterWiki 2.26.1 made of it.
#[test]
fn names_are_what_otterwiki_makes_of_them() {
    let list = std::fs::read(test_data("otterwiki_names.json")).unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let cases = list["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 248);
    let mut wrong = Vec::new();
    for case in cases {
        let typed = case["in"].as_str().unwrap();
        let mut check = |field: &str, expected: &serde_json::Value, made: Option<String>| {
            // Where nothing of a name is left OtterWiki fails.
            let fails = expected.get("error").is_some();
            if made.as_deref() != expected.as_str() || (made.is_none() && !fails) {
                wrong.push(format!("{typed:?} {field}: {made:?}, not {expected}"));
            }
        };
        let page = sanitize_page_name(typed, true);
        check("sanitize", &case["sanitize"], Some(sanitize_page_name(typed, false)));
        check("sanitize_md", &case["sanitize_md"], Some(page.clone()));
        check("titleSs", &case["titleSs"], Some(title_case(typed)));
        check("sanitize_filename", &case["sanitize_filename"], Some(sanitize_attachment(typed)));
        check("slugify", &case["slugify"], Some(slugify(typed, false)));
        check("slugify_slashes", &case["slugify_slashes"], Some(slugify(typed, true)));
        check("clean_slashes", &case["clean_slashes"], Some(clean_slashes(typed)));
        for (name, mode) in [("lower", CaseMode::Lower), ("retain", CaseMode::Retain)] {
            let expected = &case[name];
            let file = mode.file_name(&page);
            check("filename", &expected["filename"], Some(file.clone()));
            check("attachment_dir", &expected["attachment_dir"], mode.attachment_dir(&file));
            check("pagename", &expected["pagename"], mode.page_name(&page));
            check("pagename_full", &expected["pagename_full"], Some(mode.full_page_name(&page)));
            let from_file = mode.full_page_name(&file);
            check("pagename_from_file", &expected["pagename_from_file"], Some(from_file));
            assert_eq!(expected.as_object().unwrap().len(), 5, "a field isn't checked");
        }
        assert_eq!(case.as_object().unwrap().len(), 10, "a field isn't checked");
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A real OtterWiki's data directory, unpacked into `dir`.
fn fixture(dir: &Path) -> PathBuf {
    std::fs::create_dir_all(dir).unwrap();
    let archive = test_data("otterwiki-lower.tar.gz");
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(dir).status().unwrap();
    assert!(status.success());
    dir.join("otterwiki-lower")
}

fn expected(source: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(source.join("expected.json")).unwrap()).unwrap()
}

fn program(scratch: &Path) -> Program {
    crate::program(&scratch.join("data"))
}

/// Runs a command; returns its exit code and all it said.
fn run(program: &Program, args: &[&str]) -> (Option<i32>, String) {
    let output = program.run(args);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Imports and returns the report.
#[track_caller]
fn import(program: &Program, source: &Path, more: &[&str]) -> Value {
    let source = source.to_str().unwrap();
    let output = program.run(&[&["wiki", "import", "--json", source], more].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn db(program: &Program, slug: &str) -> Connection {
    Connection::open(program.data().join("wikis").join(slug).join("wiki.db")).unwrap()
}

/// Rows as arrays of what stands in their columns.
fn rows(connection: &Connection, sql: &str) -> Vec<Value> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let value = |row: &rusqlite::Row<'_>, at| match row.get_ref(at).unwrap() {
        rusqlite::types::ValueRef::Null => Value::Null,
        rusqlite::types::ValueRef::Integer(number) => json!(number),
        other => json!(other.as_str().unwrap()),
    };
    let rows = statement.query_map([], |row| Ok((0..columns).map(|at| value(row, at)).collect()));
    rows.unwrap().map(Result::unwrap).collect()
}

/// All commits, newest first, as the fixture describes them.
fn log(git: &Git, branch: &str) -> Value {
    let format = "--format=%H%x1f%P%x1f%an%x1f%ae%x1f%B%x1e";
    let printed = git.run(&["log", format, branch, "--"]);
    let commit = |text: &str| {
        let parts: Vec<_> = text.trim_start_matches('\n').split('\x1f').collect();
        let [rev, parents, author, email, message] = parts[..] else { panic!("{text}") };
        json!({
            "rev": rev,
            "parents": parents,
            "author": author,
            "email": email,
            "message": message.trim_end(),
        })
    };
    printed.split('\x1e').filter(|text| !text.trim().is_empty()).map(commit).collect()
}

/// All files with their blobs.
fn files(git: &Git, branch: &str) -> Value {
    let printed = git.run(&["ls-tree", "-r", "-z", branch]);
    let file = |line: &str| {
        let (entry, path) = line.split_once('\t').unwrap();
        (path.to_owned(), json!(entry.split(' ').nth(2).unwrap()))
    };
    Value::Object(printed.split('\0').filter(|line| !line.is_empty()).map(file).collect())
}

fn branch(git: &Git) -> String {
    git.run(&["symbolic-ref", "--short", "HEAD"])
}

/// What a report says was left behind or is odd.
fn left(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let left = report["left"].as_array().unwrap();
    left.iter().map(|left| (text(&left["what"]), text(&left["name"]))).collect()
}

fn preferences_of(rows: &Value) -> Vec<Value> {
    let row = |row: &Value| json!([row["name"], row["value"]]);
    let mut rows: Vec<_> = rows.as_array().unwrap().iter().map(row).collect();
    rows.sort_by_key(|row| row[0].as_str().unwrap().to_owned());
    rows
}

const PREFERENCES: &str =
    "select name, value from preferences where name <> 'LEGACY_URLS' order by name";
const DRAFTS: &str = "
    select pagepath, revision, author_email, content, cursor_line, cursor_ch, datetime
    from drafts order by id";
const USERS: &str = "
    select name, email, first_seen, last_seen, is_approved, is_admin, email_confirmed, allow_read,
        allow_write, allow_upload
    from user order by id";

#[tokio::test(flavor = "multi_thread")]
async fn a_real_otterwiki_becomes_a_wiki_with_all_that_belongs_to_it() {
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    let expected = expected(&source);
    let program = program(scratch.path());
    import(&program, &source, &["--slug", "fixture"]);

    let git = program.git("fixture");
    let branch = branch(&git);
    assert_eq!(files(&git, &branch), expected["files"]);
    assert_eq!(log(&git, &branch), expected["log"]);
    git.fsck();
    let tables = &expected["tables"];
    let rows_here = |sql| rows(&db(&program, "fixture"), sql);
    assert_eq!(rows_here(PREFERENCES), preferences_of(&tables["preferences"]));
    let legacy = "select value from preferences where name = 'LEGACY_URLS'";
    assert_eq!(rows_here(legacy), [json!(["OTTERWIKI"])]);
    let theirs = rows(&Connection::open(source.join("db.sqlite")).unwrap(), USERS);
    assert_eq!((rows_here(USERS), theirs.len()), (theirs, 2));
    let passwords = "select password_hash from user where password_hash is not null";
    assert_eq!(rows_here(passwords), [""; 0]);

    let server = program.serve();
    server.anonymous().on("fixture").read("home").await.problem("unknown_wiki");
    let wiki = server.operator().on("fixture");
    let listed: Vec<_> =
        wiki.pages().await.iter().map(|page| page["path"].as_str().unwrap().to_owned()).collect();
    let all_files = expected["files"].as_object().unwrap();
    let mut pages: Vec<_> = all_files.keys().filter_map(|file| file.strip_suffix(".md")).collect();
    pages.sort_unstable();
    assert_eq!(listed, pages);
    for page in pages {
        let read = wiki.read(page).await.good().json();
        assert_eq!(read["etag"], expected["files"][format!("{page}.md")], "{page}");
    }
    server.stop();
}

/// As a user of the API sees it.
#[tokio::test(flavor = "multi_thread")]
async fn the_adopted_wiki_lists_reads_attaches_and_shows_history_as_it_was() {
    let scratch = testkit::scratch();
    let program = program(scratch.path());
    let source = fixture(scratch.path());
    let expected = expected(&source);
    import(&program, &source, &["--slug", "team"]);
    let server = program.serve();
    let wiki = server.operator().on("team");

    let files = expected["files"].as_object().unwrap();
    let pages: Vec<_> =
        files.iter().filter_map(|(file, id)| Some((file.strip_suffix(".md")?, id))).collect();
    let listed = wiki.pages().await;
    assert_eq!(listed.len(), pages.len());
    for ((path, etag), item) in pages.iter().zip(&listed) {
        assert_eq!((&item["path"], &item["etag"]), (&json!(path), *etag));
        let read = wiki.read(path).await.good();
        assert_eq!(json!(read.etag()), **etag);
    }
    let mut attachments = 0;
    for (file, etag) in files.iter().filter(|(file, _)| !file.ends_with(".md")) {
        let (page, name) = file.rsplit_once('/').unwrap();
        let listed = wiki.attachments(page).await.good().json();
        let item =
            listed["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap();
        assert_eq!((&item["path"], &item["etag"]), (&json!(file), etag));
        assert_eq!(json!(wiki.attachment(file).await.good().etag()), *etag);
        attachments += 1;
    }
    assert_eq!(attachments, 4);

    let log = wiki.changes().await;
    let commit = |commit: &Value| {
        json!([
            commit["revision"],
            commit["author"]["name"],
            commit["author"]["email"],
            commit["message"].as_str().unwrap().trim_end()
        ])
    };
    let logged: Vec<_> = log.iter().map(commit).collect();
    let commit = |commit: &Value| {
        json!([commit["rev"], commit["author"], commit["email"], commit["message"]])
    };
    let expected_log: Vec<_> = expected["log"].as_array().unwrap().iter().map(commit).collect();
    assert_eq!(logged, expected_log);
    // `Renamed NAS Setup to Storage/NAS Box.`
    let history = wiki.history("storage/nas box").await;
    assert_eq!(history.last().unwrap()["changes"][0]["path"], "nas setup");
    assert!(history.iter().any(|commit| commit["changes"][0]["old_path"] == "nas setup"));
    server.stop();
}

#[test]
fn drafts_find_their_page_their_owner_and_their_base() {
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    let program = program(scratch.path());
    import(&program, &source, &["--slug", "fixture", "--subject", "bob@example.org=idp|bob"]);
    let git = program.git("fixture");
    let full = git.run(&["rev-parse", "9fb684"]);
    let base = git.run(&["rev-parse", "9fb684:guide/getting started.md"]);
    let sql = "select pagepath, revision, author_email, cursor_line, cursor_ch, datetime, base
               from drafts order by id";
    let at = ["2026-11-20 20:35:42.955542", "2026-11-20 20:35:42.993185"];
    assert_eq!(
        rows(&db(&program, "fixture"), sql),
        [
            json!(["guide/getting started", full, "mailto:admin@example.org", 3, 4, at[0], base]),
            json!(["new idea", "", "idp|bob", 1, 0, at[1], null]),
        ]
    );
}

#[test]
fn the_report_says_what_came_and_what_did_not() {
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    let report = import(&program(scratch.path()), &source, &["--slug", "fixture"]);
    assert_eq!(report["kind"], "otterwiki");
    assert_eq!(report["case_mode"], "lower");
    assert_eq!((&report["files"], &report["pages"]), (&json!(12), &json!(8)));
    assert_eq!(report["secrets"], json!(["SECRET_KEY"]));
    let access = json!({
        "READ_ACCESS": "REGISTERED", "WRITE_ACCESS": "APPROVED", "ATTACHMENT_ACCESS": "ADMIN",
    });
    assert_eq!(report["access"], access);
    let members = report["members"].as_array().unwrap();
    let roles: Vec<_> =
        members.iter().map(|hint| (&hint["email"], &hint["suggested_role"])).collect();
    let (ada, bob) = (json!("admin@example.org"), json!("bob@example.org"));
    assert_eq!(roles, [(&ada, &json!("admin")), (&bob, &json!("editor"))]);
    let found = left(&report);
    for (what, name) in [
        ("setting", "LOG_LEVEL"),
        ("setting", "REPOSITORY"),
        ("setting", "WRITE_ACCESS"),
        ("file", "transcript.jsonl"),
        ("column", "user.password_hash"),
    ] {
        assert!(found.contains(&(what.to_owned(), name.to_owned())), "{what} {name}: {found:?}");
    }
    assert!(!found.iter().any(|(what, _)| what == "name"), "{found:?}");
}

/// What no secret of the tests goes without.
const CANARY: &str = "canary-5d1f";

/// Puts secrets of every kind where an OtterWiki may have them.
fn plant_secrets(source: &Path) {
    let settings = format!(
        "SECRET_KEY = '{CANARY}-a'
MAIL_PASSWORD = '{CANARY}-b'
API_TOKEN = '''
{CANARY}-c
'''
SQLALCHEMY_DATABASE_URI = 'postgres://u:{CANARY}-d@h/d'
X = f('{CANARY}-e')
"
    );
    std::fs::write(source.join("settings.cfg"), settings).unwrap();
    let db = Connection::open(source.join("db.sqlite")).unwrap();
    for (name, value) in [
        ("MAIL_PASSWORD", format!("{CANARY}-f")),
        ("GIT_REMOTE_PUSH_PRIVATE_KEY", format!("-----BEGIN PRIVATE KEY-----\n{CANARY}-g")),
        ("GIT_REMOTE_PULL_URL", format!("https://x:{CANARY}-h@git.example.org/a.git")),
        // No secret, but no word that may be shown either.
        ("READ_ACCESS", format!("{CANARY}-i")),
    ] {
        let sql = "insert or replace into preferences values (?1, ?2)";
        db.execute(sql, [name.to_owned(), value]).unwrap();
    }
    db.execute("update user set password_hash = ?1", [format!("{CANARY}-j")]).unwrap();
}

fn is_in_some_file(dir: &Path, needle: &str) -> bool {
    entries(dir).iter().map(|name| dir.join(name)).filter(|path| path.is_file()).any(|path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(needle.len()).any(|part| part == needle.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_kept_and_never_said() {
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    plant_secrets(&source);
    let program = program(scratch.path()).env("RUST_LOG", "trace");
    let path = source.to_str().unwrap();
    let ways = [
        &["--dry-run"][..],
        &[],
        &["--update"],
        &["--update", "--dry-run"],
        &["--update", "--json"],
    ];
    for more in ways {
        let args = [&["wiki", "import", "--slug", "fixture", path], more].concat();
        let (code, said) = run(&program, &args);
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains(CANARY), "{said}");
    }
    for secret in ["a", "b", "c", "d", "e", "f", "g", "h", "j"] {
        let secret = format!("{CANARY}-{secret}");
        assert!(!is_in_some_file(program.data(), &secret), "{secret}");
    }
    // The search does find what is there.
    assert!(is_in_some_file(program.data(), &format!("{CANARY}-i")));

    let rows = rows(&db(&program, "fixture"), PREFERENCES);
    let value = |name: &str| rows.iter().find(|row| row[0] == name).unwrap()[1].clone();
    assert_eq!(value("MAIL_PASSWORD"), "");
    assert_eq!(value("GIT_REMOTE_PUSH_PRIVATE_KEY"), "");
    assert_eq!(value("GIT_REMOTE_PULL_URL"), "https://git.example.org/a.git");

    let platform = wikigrove_tenant::Platform::open(program.data()).await.unwrap();
    let slug = "fixture".parse().unwrap();
    let wiki = platform.tenant(&slug).await.unwrap().unwrap().id;
    let names = ["API_TOKEN", "GIT_REMOTE_PULL_URL", "GIT_REMOTE_PUSH_PRIVATE_KEY"];
    let names = [&names[..], &["MAIL_PASSWORD", "SECRET_KEY"]].concat();
    assert_eq!(platform.secret_names(wiki).await.unwrap(), names);
    let kept = async |name| platform.secret(wiki, name).await.unwrap().unwrap();
    // A row wins over the file.
    assert_eq!(kept("MAIL_PASSWORD").await.expose(), format!("{CANARY}-f"));
    assert_eq!(kept("API_TOKEN").await.expose(), format!("\n{CANARY}-c\n"));
    platform.delete(&slug).await.unwrap();
    assert_eq!(platform.secret_names(wiki).await.unwrap(), [""; 0]);
    platform.close().await;
}

#[test]
fn the_key_of_the_secrets_may_be_kept_elsewhere() {
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    let program = program(scratch.path());
    let key = scratch.path().join("key");
    import(&program, &source, &["--slug", "one", "--secret-key-file", key.to_str().unwrap()]);
    assert!(key.is_file() && !program.data().join("secret-key").exists());
    // Another key opens none of what is kept, and says which file it is.
    let other = scratch.path().join("other");
    std::fs::write(&other, [7; 32]).unwrap();
    let (path, other) = (source.to_str().unwrap(), other.to_str().unwrap());
    let update = ["wiki", "import", "--update", "--slug", "one", path, "--secret-key-file", other];
    let (code, said) = run(&program, &update);
    assert_eq!((code, said.contains(other)), (Some(1), true), "{said}");
}

#[test]
fn a_rehearsal_says_all_and_changes_nothing() {
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    let work_tree = Git::at(source.join("repository"));
    let inner = Git::init(work_tree.dir().join("inner"));
    inner.commit("one");
    work_tree.commit("with a submodule");
    inner.write("new.md", "x");
    work_tree.write("unsaved.md", "x").write("home.md", "changed").write(".gitignore", "*.tmp\n");
    work_tree.write("a.tmp", "x");
    std::fs::remove_file(source.join("repository/empty.md")).unwrap();
    // What the source's own configuration says is never run.
    let ran = scratch.path().join("ran");
    let touch = format!("touch {}", ran.display());
    for setting in ["core.fsmonitor", "filter.x.clean", "filter.x.smudge", "core.sshCommand"] {
        work_tree.run(&["config", setting, &touch]);
        inner.run(&["config", setting, &touch]);
    }
    std::fs::create_dir_all(source.join("repository/.git/info")).unwrap();
    std::fs::write(source.join("repository/.git/info/attributes"), "* filter=x\n").unwrap();

    let program = program(scratch.path());
    let state = || (entries(&source), std::fs::read(source.join("db.sqlite")).unwrap());
    let before = state();
    let rehearsed = import(&program, &source, &["--slug", "fixture", "--dry-run"]);
    assert!(!program.data().exists());
    assert_eq!(before, state());
    assert_eq!(rehearsed["dry_run"], true);
    let found = left(&rehearsed);
    for file in ["unsaved.md", "home.md", ".gitignore", "a.tmp", "empty.md"] {
        assert!(found.contains(&("file".to_owned(), file.to_owned())), "{file}: {found:?}");
    }
    assert!(found.contains(&("submodule".to_owned(), "inner".to_owned())), "{found:?}");

    let mut done = import(&program, &source, &["--slug", "fixture"]);
    assert_eq!(before, state());
    assert!(!ran.exists());
    done["dry_run"] = json!(true);
    assert_eq!(rehearsed, done);
    let data = entries(program.data());
    for args in [&["--slug", "fixture"][..], &["--slug", "fixture", "--dry-run"]] {
        let path = source.to_str().unwrap();
        let (code, said) = run(&program, &[&["wiki", "import", path], args].concat());
        assert_eq!((code, said.contains("`fixture` is taken")), (Some(1), true), "{said}");
    }
    assert_eq!(entries(program.data()), data);
}

/// Without a word about where the data is, it is in `./data`.
#[test]
fn paths_may_be_relative_to_where_the_program_runs() {
    let scratch = testkit::scratch();
    fixture(scratch.path());
    let program = crate::program_within(scratch.path());
    let source = Path::new("otterwiki-lower");
    import(&program, source, &["--slug", "fixture"]);
    import(&program, source, &["--slug", "fixture", "--update"]);
    import(&program, source, &["--slug", "fixture", "--update", "--dry-run"]);
    let (code, said) = run(&program, &["wiki", "export", "fixture", "--otterwiki", "out"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(scratch.path().join("out/repository/home.md").is_file());
}

#[test]
fn what_is_odd_is_listed_and_comes_along() {
    let scratch = testkit::scratch();
    let source = scratch.path().join("source");
    let git = Git::init(source.join("repository"));
    git.write("Home.md", "x").write("home.md", "x").write("con.md", "x").write("a:b.png", "x");
    std::os::unix::fs::symlink("/etc/passwd", git.dir().join("link.md")).unwrap();
    git.commit("one").run(&["branch", "other"]);
    let db = Connection::open(source.join("db.sqlite")).unwrap();
    db.execute_batch(
        "create table preferences (name, value);
         create table plugin (a);
         insert into plugin values (1);
         create table drafts (id integer primary key, pagepath, author_email, content, colour);
         insert into drafts values (1, 'X', 'anonymous_uid:1', 'x', 'red');
         insert into drafts values (2, 'Y?', 'y@example.org', 'y', null);",
    )
    .unwrap();
    drop(db);
    let program = program(scratch.path());
    let report = import(&program, &source, &["--slug", "odd"]);
    let found = left(&report);
    for (what, name) in [
        ("name", "con.md"),
        ("name", "a:b.png"),
        ("name", "Home.md"),
        ("name", "home.md"),
        ("link", "link.md"),
        ("branch", "refs/heads/other"),
        ("table", "plugin"),
        ("column", "drafts.colour"),
        ("draft", "X"),
        ("name", "Y?"),
    ] {
        assert!(found.contains(&(what.to_owned(), name.to_owned())), "{what} {name}: {found:?}");
    }
    assert_eq!(files(&program.git("odd"), "main"), files(&git, "main"));
}

#[test]
fn everything_below_a_directory_is_imported_and_one_failure_stops_nothing() {
    let scratch = testkit::scratch();
    let all = scratch.path().join("all");
    std::fs::rename(fixture(&all), all.join("Big Wiki")).unwrap();
    std::fs::rename(fixture(&all), all.join("broken")).unwrap();
    std::fs::write(all.join("broken/db.sqlite"), "nothing").unwrap();
    std::fs::create_dir_all(all.join("pictures")).unwrap();
    Git::init(all.join("plain")).write("home.md", "x").commit("one");
    // A wiki of a platform of OtterWikis.
    Git::init(all.join("member/repo")).write("home.md", "x").commit("one");
    let db = Connection::open(all.join("member/wiki.db")).unwrap();
    db.execute_batch("create table preferences (name, value)").unwrap();
    drop(db);

    let program = program(scratch.path());
    let path = all.to_str().unwrap();
    let (code, said) = run(&program, &["wiki", "import", "--all", "--dry-run", path]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 of 4 could not be imported"), "{said}");
    assert!(!program.data().exists());
    let output = program.run(&["wiki", "import", "--all", "--json", path]);
    assert_eq!(output.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let wikis: Vec<_> = said["wikis"]
        .as_array()
        .unwrap()
        .iter()
        .map(|wiki| (wiki["slug"].as_str().unwrap(), wiki["error"].is_null()))
        .collect();
    assert_eq!(wikis, [("big-wiki", true), ("broken", false), ("member", true), ("plain", true)]);
    assert_eq!(said["other_directories"], 1);
    // Once more, what is there is brought up to date, and what isn't is imported.
    Git::init(all.join("new")).write("home.md", "x").commit("one");
    let (code, said) = run(&program, &["wiki", "import", "--all", "--update", path]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 of 5 could not be imported"), "{said}");
    assert!(program.git("new").run(&["rev-parse", "HEAD"]).len() == 40);
    let listed = run(&program, &["wiki", "list"]).1;
    assert!(listed.contains("big-wiki") && listed.contains("Fixture Wiki"), "{listed}");
    assert!(!listed.contains("broken") && !listed.contains("public"), "{listed}");
}

#[test]
fn an_update_follows_a_source_that_went_on() {
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    let program = program(scratch.path());
    import(&program, &source, &["--slug", "fixture"]);
    let git = Git::at(source.join("repository"));
    git.write("later.md", "# Later\n").commit("later");
    let there = Connection::open(source.join("db.sqlite")).unwrap();
    there
        .execute_batch(
            "update preferences set value = 'Renamed' where name = 'SITE_NAME';
             update preferences set value = 'fr' where name = 'SITE_LANG';
             update drafts set content = 'more' where id = 2;",
        )
        .unwrap();
    let ours = "update preferences set value = 'it' where name = 'SITE_LANG'";
    db(&program, "fixture").execute(ours, []).unwrap();

    let before = entries(program.data());
    let report = import(&program, &source, &["--slug", "fixture", "--update", "--dry-run"]);
    assert_eq!(report["head"], git.run(&["rev-parse", "HEAD"]));
    assert_eq!(entries(program.data()), before);

    let report = import(&program, &source, &["--slug", "fixture", "--update"]);
    let repo = program.git("fixture");
    assert_eq!(files(&repo, "HEAD"), files(&git, "HEAD"));
    assert_eq!(log(&repo, "HEAD"), log(&git, "HEAD"));
    repo.fsck();
    assert_eq!(repo.run(&["for-each-ref", "refs/wiki"]), "");
    let taken = json!(["preference SITE_NAME", "draft new idea of mailto:bob@example.org"]);
    assert_eq!(report["updated"]["taken"], taken);
    assert_eq!(report["updated"]["kept"], json!(["preference SITE_LANG"]));
    let now = rows(&db(&program, "fixture"), PREFERENCES);
    for row in [json!(["SITE_NAME", "Renamed"]), json!(["SITE_LANG", "it"])] {
        assert!(now.contains(&row), "{now:?}");
    }
    let drafts = rows(&db(&program, "fixture"), DRAFTS);
    assert_eq!(drafts.iter().filter(|draft| draft[3] == "more").count(), 1, "{drafts:?}");
    assert_eq!(drafts.len(), 2);
}

#[test]
fn an_update_never_loses_what_the_source_does_not_have() {
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    let program = program(scratch.path());
    let report = import(&program, &source, &["--slug", "fixture"]);
    let git = Git::at(source.join("repository"));
    git.run(&["reset", "-q", "--hard", "HEAD~3"]);
    git.write("other.md", "x").commit("other");
    let path = source.to_str().unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let args = [&["wiki", "import", "--update", "--slug", "fixture", path], more].concat();
        let (code, said) = run(&program, &args);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("changes that the source doesn't have"), "{said}");
    }
    assert_eq!(report["head"], program.git("fixture").run(&["rev-parse", "HEAD"]));
    let (code, said) = run(&program, &["wiki", "import", "--update", "--slug", "nowhere", path]);
    assert_eq!((code, said.contains("no such wiki")), (Some(1), true), "{said}");
}

#[test]
fn what_goes_out_comes_in_again_as_it_was() {
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    let program = program(scratch.path());
    import(&program, &source, &["--slug", "fixture"]);
    let out = scratch.path().join("out");
    let export = ["wiki", "export", "fixture", "--otterwiki", out.to_str().unwrap()];
    let (code, said) = run(&program, &export);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("SECRET_KEY"), "{said}");
    let made: BTreeSet<_> =
        std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made, ["db.sqlite".into(), "repository".into()].into());
    assert_eq!(run(&program, &export).0, Some(1), "what is there stays");

    let expected = expected(&source);
    let git = Git::at(out.join("repository"));
    assert_eq!(branch(&git), branch(&Git::at(source.join("repository"))));
    assert_eq!(git.run(&["status", "--porcelain"]), "");
    assert_eq!(git.run(&["remote"]), "");
    assert_eq!(files(&git, "HEAD"), expected["files"]);
    assert_eq!(log(&git, "HEAD"), expected["log"]);
    let theirs = Connection::open(source.join("db.sqlite")).unwrap();
    let exported = Connection::open(out.join("db.sqlite")).unwrap();
    for sql in [PREFERENCES, DRAFTS, USERS] {
        assert_eq!(rows(&exported, sql), rows(&theirs, sql));
    }
    drop(exported);

    let again = import(&program, &out, &["--slug", "again"]);
    assert_eq!(again["case_mode"], "lower");
    let (one, other) = (db(&program, "fixture"), db(&program, "again"));
    for sql in [PREFERENCES, DRAFTS, "select base from drafts order by id", USERS] {
        assert_eq!(rows(&one, sql), rows(&other, sql));
    }
    assert_eq!(log(&program.git("again"), "HEAD"), expected["log"]);
}

#[test]
fn a_wiki_that_never_was_an_otterwiki_keeps_its_names_in_one() {
    let scratch = testkit::scratch();
    let program = program(scratch.path());
    let source = Git::init(scratch.path().join("source"));
    std::os::unix::fs::symlink("/etc/passwd", source.dir().join("link")).unwrap();
    source.write("Home.md", "x").write("a//b.md", "x").write(".md.md", "x").commit("one");
    import(&program, source.dir(), &["--slug", "plain"]);
    let sql = "insert into drafts (pagepath, author_email, content) values ('Home', 'idp|x', 'x')";
    db(&program, "plain").execute(sql, []).unwrap();
    let (out, empty) = (scratch.path().join("out"), scratch.path().join("empty"));
    let export = ["wiki", "export", "plain", "--json", "--otterwiki", out.to_str().unwrap()];
    let report: Value = serde_json::from_slice(&program.run(&export).stdout).unwrap();
    let found = left(&report);
    let of = |what: &str, name: &str| (what.to_owned(), name.to_owned());
    assert_eq!(found, [of("page", ".md"), of("draft", "Home")]);
    let exported = Connection::open(out.join("db.sqlite")).unwrap();
    assert_eq!(rows(&exported, PREFERENCES), [json!(["RETAIN_PAGE_NAME_CASE", "True"])]);
    assert_eq!(rows(&exported, DRAFTS), [""; 0]);
    // A link could lead anywhere.
    assert!(out.join("repository/link").symlink_metadata().unwrap().is_file());
    assert_eq!(Git::at(out.join("repository")).run(&["status", "--porcelain"]), "");

    assert_eq!(run(&program, &["wiki", "create", "empty"]).0, Some(0));
    let export = ["wiki", "export", "empty", "--otterwiki", empty.to_str().unwrap()];
    assert_eq!(run(&program, &export).0, Some(0));
    assert!(empty.join("repository/.git/HEAD").is_file() && empty.join("db.sqlite").is_file());
    let (code, said) = run(&program, &["wiki", "export", "nowhere", "--otterwiki", "/dev/null/x"]);
    assert_eq!((code, said.contains("no such wiki")), (Some(1), true), "{said}");
}

/// A Python with OtterWiki 2.26.1, made once and kept; `None` where it can't be had.
fn real_otterwiki() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("otterwiki-2.26.1");
    let python = venv.join("bin/python");
    let works = || {
        let is_there = "from otterwiki.version import __version__ as v; assert v == '2.26.1'";
        let output = Command::new(&python).args(["-c", is_there]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if works() {
        return Some(python);
    }
    let _ = std::fs::remove_dir_all(&venv);
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "otterwiki==2.26.1"]);
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&venv);
    for mut step in [make, install] {
        if let Ok(output) = step.output()
            && !output.status.success()
        {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    works().then_some(python)
}

/// What a visitor sees, asked without a socket.
const VISIT: &str = r#"
import json, sys
from otterwiki.server import app
visitor = app.test_client()
seen = {}
for path in json.loads(sys.argv[1]):
    answer = visitor.get(path)
    seen[path] = [answer.status_code, answer.get_data().decode("latin-1")]
print("SEEN" + json.dumps(seen))
"#;

#[test]
fn a_real_otterwiki_serves_what_was_exported() {
    let Some(python) = real_otterwiki() else {
        eprintln!(
            "SKIPPED: OtterWiki 2.26.1 can't be installed here, so no export was tried with it"
        );
        return;
    };
    let scratch = testkit::scratch();
    let source = fixture(scratch.path());
    let program = program(scratch.path());
    import(&program, &source, &["--slug", "fixture"]);
    let open = "update preferences set value = 'ANONYMOUS' where name = 'READ_ACCESS'";
    db(&program, "fixture").execute(open, []).unwrap();
    let out = scratch.path().join("out");
    let export = ["wiki", "export", "fixture", "--otterwiki", out.to_str().unwrap()];
    assert_eq!(run(&program, &export).0, Some(0));

    let (page, history) = ("/Guide/Getting Started", "/Guide/Getting Started/history");
    let attachment = "/Storage/Nas Box/a/bob.txt";
    let visited = Command::new(python)
        .args(["-c", VISIT, &json!([page, history, attachment]).to_string()])
        .current_dir(scratch.path())
        .env("REPOSITORY", out.join("repository"))
        .env("SQLALCHEMY_DATABASE_URI", format!("sqlite:///{}", out.join("db.sqlite").display()))
        .env("SECRET_KEY", "a-key-that-is-long-enough")
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&visited.stderr);
    let said = String::from_utf8_lossy(&visited.stdout);
    let seen = said.split_once("SEEN").unwrap_or_else(|| panic!("{said}\n{complaint}")).1;
    let seen: Value = serde_json::from_str(seen).unwrap();
    let answer = |path: &str| {
        assert_eq!(seen[path][0], 200, "{path}: {complaint}");
        seen[path][1].as_str().unwrap().to_owned()
    };
    assert!(answer(page).contains("Third version by Bob"));
    assert!(answer(history).contains("second"));
    let git = Git::at(out.join("repository"));
    let stored = git.bytes(&["show", "HEAD:storage/nas box/bob.txt"]);
    assert_eq!(answer(attachment).into_bytes(), stored);
    assert_eq!(git.run(&["status", "--porcelain"]), "");
}
