//! Wikis that are a part of a repository, and repositories that mirror a part of a wiki.

use std::path::PathBuf;

use super::*;
use crate::sync::Integrate;
use crate::testing::{Scratch, git};
use crate::{Integrated, PartComparison, Preview};

mod law;
mod rewritten;

const LINK: LinkId = LinkId(7);

/// A repository with a project's code and the wiki in its `docs`.
struct Project {
    remote: Scratch,
    wiki: Scratch,
    mapping: Mapping,
    dir: tempfile::TempDir,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        Self::mapped(files, "docs", "")
    }

    fn mapped(files: &[(&str, &str)], directory: &str, prefix: &str) -> Self {
        let project = Self {
            remote: Scratch::new(),
            wiki: Scratch::new(),
            mapping: Mapping::new(directory, prefix).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        };
        if !files.is_empty() {
            project.work(files);
        }
        project
    }

    /// Commits files to the repository; an empty text removes the file.
    fn work(&self, files: &[(&str, &str)]) -> Revision {
        let commit = self.remote.work_with_git(|tree| {
            for (path, text) in files {
                let path = tree.join(path);
                if text.is_empty() {
                    std::fs::remove_file(path).unwrap();
                } else {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, text).unwrap();
                }
            }
        });
        commit.parse().unwrap()
    }

    fn fetch(&self) -> PathBuf {
        let mut number = 0;
        let mut path = self.dir.path().join("0");
        while path.exists() {
            number += 1;
            path.set_file_name(number.to_string());
        }
        self.wiki.wiki().create_scratch(&path).unwrap();
        if self.tip().is_some() {
            let repo = self.remote.repo().display().to_string();
            git(&path, &["fetch", "--quiet", &repo, "+refs/heads/main:refs/wiki/incoming"]);
        }
        path
    }

    fn tip(&self) -> Option<Revision> {
        self.remote.wiki().head().unwrap()
    }

    fn try_pull(&self, max_deleted: Option<usize>) -> Result<Integrated, Error> {
        let path = self.fetch();
        let order = Integrate { max_deleted, ..self.order(&path, None) };
        self.wiki.wiki().integrate_part(&order, &self.mapping)
    }

    fn order<'a>(&self, scratch: &'a Path, base: Option<Revision>) -> Integrate<'a> {
        Integrate {
            scratch,
            incoming: self.tip().unwrap(),
            link: LINK,
            winner: Winner::Wiki,
            base,
            unrelated: false,
            max_conflicts: 100,
            max_deleted: None,
        }
    }

    fn compare(&self, seen: Revision) -> PartComparison {
        let (path, tip) = (self.fetch(), self.tip().unwrap());
        self.wiki.wiki().compare_part(&path, tip, Some(seen), LINK, &self.mapping).unwrap()
    }

    /// Integrates with `base` as the merge base, and asserts that the preview matches the outcome.
    fn pull_from(&self, base: Option<Revision>) -> Option<Preview> {
        let path = self.fetch();
        let (wiki, order) = (self.wiki.wiki(), self.order(&path, base));
        let before = self.wiki.paths();
        let preview = wiki.preview_part(&order, &self.mapping).unwrap();
        let integrated = wiki.integrate_part(&order, &self.mapping).unwrap();
        self.wiki.git(&["fsck", "--strict"]);
        let after = self.wiki.paths();
        let deleted = before.iter().filter(|page| !after.contains(page)).count();
        let conflicts = match integrated {
            Integrated::Merged { conflicts, .. } => conflicts,
            Integrated::Nothing => 0,
            refused => panic!("{refused:?}"),
        };
        let happened = Preview { pages: before.len(), deleted, conflicts };
        assert!(preview.is_none_or(|preview| preview == happened), "{preview:?} {happened:?}");
        preview
    }

    fn rewind(&self, to: Revision) {
        self.remote.git(&["update-ref", "refs/heads/main", &to.to_string()]);
    }

    fn pull(&self) -> Integrated {
        let integrated = self.try_pull(None).unwrap();
        self.wiki.git(&["fsck", "--strict"]);
        integrated
    }

    /// Makes the commits and pushes them, like a run of the link.
    fn push(&self) -> Outgoing {
        let path = self.fetch();
        let wiki = self.wiki.wiki();
        let outgoing = wiki.project(&path, self.tip(), LINK, &self.mapping).unwrap().unwrap();
        let again = wiki.project(&path, self.tip(), LINK, &self.mapping).unwrap().unwrap();
        assert_eq!(outgoing, again);
        if let Some(tip) = outgoing.tip {
            let repo = self.remote.repo().display().to_string();
            git(&path, &["push", "--quiet", &repo, &format!("{tip}:refs/heads/main")]);
        }
        self.remote.git(&["fsck", "--strict"]);
        outgoing
    }

    fn files(&self) -> Vec<String> {
        let files = self.remote.git(&["ls-tree", "-r", "--name-only", "main"]);
        files.lines().map(str::to_owned).collect()
    }

    fn log(&self, format: &str) -> Vec<String> {
        let log = self.remote.git(&["log", &format!("--format={format}"), "main"]);
        log.lines().map(str::to_owned).collect()
    }

    fn head(&self) -> Revision {
        self.wiki.wiki().head().unwrap().unwrap()
    }
}

