//! Checks a push before anything of it enters the wiki.
//!
//! Every commit is compared with its parents, since the files that one commit adds stay in the history when the next
//! removes them. Entries that a parent has are skipped, even if the rules forbid them. Each pair of trees is compared
//! once, and the size of every object is read from its header before the object is: so the work grows with the number
//! of objects, not with the number of paths, and memory with one tree.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::PushRules;
use super::alike::collisions;
use super::names::{check_carried, check_folder, check_path};
use super::refusal::{Problems, PushRefusal, shown};
use crate::deadline;
use crate::error::Error;
use crate::index::NewCommits;
use crate::measure::{Measure, Measures, Trees};
use crate::page_path::EXTENSION;
use crate::repo::{Edit, Header, Id, Incoming, MAX_TREE, Repo, View};
use crate::revision::Revision;
use crate::tree::{Entry, entries};

/// Maximum size of a commit, in bytes: a message, two signatures and thousands of parents fit.
const MAX_COMMIT: u64 = 256 * 1024;
/// Maximum length of a delta chain, which is git's own limit. To read the last object, the whole chain has to be
/// applied.
const MAX_DELTAS: u32 = 4095;
/// Maximum number of tree entries that are examined: seconds of work, more than a history of ten thousand commits in a
/// folder of ten thousand pages needs.
const MAX_LOOKS: u64 = 500_000_000;
/// Approximate size of a tree entry.
const ENTRY_BYTES: u64 = 40;

/// The result of a check without problems.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Number of commits that the branch lacks.
    pub(crate) commits: usize,
    /// Every object that they need and their parents don't have.
    pub(crate) objects: HashSet<Id>,
    /// True if the push is a fast-forward.
    pub(crate) is_forward: bool,
    /// The log rows that these commits will need.
    pub(crate) log: NewCommits,
    /// True if any commit adds, changes or moves a file.
    pub(crate) has_files: bool,
}

/// Where the check is.
#[derive(Default)]
struct Place {
    path: Vec<u8>,
    depth: usize,
    /// The number of bytes of the path that a parent has, too: names that were there may be odd.
    known: usize,
}

impl Place {
    fn enter(&mut self, name: &[u8], is_known: bool) {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend(name);
        self.depth += 1;
        if is_known {
            self.known = self.path.len();
        }
    }

    fn leave(&mut self, length: usize, known: usize) {
        self.path.truncate(length);
        self.depth -= 1;
        self.known = known;
    }
}

struct Check<'a> {
    incoming: &'a Incoming,
    rules: &'a PushRules,
    problems: Problems,
    /// Every commit and tree that was checked because some commit introduces it.
    seen: HashSet<Id>,
    /// Likewise every file, with its size.
    files: HashMap<Id, u64>,
    /// The root trees of commits.
    trees: HashMap<Revision, Id>,
    compared: HashSet<(Id, Rc<[Id]>)>,
    measures: Measures,
    log: NewCommits,
    looks: u64,
}

/// Checks everything that `new` brings to a branch of `wiki` that is at `old`.
pub(crate) fn check(
    wiki: &Repo,
    incoming: &Incoming,
    old: Option<Revision>,
    new: Revision,
    rules: &PushRules,
) -> Result<Checked, Error> {
    let mut check = Check {
        incoming,
        rules,
        problems: Problems::default(),
        seen: HashSet::new(),
        files: HashMap::new(),
        trees: HashMap::new(),
        compared: HashSet::new(),
        measures: Measures::default(),
        log: NewCommits::default(),
        looks: 0,
    };
    let large_file = check.sizes(wiki)?;
    let (commits, is_forward) = check.commits(old, new)?;
    if !is_forward && !rules.rewrite {
        return Err(PushRefusal::new(
            "the wiki has changes that this push doesn't build on; fetch first, then merge or rebase",
        )
        .into());
    }
    for commit in &commits {
        check.enough()?;
        check.commit(*commit)?;
    }
    // If a tree names the large file, a problem was reported already.
    if let (Some(line), true) = (large_file, check.problems.is_empty()) {
        return Err(PushRefusal::too_large(line).into());
    }
    match check.problems.refusal() {
        Some(refusal) => Err(refusal.into()),
        None => {
            let (mut objects, has_files) = (check.seen, !check.files.is_empty());
            objects.extend(check.files.into_keys());
            let log = check.log;
            Ok(Checked { commits: commits.len(), objects, is_forward, log, has_files })
        }
    }
}

/// The commits that a push or fetch brought.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    commits: HashSet<Revision>,
    trees: HashMap<Revision, Id>,
    /// Their parents that are known or weren't sent.
    known: Vec<Revision>,
}

