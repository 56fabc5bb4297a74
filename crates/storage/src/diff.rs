//! What changed in a page between two commits, line by line.

use serde::Serialize;

use crate::error::Error;
use crate::index;
use crate::lines::{Placement, compare, lines};
use crate::page_path::ExistingPath;
use crate::repo::Entry;
use crate::revision::{Etag, Revision};
use crate::wiki::Wiki;

/// How many unchanged lines are shown around a change, as git does.
const CONTEXT: usize = 3;

/// The difference between two states of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The page path as asked for.
    pub path: String,
    /// The older state.
    pub from: DiffSide,
    /// The newer state.
    pub to: DiffSide,
    /// The places that differ, with lines around them.
    pub hunks: Vec<DiffHunk>,
    /// The same as text, as `diff -u` has it; empty if nothing differs.
    pub unified: String,
}

/// A state of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffSide {
    /// The commit; none before the first one.
    pub revision: Option<Revision>,
    /// Where the page was then.
    pub path: String,
    /// Its version; none if it didn't exist.
    pub etag: Option<Etag>,
}

/// Changed lines that are near each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffHunk {
    /// The first line in the older state, counted from 1; with no lines, the one it comes after.
    pub old_start: usize,
    /// How many lines of the older state it covers.
    pub old_lines: usize,
    /// The first line in the newer state.
    pub new_start: usize,
    /// How many lines of the newer state it covers.
    pub new_lines: usize,
    /// The lines.
    pub lines: Vec<DiffLine>,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffLine {
    /// What became of it.
    pub kind: LineKind,
    /// The text, without its end.
    pub text: String,
    /// Whether the file ends here without an end of line.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unended: bool,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// It stayed.
    Context,
    /// It is gone.
    Removed,
    /// It is new.
    Added,
}

impl Wiki {
    /// Compares two states of a page, found under the names it had. `to` is by default the commit that
    /// last changed the page, and `from` the first parent of `to`.
    ///
    /// # Errors
    /// There was no such page in either state; a revision isn't part of the history.
    pub fn diff(
        &self,
        path: &ExistingPath,
        from: Option<Revision>,
        to: Option<Revision>,
    ) -> Result<Diff, Error> {
        self.check_open()?;
        let to = match to {
            Some(to) => self.reachable(to)?,
            None => self.last_change(path)?,
        };
        let from = match from {
            Some(from) => Some(self.reachable(from)?),
            None => self.repo().commit(to)?.parents.first().copied(),
        };
        let names = self.names(path)?;
        let (to, new) = self.state(&names, Some(to))?;
        let (from, old) = self.state(&names, from)?;
        if to.etag.is_none() && from.etag.is_none() {
            return Err(Error::NotFound { path: path.as_str().to_owned() });
        }
        let hunks = hunks(&old, &new);
        let unified = unified(&from, &to, &hunks);
        Ok(Diff { path: path.as_str().to_owned(), from, to, hunks, unified })
    }

    fn last_change(&self, path: &ExistingPath) -> Result<Revision, Error> {
        let history = self.history(path, None, 1)?;
        match history.commits.first() {
            Some(commit) => Ok(commit.revision),
            // The index hasn't come so far.
            None => Ok(self.read(path)?.summary.revision),
        }
    }

    /// The page's path and those it had before.
    fn names(&self, path: &ExistingPath) -> Result<Vec<ExistingPath>, Error> {
        let former =
            self.database()?.read(|c| Ok::<_, Error>(index::former_names(c, &path.file())?))?;
        let former = former.iter().filter_map(|file| ExistingPath::of_file(file));
        Ok([path.clone()].into_iter().chain(path.composed()).chain(former).collect())
    }

    fn state(
        &self,
        names: &[ExistingPath],
        at: Option<Revision>,
    ) -> Result<(DiffSide, Vec<u8>), Error> {
        let view = self.repo().view();
        for name in names {
            let Some(at) = at else { break };
            if let Some(entry) =
                view.entry(at, &name.file())?.filter(|entry| Entry::is_file(*entry))
            {
                let side = DiffSide {
                    revision: Some(at),
                    path: name.as_str().to_owned(),
                    etag: Some(entry.id),
                };
                return Ok((side, view.blob(entry.id)?));
            }
        }
        Ok((DiffSide { revision: at, path: names[0].as_str().to_owned(), etag: None }, Vec::new()))
    }
}

/// The differing places of two texts.
fn hunks(old: &[u8], new: &[u8]) -> Vec<DiffHunk> {
    let (old, new) = (lines(old), lines(new));
    let mut hunks: Vec<DiffHunk> = Vec::new();
    // The first line of each side that no hunk shows yet.
    let (mut old_at, mut new_at) = (0, 0);
    for change in compare(&old, &new, Placement::Readable).changes {
        let gap = change.old.start - old_at;
        let starts_anew = hunks.is_empty() || gap > 2 * CONTEXT;
        if starts_anew {
            if let Some(hunk) = hunks.last_mut() {
                hunk.push(LineKind::Context, &old[old_at..old_at + CONTEXT]);
            }
            let skipped = gap.saturating_sub(CONTEXT);
            (old_at, new_at) = (old_at + skipped, new_at + skipped);
            hunks.push(DiffHunk::starting(old_at, new_at));
        }
        let hunk = hunks.last_mut().expect("one was pushed if there was none");
        hunk.push(LineKind::Context, &old[old_at..change.old.start]);
        hunk.push(LineKind::Removed, &old[change.old.clone()]);
        hunk.push(LineKind::Added, &new[change.new.clone()]);
        (old_at, new_at) = (change.old.end, change.new.end);
    }
    if let Some(hunk) = hunks.last_mut() {
        hunk.push(LineKind::Context, &old[old_at..old.len().min(old_at + CONTEXT)]);
    }
    hunks.iter_mut().for_each(DiffHunk::count_from_one);
    hunks
}

