//! Objects that `git fsck` finds odd: what git and its hosts carry is carried, and what could do harm is refused
//! at every door, in plain words.

use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use testkit::{Git, TestRemote, TestServer, Tie};

use super::{import, imported, logged, reads_as_git_does, repository_of};

/// The cases that are repositories which git reads.
const CARRIED: [&str; 7] = [
    "import-zero-padded",
    "import-bad-timezone",
    "import-no-space-before-email",
    "import-email-twice",
    "import-no-date",
    "mode-100664",
    "commit-encoding",
];

/// A repository with one page and, on top, a commit whose text is given. `{}` stands for its tree and parent.
fn with_commit(dir: &Path, text: &[u8]) -> Git {
    let git = Git::init(dir);
    git.write("home.md", "# Home\n\ntext\n").commit("first");
    let (tree, head) = (git.run(&["rev-parse", "HEAD^{tree}"]), git.run(&["rev-parse", "HEAD"]));
    let links = format!("tree {tree}\nparent {head}\n");
    let commit = [links.as_bytes(), text].concat();
    let args = ["hash-object", "-t", "commit", "-w", "--literally", "--stdin"];
    let id = git.run_with(&args, &commit);
    git.run(&["update-ref", "refs/heads/main", id.trim()]);
    git
}

/// A repository with two pages and, on top, a commit whose tree has other modes.
fn with_tree(dir: &Path, entries: &[(&str, &str, &str)]) -> Git {
    let git = Git::init(dir);
    git.write("home.md", "# Home\n").write("s/x.md", "# X\n").commit("first");
    let mut tree = Vec::new();
    for (mode, name, of) in entries {
        let id = git.run(&["rev-parse", &format!("HEAD:{of}")]);
        tree.extend(format!("{mode} {name}\0").bytes());
        tree.extend(data_encoding::HEXLOWER.decode(id.as_bytes()).unwrap());
    }
    let args = ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"];
    let tree = git.run_with(&args, &tree);
    let commit = git.run(&["commit-tree", "-p", "HEAD", "-m", "odd", tree.trim()]);
    git.run(&["update-ref", "refs/heads/main", &commit]);
    git
}

const COMMITTER: &str = "committer Ann <a@b> 1600000001 +0000\n";

/// Author lines that old tools wrote.
const AUTHORS: [&str; 15] = [
    "author <a@b> 1600000001 +0000\n",
    "author  <a@b> 1600000001 +0000\n",
    "author Ann 1600000001 +0000\n",
    "author Ann <a@b 1600000001 +0000\n",
    "author Ann a@b> 1600000001 +0000\n",
    "author A>nn <a@b> 1600000001 +0000\n",
    "author Ann <<a@b>> 1600000001 +0000\n",
    "author Ann <a@b>1600000001 +0000\n",
    "author Ann <a@b> 0001600000001 +0000\n",
    "author Ann <a@b> 99999999999999999999999 +0000\n",
    "author Ann <a@b> Thu Jan 1 00:00:00 2009\n",
    "author Ann <a@b> 1600000001\n",
    "author Ann <a@b> 1600000001 --700\n",
    "author Ann <a@b> 1600000001 +0000 (CET)\n",
    "author Ann <a@b> 1600000001 +0000\nauthor Bob <b@c> 1600000002 +0000\n",
];

/// Committer lines, which walks through the history order commits by.
const COMMITTERS: [&str; 3] =
    ["committer Ann\n", "committer Ann <a@b>\n", "committer Ann<a@b> 1600000001 +051800\n"];