#[test]
fn a_wiki_is_a_directory_of_a_project() {
    let project = Project::new(&[("code/main.rs", "fn main() {}"), ("docs/home.md", "text\n")]);
    project.wiki.wiki().set_links(vec![LINK]);
    assert!(matches!(project.pull(), Integrated::Merged { conflicts: 0, .. }));
    assert_eq!(project.wiki.paths(), ["home"]);
    let message = project.wiki.wiki().repo().commit(project.head()).unwrap().message;
    let tip = project.tip().unwrap();
    assert!(message.ends_with(&format!("\n\nWiki-Sync: 7 {tip}\n")), "{message}");
    assert_eq!(project.push().commits, 0);

    project.wiki.update("home", "more\n");
    let last = project.wiki.create("a/b", "below\n").revision;
    let code = project.remote.git(&["rev-parse", "main:code"]);
    let outgoing = project.push();
    assert_eq!((outgoing.commits, outgoing.local), (2, last));
    assert_eq!(project.files(), ["code/main.rs", "docs/a/b.md", "docs/home.md"]);
    assert_eq!(project.remote.git(&["rev-parse", "main:code"]), code);
    assert_eq!(project.log("%an %s")[..2], ["Ada Create a/b", "Ada Update home"]);
    assert_eq!(project.remote.git(&["rev-parse", "main~2"]), tip.to_string());
    let trailer = project.remote.git(&["log", "-1", "--format=%(trailers)", "main"]);
    assert_eq!(trailer.trim(), format!("Wiki-Sync: 7 {last}"));
    // The pushed commit comes back and is recognised.
    let wiki = project.wiki.wiki();
    assert_eq!(project.pull(), Integrated::Nothing);
    let known = wiki.local_of(LINK, project.tip().unwrap()).unwrap();
    assert_eq!((known, project.head()), (Some(last), last));
    assert_eq!(wiki.jobs_done(LINK, last).unwrap(), 3);
}

#[test]
fn what_changes_elsewhere_in_the_project_is_no_change_of_the_wiki() {
    let project = Project::new(&[("code/main.rs", "1"), ("docs/home.md", "text\n")]);
    project.pull();
    let head = project.head();
    project.wiki.update("home", "ours\n");
    let ours = project.head();
    project.work(&[("code/main.rs", "2")]);
    assert_eq!(project.pull(), Integrated::Nothing);
    assert_eq!(project.head(), ours);
    assert_eq!(project.push().commits, 1);
    assert_eq!(project.log("%s")[0], "Update home");
    assert_eq!(project.wiki.git(&["rev-parse", "main^"]), head.to_string());
}