impl DiffHunk {
    fn starting(old: usize, new: usize) -> Self {
        Self { old_start: old, old_lines: 0, new_start: new, new_lines: 0, lines: Vec::new() }
    }

    fn push(&mut self, kind: LineKind, lines: &[&[u8]]) {
        self.old_lines += if kind == LineKind::Added { 0 } else { lines.len() };
        self.new_lines += if kind == LineKind::Removed { 0 } else { lines.len() };
        self.lines.extend(lines.iter().map(|line| {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let unended = text.len() == line.len();
            DiffLine { kind, text: String::from_utf8_lossy(text).into_owned(), unended }
        }));
    }

    /// Lines are counted from 1; a side without lines is named by the line before it.
    fn count_from_one(&mut self) {
        self.old_start += usize::from(self.old_lines > 0);
        self.new_start += usize::from(self.new_lines > 0);
    }
}

/// The hunks as `git diff` prints them.
fn unified(from: &DiffSide, to: &DiffSide, hunks: &[DiffHunk]) -> String {
    if hunks.is_empty() {
        return String::new();
    }
    let name = |side: &DiffSide, prefix: &str| match side.etag {
        Some(_) => written_name(&format!("{prefix}/{}.md", side.path)),
        None => "/dev/null".to_owned(),
    };
    let mut text = format!("--- {}\n+++ {}\n", name(from, "a"), name(to, "b"));
    let range = |start: usize, lines: usize| match lines {
        1 => format!("{start}"),
        _ => format!("{start},{lines}"),
    };
    for hunk in hunks {
        let (old, new) =
            (range(hunk.old_start, hunk.old_lines), range(hunk.new_start, hunk.new_lines));
        text.push_str(&format!("@@ -{old} +{new} @@\n"));
        for line in &hunk.lines {
            text.push(match line.kind {
                LineKind::Context => ' ',
                LineKind::Removed => '-',
                LineKind::Added => '+',
            });
            text.push_str(&line.text);
            text.push('\n');
            if line.unended {
                text.push_str("\\ No newline at end of file\n");
            }
        }
    }
    text
}

/// A file's name as git writes it: so that it ends where its line ends, whatever is in it.
fn written_name(name: &str) -> String {
    let is_odd = |c: char| c.is_ascii_control() || c == '"' || c == '\\';
    if !name.contains(is_odd) {
        // Programs that know of dates behind names look for a tab.
        return if name.contains(' ') { format!("{name}\t") } else { name.to_owned() };
    }
    let escaped: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_ascii_control() => format!("\\{:03o}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Scratch;

    /// A text of few different lines, so that they repeat.
    fn text() -> impl Strategy<Value = String> {
        (proptest::collection::vec("[a-e]", 0..30), any::<bool>())
            .prop_map(|(lines, ended)| lines.join("\n") + if ended { "\n" } else { "" })
    }

    /// What `patch` would make of the old text.
    fn applied(old: &str, hunks: &[DiffHunk]) -> String {
        let old = lines(old.as_bytes());
        let mut new = Vec::new();
        let mut at = 0;
        for hunk in hunks {
            let start = hunk.old_start - usize::from(hunk.old_lines > 0);
            new.extend(old[at..start].concat());
            at = start + hunk.old_lines;
            for line in hunk.lines.iter().filter(|line| line.kind != LineKind::Removed) {
                new.extend(line.text.as_bytes());
                new.extend(if line.unended { &b""[..] } else { b"\n" });
            }
        }
        new.extend(old[at..].concat());
        String::from_utf8(new).unwrap()
    }

    proptest! {
        #[test]
        fn applying_a_diff_gives_the_new_text(old in text(), new in text()) {
            let hunks = hunks(old.as_bytes(), new.as_bytes());
            prop_assert_eq!(applied(&old, &hunks), new.clone());
            prop_assert_eq!(hunks.is_empty(), old == new);
        }
    }

    #[test]
    fn a_name_cannot_pose_as_lines_of_a_diff() {
        assert_eq!(written_name("a/käse.md"), "a/käse.md");
        assert_eq!(written_name("a/b c.md"), "a/b c.md\t");
        assert_eq!(written_name("a/x\n+++ y\t\"\\.md"), r#""a/x\012+++ y\011\"\\.md""#);
    }

    #[test]
    fn a_diff_finds_the_page_under_the_names_it_had() {
        let scratch = Scratch::new();
        let text = "one\ntwo\nthree\nfour\nfive\n";
        let first = scratch.create("old", text);
        scratch.move_with_git("old.md", "new.md", text);
        let last = scratch.update("new", "one\ntwo\n3\nfour\nfive\n");
        let path = ExistingPath::new("new").unwrap();
        let diff = scratch.wiki().diff(&path, Some(first.revision), None).unwrap();
        assert_eq!((diff.from.path.as_str(), diff.to.path.as_str()), ("old", "new"));
        assert_eq!(diff.to.revision, Some(last.revision));
        assert_eq!(
            diff.unified,
            "--- a/old.md\n+++ b/new.md\n@@ -1,5 +1,5 @@\n one\n two\n-three\n+3\n four\n five\n"
        );
        let created = scratch.wiki().diff(&path, None, Some(first.revision)).unwrap();
        assert_eq!((created.from.etag, created.hunks[0].new_lines), (None, 5));
    }
}
