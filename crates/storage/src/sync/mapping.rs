//! Partial links: they cover a part of the wiki, or of the remote's tree. The two ends can't share commits then; each
//! gets its own commits with the common files.

use rusqlite::{Transaction, params};

use super::{LinkId, SyncError};
use crate::db::DbError;
use crate::error::Error;
use crate::merge::files::Files;
use crate::page_path::{ExistingPath, InvalidPath};
use crate::receive::PushRefusal;
use crate::repo::{Region, Repo, View};
use crate::revision::Revision;
use crate::wiki::Wiki;

/// Number of the newest pairs that are searched for one that both ends descend from.
const PAIRS: usize = 10_000;

/// The mapping between files of the wiki and files of the remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    directory: String,
    prefix: String,
}

impl Mapping {
    /// Maps the wiki's files into `directory` of the remote (`""`: the root). Of the wiki, only the page `prefix` with
    /// its subpages takes part (`""`: all pages). Below these, paths are the same at both ends.
    ///
    /// # Errors
    /// One of the two isn't a valid path.
    pub fn new(directory: &str, prefix: &str) -> Result<Self, InvalidPath> {
        for path in [directory, prefix].into_iter().filter(|path| !path.is_empty()) {
            ExistingPath::new(path)?;
        }
        Ok(Self { directory: directory.to_owned(), prefix: prefix.to_owned() })
    }

    /// Returns `true` if the link covers both ends entirely, so that they share their commits.
    pub fn is_whole(&self) -> bool {
        self.directory.is_empty() && self.prefix.is_empty()
    }

    pub(super) fn covers(&self, path: &[u8]) -> bool {
        let Some(rest) = path.strip_prefix(self.prefix.as_bytes()) else { return false };
        self.prefix.is_empty() || rest == b".md" || rest.starts_with(b"/")
    }

    /// Maps a path of the wiki to the remote's.
    pub(super) fn there(&self, path: &[u8]) -> Vec<u8> {
        match self.directory.as_str() {
            "" => path.to_vec(),
            directory => [directory.as_bytes(), b"/", path].concat(),
        }
    }

    /// Returns the wiki's files in the covered part.
    pub(super) fn ours(&self, view: &View, head: Option<Revision>) -> Result<Files, Error> {
        let Some(head) = head else { return Ok(Files::new()) };
        let mut files = view.files(head)?;
        files.retain(|path, _| self.covers(path));
        Ok(files)
    }

    /// Returns the remote's files in the covered part, by their paths in the wiki.
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

    /// Checks that no file of the wiki blocks the directories of the covered part.
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

/// Two corresponding commits: the wiki's contains everything in the remote's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) local: Revision,
    pub(super) remote: Revision,
    /// The newest commit of the wiki whose content the remote's commit contains, or contained before the remote took it
    /// back. `None` if there is none, or none was recorded.
    pub(super) told: Option<Revision>,
}

impl Pair {
    /// Returns a pair of commits with the same files.
    pub(super) fn in_step(local: Revision, remote: Revision) -> Self {
        Self { local, remote, told: Some(local) }
    }

    fn is_in_step(&self) -> bool {
        self.told == Some(self.local)
    }

    /// Records this as the newest pair. Equal pairs share one row: a run whose push never arrives makes the same pair
    /// each time.
    pub(super) fn record(
        self,
        transaction: &Transaction<'_>,
        link: LinkId,
        mapping: &Mapping,
    ) -> Result<(), DbError> {
        let told = self.told.map(|told| *told.as_bytes());
        let (local, remote) = (self.local.as_bytes(), self.remote.as_bytes());
        let Mapping { directory, prefix } = mapping;
        let mut delete = transaction.prepare_cached(
            "delete from sync_map where link = ?1 and local = ?2 and remote = ?3
               and directory = ?4 and prefix = ?5 and told is ?6",
        )?;
        delete.execute(params![link.0, local, remote, directory, prefix, told])?;
        let mut insert = transaction.prepare_cached(
            "insert into sync_map (link, seq, local, remote, directory, prefix, told)
             select ?1, coalesce(max(seq), 0) + 1, ?2, ?3, ?4, ?5, ?6 from sync_map where link = ?1",
        )?;
        insert.execute(params![link.0, local, remote, directory, prefix, told])?;
        Ok(())
    }
}