/// Walks back from `new` over the sent commits that aren't known, and refuses more than `most`. The header of each
/// commit is checked before the commit is read, so that none takes more memory than the limit.
pub(crate) fn brought(
    incoming: &Incoming,
    is_known: impl Fn(Revision) -> bool,
    new: Revision,
    most: usize,
) -> Result<Brought, Error> {
    let refuse = |line: String| Err(PushRefusal::new(line).into());
    let mut brought = Brought::default();
    let mut next = vec![new];
    while let Some(commit) = next.pop() {
        if is_known(commit) || !incoming.brings(commit.as_bytes()) {
            brought.known.push(commit);
            continue;
        }
        if !brought.commits.insert(commit) {
            continue;
        }
        if brought.commits.len() > most {
            return refuse(format!("more than {most} commits; push them in parts"));
        }
        match incoming.header(commit.as_bytes())? {
            Some(header) if header.is_commit && header.size <= MAX_COMMIT => {}
            Some(header) if header.is_commit => {
                return refuse(format!(
                    "commit {commit} has {} bytes; {MAX_COMMIT} are allowed, message and signature included",
                    header.size
                ));
            }
            _ => return refuse(format!("{commit} is no commit")),
        }
        let (tree, parents) = incoming.links(commit)?;
        brought.trees.insert(commit, tree);
        next.extend(parents);
    }
    Ok(brought)
}

/// Checks files that are about to be written, whose trees were made here and not received.
pub(crate) fn check_files(view: &View, edits: &[Edit], rules: &PushRules) -> Result<(), Error> {
    let mut problems = Problems::default();
    for Edit { path, new, content } in edits {
        let Some(new) = new else { continue };
        if let Err(why) = check_carried(path) {
            problems.about(path, why);
        }
        if new.is_file() {
            let size = match content {
                Some(content) => content.len() as u64,
                None => view.blob_size(new.id)?,
            };
            let is_page = path.ends_with(EXTENSION.as_bytes());
            check_size(&mut problems, rules, path, is_page, size);
        }
    }
    problems.refusal().map_or(Ok(()), |refusal| Err(refusal.into()))
}

fn check_size(problems: &mut Problems, rules: &PushRules, path: &[u8], is_page: bool, size: u64) {
    let (what, limit) = match is_page {
        true => ("page", rules.page_bytes),
        false => ("file", rules.attachment_bytes),
    };
    if size > limit {
        let why = format!("it has {size} bytes; a {what} may have {limit}");
        problems.too_large(path, &why);
    }
}

impl Trees for Check<'_> {
    fn read(&mut self, tree: Id) -> Result<Vec<u8>, Error> {
        Ok(self.read_tree(tree, b"")?.unwrap_or_default())
    }
}

