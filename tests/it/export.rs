//! A whole wiki as one file: exported, read with stock tools, and imported again.

mod damaged;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use http::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use testkit::{Git, Program, TestServer, entries, test_data};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wikigrove_tenant::{Platform, Secret, Slug};

/// What no secret of the tests goes without.
const CANARY: &str = "canary-77aa";

fn program(scratch: &Path, name: &str) -> Program {
    crate::program(&scratch.join(name))
}

/// A command's exit code and all it said.
fn told(output: Output) -> (Option<i32>, String) {
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Imports a file and returns the report.
#[track_caller]
fn import(program: &Program, slug: &str, file: &Path, more: &[&str]) -> Value {
    let file = file.to_str().unwrap();
    let args = [&["wiki", "import", "--json", "--slug", slug, file], more].concat();
    let output = program.run(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exports into a file and returns the report.
#[track_caller]
fn export(program: &Program, slug: &str, file: &Path) -> Value {
    let output = program.run(&["wiki", "export", slug, file.to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sh(dir: &Path, script: &str) -> (bool, String) {
    let output = Command::new("sh").arg("-ec").arg(script).current_dir(dir).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Runs a line of shell, which must go well.
#[track_caller]
fn run(dir: &Path, script: &str) -> String {
    let (done, said) = sh(dir, script);
    assert!(done, "{script}: {said}");
    said
}

fn dir(program: &Program, slug: &str) -> PathBuf {
    program.data().join("wikis").join(slug)
}

/// Everything in the tables that belong to the wiki itself.
fn tables(program: &Program, slug: &str) -> Vec<String> {
    let db = Connection::open(dir(program, slug).join("wiki.db")).unwrap();
    [
        "select name, value from preferences order by name",
        "select pagepath, revision, author_email, content, cursor_line, cursor_ch, datetime, base
         from drafts order by id",
        "select name, email, password_hash, first_seen, last_seen, is_approved, is_admin,
         email_confirmed, allow_read, allow_write, allow_upload from user order by id",
    ]
    .iter()
    .flat_map(|sql| {
        let mut statement = db.prepare(sql).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values: Vec<_> = (0..columns).map(|at| row.get_ref(at).unwrap()).collect();
            Ok(format!("{values:?}"))
        };
        statement.query_map([], row).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    })
    .collect()
}

/// A wiki with something of everything, and what is told about it.
async fn full_wiki(program: &Program) -> Git {
    let server = program.serve();
    let operator = server.operator();
    let wiki = json!({ "slug": "garden", "title": "My Garden", "visibility": "public_read" });
    operator.admin(Method::POST, "/wikis").json(wiki).await.good();
    let garden = operator.on("garden");
    let roses = garden.create("roses", "# Roses\n").await.good();
    garden.save("roses", roses.etag(), "# Roses\n\nred ❀\n").await.good();
    garden.create("sub dir/deep", "x\n").await.good();
    garden.create_attachment("roses/photo.png", vec![7; 400_000]).await.good();
    garden.create_attachment("roses/empty.bin", "").await.good();
    garden.change_preferences(json!({ "site_name": "G\"1\"", "hide_logo": true })).await.good();
    let editor = operator.token("garden", "editor").await;
    editor.on("garden").put_draft("roses", "mine\n\u{7}\u{2028}").await.good();
    garden.put_draft("not yet", "an idea").await.good();
    server.stop();
    let db = Connection::open(dir(program, "garden").join("wiki.db")).unwrap();
    let hash = format!("{CANARY}-hash");
    let sql = "insert into user (name, email, password_hash, last_seen, is_approved, is_admin,
            email_confirmed, allow_read, allow_write, allow_upload)
        values ('A', 'a@b.c', ?1, '2026-11-20 20:35:42.955542', 1, 0, 1, 0, 1, 0)";
    db.execute(sql, [hash]).unwrap();
    db.execute("insert into preferences values ('UNKNOWN_HERE', null)", []).unwrap();
    drop(db);
    let app = Connection::open(dir(program, "garden").join("app.db")).unwrap();
    app.execute_batch("pragma journal_mode = wal; create table a (b); insert into a values (42);")
        .unwrap();
    let platform = Platform::open(program.data()).await.unwrap();
    let slug: Slug = "garden".parse().unwrap();
    let id = platform.tenant(&slug).await.unwrap().unwrap().id;
    platform.put_secret(id, "MAIL_PASSWORD", Secret::new(format!("{CANARY}-x"))).await.unwrap();
    platform.close().await;
    program.git("garden")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_elsewhere_is_what_was_exported() {
    let scratch = testkit::scratch();
    let (here, there) = (program(scratch.path(), "here"), program(scratch.path(), "there"));
    let git = full_wiki(&here).await;
    let file = scratch.path().join("garden.wiki.tar");
    let before = entries(here.data());
    let exported = export(&here, "garden", &file);
    assert_eq!(entries(here.data()), before);
    let head = git.run(&["rev-parse", "main"]);
    assert_eq!(exported["head"], head);
    assert_eq!(exported["size"], file.metadata().unwrap().len());
    assert_eq!((&exported["drafts"], &exported["users"]), (&json!(2), &json!(1)));
    assert_eq!(exported["left"][0]["name"], "MAIL_PASSWORD");

    let rehearsed = import(&there, "copy", &file, &["--dry-run"]);
    assert!(!there.data().exists());
    let mut report = import(&there, "copy", &file, &[]);
    assert_eq!(report["dry_run"], false);
    report["dry_run"] = json!(true);
    assert_eq!(report, rehearsed);
    assert_eq!((&report["kind"], &report["head"]), (&json!("wikigrove"), &json!(head)));
    assert_eq!((&report["pages"], &report["files"]), (&json!(2), &json!(4)));
    assert_eq!(report["access"], json!({ "visibility": "public_read" }));
    assert_eq!(report["left"][0]["what"], "secret");

    assert_eq!(tables(&there, "copy"), {
        let without = |row: String| {
            row.replace(&format!("Text({:?})", format!("{CANARY}-hash").as_bytes()), "Null")
        };
        tables(&here, "garden").into_iter().map(without).collect::<Vec<_>>()
    });
    let copy = there.git("copy");
    copy.fsck();
    assert_eq!(
        copy.run(&["log", "--format=raw", "main"]),
        git.run(&["log", "--format=raw", "main"])
    );
    assert_eq!(copy.run(&["for-each-ref"]), git.run(&["for-each-ref"]));
    let app = Connection::open(dir(&there, "copy").join("app.db")).unwrap();
    assert_eq!(app.query_row("select b from a", [], |row| row.get::<_, i64>(0)).unwrap(), 42);
    let files = ["app.db", "repo", "wiki.db"].map(str::to_owned);
    let top = |name: &String| !name.contains('/');
    let found: BTreeSet<_> = entries(&dir(&there, "copy")).into_iter().filter(top).collect();
    assert_eq!(found, BTreeSet::from(files));

    let (one, two) = (here.serve(), there.serve());
    let (one, two) = (one.operator().on("garden"), two.operator().on("copy"));
    assert_eq!(one.pages().await, two.pages().await);
    assert_eq!(one.changes().await, two.changes().await);
    assert_eq!(one.preferences().await.good().json(), two.preferences().await.good().json());
    for page in ["roses", "sub dir/deep"] {
        assert_eq!(one.read(page).await.good().json(), two.read(page).await.good().json());
        assert_eq!(one.history(page).await, two.history(page).await);
    }
    let photo = two.attachment("roses/photo.png").await.good();
    assert!(photo.bytes() == [7; 400_000]);
    assert_eq!(one.draft("not yet").await.good().json(), two.draft("not yet").await.good().json());
    // It goes on as any other.
    two.save("roses", one.read("roses").await.good().etag(), "blue").await.good();
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_tools_read_the_file_and_no_secret_is_in_it() {
    let scratch = testkit::scratch();
    let here = program(scratch.path(), "here");
    let git = full_wiki(&here).await;
    let file = scratch.path().join("garden.wiki.tar");
    export(&here, "garden", &file);
    let out = scratch.path().join("out");
    std::fs::create_dir(&out).unwrap();
    run(&out, "tar -xf ../garden.wiki.tar");
    let names = run(&out, "tar -tf ../garden.wiki.tar");
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        [
            "manifest.json",
            "history.bundle",
            "preferences.json",
            "drafts.jsonl",
            "users.jsonl",
            "app.db",
            "SHA256SUMS"
        ]
    );
    let checked = run(&out, "sha256sum --strict -c SHA256SUMS");
    assert_eq!(checked.lines().filter(|line| line.ends_with(": OK")).count(), 6);
    run(&out, "GIT_CONFIG_GLOBAL=/dev/null git clone -q history.bundle clone");
    let clone = Git::at(out.join("clone"));
    assert_eq!(clone.run(&["rev-parse", "HEAD"]), git.run(&["rev-parse", "main"]));
    assert_eq!(std::fs::read_to_string(out.join("clone/roses.md")).unwrap(), "# Roses\n\nred ❀\n");
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!((&manifest["format"], &manifest["version"]), (&json!("wikigrove-wiki"), &json!(1)));
    assert_eq!(manifest["title"], "My Garden");
    assert_eq!(manifest["secrets"], json!(["MAIL_PASSWORD"]));
    for name in ["drafts.jsonl", "users.jsonl"] {
        let lines = std::fs::read_to_string(out.join(name)).unwrap();
        for line in lines.split_terminator('\n') {
            serde_json::from_str::<Value>(line).unwrap();
        }
    }
    let bytes = std::fs::read(&file).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!holds(CANARY) && holds("an idea"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn only_who_administers_a_wiki_may_take_it_along() {
    let (server, operator, editor) = TestServer::with_garden().await;
    editor.on("garden").create("roses", "red").await.good();
    let reader = operator.token("garden", "reader").await;
    let admin = operator.token("garden", "admin").await;
    operator.create_wiki("shed").await.good();
    let other = operator.token("shed", "admin").await;
    for user in [&reader, &editor] {
        user.on("garden").api(Method::GET, "/export").await.problem("forbidden");
    }
    for user in [&server.anonymous(), &other] {
        user.on("garden").api(Method::GET, "/export").await.problem("unknown_wiki");
    }
    let files = entries(server.dir());
    for user in [&operator, &admin] {
        let file = user.on("garden").api(Method::GET, "/export").await.good();
        for (name, value) in [
            ("content-type", "application/x-tar"),
            ("content-disposition", "attachment; filename=\"garden.wiki.tar\""),
            ("cache-control", "private, no-store"),
            ("vary", "authorization"),
        ] {
            assert_eq!(file.header(name), value);
        }
        assert_eq!(file.bytes().len() % 512, 0);
    }
    // To look at a wiki that can't be changed takes no more than before.
    operator.change_wiki("garden", json!({ "state": "read_only" })).await.good();
    admin.on("garden").api(Method::GET, "/export").await.good();
    let head = admin.on("garden").api(Method::HEAD, "/export").await.good();
    assert!(head.bytes().is_empty());
    assert_eq!(head.header("content-type"), "application/x-tar");
    assert_eq!(entries(server.dir()), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_of_one_moment_while_others_save() {
    let (server, operator, editor) = TestServer::with_garden().await;
    editor.on("garden").create("first", "text").await.good();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = |number: usize| {
        let (wiki, done) = (editor.on("garden"), done.clone());
        wikigrove_tenant::spawn(async move {
            let mut saves = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                // A draft becomes a save: it is in the history or among the drafts, and never lost.
                let path = format!("{number}/{saves}");
                wiki.put_draft(&path, "text").await.good();
                wiki.create(&path, "text").await.good();
                saves += 1;
            }
            saves
        })
    };
    let writers: Vec<_> = (0..4).map(writer).collect();
    let scratch = testkit::scratch();
    let there = program(scratch.path(), "there");
    for round in 0..5 {
        let answer = operator.on("garden").api(Method::GET, "/export").await.good();
        let file = scratch.path().join(format!("{round}.tar"));
        std::fs::write(&file, answer.bytes()).unwrap();
        let slug = format!("copy-{round}");
        let report = import(&there, &slug, &file, &[]);
        let git = there.git(&slug);
        assert_eq!(report["head"], git.run(&["rev-parse", "main"]));
        git.fsck();
        let db = Connection::open(dir(&there, &slug).join("wiki.db")).unwrap();
        let sql = "select pagepath from drafts";
        let mut drafts = db.prepare(sql).unwrap();
        let drafts = drafts.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let drafts: BTreeSet<_> = drafts.map(Result::unwrap).collect();
        let files = git.run(&["ls-tree", "-r", "-z", "--name-only", "main"]);
        let pages: BTreeSet<_> = files
            .split('\0')
            .filter_map(|file| file.strip_suffix(".md"))
            .map(str::to_owned)
            .collect();
        assert!(!pages.is_empty());
        assert!(drafts.is_disjoint(&pages), "{drafts:?}");
        for number in 0..4 {
            // What this writer began last is here, one way or the other, and so is all before it.
            let begun = |at: usize| {
                let path = format!("{number}/{at}");
                pages.contains(&path) || drafts.contains(&path)
            };
            let of_this = |path: &&String| path.starts_with(&format!("{number}/"));
            let count = pages.iter().chain(&drafts).filter(of_this).count();
            assert!((0..count).all(begun), "{number}: {pages:?} {drafts:?}");
        }
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 0);
    }
    server.stop().await;
}

#[test]
fn a_wiki_without_a_commit_goes_and_comes_too() {
    let scratch = testkit::scratch();
    let (here, there) = (program(scratch.path(), "here"), program(scratch.path(), "there"));
    assert!(here.run(&["wiki", "create", "empty"]).status.success());
    let file = scratch.path().join("empty.tar");
    let report = export(&here, "empty", &file);
    assert_eq!(report["head"], Value::Null);
    assert!(!dir(&here, "empty").join("wiki.db").exists());
    let report = import(&there, "copy", &file, &[]);
    assert_eq!((&report["head"], &report["pages"]), (&Value::Null, &json!(0)));
    assert_eq!(there.git("copy").run(&["symbolic-ref", "HEAD"]), "refs/heads/main");
    // Once more, by way of a pipe.
    let output = there.run(&["wiki", "export", "copy", "-"]);
    assert!(output.status.success());
    std::fs::write(scratch.path().join("again.tar"), output.stdout).unwrap();
    import(&there, "again", &scratch.path().join("again.tar"), &[]);
}

/// As somebody does who has read nothing of data directories.
#[test]
fn everything_goes_and_comes_where_names_are_relative() {
    let scratch = testkit::scratch();
    Git::init(scratch.path().join("source")).write("home.md", "text").commit("one");
    let program = crate::program_within(scratch.path());
    for args in [
        &["wiki", "import", "--slug", "first", "source"][..],
        &["wiki", "export", "first", "first.tar"],
        &["wiki", "import", "--slug", "second", "first.tar"],
    ] {
        let (code, _, said) = program.ask(args);
        assert_eq!(code, Some(0), "{args:?}: {said}");
    }
    let (code, _, said) = program.ask(&["remote", "list", "--data", "elsewhere"]);
    assert_eq!((code, said.contains("no data directory")), (Some(1), true), "{said}");
    assert!(!scratch.path().join("elsewhere").exists(), "looking makes nothing");
}

#[test]
fn a_real_project_with_a_long_history_goes_and_comes() {
    let scratch = testkit::scratch();
    let program = program(scratch.path(), "data");
    import(&program, "rfcs", &test_data("rust-rfcs.bundle"), &[]);
    let file = scratch.path().join("rfcs.tar");
    export(&program, "rfcs", &file);
    let report = import(&program, "copy", &file, &[]);
    let (one, two) = (program.git("rfcs"), program.git("copy"));
    assert_eq!(report["head"], one.run(&["rev-parse", "master"]));
    assert_eq!(two.run(&["rev-list", "--count", "master"]), "8140");
    assert_eq!(two.run(&["symbolic-ref", "HEAD"]), "refs/heads/master");
    assert_eq!(report["pages"], 654);
    two.fsck();
}

#[test]
fn a_later_export_brings_an_earlier_import_up_to_date() {
    let scratch = testkit::scratch();
    let (here, there) = (program(scratch.path(), "here"), program(scratch.path(), "there"));
    let source = Git::init(scratch.path().join("source"));
    source.write("home.md", "1").commit("one");
    import(&here, "garden", source.dir(), &[]);
    export(&here, "garden", &scratch.path().join("1.tar"));
    import(&there, "garden", &scratch.path().join("1.tar"), &[]);
    source.write("home.md", "2").commit("two");
    import(&here, "garden", source.dir(), &["--update"]);
    let db = Connection::open(dir(&here, "garden").join("wiki.db")).unwrap();
    db.execute("insert into preferences values ('SITE_NAME', 'G')", []).unwrap();
    drop(db);
    export(&here, "garden", &scratch.path().join("2.tar"));
    let second = scratch.path().join("2.tar");
    import(&there, "garden", &second, &["--update", "--dry-run"]);
    let report = import(&there, "garden", &second, &["--update"]);
    assert_eq!(report["updated"]["taken"], json!(["preference SITE_NAME"]));
    assert_eq!(report["head"], source.run(&["rev-parse", "main"]));
    // Not the other way round: an older file has nothing to add.
    let first = scratch.path().join("1.tar");
    let args = ["wiki", "import", "--update", "--slug", "garden", first.to_str().unwrap()];
    let (code, said) = told(there.run(&args));
    assert_eq!((code, said.contains("can't simply follow it")), (Some(1), true), "{said}");
}

#[test]
fn an_export_that_cannot_be_made_leaves_nothing() {
    let scratch = testkit::scratch();
    let program = program(scratch.path(), "data");
    assert!(program.run(&["wiki", "create", "garden"]).status.success());
    let file = scratch.path().join("there");
    std::fs::write(&file, "precious").unwrap();
    let missing = scratch.path().join("no/such/dir");
    let before = entries(scratch.path());
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    for (slug, to, code) in [
        ("garden", path(&file), 1),
        ("garden", path(&missing), 1),
        ("none", path(&scratch.path().join("new")), 1),
    ] {
        let (found, said) = told(program.run(&["wiki", "export", slug, &to]));
        assert_eq!(found, Some(code), "{slug} {to}: {said}");
        assert_eq!(entries(scratch.path()), before);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    for args in [&["garden"][..], &["garden", "file", "--otterwiki", "dir"]] {
        let args = [&["wiki", "export"], args].concat();
        assert_eq!(program.run(&args).status.code(), Some(2), "{args:?}");
    }
}

/// How many processes work in a directory.
fn working_in(dir: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let places = processes.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    places.filter(|place| place == dir).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_git() {
    let scratch = testkit::scratch();
    let program = program(scratch.path(), "data");
    import(&program, "rfcs", &test_data("rust-rfcs.bundle"), &[]);
    let server = program.serve();
    let token = server.operator().secret().to_owned();
    let repo = program.git("rfcs").dir().canonicalize().unwrap();
    let mut seen = 0;
    for _ in 0..5 {
        let mut stream = tokio::net::TcpStream::connect(server.public_address()).await.unwrap();
        let request = format!(
            "GET /w/rfcs/api/v1/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        // The head is there while git still works.
        let mut beginning = [0; 15];
        stream.read_exact(&mut beginning).await.unwrap();
        assert_eq!(&beginning, b"HTTP/1.1 200 OK");
        seen += working_in(&repo);
        drop(stream);
        let ended = async {
            while working_in(&repo) > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let limit = std::time::Duration::from_secs(30);
        tokio::time::timeout(limit, ended).await.expect("git ends");
    }
    assert!(seen > 0, "git was never met at work");
    server.stop();
}
