//! Repositories that are made up in other ways than usual: cut off, linked, detached, with very many refs.

use testkit::{Git, entries};

use super::{import, import_with, imported};

fn two_commits(dir: &std::path::Path) -> Git {
    let git = Git::init(dir);
    git.write("home.md", "# Home\n").commit("one");
    git.write("home.md", "# Home\n\nmore\n").commit("two");
    git
}

#[test]
fn a_history_that_is_cut_off_is_refused_and_no_empty_wiki() {
    super::super::case("import-shallow");
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let source = two_commits(&scratch.path().join("source"));
    let url = format!("file://{}", source.dir().display());
    let shallow = Git::clone_with(&url, scratch.path().join("s"), &["--depth", "1"]);
    let bare = Git::clone_with(&url, scratch.path().join("bare"), &["--bare", "--depth", "1"]);
    let bundle = scratch.path().join("cut.bundle");
    source.run(&["bundle", "create", "-q", bundle.to_str().unwrap(), "main~..main"]);
    let of_shallow = scratch.path().join("shallow.bundle");
    shallow.run(&["bundle", "create", "-q", of_shallow.to_str().unwrap(), "--all"]);
    assert_eq!(program.run(&["wiki", "list"]).status.code(), Some(0));
    let before = entries(program.data());
    for (path, why) in [
        (shallow.dir(), "git fetch --unshallow"),
        (bare.dir(), "git fetch --unshallow"),
        (&bundle, "cut off"),
        (&of_shallow, "cut off"),
    ] {
        for options in [&[][..], &["--dry-run"]] {
            let (code, said) = import_with(&program, "s", path, options);
            assert_eq!(code, Some(1), "{}: {said}", path.display());
            assert!(said.contains(why), "{}: {said}", path.display());
        }
        assert_eq!(entries(program.data()), before, "{}", path.display());
    }
    imported(&program, "s", source.dir());
    let (code, said) = import_with(&program, "s", shallow.dir(), &["--update"]);
    assert!(code == Some(1) && said.contains("git fetch --unshallow"), "{said}");
}

#[test]
fn a_linked_work_tree_is_imported_with_its_own_branch() {
    super::super::case("import-worktree");
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let source = two_commits(&scratch.path().join("r"));
    source.run(&["worktree", "add", "-q", "../wt", "-b", "w"]);
    source.run(&["worktree", "add", "-q", "--detach", "../loose", "main~"]);
    let linked = Git::at(scratch.path().join("wt"));
    linked.write("more.md", "more\n").commit("three");
    imported(&program, "linked", linked.dir());
    assert_eq!(program.git("linked").run(&["rev-parse", "w"]), linked.run(&["rev-parse", "HEAD"]));
    let said = imported(&program, "loose", &scratch.path().join("loose"));
    assert!(said.contains("detached"), "{said}");
    let taken = program.git("loose").run(&["rev-parse", "main"]);
    assert_eq!(taken, source.run(&["rev-parse", "main~"]));

    // A work tree that moved is known again once git was told.
    std::fs::rename(linked.dir(), scratch.path().join("moved")).unwrap();
    let (code, said) = import(&program, "moved", &scratch.path().join("moved"));
    assert!(code == Some(1) && said.contains("can't be imported"), "{said}");
    source.run(&["worktree", "repair", "../moved"]);
    imported(&program, "moved", &scratch.path().join("moved"));
}

#[test]
fn a_file_that_names_a_repository_of_others_is_not_followed() {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let source = two_commits(&scratch.path().join("r"));
    source.run(&["worktree", "add", "-q", "../wt", "-b", "w"]);
    let git_dir = source.dir().join(".git");
    for (name, to) in [("whole", git_dir.clone()), ("tree", git_dir.join("worktrees/wt"))] {
        let dir = scratch.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join(".git"), format!("gitdir: {}\n", to.display())).unwrap();
        let (code, said) = import(&program, "stolen", &dir);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("import that one"), "{said}");
    }
    // A directory that names the work tree, and leads to a repository that doesn't.
    let dir = scratch.path().join("forged");
    std::fs::create_dir_all(dir.join("own")).unwrap();
    std::fs::write(dir.join(".git"), "gitdir: own\n").unwrap();
    std::fs::write(dir.join("own/gitdir"), dir.join(".git").to_str().unwrap()).unwrap();
    std::fs::write(dir.join("own/HEAD"), "ref: refs/heads/main\n").unwrap();
    std::fs::write(dir.join("own/commondir"), git_dir.to_str().unwrap()).unwrap();
    let (code, said) = import(&program, "stolen", &dir);
    assert!(code == Some(1) && said.contains("import that one"), "{said}");
}