impl Wiki {
    /// Returns the wiki's commit that contains everything in the remote's commit `remote`, and nothing that the wiki
    /// wrote later. `None` if that commit was neither integrated nor made here.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn local_of(&self, link: LinkId, remote: Revision) -> Result<Option<Revision>, Error> {
        let pairs = self.pairs(link, None, Some(remote))?;
        Ok(pairs.first().map(|pair| pair.local))
    }

    /// Does the work of [`jobs_done`](Self::jobs_done) for a partial link: `verified` is a commit of the remote.
    /// Removes nothing if that commit has no counterpart in the wiki.
    ///
    /// # Errors
    /// wiki.db can't be read or written.
    pub fn part_jobs_done(
        &self,
        link: LinkId,
        mapping: &Mapping,
        verified: Revision,
    ) -> Result<usize, Error> {
        let pairs = self.pairs(link, Some(mapping), Some(verified))?;
        for told in pairs.iter().filter_map(|pair| pair.told) {
            if self.repo().is_commit(told)? {
                return self.jobs_done(link, told);
            }
        }
        Ok(0)
    }

    /// Returns the pairs of a link, newest first; filtered by mapping and by the remote's commit, where given.
    pub(super) fn pairs(
        &self,
        link: LinkId,
        mapping: Option<&Mapping>,
        remote: Option<Revision>,
    ) -> Result<Vec<Pair>, Error> {
        self.check_open()?;
        let Some(database) = self.existing_database()? else { return Ok(Vec::new()) };
        database.read(|connection| {
            let pairs = || {
                let mut select = connection.prepare_cached(
                    "select local, remote, told from sync_map
                     where link = ?1 and (?2 is null or remote = ?2)
                       and (?3 is null or directory is null or (directory = ?3 and prefix = ?4))
                     order by seq desc limit ?5",
                )?;
                let remote = remote.map(|id| *id.as_bytes());
                let directory = mapping.map(|mapping| &mapping.directory);
                let prefix = mapping.map(|mapping| &mapping.prefix);
                let wanted = params![link.0, remote, directory, prefix, PAIRS as i64];
                let rows = select.query_map(wanted, |row| {
                    Ok(Pair {
                        local: Revision::from_bytes(row.get(0)?),
                        remote: Revision::from_bytes(row.get(1)?),
                        told: row.get::<_, Option<_>>(2)?.map(Revision::from_bytes),
                    })
                })?;
                rows.collect::<Result<_, _>>()
            };
            Ok(pairs().map_err(DbError::from)?)
        })
    }

    pub(super) fn record_pairs(
        &self,
        link: LinkId,
        mapping: &Mapping,
        pairs: &[Pair],
    ) -> Result<(), Error> {
        if pairs.is_empty() {
            return Ok(());
        }
        self.database()?.write(|transaction| {
            pairs.iter().try_for_each(|pair| pair.record(transaction, link, mapping))?;
            Ok(())
        })
    }

    /// Finds the newest pair that both ends descend from.
    pub(super) fn common_pair(
        &self,
        link: LinkId,
        mapping: &Mapping,
        source: &Repo,
        head: Option<Revision>,
        incoming: Revision,
    ) -> Result<Option<Pair>, Error> {
        let Some(head) = head else { return Ok(None) };
        for pair in self.pairs(link, Some(mapping), None)? {
            if source.is_commit(pair.remote)?
                && source.is_ancestor(pair.remote, incoming)?
                && source.is_commit(pair.local)?
                && source.is_ancestor(pair.local, head)?
            {
                return Ok(Some(pair));
            }
        }
        Ok(None)
    }

    /// Finds the newest pair of the remote's commit in which both ends have the same files. The wiki's commit then
    /// tells the content of the remote's, which may be missing by now.
    pub(super) fn pair_in_step(
        &self,
        link: LinkId,
        mapping: &Mapping,
        remote: Revision,
    ) -> Result<Option<Pair>, Error> {
        for pair in self.pairs(link, Some(mapping), Some(remote))? {
            if pair.is_in_step() && self.repo().is_commit(pair.local)? {
                return Ok(Some(pair));
            }
        }
        Ok(None)
    }
}