#[test]
fn a_directory_that_is_not_there_yet_is_made_by_the_first_push() {
    for files in [&[][..], &[("code/main.rs", "1")]] {
        let project = Project::new(files);
        project.wiki.create("home", "one\n");
        project.wiki.update("home", "two\n");
        if !files.is_empty() {
            assert_eq!(project.pull(), Integrated::Nothing);
        }
        assert_eq!(project.push().commits, 2);
        assert_eq!(project.files().len(), files.len() + 1);
        assert_eq!(project.push().commits, 0);
        // Deleting it again counts as deleting many pages.
        project.work(&[("docs/home.md", ""), ("x", "x")]);
        let preview = Preview { pages: 1, deleted: 1, conflicts: 0 };
        let refused = project.try_pull(Some(0)).unwrap();
        assert_eq!(refused, Integrated::TooManyDeleted(preview));
        project.pull();
        assert!(project.wiki.paths().is_empty());
    }
}

#[test]
fn what_is_no_directory_is_left_alone() {
    for docs in ["docs", "docs/inner"] {
        let project = Project::mapped(&[("docs", "a file\n")], docs, "");
        project.wiki.create("home", "text");
        let path = project.fetch();
        let made = project.wiki.wiki().project(&path, project.tip(), LINK, &project.mapping);
        for error in [project.try_pull(None).map(drop).unwrap_err(), made.map(drop).unwrap_err()] {
            let named =
                matches!(&error, Error::Sync(SyncError::NoDirectory { path }) if path == "docs");
            assert!(named, "{error}");
        }
    }
    let project = Project::new(&[("code/x", "x")]);
    project.remote.work_with_git(|tree| {
        std::os::unix::fs::symlink("code", tree.join("docs")).unwrap();
    });
    assert!(matches!(project.try_pull(None), Err(Error::Sync(SyncError::NoDirectory { .. }))));
    assert!(Mapping::new("../x", "").is_err() && Mapping::new("", "/x").is_err());
}

#[test]
fn only_the_pages_under_a_prefix_leave_the_wiki() {
    let project = Project::mapped(&[], "", "a");
    project.wiki.create("secret", "mine\n");
    project.wiki.create("a/x", "text\n");
    project.wiki.create("a", "page\n");
    project.wiki.create("ab", "mine\n");
    let outgoing = project.push();
    assert_eq!(
        (outgoing.commits, project.files()),
        (2, vec!["a.md".to_owned(), "a/x.md".to_owned()])
    );
    assert_eq!(outgoing.local, project.head());
    assert!(!project.remote.git(&["log", "-p", "main"]).contains("mine"));
    project.work(&[("a/y.md", "theirs\n"), ("b.md", "not for us\n")]);
    project.pull();
    assert_eq!(project.wiki.paths(), ["a", "a/x", "a/y", "ab", "secret"]);
    project.wiki.update("secret", "still mine\n");
    assert_eq!(project.push().commits, 0);
    assert!(project.files().contains(&"b.md".to_owned()));
    // A file of the wiki blocks the directory of the part.
    let project = Project::mapped(&[("a/x.md", "text\n")], "", "a");
    project.wiki.commit_with_git("a", "a file\n");
    assert!(matches!(project.try_pull(None), Err(Error::Sync(SyncError::NoDirectory { .. }))));
}

#[test]
fn both_ends_changes_are_merged_and_every_author_is_named() {
    let project =
        Project::new(&[("docs/home.md", "one\ntwo\nthree\nfour\n"), ("docs/b.md", "b\n")]);
    project.pull();
    project.wiki.create("ours", "text\n");
    project.wiki.update("home", "ours\ntwo\nthree\nfour\n");
    project.work(&[("docs/home.md", "theirs\ntwo\nthree\nfour\n"), ("docs/c.md", "c\n")]);
    // Nothing is built on a tip that isn't integrated.
    let path = project.fetch();
    let early = project.wiki.wiki().project(&path, project.tip(), LINK, &project.mapping);
    assert!(matches!(early, Err(Error::Sync(SyncError::NotIntegrated))));
    assert!(matches!(project.pull(), Integrated::Merged { conflicts: 1, .. }));
    assert_eq!(project.wiki.text("home"), "ours\ntwo\nthree\nfour\n");
    assert_eq!(project.wiki.wiki().sync_conflicts(0, 10).unwrap().len(), 1);
    project.wiki.create("later", "text\n");
    project.push();
    assert_eq!(
        project.log("%an %s")[..3],
        ["Ada Create later", "Ada Update home", "Ada Create ours"]
    );
    let mut files = project.files();
    files.retain(|file| !file.contains("conflict"));
    assert_eq!(files, ["b", "c", "home", "later", "ours"].map(|page| format!("docs/{page}.md")));
    assert_eq!((project.pull(), project.push().commits), (Integrated::Nothing, 0));
}

