//! A git repository in a directory with untrusted content.
//!
//! Files in a repository can refer git to other places: for objects (`alternates`), branches (`commondir`, a `.git`
//! file, links), and settings (`include`). So git is never run in it. Its objects and the imported branch are copied
//! into a repository of our own, which git reads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wikigrove_tenant::Revision;

use super::ImportError;
use super::foreign::{Folder, Kind, link, put};
use super::git::Refs;
use super::linked::{Linked, linked};

/// Maximum size of the list of packed refs, in bytes.
const PACKED_REFS: u64 = 64 << 20;
/// Maximum size of a file with one ref, in bytes.
const REF: u64 = 4096;
/// Maximum number of loose refs, and maximum depth of their directories.
const LOOSE_REFS: usize = 100_000;
const DEPTH: usize = 20;

/// The directory of a repository, bare or the `.git` of a work tree.
#[derive(Debug)]
pub(super) struct Repository {
    folder: Folder,
    /// The directory of HEAD; for a linked work tree a different one than that of objects and branches.
    head: Folder,
}

impl Repository {
    /// Finds the repository of a directory: its `.git`, or the directory itself.
    ///
    /// # Errors
    /// A part of it is a link, or lies outside.
    pub(super) fn find(folder: Folder) -> Result<Option<Self>, ImportError> {
        if let Some(Kind::File) = folder.kind(".git")? {
            let Linked { head, folder } = linked(&folder)?;
            return Ok(Some(Self { folder, head }));
        }
        for folder in [folder.folder(".git")?, Some(folder)].into_iter().flatten() {
            if folder.file("HEAD")?.is_some() && folder.folder("objects")?.is_some() {
                let head = folder.try_clone()?;
                return Ok(Some(Self { folder, head }));
            }
        }
        Ok(None)
    }

    /// The path of the repository.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The branches and tags.
    ///
    /// # Errors
    /// A part of the repository is a link or lies outside, or can't be read.
    pub(super) fn refs(&self) -> Result<Refs, ImportError> {
        self.check()?;
        let mut found = BTreeMap::new();
        if let Some(packed) = self.folder.read("packed-refs", PACKED_REFS)? {
            let packed = String::from_utf8_lossy(&packed).into_owned();
            for (id, name) in packed.lines().filter_map(|line| line.split_once(' ')) {
                if let (Ok(id), true) = (id.parse(), is_ref(name)) {
                    found.insert(name.to_owned(), id);
                }
            }
        }
        if let Some(refs) = self.folder.folder("refs")? {
            let mut loose = Loose { found: &mut found, files: 0 };
            loose.add(&refs, "refs", 0)?;
        }
        let head = self.head.read("HEAD", REF)?.unwrap_or_default();
        Ok(Refs::of(&listing(&head, &found)))
    }

    /// The file of grafts, if there are any: parents that git shows although the commits don't have them.
    ///
    /// # Errors
    /// A part of the path is a link; it can't be read.
    pub(super) fn grafts(&self) -> Result<Option<PathBuf>, ImportError> {
        let Some(info) = self.folder.folder("info")? else { return Ok(None) };
        let grafts = info.read("grafts", PACKED_REFS)?.unwrap_or_default();
        let is_graft = |line: &[u8]| !line.trim_ascii().is_empty() && !line.starts_with(b"#");
        let has_one = grafts.split(|byte| *byte == b'\n').any(is_graft);
        Ok(has_one.then(|| info.path().join("grafts")))
    }

    /// Refuses a repository that refers git to other places, with advice.
    fn check(&self) -> Result<(), ImportError> {
        let refuse = |name: &str, why: &str| {
            Err(ImportError::Foreign { path: self.path().join(name), why: why.to_owned() })
        };
        if self.folder.kind("commondir")?.is_some() {
            return refuse(
                "commondir",
                "it says that the repository is elsewhere: import that one",
            );
        }
        if self.folder.kind("reftable")?.is_some() {
            let why =
                "its branches aren't kept in files; `git refs migrate --ref-format=files` helps";
            return refuse("reftable", why);
        }
        if self.folder.read("shallow", PACKED_REFS)?.is_some_and(|ids| !ids.is_empty()) {
            let why = "a part of the history is missing; `git fetch --unshallow` helps";
            return refuse("shallow", why);
        }
        if let Some(info) =
            self.folder.folder("objects")?.and_then(|dir| dir.folder("info").transpose())
        {
            let info = info?;
            for name in ["alternates", "http-alternates"] {
                if info.kind(name)?.is_some() {
                    let why = "its objects are elsewhere; `git repack -a -d` and removing this file helps";
                    return refuse(&format!("objects/info/{name}"), why);
                }
            }
        }
        Ok(())
    }

