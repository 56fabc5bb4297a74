//! Line-by-line differences between two versions of a page.
//!
//! The size of a diff is limited ([`Allowance`]): it shows the first differences, in whole lines. Texts with very many
//! lines aren't compared line by line: everything between their common beginning and common end counts as one change.

use serde::Serialize;

use crate::allowance::Allowance;
use crate::deadline::{self, Cancelled};
use crate::error::Error;
use crate::index;
use crate::lines::{Change, Placement, common, compare, is_long, lines};
use crate::most::Most;
use crate::page_path::ExistingPath;
use crate::repo::Entry;
use crate::revision::{Etag, Revision};
use crate::wiki::Wiki;

/// Number of unchanged lines shown around a change, as in git.
const CONTEXT: usize = 3;

/// The difference between two states of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The page path as requested.
    pub path: String,
    /// The older state.
    pub from: DiffSide,
    /// The newer state.
    pub to: DiffSide,
    /// The changed places, with lines around them.
    pub hunks: Vec<DiffHunk>,
    /// True if there are more changes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A state of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffSide {
    /// The commit; `None` before the first one.
    pub revision: Option<Revision>,
    /// The page's path in that state.
    pub path: String,
    /// The page's version; `None` if it didn't exist.
    pub etag: Option<Etag>,
}

/// Changed lines that are near each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffHunk {
    /// The first line in the older state, counted from 1; without lines, the line before.
    pub old_start: usize,
    /// Number of lines in the older state.
    pub old_lines: usize,
    /// The first line in the newer state.
    pub new_start: usize,
    /// Number of lines in the newer state.
    pub new_lines: usize,
    /// The lines.
    pub lines: Vec<DiffLine>,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffLine {
    /// The kind of the line.
    pub kind: LineKind,
    /// The text, without its line end.
    pub text: String,
    /// True if the file ends here without a line end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unended: bool,
}

/// The kind of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Unchanged.
    Context,
    /// Only in the older state.
    Removed,
    /// Only in the newer state.
    Added,
}

