//! Links that cover a part of a wiki, or of the repository at the other end. The commits can't be the
//! same then: each end gets commits of its own, with the files that both have alike.

use rusqlite::{Transaction, params};

use super::{LinkId, SyncError};
use crate::db::DbError;
use crate::error::Error;
use crate::merge::files::Files;
use crate::page_path::{ExistingPath, InvalidPath};
use crate::receive::PushRefusal;
use crate::repo::{Region, View};
use crate::revision::Revision;
use crate::wiki::Wiki;

/// So many of the newest pairs are looked at to find one that both ends are built on.
const PAIRS: usize = 1000;

/// Which files of the wiki are which files there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    directory: String,
    prefix: String,
}

impl Mapping {
    /// The wiki's files stand in `directory` there (`""`: at the root), and of the wiki only the page
    /// `prefix` takes part with all below it (`""`: all pages). Paths are the same on both ends from
    /// there on.
    ///
    /// # Errors
    /// Either isn't a path.
    pub fn new(directory: &str, prefix: &str) -> Result<Self, InvalidPath> {
        for path in [directory, prefix].into_iter().filter(|path| !path.is_empty()) {
            ExistingPath::new(path)?;
        }
        Ok(Self { directory: directory.to_owned(), prefix: prefix.to_owned() })
    }

    /// Whether both ends are the whole of the other, so that they share their commits.
    pub fn is_whole(&self) -> bool {
        self.directory.is_empty() && self.prefix.is_empty()
    }

    pub(super) fn covers(&self, path: &[u8]) -> bool {
        let Some(rest) = path.strip_prefix(self.prefix.as_bytes()) else { return false };
        self.prefix.is_empty() || rest == b".md" || rest.starts_with(b"/")
    }

    /// Where a file of the wiki is there.
    pub(super) fn there(&self, path: &[u8]) -> Vec<u8> {
        match self.directory.as_str() {
            "" => path.to_vec(),
            directory => [directory.as_bytes(), b"/", path].concat(),
        }
    }

    /// The wiki's files that take part.
    pub(super) fn ours(&self, view: &View, head: Option<Revision>) -> Result<Files, Error> {
        let Some(head) = head else { return Ok(Files::new()) };
        let mut files = view.files(head)?;
        files.retain(|path, _| self.covers(path));
        Ok(files)
    }

    /// The other end's files that take part, by their paths here.
    pub(super) fn theirs(&self, view: &View, tip: Revision) -> Result<Files, Error> {
        match view.region(tip, &self.directory)? {
            Region::Files(mut files) => {
                files.retain(|path, _| self.covers(path));
                Ok(files)
            }
            Region::NoDirectory(path) => Err(SyncError::NoDirectory { path }.into()),
            Region::TooLarge => Err(PushRefusal::too_large("the directory is too large").into()),
        }
    }

    /// Nothing of the wiki may be in the way of the directories of what takes part.
    pub(super) fn check_ours(&self, view: &View, head: Option<Revision>) -> Result<(), Error> {
        let Some(head) = head.filter(|_| !self.prefix.is_empty()) else { return Ok(()) };
        let ends = self.prefix.match_indices('/').map(|(at, _)| at).chain([self.prefix.len()]);
        for end in ends {
            let path = &self.prefix[..end];
            if view.entry(head, path)?.is_some_and(|entry| !entry.is_directory()) {
                return Err(SyncError::NoDirectory { path: path.to_owned() }.into());
            }
        }
        Ok(())
    }
}

/// Two commits of which ours holds everything of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) local: Revision,
    pub(super) remote: Revision,
}

impl Pair {
    pub(super) fn record(self, transaction: &Transaction<'_>, link: LinkId) -> Result<(), DbError> {
        let mut insert = transaction.prepare_cached(
            "insert or ignore into sync_map (link, seq, local, remote)
             select ?1, coalesce(max(seq), 0) + 1, ?2, ?3 from sync_map where link = ?1",
        )?;
        insert.execute(params![link.0, self.local.as_bytes(), self.remote.as_bytes()])?;
        Ok(())
    }
}

impl Wiki {
    /// The commit of the wiki that holds everything of the commit `remote` at the other end, and nothing
    /// that this end wrote later. `None`: it was never taken over or made here.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn local_of(&self, link: LinkId, remote: Revision) -> Result<Option<Revision>, Error> {
        let pairs = self.pairs(link, Some(remote))?;
        Ok(pairs.first().map(|pair| pair.local))
    }

    /// The pairs of a link, newest first; only those with a commit there, if one is given.
    pub(super) fn pairs(&self, link: LinkId, remote: Option<Revision>) -> Result<Vec<Pair>, Error> {
        self.check_open()?;
        let Some(database) = self.existing_database()? else { return Ok(Vec::new()) };
        database.read(|connection| {
            let pairs = || {
                let mut select = connection.prepare_cached(
                    "select local, remote from sync_map
                     where link = ?1 and (?2 is null or remote = ?2) order by seq desc limit ?3",
                )?;
                let remote = remote.map(|id| *id.as_bytes());
                let rows = select.query_map(params![link.0, remote, PAIRS as i64], |row| {
                    Ok(Pair {
                        local: Revision::from_bytes(row.get(0)?),
                        remote: Revision::from_bytes(row.get(1)?),
                    })
                })?;
                rows.collect::<Result<_, _>>()
            };
            Ok(pairs().map_err(DbError::from)?)
        })
    }

    pub(super) fn record_pairs(&self, link: LinkId, pairs: &[Pair]) -> Result<(), Error> {
        self.database()?.write(|transaction| {
            pairs.iter().try_for_each(|pair| pair.record(transaction, link))?;
            Ok(())
        })
    }
}