#[test]
fn what_was_deleted_there_and_changed_here_stays_and_somebody_is_told() {
    let project = Project::new(&[("docs/home.md", "text\n"), ("docs/b.md", "b\n")]);
    project.pull();
    project.wiki.update("home", "ours\n");
    project.work(&[("docs/home.md", "")]);
    let preview = project.pull_from(None);
    assert_eq!(preview, Some(Preview { pages: 2, deleted: 0, conflicts: 1 }));
    assert_eq!(project.wiki.wiki().sync_conflicts(0, 10).unwrap().len(), 1);
    project.push();
    assert_eq!(project.files(), ["docs/b.md", "docs/home.md"]);
    assert_eq!((project.pull(), project.push().commits), (Integrated::Nothing, 0));
}

#[test]
fn what_was_pushed_after_a_merge_is_not_told_again() {
    let project = Project::new(&[("docs/home.md", "text\n")]);
    project.pull();
    project.work(&[("docs/theirs.md", "theirs\n")]);
    project.wiki.create("ours", "ours\n");
    project.pull();
    let pushed = project.push();
    assert_eq!((pushed.commits, pushed.local), (1, project.head()));
    let again = project.push();
    assert_eq!((again.commits, again.local, again.tip), (0, project.head(), pushed.tip));
    let touched = project.remote.git(&["log", "--format=%s", "main", "--", "docs/theirs.md"]);
    assert_eq!(touched.lines().count(), 1, "{touched}");
}

#[test]
fn very_many_commits_become_one() {
    let project = Project::new(&[]);
    for n in 0..=MAX_COMMITS {
        project.wiki.create(&format!("p{n}"), "text\n");
    }
    assert_eq!(project.push().commits, 1);
    assert_eq!(project.files().len(), MAX_COMMITS + 1);
    let message = project.remote.git(&["log", "-1", "--format=%an %B", "main"]);
    assert!(message.starts_with("wikigrove Bring ") && message.contains("- Create p100 (Ada)"));
}

#[test]
fn only_what_a_wiki_may_have_comes_in() {
    let large = "x".repeat(6_000_000);
    let project = Project::new(&[("docs/home.md", "text\n"), ("code/large.md", &large)]);
    project.pull();
    project.work(&[("docs/large.md", &large)]);
    let Err(Error::PushRefused(refusal)) = project.try_pull(None) else { panic!() };
    assert!(refusal.is_too_large, "{refusal}");
    project.work(&[("docs/large.md", ""), ("docs/photo.png", &large)]);
    project.pull();
    assert_eq!(project.wiki.git(&["cat-file", "-s", "main:photo.png"]), "6000000");
}

/// Killed after the commit was recorded and before it was visible.
#[test]
fn what_was_taken_over_survives_a_kill_and_is_not_taken_over_twice() {
    let mut project = Project::new(&[("docs/home.md", "text\n")]);
    project.wiki.create("ours", "text\n");
    let before = project.head();
    project.pull();
    let after = project.head();
    project.wiki.git(&["update-ref", "refs/heads/main", &before.to_string()]);
    project.wiki.open().unwrap();
    assert_eq!(project.head(), after);
    assert_eq!(project.pull(), Integrated::Nothing);
    assert_eq!(project.head(), after);
}