impl Wiki {
    /// Compares two states of a page, following its renames. `to` defaults to the commit that last changed the page,
    /// and `from` to the first parent of `to`.
    ///
    /// # Errors
    /// The page exists in neither state; a revision isn't part of the history.
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
        let (hunks, truncated) = hunks(&old, &new, Allowance::default())?;
        Ok(Diff { path: path.as_str().to_owned(), from, to, hunks, truncated })
    }

    fn last_change(&self, path: &ExistingPath) -> Result<Revision, Error> {
        let history = self.history(path, None, Most::items(1))?;
        match history.commits.first() {
            Some(commit) => Ok(commit.revision),
            // The index is behind.
            None => Ok(self.read(path)?.summary.revision),
        }
    }

    /// Returns the page's present and former paths.
    fn names(&self, path: &ExistingPath) -> Result<Vec<ExistingPath>, Error> {
        let mut names = self.known_spellings(path)?;
        let Some(now) = names.first().map(ExistingPath::file) else { return Ok(names) };
        let former = self.database()?.read(|c| Ok::<_, Error>(index::former_names(c, &now)?))?;
        names.extend(former.iter().filter_map(|file| ExistingPath::of_file(file)));
        Ok(names)
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

/// Returns the hunks of two texts, and `true` if there are more than are shown.
fn hunks(old: &[u8], new: &[u8], allowance: Allowance) -> Result<(Vec<DiffHunk>, bool), Cancelled> {
    deadline::check()?;
    let mut shown = if is_long(old) || is_long(new) {
        replaced(old, new, allowance)
    } else {
        compared(&lines(old), &lines(new), allowance)?
    };
    shown.hunks.retain(|hunk| !hunk.lines.is_empty());
    shown.hunks.iter_mut().for_each(DiffHunk::count_from_one);
    Ok((shown.hunks, shown.allowance.is_exceeded()))
}

fn compared(old: &[&[u8]], new: &[&[u8]], allowance: Allowance) -> Result<Shown, Cancelled> {
    let mut shown = Shown { hunks: Vec::new(), allowance };
    // The first line of each side that isn't in a hunk yet.
    let (mut old_at, mut new_at) = (0, 0);
    let changes = compare(old, new, Placement::Readable).changes;
    for Change { old: gone, new: come } in changes {
        if shown.allowance.is_exceeded() {
            return Ok(shown);
        }
        deadline::check()?;
        let gap = gone.start - old_at;
        let starts_anew = shown.hunks.is_empty() || gap > 2 * CONTEXT;
        if starts_anew {
            if !shown.hunks.is_empty() {
                shown.push(LineKind::Context, old[old_at..old_at + CONTEXT].iter().copied());
            }
            let skipped = gap.saturating_sub(CONTEXT);
            (old_at, new_at) = (old_at + skipped, new_at + skipped);
            shown.hunks.push(DiffHunk::starting(old_at, new_at));
        }
        shown.push(LineKind::Context, old[old_at..gone.start].iter().copied());
        shown.push(LineKind::Removed, old[gone.clone()].iter().copied());
        shown.push(LineKind::Added, new[come.clone()].iter().copied());
        (old_at, new_at) = (gone.end, come.end);
    }
    shown.push(LineKind::Context, old[old_at..old.len().min(old_at + CONTEXT)].iter().copied());
    Ok(shown)
}

/// As [`compared`], with a single change that spans all differences.
fn replaced(old: &[u8], new: &[u8], allowance: Allowance) -> Shown {
    let mut shown = Shown { hunks: Vec::new(), allowance };
    let (head, tail) = common(old, new);
    let (gone, come) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    if gone.is_empty() && come.is_empty() {
        return shown;
    }
    let before = last_lines(&old[..head], CONTEXT);
    let start = old[..head - before.len()].iter().filter(|byte| **byte == b'\n').count();
    shown.hunks.push(DiffHunk::starting(start, start));
    let lines_of = |text| <[u8]>::split_inclusive(text, |byte| *byte == b'\n');
    shown.push(LineKind::Context, lines_of(before));
    shown.push(LineKind::Removed, lines_of(gone));
    shown.push(LineKind::Added, lines_of(come));
    shown.push(LineKind::Context, lines_of(&old[old.len() - tail..]).take(CONTEXT));
    shown
}

/// The last `count` lines of a text that ends with a line's end, or fewer.
fn last_lines(text: &[u8], count: usize) -> &[u8] {
    let ends = text.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    let start = ends.map(|(at, _)| at + 1).nth(count).unwrap_or_default();
    &text[start..]
}

/// The hunks collected so far.
struct Shown {
    hunks: Vec<DiffHunk>,
    allowance: Allowance,
}

impl Shown {
    /// Adds lines to the last hunk, within the allowance.
    fn push<'a>(&mut self, kind: LineKind, lines: impl Iterator<Item = &'a [u8]>) {
        let Some(hunk) = self.hunks.last_mut() else { return };
        for line in lines {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let unended = text.len() == line.len();
            let text = String::from_utf8_lossy(text);
            if !self.allowance.takes(&text) {
                return;
            }
            hunk.old_lines += usize::from(kind != LineKind::Added);
            hunk.new_lines += usize::from(kind != LineKind::Removed);
            hunk.lines.push(DiffLine { kind, text: text.into_owned(), unended });
        }
    }
}

impl DiffHunk {
    fn starting(old: usize, new: usize) -> Self {
        Self { old_start: old, old_lines: 0, new_start: new, new_lines: 0, lines: Vec::new() }
    }

    /// Counts lines from 1; a side without lines keeps the number of the line before.
    fn count_from_one(&mut self) {
        self.old_start += usize::from(self.old_lines > 0);
        self.new_start += usize::from(self.new_lines > 0);
    }
}

impl Diff {
    /// Returns the diff as text, in the format of `diff -u`; empty if there is no difference. A truncated diff
    /// ends with a line of notice, which isn't part of the patch.
    pub fn unified(&self) -> String {
        let mut text = unified(&self.from, &self.to, &self.hunks);
        if self.truncated {
            text.push_str(TRUNCATED);
        }
        text
    }
}

