//! `wikigrove wiki import`: a git history becomes a wiki.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use testkit::{Git, Program, entries, test_data};

fn program(scratch: &Path) -> Program {
    crate::program(&scratch.join("data"))
}

/// Runs an import; returns its exit code and what it said.
fn import(program: &Program, slug: &str, source: &Path) -> (Option<i32>, String) {
    let source = source.to_str().unwrap();
    let visible = ["--visibility", "public_read"];
    let args = [&["wiki", "import", "--slug", slug], &visible[..], &[source]].concat();
    let output = program.run(&args);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A repository with two commits and names that wikis would not choose.
fn odd_repository(dir: &Path) -> Git {
    let git = Git::init(dir);
    git.write("Home.md", "# Home\n").write("sub dir/page:with? odd*name.md", "odd\n").commit("one");
    git.write("Home.md", "# Home\n\nmore\n").write("picture.png", b"\x89PNG").commit("two");
    git
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_project_is_imported_with_every_page_and_its_whole_history() {
    let scratch = testkit::scratch();
    let program = program(scratch.path());
    let (code, said) = import(&program, "rfcs", &test_data("rust-rfcs.bundle"));
    assert_eq!(code, Some(0), "{said}");
    let git = program.git("rfcs");
    assert_eq!(git.run(&["rev-list", "--count", "master"]), "8140");
    git.fsck();

    let server = program.serve();
    let rfcs = server.anonymous();
    let listed = rfcs.on("rfcs").pages().await;
    assert_eq!(listed.len(), 654);
    for (at, page) in listed.iter().enumerate() {
        let path = page["path"].as_str().unwrap();
        let stored = git.bytes(&["cat-file", "blob", &format!("master:{path}.md")]);
        let read = rfcs.on("rfcs").read(path).await.good().json();
        assert_eq!(read["content"].as_str().unwrap().as_bytes(), stored, "{path}");
        assert_eq!(rfcs.on("rfcs").markdown(path).await.good().bytes(), stored, "{path}");
        assert_eq!(page["size"], stored.len());
        if at % 16 == 0 {
            let last =
                git.run(&["log", "-1", "--format=%H", "master", "--", &format!("{path}.md")]);
            assert_eq!(page["revision"], last, "{path}");
        }
    }

    let operator = server.operator();
    let saved = operator.on("rfcs").create("notes/ours", "on top\n").await.good().json();
    assert_eq!(git.run(&["rev-parse", "master"]), saved["revision"].as_str().unwrap());
    assert_eq!(git.run(&["rev-list", "--count", "master"]), "8141");
    server.stop();
    git.fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_are_imported_bare_or_not() {
    let scratch = testkit::scratch();
    let source = odd_repository(&scratch.path().join("source"));
    source.run(&["clone", "-q", "--bare", ".", "../bare"]);
    let program = program(scratch.path());
    for (slug, path) in [("tree", "source"), ("bare", "bare")] {
        let (code, said) = import(&program, slug, &scratch.path().join(path));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&source.run(&["rev-parse", "HEAD"])), "{said}");
    }
    let server = program.serve();
    for slug in ["tree", "bare"] {
        let reader = server.anonymous().on(slug);
        let paths: Vec<_> = reader
            .pages()
            .await
            .iter()
            .map(|page| page["path"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(paths, ["Home", "sub dir/page:with? odd*name"]);
        assert_eq!(
            reader.read("sub dir/page:with? odd*name").await.good().json()["content"],
            "odd\n"
        );
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_branch_that_head_names_is_the_one_that_is_taken() {
    let scratch = testkit::scratch();
    let source = odd_repository(&scratch.path().join("source"));
    source.run(&["checkout", "-q", "-b", "trunk"]);
    source.write("Home.md", "# Trunk\n").commit("three");
    // What isn't committed isn't part of it.
    source.write("draft.md", "draft");
    let program = program(scratch.path());
    assert_eq!(import(&program, "garden", source.dir()).0, Some(0));
    let server = program.serve();
    let garden = server.operator().on("garden");
    assert_eq!(garden.read("Home").await.good().json()["title"], "Trunk");
    garden.read("draft").await.problem("page_not_found");
    let saved = garden.create("new", "x").await.good().json();
    let git = program.git("garden");
    assert_eq!(git.run(&["for-each-ref", "--format=%(refname)"]), "refs/heads/trunk");
    assert_eq!(saved["revision"], git.run(&["rev-parse", "trunk"]).as_str());
    // The other files of the repository stay.
    assert_eq!(git.bytes(&["show", "trunk:picture.png"]), b"\x89PNG");
}

#[test]
fn what_cannot_be_imported_leaves_nothing() {
    let scratch = testkit::scratch();
    let program = program(scratch.path());
    let path = |name: &str| scratch.path().join(name);
    std::fs::write(path("text"), "a shopping list").unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    Git::init(path("unborn"));
    let bundle = std::fs::read(test_data("rust-rfcs.bundle")).unwrap();
    std::fs::write(path("cut.bundle"), &bundle[..bundle.len() / 2]).unwrap();
    std::fs::write(path("header.bundle"), "# v2 git bundle\nnonsense\n").unwrap();
    let damaged = odd_repository(&path("damaged"));
    let blob = damaged.run(&["rev-parse", "HEAD:Home.md"]);
    let object = damaged.dir().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    std::fs::remove_file(object).unwrap();
    assert_eq!(program.run(&["wiki", "list"]).status.code(), Some(0));
    let before = entries(program.data());
    for (source, expected) in [
        ("text", "neither a git repository nor a git bundle"),
        ("empty", "neither a git repository nor a git bundle"),
        ("unborn", "no branch"),
        ("missing", "can't be read"),
        ("cut.bundle", "git fetch failed"),
        ("header.bundle", "git ls-remote failed"),
        ("damaged", "git fetch failed"),
    ] {
        let (code, said) = import(&program, "new", &path(source));
        assert_eq!(code, Some(1), "{source}: {said}");
        assert!(said.contains(expected), "{source}: {said}");
        assert_eq!(entries(program.data()), before, "{source}");
    }
    odd_repository(&path("source"));
    assert_eq!(import(&program, "new", &path("source")).0, Some(0));
    let (code, said) = import(&program, "new", &path("source"));
    assert_eq!(code, Some(1));
    assert!(said.contains("`new` is taken"), "{said}");
}

/// A data directory with the wiki `victim`, whose page holds a secret.
fn victim(scratch: &Path) -> (Program, PathBuf) {
    let program = program(scratch);
    Git::init(scratch.join("victims")).write("secret.md", "TOPSECRET").commit("one");
    assert_eq!(import(&program, "victim", &scratch.join("victims")).0, Some(0));
    let repo = program.data().join("wikis/victim/repo");
    (program, repo)
}

/// A repository that holds nothing yet but its own name of a branch.
fn hollow(dir: &Path) {
    std::fs::create_dir_all(dir.join("objects/info")).unwrap();
    std::fs::create_dir_all(dir.join("refs/heads")).unwrap();
    std::fs::write(dir.join("HEAD"), "ref: refs/heads/main\n").unwrap();
}

#[test]
fn an_upload_brings_in_nothing_of_others() {
    let scratch = testkit::scratch();
    let (program, repo) = victim(scratch.path());
    let head = Git::at(&repo).run(&["rev-parse", "main"]);
    let path = |name: &str| scratch.path().join("uploads").join(name);
    let tables = "create table preferences (name, value)";
    let database = |name: &str, file: &str| {
        std::fs::create_dir_all(path(name)).unwrap();
        rusqlite::Connection::open(path(name).join(file)).unwrap().execute_batch(tables).unwrap();
    };
    // The wiki's own directories, and files in them.
    database("link", "wiki.db");
    symlink(&repo, path("link/repo")).unwrap();
    database("otter", "db.sqlite");
    symlink(&repo, path("otter/repository")).unwrap();
    std::fs::create_dir_all(path("git")).unwrap();
    symlink(&repo, path("git/.git")).unwrap();
    symlink(&repo, path("all")).unwrap();
    for (name, what) in [("objects", "objects"), ("refs", "refs"), ("head", "HEAD")] {
        hollow(&path(name));
        std::fs::write(path(name).join("refs/heads/main"), &head).unwrap();
        let at = path(name).join(what);
        if at.is_dir() { std::fs::remove_dir_all(&at) } else { std::fs::remove_file(&at) }.unwrap();
        symlink(repo.join(what), at).unwrap();
    }
    // One step further down.
    hollow(&path("branch"));
    symlink(repo.join("refs/heads/main"), path("branch/refs/heads/main")).unwrap();
    hollow(&path("pack"));
    std::fs::write(path("pack/refs/heads/main"), &head).unwrap();
    symlink(repo.join("objects/pack"), path("pack/objects/pack")).unwrap();
    hollow(&path("file"));
    std::fs::write(path("file/refs/heads/main"), &head).unwrap();
    std::fs::create_dir(path("file/objects/pack")).unwrap();
    for entry in std::fs::read_dir(repo.join("objects/pack")).unwrap().flatten() {
        symlink(entry.path(), path("file/objects/pack").join(entry.file_name())).unwrap();
    }
    // What git itself follows.
    for (name, file, content) in [
        ("alternates", "objects/info/alternates", repo.join("objects")),
        ("http", "objects/info/http-alternates", repo.join("objects")),
        ("common", "commondir", repo.clone()),
    ] {
        hollow(&path(name));
        std::fs::write(path(name).join("refs/heads/main"), &head).unwrap();
        std::fs::write(path(name).join(file), format!("{}\n", content.display())).unwrap();
    }
    std::fs::create_dir(path("gitfile")).unwrap();
    std::fs::write(path("gitfile/.git"), format!("gitdir: {}\n", repo.display())).unwrap();

    let before = entries(program.data());
    for entry in std::fs::read_dir(scratch.path().join("uploads")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let (code, said) = import(&program, "stolen", &entry.path());
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(said.contains("can't be imported: "), "{name}: {said}");
        assert_eq!(entries(program.data()), before, "{name}");
    }
    let all = scratch.path().join("uploads");
    let output = program.run(&["wiki", "import", "--all", all.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(entries(program.data()), before);
}

#[test]
fn what_a_repository_says_of_itself_is_not_believed() {
    let scratch = testkit::scratch();
    let program = program(scratch.path());
    let source = odd_repository(&scratch.path().join("source"));
    source.run(&["checkout", "-q", "-b", "topic/a"]);
    source.write("Home.md", "# Topic\n").commit("three");
    source.run(&["pack-refs", "--all"]);
    source.write("Home.md", "# Topic, again\n").commit("four");
    let head = source.run(&["rev-parse", "HEAD"]);
    let first = source.run(&["rev-list", "--max-parents=0", "HEAD"]);
    source.run(&["replace", &head, &first]);
    source.run(&["symbolic-ref", "refs/heads/name", "refs/heads/main"]);
    let ran = scratch.path().join("ran");
    let run = format!("touch {}", ran.display());
    for (name, value) in [
        ("core.fsmonitor", run.as_str()),
        ("core.sshCommand", &run),
        ("uploadpack.packObjectsHook", &run),
        ("include.path", "/nowhere/at/all"),
        ("core.worktree", "/"),
        ("extensions.worktreeConfig", "true"),
        ("core.alternateRefsCommand", &run),
    ] {
        source.run(&["config", name, value]);
    }
    let git_dir = source.dir().join(".git");
    std::fs::write(git_dir.join("info/grafts"), format!("{head}\n")).unwrap();
    std::fs::create_dir_all(git_dir.join("hooks")).unwrap();
    let (code, said) = import(&program, "garden", source.dir());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&head), "{said}");
    let git = program.git("garden");
    assert_eq!(git.run(&["rev-parse", "topic/a"]), head);
    assert_eq!(git.run(&["rev-list", "--count", "topic/a"]), "4");
    assert_eq!(git.run(&["show", "topic/a:Home.md"]), "# Topic, again");
    assert_eq!(git.run(&["for-each-ref", "--format=%(refname)"]), "refs/heads/topic/a");
    assert!(!program.data().join("wikis/garden/source").exists());
    git.fsck();
    assert!(!ran.exists());
    // Nothing of the source was changed by being taken.
    assert_eq!(source.run(&["--no-replace-objects", "fsck", "--full", "--no-dangling"]), "");
}

#[test]
fn a_history_that_is_not_whole_says_what_helps() {
    let scratch = testkit::scratch();
    let program = program(scratch.path());
    let source = odd_repository(&scratch.path().join("source"));
    let from = format!("file://{}", source.dir().display());
    Git::clone_with(&from, scratch.path().join("shallow"), &["--depth", "1"]);
    Git::clone_with(
        &from,
        scratch.path().join("shared"),
        &["--reference", source.dir().to_str().unwrap()],
    );
    for (name, helps) in [("shallow", "git fetch --unshallow"), ("shared", "git repack -a -d")] {
        let (code, said) = import(&program, "new", &scratch.path().join(name));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(helps), "{said}");
    }
}

#[test]
fn wrong_use_and_a_running_server_are_told_apart() {
    let scratch = testkit::scratch();
    let program = program(scratch.path());
    odd_repository(&scratch.path().join("source"));
    for args in [
        &["wiki", "import"][..],
        &["wiki", "import", "x"],
        &["wiki", "import", "--slug", "../etc", "x"],
        &["wiki", "import", "--slug", "admin", "x"],
        &["wiki", "import", "--slug", "new", "--visibility", "secret", "x"],
        &["wiki", "create", "Not A Slug"],
        &["serve", "--listen", "nowhere"],
        &["no-such-command"],
    ] {
        assert_eq!(program.run(args).status.code(), Some(2), "{args:?}");
    }
    assert!(!program.data().exists());
    let server = program.serve();
    let (code, said) = import(&program, "new", &scratch.path().join("source"));
    assert_eq!(code, Some(1));
    assert!(said.contains("in use by another process"), "{said}");
    let output = program.run(&["token", "create", "--operator"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("in use by another process") && said.contains("admin API"), "{said}");
    // These go through it.
    assert!(program.run(&["wiki", "create", "new", "--title", "News"]).status.success());
    let listed = program.run(&["wiki", "list"]).stdout;
    assert!(String::from_utf8_lossy(&listed).contains("News"));
    server.stop();
}
