//! Repeats a record on a model.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use super::model::{Inode, Model, Sync};
use super::record::{Call, annotation, bytes};

/// An open file of the directory.
#[derive(Clone, Copy, Debug)]
struct Open {
    inode: Inode,
    position: usize,
    appends: bool,
}

/// A process, which all of its threads share.
#[derive(Clone, Debug, Default)]
struct Process {
    open: HashMap<i64, Open>,
    cwd: PathBuf,
}

/// A model, brought forward call by call.
pub(super) struct Replay {
    pub(super) model: Model,
    /// Where the recorded directory was.
    root: PathBuf,
    /// The process of each thread.
    processes: HashMap<u32, u32>,
    by_id: HashMap<u32, Process>,
    /// Syncs that began and haven't ended.
    syncing: HashMap<u32, Vec<Sync>>,
    /// Threads whose `close` has begun: the number may be another file's before it ends.
    closing: HashSet<u32>,
    /// The thread that made each thread, and whether it did so within its process.
    parents: HashMap<u32, (u32, bool)>,
}

impl Replay {
    pub(super) fn new(model: Model, root: &Path, calls: &[Call]) -> Self {
        Self {
            model,
            root: root.to_owned(),
            processes: HashMap::new(),
            by_id: HashMap::new(),
            syncing: HashMap::new(),
            closing: HashSet::new(),
            parents: calls.iter().filter_map(parentage).collect(),
        }
    }

    /// Does what a call did.
    pub(super) fn apply(&mut self, call: &Call) {
        let process = self.process_of(call.thread);
        let Some(result) = call.result else { return self.begin(process, call) };
        if result < 0 {
            self.syncing.remove(&call.thread);
            return;
        }
        match call.name.as_str() {
            "open" | "openat" | "creat" => self.open(process, call, result),
            "close" if self.closing.remove(&call.thread) => {}
            "close" => drop(self.files(process).remove(&number(&call.args[0]))),
            "dup" | "dup2" | "dup3" => self.duplicate(process, call, result),
            "fcntl" if call.args[1].starts_with("F_DUPFD") => self.duplicate(process, call, result),
            "lseek" => {
                if let Some(open) = self.files(process).get_mut(&number(&call.args[0])) {
                    open.position = result as usize;
                }
            }
            "chdir" => {
                let path = self.path(process, None, &call.args[0]);
                self.by_id.get_mut(&process).unwrap().cwd = path;
            }
            "fchdir" => {
                let path =
                    PathBuf::from(std::ffi::OsString::from_vec(annotation(&call.args[0]).unwrap()));
                self.by_id.get_mut(&process).unwrap().cwd = path;
            }
            "clone" | "clone3" | "fork" | "vfork" => drop(self.process_of(result as u32)),
            "write" | "writev" | "pwrite64" | "pwritev" => self.write(process, call, result),
            "copy_file_range" | "sendfile" => self.copy(process, call, result),
            "truncate" | "ftruncate" => self.truncate(process, call),
            "fallocate" => self.allocate(process, call),
            "fsync" | "fdatasync" | "syncfs" | "sync" => self.sync(process, call),
            _ => self.change_names(process, call),
        }
    }

    fn files(&mut self, process: u32) -> &mut HashMap<i64, Open> {
        &mut self.by_id.entry(process).or_default().open
    }

    /// The process of a thread. A new one has what its parent has: its child may run before the call that
    /// made it returns.
    fn process_of(&mut self, thread: u32) -> u32 {
        if let Some(process) = self.processes.get(&thread) {
            return *process;
        }
        let parent = self.parents.get(&thread).copied();
        let parent = parent.map(|(parent, shares)| (self.process_of(parent), shares));
        let process = match parent {
            Some((parent, true)) => parent,
            Some((parent, false)) => {
                self.by_id.insert(thread, self.by_id[&parent].clone());
                thread
            }
            None => {
                let cwd = std::env::current_dir().unwrap();
                self.by_id.insert(thread, Process { open: HashMap::new(), cwd });
                thread
            }
        };
        self.processes.insert(thread, process);
        process
    }

    /// A call that others run during. What a sync covers is what was written before it.
    fn begin(&mut self, process: u32, call: &Call) {
        let begun = match call.name.as_str() {
            "fsync" | "fdatasync" | "syncfs" | "sync" => self.begin_sync(process, call),
            "close" => {
                self.closing.insert(call.thread);
                self.files(process).remove(&number(&call.args[0]));
                return;
            }
            _ => return,
        };
        self.syncing.insert(call.thread, begun);
    }

    fn begin_sync(&mut self, process: u32, call: &Call) -> Vec<Sync> {
        if call.name.starts_with("sync") {
            return self.model.begin_sync_of_all();
        }
        let open = self.files(process).get(&number(&call.args[0])).copied();
        open.map(|open| self.model.begin_sync(open.inode)).into_iter().collect()
    }