#[tokio::test(flavor = "multi_thread")]
async fn what_git_carries_is_imported_exported_cloned_and_read() {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let mut sources = Vec::new();
    for id in CARRIED {
        sources.push((id.to_owned(), Git::at(repository_of(id, scratch.path()))));
    }
    let place = |name: &str| scratch.path().join("made").join(name);
    for (at, author) in AUTHORS.iter().enumerate() {
        let name = format!("author-{at}");
        let text = format!("{author}{COMMITTER}\nx\n");
        sources.push((name.clone(), with_commit(&place(&name), text.as_bytes())));
    }
    for (at, committer) in COMMITTERS.iter().enumerate() {
        let name = format!("committer-{at}");
        let text = format!("author Ann <a@b> 1600000001 +0000\n{committer}\nx\n");
        sources.push((name.clone(), with_commit(&place(&name), text.as_bytes())));
    }
    let text = format!("author Ann <a@b> 1600000001 +0000\n{COMMITTER}");
    sources.push(("no-message".to_owned(), with_commit(&place("none"), text.as_bytes())));
    for (encoding, name, message) in [
        ("ISO-8859-1", &b"Andr\xe9"[..], &b"caf\xe9"[..]),
        ("CP1251", b"\xc0\xed\xed\xe0", b"\xcf\xf0\xe8\xe2\xe5\xf2"),
        ("EUC-JP", b"\xc6\xfc\xcb\xdc", b"\xc6\xfc\xcb\xdc"),
        ("KOI8-R", b"\xe1\xce\xce\xc1", b"\xf0\xd2\xc9\xd7\xc5\xd4"),
    ] {
        let person = [name, b" <a@b> 1600000001 +0000\n"].concat();
        let header = format!("encoding {encoding}\n\n");
        let parts: [&[u8]; 7] =
            [b"author ", &person, b"committer ", &person, header.as_bytes(), message, b"\n"];
        let slug = format!("in-{}", encoding.to_lowercase());
        sources.push((slug.clone(), with_commit(&place(&slug), &parts.concat())));
    }
    for (name, mode) in [("g", "100664"), ("w", "100666"), ("old", "100600"), ("run", "100775")] {
        let entries = [(mode, "home.md", "home.md"), ("40000", "s", "s")];
        sources.push((format!("mode-{name}"), with_tree(&place(name), &entries)));
    }
    let padded = [("0100644", "home.md", "home.md"), ("040000", "s", "s")];
    sources.push(("padded-file".to_owned(), with_tree(&place("padded"), &padded)));

    for (slug, git) in &sources {
        imported(&program, slug, git.dir());
        let file = scratch.path().join(format!("{slug}.tar"));
        let output = program.run(&["wiki", "export", slug, file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{slug}: {output:?}");
        imported(&program, &format!("{slug}-again"), &file);
        let bundle = scratch.path().join(format!("{slug}.bundle"));
        git.run(&["bundle", "create", "-q", bundle.to_str().unwrap(), "--all"]);
        imported(&program, &format!("{slug}-bundle"), &bundle);
    }
    let clones = scratch.path().join("clones");
    std::fs::create_dir(&clones).unwrap();
    let server = program.serve();
    for (slug, git) in &sources {
        let head = git.run(&["rev-parse", "main"]);
        for suffix in ["", "-again", "-bundle"] {
            let name = format!("{slug}{suffix}");
            assert_eq!(program.git(&name).run(&["rev-parse", "main"]), head, "{name}");
        }
        let wiki = server.operator().on(slug);
        reads_as_git_does(&wiki, git, "main").await;
        let clone = Git::clone(&wiki.git_url(), clones.join(slug));
        assert_eq!(logged(&clone, "HEAD"), logged(git, "main"), "{slug}");
        // The wiki is written on top of it.
        wiki.create("notes/ours", "on top\n").await.good();
        clone.run(&["pull", "-q", "--ff-only"]);
        assert_eq!(clone.run(&["rev-parse", "HEAD~"]), head, "{slug}");
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_mode_of_a_file_is_a_page_that_can_be_changed() {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let said = imported(&program, "garden", &repository_of("mode-100664", scratch.path()));
    assert!(said.contains("1 of them pages"), "{said}");
    let server = program.serve();
    let garden = server.operator().on("garden");
    assert_eq!(garden.pages().await.len(), 1);
    let page = garden.read("home").await.good().json();
    garden.create("home", "other\n").await.problem("page_exists");
    garden.save("home", page["etag"].as_str().unwrap(), "# H\n\nmore\n").await.good();
    let tree = program.git("garden").run(&["ls-tree", "main"]);
    assert!(tree.starts_with("100644 blob"), "{tree}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_brought_up_to_date_with_odd_commits() {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let text = format!("author Ann <a@b> 1600000001 +051800\n{COMMITTER}\nx\n");
    let git = with_commit(&scratch.path().join("source"), text.as_bytes());
    let odd = git.run(&["rev-parse", "main"]);
    git.run(&["reset", "-q", "--hard", "HEAD~"]);
    imported(&program, "garden", git.dir());
    git.run(&["reset", "-q", "--hard", &odd]);
    for options in [&["--update", "--dry-run"][..], &["--update"]] {
        let (code, said) = super::import_with(&program, "garden", git.dir(), options);
        assert_eq!(code, Some(0), "{said}");
    }
    assert_eq!(program.git("garden").run(&["rev-parse", "main"]), odd);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_carries_is_taken_by_a_push_and_by_synchronising() {
    let scratch = testkit::scratch();
    let (server, operator) = TestServer::start().await;
    for id in CARRIED {
        let git = Git::at(repository_of(id, scratch.path()));
        let head = git.run(&["rev-parse", "main"]);
        let pushed = format!("push-{id}");
        operator.create_wiki(&pushed).await.good();
        let editor = operator.token(&pushed, "editor").await.on(&pushed);
        git.run(&["push", "-q", &editor.git_url(), "main"]);
        assert_eq!(server.git(&pushed).run(&["rev-parse", "main"]), head, "{id}");
        reads_as_git_does(&editor, &git, "main").await;

        let synced = format!("sync-{id}");
        let remote = TestRemote::start().await;
        git.run(&["push", "-q", remote.git().dir().to_str().unwrap(), "main"]);
        operator.create_wiki(&synced).await.good();
        let tie = Tie::new(&operator, &synced, &remote.url("127.0.0.1"), json!({})).await;
        tie.run_synced().await;
        assert_eq!(server.git(&synced).run(&["rev-parse", "main"]), head, "{id}");
        let wiki = operator.on(&synced);
        reads_as_git_does(&wiki, &git, "main").await;
        wiki.create("notes", "on top\n").await.good();
        tie.run_synced().await;
        assert_eq!(remote.git().run(&["rev-parse", "main~"]), head, "{id}");
    }
}

/// Repositories that are refused: what the object is told to be, and whether a clone of it would do harm.
fn refused(place: &Path) -> Vec<(&'static str, Git, bool)> {
    let commit = |name: &str, text: &[u8]| with_commit(&place.join(name), text);
    let tree = |name: &str, entries: &[(&str, &str, &str)]| with_tree(&place.join(name), entries);
    let people = format!("author Ann <a@b> 1600000001 +0000\n{COMMITTER}");
    let no_author = format!("{COMMITTER}\nx\n");
    let nul = [people.as_bytes(), b"\na\0b\n"].concat();
    vec![
        ("into its `.git`", tree("dot-git", &[("40000", ".git", "s")]), true),
        ("into its `.git`", tree("short", &[("40000", "GIT~1", "s")]), true),
        ("out of the folder", tree("up", &[("40000", "..", "s")]), true),
        ("named `.`", tree("dot", &[("40000", ".", "s")]), true),
        ("a slash in its name", tree("slash", &[("100644", "a/b", "home.md")]), true),
        (
            "aren't in order",
            tree("order", &[("100644", "z", "home.md"), ("100644", "a", "home.md")]),
            false,
        ),
        (
            "two entries of one name",
            tree("twice", &[("100644", "a", "home.md"), ("100644", "a", "home.md")]),
            false,
        ),
        ("without an author", commit("author", no_author.as_bytes()), false),
        ("a NUL byte", commit("nul", &nul), false),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_do_harm_is_refused_in_plain_words_at_every_door() {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let (server, operator) = TestServer::start().await;
    for (at, (why, git, is_harmful)) in refused(scratch.path()).into_iter().enumerate() {
        let (code, said) = import(&program, "new", git.dir());
        assert_eq!(code, Some(1), "{why}: {said}");
        assert!(said.contains(why) && said.contains("object "), "{why}: {said}");

        let slug = format!("wiki-{at}");
        operator.create_wiki(&slug).await.good();
        let url = operator.token(&slug, "editor").await.on(&slug).git_url();
        let output = git.output(&["push", &url, "main"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{why}: {said}");
        assert!(said.contains(why), "{why}: {said}");

        let remote = TestRemote::start().await;
        git.run(&["push", "-q", remote.git().dir().to_str().unwrap(), "main"]);
        let tie = Tie::new(&operator, &slug, &remote.url("127.0.0.1"), json!({})).await;
        tie.run().await;
        let link = match is_harmful {
            true => tie.state("needs_decision", Some("hostile_tree")).await,
            false => tie.state("paused", Some("unsupported")).await,
        };
        let error = link["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(why) && error.contains("object "), "{why}: {link:#}");
        if is_harmful {
            let question = operator.control(Method::GET, tie.path("/decision")).await.good().json();
            let told = question["error"].as_str().unwrap_or_default();
            assert!(told.contains(why), "{why}: {question:#}");
        }
        assert_eq!(server.git(&slug).output(&["rev-parse", "-q", "--verify", "main"]).stdout, b"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_time_zone_asks_for_no_decision() {
    super::super::case("sync-fsck-is-hostile-tree");
    let scratch = testkit::scratch();
    let git = Git::at(repository_of("import-bad-timezone", scratch.path()));
    let (_server, operator) = TestServer::start().await;
    operator.create_wiki("garden").await.good();
    let remote = TestRemote::start().await;
    git.run(&["push", "-q", remote.git().dir().to_str().unwrap(), "main"]);
    let tie = Tie::new(&operator, "garden", &remote.url("127.0.0.1"), json!({})).await;
    let link = tie.run_synced().await;
    assert_eq!((&link["reason"], &link["last_error"]), (&Value::Null, &Value::Null));
    operator.control(Method::GET, tie.path("/decision")).await.problem("nothing_to_decide");
}