impl Check<'_> {
    /// Ends the check at once. Returns the refusal, with the problems found so far.
    fn refuse(&mut self, line: impl Into<String>) -> Error {
        self.problems.add(line.into());
        self.problems.refusal().unwrap_or_default().into()
    }

    /// Checks the size of every pushed object, even of unreferenced ones: a referenced object may be stored as a delta
    /// against a far larger one, and reading it builds both. No file has been read yet, so the first problem with a
    /// file is returned, for the caller to report later.
    fn sizes(&mut self, wiki: &Repo) -> Result<Option<String>, Error> {
        let largest_file = self.rules.page_bytes.max(self.rules.attachment_bytes);
        let mut large_file = None;
        for id in self.incoming.ids() {
            let Some(header) = self.incoming.header(id)? else { continue };
            self.look(1 + u64::from(header.deltas))?;
            let (what, most) = match header {
                Header { is_blob: true, .. } => ("file", largest_file),
                Header { is_tree: true, .. } => ("folder", MAX_TREE),
                _ => ("commit", MAX_COMMIT),
            };
            // git adds delta bases of any size that the wiki has already.
            if header.size <= most || wiki.has(id) {
                continue;
            }
            let id = Revision::from_bytes(*id);
            let line = format!("the {what} {id} has {} bytes; {most} are allowed", header.size);
            match header.is_blob {
                true => large_file = Some(line),
                false => return Err(self.refuse(line)),
            }
        }
        Ok(large_file)
    }

    /// Returns the commits that the branch lacks, and whether the push is a fast-forward.
    fn commits(
        &mut self,
        old: Option<Revision>,
        new: Revision,
    ) -> Result<(Vec<Revision>, bool), Error> {
        let most = self.rules.max_commits;
        let Brought { commits, trees, known } =
            brought(self.incoming, |commit| Some(commit) == old, new, most)?;
        self.trees = trees;
        let repo = self.incoming.repo();
        if known.iter().all(|commit| Some(*commit) == old) {
            // The push builds on the present commit, or on nothing.
            let is_forward = old.is_none() || !known.is_empty();
            return Ok((commits.into_iter().collect(), is_forward));
        }
        for commit in &known {
            if !repo.is_commit(*commit)? {
                return Err(self.refuse(format!("{commit} is missing or no commit")));
            }
        }
        let is_forward = match old {
            Some(old) => repo.is_ancestor(old, new)?,
            None => true,
        };
        Ok((repo.commits_since(old, new)?, is_forward))
    }

    fn commit(&mut self, id: Revision) -> Result<(), Error> {
        self.seen.insert(*id.as_bytes());
        // A commit that the index can't read would keep the index incomplete for ever.
        if let Err(error) = self.incoming.commit(id) {
            return Err(self.refuse(format!("commit {id} can't be read: {error}")));
        }
        let (tree, parents) = self.incoming.links(id)?;
        let mut olds: Vec<Id> = Vec::with_capacity(parents.len());
        for parent in parents {
            let tree = self.tree_of(parent)?;
            if !olds.contains(&tree) {
                olds.push(tree);
            }
        }
        self.tree(tree, &olds, &mut Place::default())?;
        self.measure_commit(id, tree, &olds)?;
        self.count_changes(id, tree, &olds)
    }

    /// Counts the log rows that a commit will need.
    fn count_changes(&mut self, id: Revision, tree: Id, olds: &[Id]) -> Result<(), Error> {
        let mut measures = std::mem::take(&mut self.measures);
        let changed = measures.commit(self, tree, olds);
        self.measures = measures;
        let size = self.incoming.header(id.as_bytes())?.map_or(0, |header| header.size);
        self.log.add(size, &changed?);
        match self.log.too_many() {
            Some(why) => Err(self.refuse(format!("commit {id} {why}; push them in parts"))),
            None => Ok(()),
        }
    }

    fn tree_of(&mut self, commit: Revision) -> Result<Id, Error> {
        if let Some(tree) = self.trees.get(&commit) {
            return Ok(*tree);
        }
        let (tree, _) = self.incoming.links(commit)?;
        self.trees.insert(commit, tree);
        Ok(tree)
    }

    /// Checks that the commit as a whole is within the limits, or exceeds them by no more than its parents do.
    fn measure_commit(&mut self, id: Revision, tree: Id, olds: &[Id]) -> Result<(), Error> {
        let mut before = Measure::default();
        for old in olds {
            let old = self.measure(*old)?;
            before.paths.files = before.paths.files.max(old.paths.files);
            before.paths.bytes = before.paths.bytes.max(old.paths.bytes);
            before.depth = before.depth.max(old.depth);
            before.longest = before.longest.max(old.longest);
        }
        let now = self.measure(tree)?;
        if let Some(why) = self.rules.too_many(now.paths, before.paths) {
            return Err(self.refuse(format!("commit {id} {why}")));
        }
        let max_depth = self.rules.max_depth;
        if now.depth > max_depth.max(before.depth) {
            return Err(self.refuse(format!("commit {id} has files over {max_depth} levels deep")));
        }
        if now.longest > super::names::MAX_PATH.max(before.longest) {
            return Err(self.refuse(format!("commit {id} has paths of over 1,000 bytes")));
        }
        Ok(())
    }

    fn measure(&mut self, tree: Id) -> Result<Measure, Error> {
        let mut measures = std::mem::take(&mut self.measures);
        let measured = measures.whole(self, tree);
        self.measures = measures;
        measured
    }

    /// Reads a tree; `None` if it is malformed, which is recorded as a problem.
    fn read_tree(&mut self, tree: Id, path: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let wrong = match self.incoming.header(&tree)? {
            Some(header) if !header.is_tree => "it is no folder, though it says so",
            Some(header) if header.size > MAX_TREE => "the folder has too many files",
            Some(header) if header.deltas > MAX_DELTAS => "it is packed too deeply",
            None => "the folder is missing in what was pushed",
            Some(header) => {
                self.look(1 + header.size / ENTRY_BYTES + u64::from(header.deltas))?;
                let mut bytes = Vec::new();
                self.incoming.read(&tree, &mut bytes)?;
                return Ok(Some(bytes));
            }
        };
        self.problems.about(path, wrong);
        Ok(None)
    }

    fn look(&mut self, looks: u64) -> Result<(), Error> {
        deadline::check()?;
        self.looks += looks;
        if self.looks > MAX_LOOKS {
            return Err(self.refuse("this is too much to be checked at once; push it in parts"));
        }
        Ok(())
    }

    /// Ends the check once there are more problems than are shown.
    fn enough(&mut self) -> Result<(), Error> {
        match self.problems.are_enough() {
            true => Err(self.problems.refusal().unwrap_or_default().into()),
            false => Ok(()),
        }
    }

    /// Compares a tree with those that stand at the same path in the parents.
    fn tree(&mut self, id: Id, olds: &[Id], place: &mut Place) -> Result<(), Error> {
        if olds.contains(&id) {
            return Ok(());
        }
        self.enough()?;
        if !self.compared.insert((id, olds.into())) {
            // Its content was looked at under another name.
            let named = match self.rules.carries {
                true => check_carried(&place.path),
                false => check_folder(&place.path, place.known),
            };
            if let (Err(why), false) = (named, place.path.is_empty()) {
                self.problems.about(&place.path, why);
            }
            return Ok(());
        }
        if place.depth >= self.rules.max_depth {
            let most = self.rules.max_depth;
            self.problems.about(&place.path, &format!("it is more than {most} levels deep"));
            return Ok(());
        }
        let Some(bytes) = self.read_tree(id, &place.path)? else { return Ok(()) };
        self.seen.insert(id);
        let Some(new) = entries(&bytes) else {
            self.problems.about(&place.path, "the folder can't be read");
            return Ok(());
        };
        let mut old_bytes = Vec::with_capacity(olds.len());
        for old in olds {
            old_bytes.push(self.read_tree(*old, &place.path)?.unwrap_or_default());
        }
        let olds: Vec<Vec<Entry<'_>>> =
            old_bytes.iter().map(|bytes| entries(bytes).unwrap_or_default()).collect();
        let mut at = vec![0; olds.len()];
        let mut fresh = Vec::new();
        for entry in &new {
            self.look(olds.len() as u64)?;
            let mut same: Vec<&Entry<'_>> = Vec::with_capacity(olds.len());
            for (old, at) in olds.iter().zip(&mut at) {
                while old.get(*at).is_some_and(|old| old.order(entry).is_lt()) {
                    *at += 1;
                }
                same.extend(old.get(*at).filter(|old| old.name == entry.name));
            }
            if same.len() < olds.len() || olds.is_empty() {
                fresh.push(entry.name);
            }
            if same.iter().any(|old| old.id == entry.id && old.mode == entry.mode) {
                continue;
            }
            let (length, known) = (place.path.len(), place.known);
            place.enter(entry.name, !same.is_empty());
            if entry.is_tree() {
                let trees = same.iter().filter(|old| old.is_tree()).map(|old| old.id);
                self.tree(entry.id, &trees.collect::<Vec<_>>(), place)?;
            } else {
                self.file(entry, place)?;
            }
            place.leave(length, known);
        }
        if !self.rules.carries {
            self.collisions(&fresh, &new, &olds, &place.path)?;
        }
        Ok(())
    }

    fn file(&mut self, entry: &Entry<'_>, place: &Place) -> Result<(), Error> {
        let path = place.path.as_slice();
        let wrong = match entry.mode {
            _ if self.rules.carries => None,
            0o100_644 | 0o100_755 => None,
            0o120_000 => Some("it is a symbolic link, which a wiki doesn't take"),
            0o160_000 => Some("it is a submodule, which a wiki doesn't take"),
            _ => Some("its mode is not one that git gives to a file (100644 or 100755)"),
        };
        let named = match self.rules.carries {
            true => check_carried(path),
            false => check_path(path, place.known),
        };
        if let Some(wrong) = wrong.or(named.err()) {
            self.problems.about(path, wrong);
        }
        // A symbolic link has content, too; a submodule is a commit of another repository.
        const SUBMODULE: u32 = 0o160_000;
        if !entry.is_file() && (!self.rules.carries || entry.mode == SUBMODULE) {
            return Ok(());
        }
        if let Some(size) = self.files.get(&entry.id) {
            self.size(entry, path, *size);
            return Ok(());
        }
        let wrong = match self.incoming.header(&entry.id)? {
            None => "its content is missing in what was pushed",
            Some(header) if !header.is_blob => "its content is no file",
            Some(header) if header.deltas > MAX_DELTAS => "it is packed too deeply",
            Some(header) => {
                self.look(1 + u64::from(header.deltas))?;
                self.files.insert(entry.id, header.size);
                self.size(entry, path, header.size);
                return Ok(());
            }
        };
        self.problems.about(path, wrong);
        Ok(())
    }

    fn size(&mut self, entry: &Entry<'_>, path: &[u8], size: u64) {
        check_size(&mut self.problems, self.rules, path, entry.is_page(), size);
    }

    /// Notes names that some systems can't tell apart.
    fn collisions(
        &mut self,
        fresh: &[&[u8]],
        new: &[Entry<'_>],
        olds: &[Vec<Entry<'_>>],
        path: &[u8],
    ) -> Result<(), Error> {
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let found = |one: &[u8], other: &[u8]| pairs.push((one.to_vec(), other.to_vec()));
        collisions(fresh, new, olds, |looks| self.look(looks), found)?;
        for (one, other) in pairs {
            let path = [path, if path.is_empty() { b"" } else { b"/" }, &one].concat();
            let other = shown(&other);
            let why = format!("Windows and macOS can't tell it from `{other}` beside it");
            self.problems.about(&path, &why);
        }
        Ok(())
    }
}