/// The last line of a truncated diff.
const TRUNCATED: &str = "# more differs than is shown here\n";

/// Formats hunks like `git diff`.
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

/// Quotes a file name like git, so that it can't end its line.
fn written_name(name: &str) -> String {
    let is_odd = |c: char| c.is_ascii_control() || c == '"' || c == '\\';
    if !name.contains(is_odd) {
        // Other programs expect a date after the name; the tab marks the name's end.
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

    /// Applies the hunks to the old text, like `patch`.
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
            let (hunks, truncated) = hunks(old.as_bytes(), new.as_bytes(), Allowance::default()).unwrap();
            prop_assert_eq!(applied(&old, &hunks), new.clone());
            prop_assert_eq!(hunks.is_empty(), old == new);
            prop_assert!(!truncated);
        }

        /// Also for texts that are too long to be compared.
        #[test]
        fn applying_a_diff_that_is_one_change_gives_the_new_text(old in text(), new in text()) {
            let mut shown = replaced(old.as_bytes(), new.as_bytes(), Allowance::default());
            shown.hunks.iter_mut().for_each(DiffHunk::count_from_one);
            prop_assert_eq!(applied(&old, &shown.hunks), new.clone());
            prop_assert_eq!(shown.hunks.is_empty(), old == new);
        }
    }

    /// 2.5 million lines on one side, five on the other: each line would take fifty bytes of an answer.
    #[test]
    fn a_diff_of_very_many_lines_stays_small() {
        for old in ["\n".repeat(5_000_000), "a\n".repeat(5)] {
            let new = "a\n".repeat(2_500_000);
            let (hunks, truncated) =
                hunks(old.as_bytes(), new.as_bytes(), Allowance::default()).unwrap();
            let lines: usize = hunks.iter().map(|hunk| hunk.lines.len()).sum();
            assert!(truncated && (1..=20_000).contains(&lines), "{lines}");
        }
    }

    /// The visible part of a truncated diff is a valid patch.
    #[test]
    fn a_diff_that_is_cut_is_one_of_whole_lines() {
        let line = |n: usize, c: &str| format!("{n} {}\n", c.repeat(1000));
        let old: String = (0..3000).map(|n| line(n, "o")).collect();
        let new: String = (0..3000).map(|n| line(n, if n % 10 == 0 { "n" } else { "o" })).collect();
        let (cut, truncated) = hunks(old.as_bytes(), new.as_bytes(), Allowance::default()).unwrap();
        assert!(truncated);
        let patched = applied(&old, &cut);
        let lines: Vec<_> = patched.lines().collect();
        assert!(lines[..100].iter().eq(&new.lines().take(100).collect::<Vec<_>>()));
        assert!(lines.iter().rev().take(100).eq(&old.lines().rev().take(100).collect::<Vec<_>>()));
        let none = hunks(&[b'\x01'; 1_000_000], b"", Allowance::default()).unwrap();
        assert_eq!(none, (Vec::new(), true), "one line that is too long");
    }

    #[test]
    fn only_whole_lines_are_common() {
        assert_eq!(common(b"a\nb\nc\n", b"a\nxb\nc\n"), (2, 2));
        assert_eq!(common(b"a\nb\n", b"a\nb\n"), (4, 0));
        assert_eq!(common(b"a\nb", b"a\nb\n"), (2, 0));
        assert_eq!(common(b"", b"a\n"), (0, 0));
        assert_eq!(common(b"a\n", b"a\na\n"), (2, 0));
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\n", 3), b"a\n");
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
            diff.unified(),
            "--- a/old.md\n+++ b/new.md\n@@ -1,5 +1,5 @@\n one\n two\n-three\n+3\n four\n five\n"
        );
        let created = scratch.wiki().diff(&path, None, Some(first.revision)).unwrap();
        assert_eq!((created.from.etag, created.hunks[0].new_lines), (None, 5));
    }
}