#[test]
fn the_commit_of_a_detached_head_and_other_default_branches_are_taken() {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let source = two_commits(&scratch.path().join("source"));
    let first = source.run(&["rev-parse", "HEAD~"]);
    source.run(&["checkout", "-q", "--detach", "HEAD~"]);
    let said = imported(&program, "detached", source.dir());
    assert!(said.contains("detached") && said.contains("refs/heads/main"), "{said}");
    assert_eq!(program.git("detached").run(&["rev-parse", "main"]), first);
    let bundle = scratch.path().join("head.bundle");
    source.run(&["bundle", "create", "-q", bundle.to_str().unwrap(), "HEAD"]);
    imported(&program, "bundle", &bundle);
    assert_eq!(program.git("bundle").run(&["rev-parse", "main"]), first);

    source.run(&["checkout", "-q", "main"]);
    source.run(&["branch", "-m", "main", "döcs/v2"]);
    imported(&program, "named", source.dir());
    let head = source.run(&["rev-parse", "HEAD"]);
    assert_eq!(program.git("named").run(&["rev-parse", "döcs/v2"]), head);
    // A HEAD that names a branch that isn't there yet.
    source.run(&["symbolic-ref", "HEAD", "refs/heads/none"]);
    imported(&program, "unborn", source.dir());
    assert_eq!(program.git("unborn").run(&["rev-parse", "döcs/v2"]), head);
}

#[test]
fn thousands_of_refs_are_one_line_with_a_number() {
    super::super::case("report-12728-lines");
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let source = two_commits(&scratch.path().join("source"));
    let head = source.run(&["rev-parse", "HEAD"]);
    let mut orders = String::new();
    for n in 0..1200 {
        orders += &format!("create refs/pull/{n}/head {head}\n");
    }
    for n in 0..30 {
        orders += &format!("create refs/tags/v{n} {head}\ncreate refs/heads/b{n} {head}\n");
    }
    source.run_with(&["update-ref", "--stdin"], orders.as_bytes());
    let said = imported(&program, "garden", source.dir());
    let lines: Vec<_> = said.lines().filter(|line| line.contains("branch")).collect();
    assert!(said.lines().count() < 10, "{said}");
    let counts = ["1260 others", "30 branches", "30 tags", "1200 of other kinds"];
    let text = lines.join(" ");
    let squeezed = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(counts.iter().all(|count| squeezed.contains(count)), "{text}\n{said}");
    // What git says of its own progress hides no error.
    let blob = source.run(&["rev-parse", "HEAD:home.md"]);
    let object = source.dir().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    std::fs::remove_file(object).unwrap();
    let (_, said) = import(&program, "damaged", source.dir());
    assert!(said.contains("git fetch failed") && !said.contains("objects:"), "{said}");
}

#[test]
fn grafts_are_named_with_what_helps() {
    super::super::case("replace-grafts");
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let source = two_commits(&scratch.path().join("source"));
    let (head, first) = (source.run(&["rev-parse", "HEAD"]), source.run(&["rev-parse", "HEAD~"]));
    std::fs::create_dir_all(source.dir().join(".git/info")).unwrap();
    let grafts = source.dir().join(".git/info/grafts");
    // A comment is none.
    std::fs::write(&grafts, "# old\n\n").unwrap();
    assert!(!imported(&program, "none", source.dir()).contains("grafts"));
    std::fs::write(&grafts, format!("{head}\n")).unwrap();
    let said = imported(&program, "whole", source.dir());
    assert!(said.contains("grafts"), "{said}");
    let object = source.dir().join(".git/objects").join(&first[..2]).join(&first[2..]);
    std::fs::remove_file(object).unwrap();
    let (code, said) = import(&program, "cut", source.dir());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("info/grafts") && said.contains("fast-import"), "{said}");
    // What it says helps.
    let mended = Git::init(scratch.path().join("mended"));
    let stream = source.bytes(&["-c", "advice.graftFileDeprecated=false", "fast-export", "--all"]);
    mended.bytes_with(&["fast-import", "--quiet"], &stream);
    imported(&program, "mended", mended.dir());
}
