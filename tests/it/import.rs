//! `wikigrove wiki import`: a git history becomes a wiki.

use std::path::Path;

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
