//! Recognises a source by its content.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::ImportError;
use super::foreign::{Folder, link};
use super::otterwiki::{self, Layout};
use super::repository::Repository;
use crate::archive::Incoming;

/// A source that can be imported.
#[derive(Debug)]
pub(super) enum Source {
    /// A repository, with or without a work tree.
    Repository(Repository),
    /// A history in one file, made by `git bundle`.
    Bundle(PathBuf),
    OtterWiki(Layout),
    /// An exported wiki in one file.
    Archive(PathBuf),
}

impl Source {
    /// The kind of source in reports.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Repository(_) | Self::Bundle(_) => "git",
            Self::OtterWiki(layout) => layout.kind,
            Self::Archive(_) => "wikigrove",
        }
    }
}

/// Recognises the source at a path. Parent directories may be links, because the operator chose the path; the source
/// itself must not be or contain a link.
///
/// # Errors
/// The path doesn't exist or isn't a known kind of source; a part of it is a link.
pub(super) fn recognise(source: &Path) -> Result<Source, ImportError> {
    let unreadable = |error| ImportError::Unreadable { path: source.to_owned(), source: error };
    // Without a trailing slash, which would follow a link.
    let named: PathBuf = source.components().collect();
    let kind = named.symlink_metadata().map_err(unreadable)?.file_type();
    if kind.is_symlink() {
        return Err(link(&named));
    }
    // An absolute path, so that git can't take it for a URL or an option.
    let path = named.canonicalize().map_err(unreadable)?;
    if kind.is_dir() {
        let folder = Folder::open(&path)?;
        if let Some(layout) = otterwiki::recognise(&folder)? {
            return Ok(Source::OtterWiki(layout));
        }
        let repository = Repository::find(folder)?;
        return repository.map(Source::Repository).ok_or(ImportError::Unknown { path });
    }
    if !kind.is_file() {
        return Err(ImportError::Unknown { path });
    }
    let mut beginning = Vec::new();
    let file = File::open(&path).map_err(unreadable)?;
    file.take(512).read_to_end(&mut beginning).map_err(unreadable)?;
    if Incoming::is_meant_by(&beginning) {
        return Ok(Source::Archive(path));
    }
    let is_bundle =
        beginning.starts_with(b"# v2 git bundle\n") || beginning.starts_with(b"# v3 git bundle\n");
    if is_bundle { Ok(Source::Bundle(path)) } else { Err(ImportError::Unknown { path }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_recognised_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("text.bundle"), "just text").unwrap();
        std::fs::write(path("history"), "# v2 git bundle\n0123 refs/heads/main\n\nPACK").unwrap();
        std::fs::create_dir_all(path("work/.git/objects")).unwrap();
        std::fs::write(path("work/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::create_dir(path("empty")).unwrap();
        assert!(matches!(recognise(&path("text.bundle")), Err(ImportError::Unknown { .. })));
        assert!(matches!(recognise(&path("empty")), Err(ImportError::Unknown { .. })));
        assert!(matches!(recognise(&path("missing")), Err(ImportError::Unreadable { .. })));
        let git = |name: &str| match recognise(&path(name)).unwrap() {
            Source::Repository(repository) => repository.path().to_owned(),
            Source::Bundle(path) => path,
            other => panic!("{other:?}"),
        };
        assert!(git("history").is_absolute());
        assert!(git("work").ends_with("work/.git"));
        assert!(git("work/.git").ends_with("work/.git"));
    }

    #[test]
    fn an_otterwiki_is_a_repository_beside_a_database() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for repository in ["a/repository/.git", "b/repository", "c/repo"] {
            std::fs::create_dir_all(path(repository).join("objects")).unwrap();
            std::fs::write(path(repository).join("HEAD"), "ref: refs/heads/main\n").unwrap();
        }
        assert!(matches!(recognise(&path("a")), Err(ImportError::Unknown { .. })));
        for file in ["a/db.sqlite", "b/db.sqlite", "c/wiki.db"] {
            std::fs::write(path(file), "").unwrap();
        }
        for (name, kind, is_bare) in
            [("a", "otterwiki", false), ("b", "otterwiki", true), ("c", "platform", true)]
        {
            let Source::OtterWiki(layout) = recognise(&path(name)).unwrap() else {
                panic!("{name}")
            };
            assert_eq!((layout.kind, layout.work_tree.is_none()), (kind, is_bare), "{name}");
        }
    }

    #[test]
    fn a_source_that_is_a_link_or_has_one_where_it_is_read_is_refused() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("other/repo/objects")).unwrap();
        std::fs::write(path("other/repo/HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::write(path("other/wiki.db"), "").unwrap();
        std::fs::write(path("other/history"), "# v2 git bundle\n").unwrap();
        let refused = |source: &Path| {
            let error = recognise(source).unwrap_err();
            assert!(matches!(error, ImportError::Foreign { .. }), "{}: {error}", source.display());
        };
        for (to, name) in [("other/repo", "all"), ("other/history", "file"), ("nowhere", "gone")] {
            symlink(path(to), path(name)).unwrap();
            refused(&path(name));
        }
        refused(&path("all/"));
        for (name, links, files) in [
            ("a", &[("repo", "repo")][..], &["wiki.db"][..]),
            ("b", &[("wiki.db", "wiki.db"), ("repo", "repo")], &[]),
            ("c", &[("repo/HEAD", "HEAD")], &["objects/"]),
            ("d", &[("repo/objects", "objects")], &["HEAD"]),
            ("e", &[("repo", ".git")], &[]),
            ("f", &[("wiki.db", "settings.cfg")], &["wiki.db", "repo/objects/", "repo/HEAD"]),
        ] {
            std::fs::create_dir_all(path(name)).unwrap();
            for file in files {
                let file = path(name).join(file);
                let parent = if file.to_str().unwrap().ends_with('/') {
                    Some(&*file)
                } else {
                    file.parent()
                };
                std::fs::create_dir_all(parent.unwrap()).unwrap();
                if parent != Some(&*file) {
                    std::fs::write(&file, "").unwrap();
                }
            }
            for (to, link) in links {
                symlink(path("other").join(to), path(name).join(link)).unwrap();
            }
            refused(&path(name));
        }
    }
}