    fn sync(&mut self, process: u32, call: &Call) {
        let begun = match self.syncing.remove(&call.thread) {
            Some(begun) => begun,
            None => self.begin_sync(process, call),
        };
        begun.into_iter().for_each(|sync| self.model.end_sync(sync));
    }

    /// The path that a call names, below the directory of a descriptor or the working directory.
    fn path(&self, process: u32, dir: Option<&str>, name: &str) -> PathBuf {
        let name = PathBuf::from(std::ffi::OsString::from_vec(bytes(name)));
        let base = match dir.and_then(annotation) {
            Some(base) => PathBuf::from(std::ffi::OsString::from_vec(base)),
            None => self.by_id[&process].cwd.clone(),
        };
        let mut path = PathBuf::new();
        for part in base.join(name).components() {
            match part {
                Component::ParentDir => drop(path.pop()),
                Component::CurDir => {}
                other => path.push(other),
            }
        }
        path
    }

    /// The directory and the last name of a path below the root.
    fn place(&self, path: &Path) -> Option<(Inode, Vec<u8>)> {
        let below = path.strip_prefix(&self.root).ok()?;
        let name = below.file_name()?.as_encoded_bytes().to_owned();
        Some((self.find(path.parent()?)?, name))
    }

    fn find(&self, path: &Path) -> Option<Inode> {
        let below = path.strip_prefix(&self.root).ok()?;
        below.components().try_fold(Model::ROOT, |dir, part| {
            self.model.lookup(dir, part.as_os_str().as_encoded_bytes())
        })
    }

    fn open(&mut self, process: u32, call: &Call, result: i64) {
        let (dir, name, flags, mode) = match call.name.as_str() {
            "openat" => (Some(&*call.args[0]), &call.args[1], &*call.args[2], call.args.get(3)),
            "creat" => (None, &call.args[0], "O_CREAT|O_TRUNC", call.args.get(1)),
            _ => (None, &call.args[0], &*call.args[1], call.args.get(2)),
        };
        let path = self.path(process, dir, name);
        self.files(process).remove(&result);
        if !path.starts_with(&self.root) {
            return;
        }
        let mode = mode.map_or(0o644, |mode| u32::from_str_radix(mode, 8).unwrap() & !0o022);
        let inode = match self.find(&path) {
            _ if flags.contains("O_TMPFILE") => self.model.new_file(mode),
            Some(inode) => inode,
            None if flags.contains("O_CREAT") => {
                let (dir, name) = self.place(&path).unwrap();
                let inode = self.model.new_file(mode);
                self.model.rename(vec![(dir, name, Some(inode))]);
                inode
            }
            // Removed meanwhile.
            None if flags.starts_with("O_RDONLY") => return,
            None => panic!("{} was opened, and isn't recorded", path.display()),
        };
        if flags.contains("O_TRUNC") {
            self.model.content(inode).clear();
        }
        let open = Open { inode, position: 0, appends: flags.contains("O_APPEND") };
        self.files(process).insert(result, open);
    }

    fn duplicate(&mut self, process: u32, call: &Call, result: i64) {
        let files = self.files(process);
        match files.get(&number(&call.args[0])).copied() {
            Some(open) => drop(files.insert(result, open)),
            None => drop(files.remove(&result)),
        }
    }

    fn write(&mut self, process: u32, call: &Call, result: i64) {
        let fd = number(&call.args[0]);
        let Some(mut open) = self.files(process).get(&fd).copied() else { return };
        let written = result as usize;
        let data = &bytes(&call.args[1])[..written];
        let content = self.model.content(open.inode);
        let at = match call.name.as_str() {
            "pwrite64" | "pwritev" => call.args[3].parse().unwrap(),
            _ if open.appends => content.len(),
            _ => open.position,
        };
        if content.len() < at + written {
            content.resize(at + written, 0);
        }
        content[at..at + written].copy_from_slice(data);
        if !call.name.starts_with('p') {
            open.position = at + written;
            self.files(process).insert(fd, open);
        }
    }

    fn copy(&mut self, process: u32, call: &Call, result: i64) {
        let (from, to) = match call.name.as_str() {
            "sendfile" => (&call.args[1], &call.args[0]),
            _ => (&call.args[0], &call.args[2]),
        };
        let (from, to) = (number(from), number(to));
        let Some(target) = self.files(process).get(&to).copied() else { return };
        let source = self.files(process)[&from];
        let length = result as usize;
        let data = self.model.content(source.inode)[source.position..][..length].to_vec();
        let content = self.model.content(target.inode);
        let end = target.position + length;
        content.resize(content.len().max(end), 0);
        content[target.position..end].copy_from_slice(&data);
        self.files(process).get_mut(&from).unwrap().position += length;
        self.files(process).get_mut(&to).unwrap().position += length;
    }

    fn truncate(&mut self, process: u32, call: &Call) {
        let inode = match call.name.as_str() {
            "truncate" => self.find(&self.path(process, None, &call.args[0])),
            _ => self.files(process).get(&number(&call.args[0])).map(|open| open.inode),
        };
        let Some(inode) = inode else { return };
        self.model.content(inode).resize(call.args[1].parse().unwrap(), 0);
    }

