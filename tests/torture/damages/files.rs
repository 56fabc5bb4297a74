//! The files of a data directory.

use std::path::PathBuf;

use testkit::{Git, Program};

use super::trial::WIKI;

/// A kind of file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Catalog,
    CatalogLog,
    Lock,
    OperatorToken,
    SecretKey,
    Database,
    DatabaseLog,
    Head,
    Config,
    PackedRefs,
    Branch,
    Pack,
    PackIndex,
    LooseCommit,
    LooseTree,
    LooseBlob,
    CommitGraph,
    Alternates,
    Repository,
    Objects,
    Refs,
    Packs,
}

impl Kind {
    pub(super) const ALL: [Self; 22] = [
        Self::Catalog,
        Self::CatalogLog,
        Self::Lock,
        Self::OperatorToken,
        Self::SecretKey,
        Self::Database,
        Self::DatabaseLog,
        Self::Head,
        Self::Config,
        Self::PackedRefs,
        Self::Branch,
        Self::Pack,
        Self::PackIndex,
        Self::LooseCommit,
        Self::LooseTree,
        Self::LooseBlob,
        Self::CommitGraph,
        Self::Alternates,
        Self::Repository,
        Self::Objects,
        Self::Refs,
        Self::Packs,
    ];

    /// Where it is.
    pub(super) fn find(self, program: &Program) -> PathBuf {
        let data = program.data();
        let wiki = data.join("wikis").join(WIKI);
        let git = program.git(WIKI);
        let repo = wiki.join("repo");
        match self {
            Self::Catalog => data.join("platform.db"),
            Self::CatalogLog => data.join("platform.db-wal"),
            Self::Lock => data.join("lock"),
            Self::OperatorToken => data.join("operator-token"),
            Self::SecretKey => data.join("secret-key"),
            Self::Database => wiki.join("wiki.db"),
            Self::DatabaseLog => wiki.join("wiki.db-wal"),
            Self::Head => repo.join("HEAD"),
            Self::Config => repo.join("config"),
            Self::PackedRefs => repo.join("packed-refs"),
            Self::Branch => repo.join("refs/heads/main"),
            Self::Pack => pack(&git, "pack"),
            Self::PackIndex => pack(&git, "idx"),
            Self::LooseCommit => loose(&git, "main"),
            Self::LooseTree => loose(&git, "main^{tree}"),
            Self::LooseBlob => loose(&git, "main:later.md"),
            Self::CommitGraph => repo.join("objects/info/commit-graph"),
            Self::Alternates => repo.join("objects/info/alternates"),
            Self::Repository => repo,
            Self::Objects => repo.join("objects"),
            Self::Refs => repo.join("refs"),
            Self::Packs => repo.join("objects/pack"),
        }
    }

    pub(super) fn is_dir(self) -> bool {
        matches!(self, Self::Repository | Self::Objects | Self::Refs | Self::Packs)
    }

    /// Whether it belongs to no wiki.
    pub(super) fn is_of_the_platform(self) -> bool {
        matches!(
            self,
            Self::Catalog | Self::CatalogLog | Self::Lock | Self::OperatorToken | Self::SecretKey
        )
    }

    /// Whether it holds drafts and settings, which are nowhere else.
    pub(super) fn is_of_the_database(self) -> bool {
        matches!(self, Self::Database | Self::DatabaseLog)
    }
}

fn pack(git: &Git, extension: &str) -> PathBuf {
    let packs = std::fs::read_dir(git.dir().join("objects/pack")).unwrap();
    let mut packs = packs.map(|entry| entry.unwrap().path());
    packs.find(|path| path.extension().is_some_and(|found| found == extension)).unwrap()
}

/// The file of an object that is in no pack.
fn loose(git: &Git, name: &str) -> PathBuf {
    let id = git.run(&["rev-parse", name]);
    let path = git.dir().join("objects").join(&id[..2]).join(&id[2..]);
    assert!(path.exists(), "{name} isn't loose");
    path
}
