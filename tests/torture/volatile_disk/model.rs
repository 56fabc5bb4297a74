//! A directory on a disk that keeps nothing but what was synced.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::random;

/// The number of a file or directory.
pub(super) type Inode = usize;

/// What a disk writes as a whole (bytes).
const SECTOR: usize = 4096;

/// How much of what wasn't synced is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// All of it.
    Everything,
    /// All contents, and no name: new files are empty, and old ones are as they were.
    Contents,
    /// Names from some moment on, and any sectors of the contents.
    LateNames,
    /// Any names, and any sectors of the contents.
    Anything,
}

impl Loss {
    pub(super) const ALL: [Self; 4] =
        [Self::Contents, Self::Everything, Self::Anything, Self::LateNames];

    fn tears(self) -> bool {
        matches!(self, Self::LateNames | Self::Anything)
    }
}

#[derive(Clone, Debug)]
enum Node {
    File { now: Arc<Vec<u8>>, durable: Arc<Vec<u8>>, mode: u32 },
    Dir { now: BTreeMap<Vec<u8>, Inode>, durable: BTreeMap<Vec<u8>, Inode>, mode: u32 },
    Link(PathBuf),
}

/// A name in a directory now means this, or nothing.
type Edit = (Inode, Vec<u8>, Option<Inode>);

/// Edits of names that are done together or not at all, and aren't durable yet.
#[derive(Clone, Debug)]
struct Change {
    number: usize,
    edits: Vec<Edit>,
}

impl Change {
    fn is_in(&self, dir: Inode) -> bool {
        self.edits.iter().any(|(other, ..)| *other == dir)
    }

    /// The names that it changes, each with its directory.
    fn names(&self) -> impl Iterator<Item = (Inode, &[u8])> {
        self.edits.iter().map(|(dir, name, _)| (*dir, name.as_slice()))
    }
}

/// All files of a directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    nodes: Vec<Node>,
    pending: Vec<Change>,
    /// How many changes of names there were.
    changes: usize,
}

impl Model {
    /// A real directory, all of which is durable.
    pub(super) fn of(dir: &Path) -> Self {
        let mut model = Self::default();
        model.read(dir, &mut BTreeMap::new());
        model
    }

    pub(super) const ROOT: Inode = 0;

