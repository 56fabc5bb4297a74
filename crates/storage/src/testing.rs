//! A scratch wiki for tests, with short names for frequent actions.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::repo::{Edit, Entry};
use crate::*;

/// A wiki in a temporary directory.
pub(crate) struct Scratch {
    root: tempfile::TempDir,
    wiki: Option<Wiki>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Wiki::create(&root.path().join("wiki")).unwrap();
        let mut scratch = Self { root, wiki: None };
        scratch.open().unwrap();
        scratch
    }

    /// Opens the wiki again, as after a crash: it isn't closed or checkpointed before.
    pub(crate) fn open(&mut self) -> Result<&Wiki, Error> {
        self.wiki = None;
        self.wiki = Some(Wiki::open(&self.dir(), Options::new("scratch"), &Resources::default())?);
        Ok(self.wiki())
    }

    pub(crate) fn wiki(&self) -> &Wiki {
        self.wiki.as_ref().unwrap()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("wiki")
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir().join("repo")
    }

    /// Runs git in the repository and returns its output.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.repo(), arguments)
    }

    pub(crate) fn create(&self, path: &str, content: &str) -> Saved {
        self.save(path, content, Base::New).unwrap()
    }

    pub(crate) fn update(&self, path: &str, content: &str) -> Saved {
        let etag = self.page(path).summary.etag;
        self.save(path, content, Base::Version(etag)).unwrap()
    }

    pub(crate) fn save(&self, path: &str, content: &str, base: Base) -> Result<Saved, Error> {
        save(self.wiki(), path, content, base)
    }

    pub(crate) fn page(&self, path: &str) -> Arc<Page> {
        self.wiki().read(&ExistingPath::new(path).unwrap()).unwrap()
    }

    pub(crate) fn text(&self, path: &str) -> String {
        String::from_utf8(self.page(path).content.to_vec()).unwrap()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.wiki().pages("", None, 10_000).unwrap().into_iter().map(|page| page.path).collect()
    }

    pub(crate) fn redo_rows(&self) -> usize {
        self.wiki()
            .database()
            .unwrap()
            .read(|c| Ok::<_, Error>(crate::redo::pending(c)?.len()))
            .unwrap()
    }

    /// Commits a file with the `git` program, bypassing the open wiki.
    pub(crate) fn commit_with_git(&self, file: &str, content: &str) -> String {
        self.work_with_git(|tree| {
            let path = tree.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        })
    }

    /// Commits the removal of a file with the `git` program.
    pub(crate) fn remove_with_git(&self, file: &str) -> String {
        self.work_with_git(|tree| std::fs::remove_file(tree.join(file)).unwrap())
    }

    /// Commits a move of a file, with new content, with the `git` program.
    pub(crate) fn move_with_git(&self, from: &str, to: &str, content: &str) -> String {
        self.work_with_git(|tree| {
            std::fs::remove_file(tree.join(from)).unwrap();
            let path = tree.join(to);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        })
    }

    /// Writes an unreferenced commit: the files of its first parent, with these changes.
    pub(crate) fn loose_commit(
        &self,
        parents: &[Revision],
        files: &[(&str, Option<&str>)],
    ) -> Revision {
        let edits: Vec<Edit> = files
            .iter()
            .map(|(path, text)| Edit {
                path: path.as_bytes().to_vec(),
                new: text.map(|text| Entry {
                    mode: Entry::FILE,
                    id: crate::repo::blob_id(text.as_bytes()).unwrap(),
                }),
                content: text.map(|text| text.as_bytes().to_vec()),
            })
            .collect();
        self.loose_edits(parents, &edits)
    }

    pub(crate) fn loose_edits(&self, parents: &[Revision], edits: &[Edit]) -> Revision {
        let repo = self.wiki().repo();
        let draft = repo::Draft {
            parents,
            edits,
            author: &ada(),
            message: "a commit",
            time: 1_700_000_000,
        };
        let prepared = repo.view().prepare(&draft).unwrap();
        repo.write_objects(&prepared).unwrap();
        prepared.revision
    }

    /// Clones the wiki with a work tree.
    pub(crate) fn clone_with_git(&self) -> PathBuf {
        let tree = self.root.path().join("clone");
        if tree.exists() {
            std::fs::remove_dir_all(&tree).unwrap();
        }
        std::fs::create_dir(&tree).unwrap();
        git(&tree, &["init", "--quiet", "--initial-branch=main"]);
        git(&tree, &["config", "user.name", "Git"]);
        git(&tree, &["config", "user.email", "git@example.org"]);
        if self.wiki().head().unwrap().is_some() {
            git(&tree, &["fetch", "--quiet", &self.repo().display().to_string(), "main"]);
            git(&tree, &["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        }
        tree
    }

    /// Has git push the branch of a clone into a scratch repository.
    pub(crate) fn send(&self, tree: &Path) -> (PathBuf, Revision) {
        let (mut number, mut incoming) = (0, self.root.path().join("incoming"));
        while incoming.exists() {
            number += 1;
            incoming.set_file_name(format!("incoming-{number}"));
        }
        self.wiki().create_scratch(&incoming).unwrap();
        git(tree, &["push", "--quiet", "--force", &incoming.display().to_string(), "main"]);
        (incoming, git(tree, &["rev-parse", "main"]).parse().unwrap())
    }

    /// Pushes the branch of a clone, like a client of the wiki.
    pub(crate) fn push(&self, tree: &Path, rules: &PushRules) -> Result<Received, Error> {
        let (incoming, new) = self.send(tree);
        let received = self.wiki().receive(&incoming, new, rules);
        std::fs::remove_dir_all(incoming).unwrap();
        received
    }

    pub(crate) fn work_with_git(&self, work: impl FnOnce(&Path)) -> String {
        let tree = self.root.path().join("tree");
        let git = |arguments: &[&str]| git(&tree, arguments);
        if tree.exists() {
            std::fs::remove_dir_all(&tree).unwrap();
        }
        std::fs::create_dir(&tree).unwrap();
        git(&["init", "--quiet", "--initial-branch=main"]);
        let repo = self.repo().display().to_string();
        if self.wiki().head().unwrap().is_some() {
            git(&["fetch", "--quiet", &repo, "main"]);
            git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        }
        git(&["config", "user.name", "Git"]);
        git(&["config", "user.email", "git@example.org"]);
        work(&tree);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "-m", "by git"]);
        git(&["push", "--quiet", &repo, "HEAD:main"]);
        git(&["rev-parse", "HEAD"])
    }
}