    fn allocate(&mut self, process: u32, call: &Call) {
        let Some(open) = self.files(process).get(&number(&call.args[0])).copied() else { return };
        if call.args[1] == "0" {
            let (offset, length): (usize, usize) =
                (call.args[2].parse().unwrap(), call.args[3].parse().unwrap());
            let content = self.model.content(open.inode);
            content.resize(content.len().max(offset + length), 0);
        }
    }

    fn change_names(&mut self, process: u32, call: &Call) {
        let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
        match (call.name.as_str(), &args[..]) {
            ("rename", [from, to]) => self.move_name(process, (None, from), (None, to)),
            ("renameat" | "renameat2", [from_dir, from, to_dir, to, ..]) => {
                self.move_name(process, (Some(from_dir), from), (Some(to_dir), to));
            }
            ("link", [from, to]) => self.link(process, (None, from), (None, to)),
            ("linkat", [from_dir, from, to_dir, to, ..]) => {
                self.link(process, (Some(from_dir), from), (Some(to_dir), to));
            }
            ("symlink", [target, path]) => self.symlink(process, target, (None, path)),
            ("symlinkat", [target, dir, path]) => self.symlink(process, target, (Some(dir), path)),
            ("unlink" | "rmdir", [path]) => self.remove(process, (None, path)),
            ("unlinkat", [dir, path, ..]) => self.remove(process, (Some(dir), path)),
            ("mkdir", [path, mode]) => self.make_dir(process, (None, path), mode),
            ("mkdirat", [dir, path, mode]) => self.make_dir(process, (Some(dir), path), mode),
            ("fcntl", _) => {}
            _ => panic!("{call:?} isn't understood"),
        }
    }

    fn move_name(&mut self, process: u32, from: Name<'_>, to: Name<'_>) {
        let (from, to) = (self.path(process, from.0, from.1), self.path(process, to.0, to.1));
        let (source, target) = (self.place(&from), self.place(&to));
        let Some((from_dir, from_name)) = source else {
            assert!(target.is_none(), "{} came from outside", to.display());
            return;
        };
        let inode = self.model.lookup(from_dir, &from_name);
        let inode = inode.unwrap_or_else(|| panic!("{} isn't recorded", from.display()));
        let mut edits = vec![(from_dir, from_name, None)];
        edits.extend(target.map(|(dir, name)| (dir, name, Some(inode))));
        self.model.rename(edits);
    }

    fn link(&mut self, process: u32, from: Name<'_>, to: Name<'_>) {
        let Some((dir, name)) = self.place(&self.path(process, to.0, to.1)) else { return };
        let from = self.path(process, from.0, from.1);
        let inode = match from.strip_prefix("/proc/self/fd") {
            Ok(fd) => {
                let fd = fd.to_str().unwrap().parse().unwrap();
                self.files(process)[&fd].inode
            }
            Err(_) => self.find(&from).unwrap_or_else(|| panic!("{}?", from.display())),
        };
        self.model.rename(vec![(dir, name, Some(inode))]);
    }

    fn symlink(&mut self, process: u32, target: &str, path: Name<'_>) {
        let Some((dir, name)) = self.place(&self.path(process, path.0, path.1)) else { return };
        let target = PathBuf::from(std::ffi::OsString::from_vec(bytes(target)));
        let inode = self.model.new_link(target);
        self.model.rename(vec![(dir, name, Some(inode))]);
    }

    fn remove(&mut self, process: u32, path: Name<'_>) {
        if let Some((dir, name)) = self.place(&self.path(process, path.0, path.1)) {
            self.model.rename(vec![(dir, name, None)]);
        }
    }

    fn make_dir(&mut self, process: u32, path: Name<'_>, mode: &str) {
        let Some((dir, name)) = self.place(&self.path(process, path.0, path.1)) else { return };
        let inode = self.model.new_dir(u32::from_str_radix(mode, 8).unwrap() & !0o022);
        self.model.rename(vec![(dir, name, Some(inode))]);
    }
}

/// A thread or process that a call made, with the thread that made it and whether they share a process.
fn parentage(call: &Call) -> Option<(u32, (u32, bool))> {
    let child = u32::try_from(call.result?).ok()?;
    let makes = matches!(call.name.as_str(), "clone" | "clone3" | "fork" | "vfork");
    let shares = call.args.iter().any(|arg| arg.contains("CLONE_THREAD"));
    makes.then_some((child, (call.thread, shares)))
}

/// A path of a call, with the descriptor of the directory it is relative to.
type Name<'a> = (Option<&'a str>, &'a str);

/// The number of a descriptor such as `3<\x2f\x61>`.
fn number(arg: &str) -> i64 {
    arg.split('<').next().unwrap().parse().unwrap_or(-1)
}