    fn read(&mut self, path: &Path, known: &mut BTreeMap<u64, Inode>) -> Inode {
        let metadata = fs::symlink_metadata(path).unwrap();
        if let Some(inode) = known.get(&metadata.ino()) {
            return *inode;
        }
        let inode = self.nodes.len();
        known.insert(metadata.ino(), inode);
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_symlink() {
            self.nodes.push(Node::Link(fs::read_link(path).unwrap()));
        } else if metadata.is_file() {
            let content = Arc::new(fs::read(path).unwrap());
            self.nodes.push(Node::File { now: content.clone(), durable: content, mode });
        } else {
            self.new_dir(mode);
            for entry in fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                let child = self.read(&entry.path(), known);
                let name = entry.file_name().into_encoded_bytes();
                self.set_now(&(inode, name.clone(), Some(child)));
                self.set_durable(&(inode, name, Some(child)));
            }
        }
        inode
    }

    pub(super) fn new_file(&mut self, mode: u32) -> Inode {
        self.nodes.push(Node::File { now: Arc::default(), durable: Arc::default(), mode });
        self.nodes.len() - 1
    }

    pub(super) fn new_dir(&mut self, mode: u32) -> Inode {
        self.nodes.push(Node::Dir { now: BTreeMap::new(), durable: BTreeMap::new(), mode });
        self.nodes.len() - 1
    }

    pub(super) fn new_link(&mut self, target: PathBuf) -> Inode {
        self.nodes.push(Node::Link(target));
        self.nodes.len() - 1
    }

    /// What a name means now.
    pub(super) fn lookup(&self, dir: Inode, name: &[u8]) -> Option<Inode> {
        match &self.nodes[dir] {
            Node::Dir { now, .. } => now.get(name).copied(),
            _ => None,
        }
    }

    /// Changes names, together.
    pub(super) fn rename(&mut self, edits: Vec<Edit>) {
        edits.iter().for_each(|edit| self.set_now(edit));
        self.changes += 1;
        self.pending.push(Change { number: self.changes, edits });
    }

    fn set_now(&mut self, (dir, name, inode): &Edit) {
        if let Node::Dir { now, .. } = &mut self.nodes[*dir] {
            set(now, name, *inode);
        }
    }

    fn set_durable(&mut self, (dir, name, inode): &Edit) {
        if let Node::Dir { durable, .. } = &mut self.nodes[*dir] {
            set(durable, name, *inode);
        }
    }

    /// The present content of a file.
    pub(super) fn content(&mut self, file: Inode) -> &mut Vec<u8> {
        match &mut self.nodes[file] {
            Node::File { now, .. } => Arc::make_mut(now),
            other => panic!("{other:?} is written"),
        }
    }

    /// What a sync that begins now makes durable once it ends.
    pub(super) fn begin_sync(&self, inode: Inode) -> Sync {
        match &self.nodes[inode] {
            Node::File { now, .. } => Sync::File(inode, now.clone()),
            _ => Sync::Dir(inode, self.changes),
        }
    }

    /// What a sync of the whole file system that begins now makes durable.
    pub(super) fn begin_sync_of_all(&self) -> Vec<Sync> {
        (0..self.nodes.len()).map(|inode| self.begin_sync(inode)).collect()
    }

    pub(super) fn end_sync(&mut self, sync: Sync) {
        match sync {
            Sync::File(inode, content) => {
                if let Node::File { durable, .. } = &mut self.nodes[inode] {
                    *durable = content;
                }
            }
            Sync::Dir(inode, last) => self.settle(inode, last),
        }
    }

    /// The changes of names in a directory up to the one of the number `last` are durable, and with them
    /// what they rest on.
    fn settle(&mut self, dir: Inode, last: usize) {
        let covered = |change: &Change| change.number <= last && change.is_in(dir);
        let mut chosen: Vec<bool> = self.pending.iter().map(covered).collect();
        self.close(&mut chosen);
        let pending = std::mem::take(&mut self.pending);
        for (change, chosen) in pending.into_iter().zip(chosen) {
            if chosen {
                change.edits.iter().for_each(|edit| self.set_durable(edit));
            } else {
                self.pending.push(change);
            }
        }
    }

    /// A change of a name rests on the earlier ones of the same name.
    fn close(&self, chosen: &mut [bool]) {
        let mut names = HashSet::new();
        for (change, chosen) in self.pending.iter().zip(chosen).rev() {
            *chosen |= change.names().any(|name| names.contains(&name));
            if *chosen {
                names.extend(change.names());
            }
        }
    }

    /// Writes a state that a power cut may leave into the new directory `target`.
    pub(super) fn cut(&self, loss: Loss, target: &Path) {
        let mut left = self.clone();
        let survives = left.survivors(loss);
        for (change, survives) in self.pending.iter().zip(survives) {
            if survives {
                change.edits.iter().for_each(|edit| left.set_durable(edit));
            }
        }
        left.write(Self::ROOT, target, loss, &mut BTreeMap::new());
    }

    /// Which of the changes that weren't synced are there nevertheless.
    fn survivors(&self, loss: Loss) -> Vec<bool> {
        let count = self.pending.len();
        let until = random(count + 1);
        let mut chosen: Vec<bool> = (0..count)
            .map(|number| match loss {
                Loss::Everything => false,
                Loss::Contents => true,
                Loss::LateNames => number < until,
                Loss::Anything => random(2) == 0,
            })
            .collect();
        self.close(&mut chosen);
        chosen
    }

    fn write(&self, inode: Inode, path: &Path, loss: Loss, made: &mut BTreeMap<Inode, PathBuf>) {
        if let Some(first) = made.get(&inode) {
            return fs::hard_link(first, path).unwrap();
        }
        match &self.nodes[inode] {
            Node::File { now, durable, mode } => {
                let torn = if loss.tears() { torn(durable, now) } else { durable.to_vec() };
                fs::write(path, torn).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
                made.insert(inode, path.to_owned());
            }
            Node::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            Node::Dir { durable, mode, .. } => {
                fs::create_dir(path).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
                for (name, child) in durable {
                    self.write(*child, &path.join(text(name)), loss, made);
                }
            }
        }
    }

    /// The present state is what a real directory is.
    ///
    /// # Panics
    /// It isn't: the record lacks something.
    pub(super) fn assert_is(&self, real: &Path) {
        self.compare(Self::ROOT, real);
    }

    fn compare(&self, inode: Inode, real: &Path) {
        match &self.nodes[inode] {
            // What is in it is written through a memory map.
            Node::File { .. } if text(real.as_os_str().as_encoded_bytes()).ends_with("-shm") => {}
            Node::File { now, .. } => {
                assert!(fs::read(real).unwrap() == **now, "{} isn't as recorded", real.display());
            }
            Node::Link(target) => assert_eq!(fs::read_link(real).unwrap(), *target),
            Node::Dir { now, .. } => {
                let names = fs::read_dir(real).unwrap();
                let mut names: Vec<_> =
                    names.map(|entry| entry.unwrap().file_name().into_encoded_bytes()).collect();
                names.sort();
                let recorded: Vec<_> = now.keys().cloned().collect();
                let readable =
                    |names: &[Vec<u8>]| names.iter().map(|n| text(n)).collect::<Vec<_>>();
                assert_eq!(readable(&recorded), readable(&names), "in {}", real.display());
                now.iter().for_each(|(name, child)| self.compare(*child, &real.join(text(name))));
            }
        }
    }
}