pub(crate) fn ada() -> Author {
    Author::new("Ada", "ada@example.org")
}

pub(crate) fn save(wiki: &Wiki, path: &str, content: &str, base: Base) -> Result<Saved, Error> {
    let path = PagePath::new(path)?;
    wiki.save(&Save {
        path: &path,
        content: content.as_bytes(),
        base,
        author: &ada(),
        message: None,
        merge: true,
    })
}

/// Commits a file in a clone.
pub(crate) fn commit(tree: &Path, file: &str, content: impl AsRef<[u8]>) -> String {
    let path = tree.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    git(tree, &["add", "--all"]);
    git(tree, &["commit", "--quiet", "-m", file]);
    git(tree, &["rev-parse", "HEAD"])
}

/// Has `git fast-import` make a commit on top of a clone's branch, with any names and modes.
pub(crate) fn import(tree: &Path, changes: &[u8]) {
    let has_head = Command::new("git")
        .current_dir(tree)
        .args(["rev-parse", "--quiet", "--verify", "main"])
        .output()
        .unwrap();
    let head = String::from_utf8_lossy(&has_head.stdout).trim().to_owned();
    let from = if head.is_empty() { head } else { format!("from {head}\n") };
    let mut child = Command::new("git")
        .current_dir(tree)
        .args(["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let who = "committer Git <git@example.org> 1700000000 +0000";
    write!(input, "commit refs/heads/main\n{who}\ndata 2\nx\n{from}").unwrap();
    input.write_all(changes).unwrap();
    input.write_all(b"\n").unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// Makes objects in a clone.
pub(crate) struct Objects<'a>(pub(crate) &'a Path);

impl Objects<'_> {
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut git = Command::new("git");
        git.current_dir(self.0).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = git.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn blob(&self, text: &str) -> String {
        self.feed(&["hash-object", "-w", "--stdin"], text.as_bytes())
    }

    /// Makes a tree with one file under many names.
    pub(crate) fn files(&self, blob: &str, names: impl Iterator<Item = String>) -> String {
        let lines = names.map(|name| format!("100644 blob {blob}\t{name}\n"));
        self.feed(&["mktree"], lines.collect::<String>().as_bytes())
    }

    /// Makes a tree with one subtree under many names.
    pub(crate) fn folders(&self, tree: &str, names: impl Iterator<Item = String>) -> String {
        let lines = names.map(|name| format!("040000 tree {tree}\t{name}\n"));
        self.feed(&["mktree"], lines.collect::<String>().as_bytes())
    }

    /// Moves the branch of the clone to a new commit.
    pub(crate) fn commit(&self, tree: &str, parents: &[&str]) -> String {
        let parents = parents.iter().flat_map(|parent| ["-p", parent]);
        let arguments: Vec<&str> =
            ["commit-tree", tree, "-m", "x"].into_iter().chain(parents).collect();
        let commit = git(self.0, &arguments);
        git(self.0, &["update-ref", "refs/heads/main", &commit]);
        commit
    }

    pub(crate) fn head(&self) -> String {
        git(self.0, &["rev-parse", "main"])
    }

    pub(crate) fn tree_of(&self, commit: &str) -> String {
        git(self.0, &["rev-parse", &format!("{commit}^{{tree}}")])
    }
}

/// Returns `count` names.
pub(crate) fn numbered(
    count: usize,
    name: impl Fn(usize) -> String,
) -> impl Iterator<Item = String> {
    (0..count).map(name)
}

pub(crate) fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
