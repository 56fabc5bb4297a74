//! Telling what a directory or file is by what is in it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::ImportError;
use super::otterwiki::{self, Layout};
use crate::archive::Incoming;

/// What can be imported, recognised by its content.
#[derive(Debug)]
pub(super) enum Source {
    /// A repository's own directory or a bundle.
    Git(PathBuf),
    OtterWiki(Layout),
    /// A whole wiki in one file.
    Archive(PathBuf),
}

impl Source {
    /// What it is called in reports.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Git(_) => "git",
            Self::OtterWiki(layout) => layout.kind,
            Self::Archive(_) => "wikigrove",
        }
    }
}

/// Looks at what is at a path.
///
/// # Errors
/// There is nothing, or nothing that is understood.
pub(super) fn recognise(source: &Path) -> Result<Source, ImportError> {
    let unreadable = |error| ImportError::Unreadable { path: source.to_owned(), source: error };
    // Absolute, so that git can take it for nothing but a path.
    let path = source.canonicalize().map_err(unreadable)?;
    if path.is_dir() {
        if let Some(layout) = otterwiki::recognise(&path) {
            return Ok(Source::OtterWiki(layout));
        }
        return repository_in(&path).map(Source::Git).ok_or(ImportError::Unknown { path });
    }
    let mut beginning = Vec::new();
    let file = File::open(&path).map_err(unreadable)?;
    file.take(512).read_to_end(&mut beginning).map_err(unreadable)?;
    if Incoming::is_meant_by(&beginning) {
        return Ok(Source::Archive(path));
    }
    let is_bundle =
        beginning.starts_with(b"# v2 git bundle\n") || beginning.starts_with(b"# v3 git bundle\n");
    if is_bundle { Ok(Source::Git(path)) } else { Err(ImportError::Unknown { path }) }
}

/// The directory that git reads, of a repository with a work tree or a bare one.
pub(super) fn repository_in(path: &Path) -> Option<PathBuf> {
    let is_repository = |dir: &PathBuf| dir.join("HEAD").is_file() && dir.join("objects").is_dir();
    [path.join(".git"), path.to_owned()].into_iter().find(is_repository)
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
            Source::Git(repository) => repository,
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
}