/// A sync that began: what it makes durable once it has succeeded.
#[derive(Clone, Debug)]
pub(super) enum Sync {
    File(Inode, Arc<Vec<u8>>),
    /// The changes of its names up to the one of this number.
    Dir(Inode, usize),
}

fn set(names: &mut BTreeMap<Vec<u8>, Inode>, name: &[u8], inode: Option<Inode>) {
    match inode {
        Some(inode) => names.insert(name.to_owned(), inode),
        None => names.remove(name),
    };
}

/// Any of the sectors of either content.
fn torn(old: &[u8], new: &[u8]) -> Vec<u8> {
    let length = if random(2) == 0 { old.len() } else { new.len() };
    let mut content = vec![0; length];
    for start in (0..length).step_by(SECTOR) {
        let from = if random(2) == 0 { old } else { new };
        let end = length.min(start + SECTOR).min(from.len());
        if start < end {
            content[start..end].copy_from_slice(&from[start..end]);
        }
    }
    content
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contents of the files that are left.
    fn cut(model: &Model, loss: Loss) -> Vec<(String, String)> {
        let scratch = testkit::scratch();
        let target = scratch.path().join("cut");
        model.cut(loss, &target);
        let mut left: Vec<_> = fs::read_dir(&target)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let content = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), content)
            })
            .collect();
        left.sort();
        left
    }

    fn files<const N: usize>(files: [(&str, &str); N]) -> Vec<(String, String)> {
        files.map(|(name, content)| (name.to_owned(), content.to_owned())).to_vec()
    }

    #[test]
    fn a_cut_keeps_what_was_synced_and_nothing_else() {
        let real = testkit::scratch();
        fs::write(real.path().join("old"), "durable").unwrap();
        let mut model = Model::of(real.path());
        let new = model.new_file(0o600);
        model.content(new).extend(b"text");
        model.rename(vec![(Model::ROOT, b"new".to_vec(), Some(new))]);
        assert_eq!(cut(&model, Loss::Everything), files([("old", "durable")]));
        assert_eq!(cut(&model, Loss::Contents), files([("new", ""), ("old", "durable")]));

        let begun = model.begin_sync(new);
        // Written after the sync began: it isn't covered.
        model.content(new).extend(b", and more");
        model.end_sync(begun);
        assert_eq!(cut(&model, Loss::Everything), files([("old", "durable")]));
        assert_eq!(cut(&model, Loss::Contents), files([("new", "text"), ("old", "durable")]));

        let replaced =
            vec![(Model::ROOT, b"new".to_vec(), None), (Model::ROOT, b"old".to_vec(), Some(new))];
        model.rename(replaced);
        assert_eq!(cut(&model, Loss::Everything), files([("old", "durable")]));
        let begun = model.begin_sync(Model::ROOT);
        model.end_sync(begun);
        assert_eq!(cut(&model, Loss::Everything), files([("old", "text")]));
    }
}