    /// Copies the objects and one branch into a new repository.
    ///
    /// # Errors
    /// A part of it is a link, or lies outside; the disk is full.
    pub(super) fn put(&self, branch: &str, head: Revision, to: &Path) -> Result<(), ImportError> {
        self.check()?;
        let unwritable = |source| ImportError::Unreadable { path: to.to_owned(), source };
        let write = |name: &str, content: String| {
            let path = to.join(name);
            fs::create_dir_all(path.parent().unwrap_or(to))?;
            fs::write(path, content)
        };
        write("HEAD", format!("ref: {branch}\n")).map_err(unwritable)?;
        write("config", "[core]\n\trepositoryformatversion = 0\n\tbare = true\n".to_owned())
            .map_err(unwritable)?;
        write(branch, format!("{head}\n")).map_err(unwritable)?;
        fs::create_dir_all(to.join("objects")).map_err(unwritable)?;
        let Some(objects) = self.folder.folder("objects")? else { return Ok(()) };
        for (name, kind) in objects.entries()? {
            let (is_loose, is_pack) = (is_hex(&name, 2), name == "pack");
            match kind {
                Kind::Folder if is_loose || is_pack => {
                    let is_wanted = |name: &OsStr| match is_pack {
                        true => is_of_pack(name),
                        false => is_hex(name, 38),
                    };
                    let Some(folder) = objects.folder(&name)? else { continue };
                    put_all(&folder, is_wanted, &to.join("objects").join(&name))?;
                }
                Kind::Link if is_loose || is_pack => return Err(link(&objects.path().join(name))),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Copies selected files of a directory into a new one.
fn put_all(
    folder: &Folder,
    is_wanted: impl Fn(&OsStr) -> bool,
    to: &Path,
) -> Result<(), ImportError> {
    let failed = |path: PathBuf| move |source: io::Error| ImportError::Unreadable { path, source };
    fs::create_dir_all(to).map_err(failed(to.to_owned()))?;
    for (name, _) in folder.entries()?.iter().filter(|(name, _)| is_wanted(name)) {
        if let Some(mut file) = folder.file(name)? {
            put(&mut file, &to.join(name)).map_err(failed(folder.path().join(name)))?;
        }
    }
    Ok(())
}

fn is_hex(name: &OsStr, length: usize) -> bool {
    let name = name.as_encoded_bytes();
    name.len() == length && name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_of_pack(name: &OsStr) -> bool {
    let name = Path::new(name);
    let is_part = name.extension().is_some_and(|part| part == "pack" || part == "idx");
    let stem = name.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    is_part && stem.strip_prefix("pack-").is_some_and(|hash| is_hex(OsStr::new(hash), 40))
}

/// Loose refs, which take precedence over packed ones.
struct Loose<'a> {
    found: &'a mut BTreeMap<String, Revision>,
    files: usize,
}

impl Loose<'_> {
    /// Adds the refs below a directory.
    fn add(&mut self, folder: &Folder, prefix: &str, depth: usize) -> Result<(), ImportError> {
        for (name, kind) in folder.entries()? {
            let Some(full) = name.to_str().map(|name| format!("{prefix}/{name}")) else { continue };
            match kind {
                Kind::Link => return Err(link(&folder.path().join(name))),
                Kind::Folder if depth < DEPTH => {
                    if let Some(inner) = folder.folder(&name)? {
                        self.add(&inner, &full, depth + 1)?;
                    }
                }
                Kind::File if is_ref(&full) => self.add_file(folder, &name, full)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn add_file(&mut self, folder: &Folder, name: &OsStr, full: String) -> Result<(), ImportError> {
        self.files += 1;
        if self.files > LOOSE_REFS {
            let why = format!("there are more than {LOOSE_REFS} refs; `git pack-refs --all` helps");
            return Err(ImportError::Foreign { path: folder.path().to_owned(), why });
        }
        // Symbolic refs, such as the HEAD of a remote, are skipped.
        let content = folder.read(name, REF)?.unwrap_or_default();
        let id = std::str::from_utf8(&content).ok().and_then(|id| id.trim().parse().ok());
        self.found.extend(id.map(|id| (full, id)));
        Ok(())
    }
}

/// Formats refs like `git ls-remote --symref`.
fn listing(head: &[u8], refs: &BTreeMap<String, Revision>) -> String {
    let head = String::from_utf8_lossy(head);
    let head = head.trim();
    let mut listing = match head.strip_prefix("ref:").map(str::trim) {
        Some(name) => {
            refs.get(name).map(|id| format!("ref: {name}\tHEAD\n{id}\tHEAD\n")).unwrap_or_default()
        }
        None => head.parse::<Revision>().map(|id| format!("{id}\tHEAD\n")).unwrap_or_default(),
    };
    for (name, id) in refs {
        listing += &format!("{id}\t{name}\n");
    }
    listing
}

/// Returns `true` if git accepts this as the name of a ref.
fn is_ref(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part.ends_with(".lock")
    };
    let is_bad = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    name.starts_with("refs/")
        && name.split('/').all(is_part)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(is_bad)
        && name.len() <= 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_refs_are_gits() {
        for name in ["refs/heads/main", "refs/heads/a/b-c_d", "refs/tags/v1.0", "refs/heads/ä"] {
            assert!(is_ref(name), "{name}");
        }
        for name in [
            "",
            "HEAD",
            "main",
            "refs/",
            "refs/heads/",
            "refs//main",
            "refs/heads/.a",
            "refs/heads/a.lock",
            "refs/heads/a..b",
            "refs/heads/../a",
            "refs/heads/a b",
            "refs/heads/a\tb",
            "refs/heads/a:b",
            "refs/heads/a@{b",
            "refs/heads/a.",
            "/refs/heads/a",
            "refs/heads/a\n",
        ] {
            assert!(!is_ref(name), "{name:?}");
        }
    }

    #[test]
    fn only_files_that_git_makes_are_objects() {
        let hash = "a".repeat(40);
        for name in [format!("pack-{hash}.pack"), format!("pack-{hash}.idx")] {
            assert!(is_of_pack(OsStr::new(&name)), "{name}");
        }
        for name in
            [format!("pack-{hash}.promisor"), format!("{hash}.pack"), "pack-a.pack".to_owned()]
        {
            assert!(!is_of_pack(OsStr::new(&name)), "{name}");
        }
    }
}
