//! The catalog, platform.db: the wikis of the platform, their members, tokens, links and settings.
//!
//! One small file for the whole platform. Every query uses an index, and every list is paginated, so a start with a
//! hundred thousand wikis is as fast as with one. Every call blocks.

mod audit;
mod census;
mod channels;
mod domains;
mod error;
mod file;
mod idempotency;
mod invitations;
mod links;
mod members;
mod notices;
mod row;
mod secrets;
#[cfg(test)]
mod tests;
mod tokens;
mod users;
mod wikis;

use std::path::Path;
use std::sync::LazyLock;

use rusqlite::Transaction;
use time::OffsetDateTime;
use wikigrove_storage::db::{PoolUse, Scheduler, Schema, Sizing};

pub(crate) use audit::FORGOTTEN_AT_ONCE;
pub(crate) use channels::SealedChannel;
pub(crate) use error::CatalogError;
pub(crate) use links::{SealedLink, SealedUpdate, StoredCredential};

use crate::TenantId;
use file::CatalogFile;

mod embedded {
    refinery::embed_migrations!("../../migrations/platform");
}

/// Shared by all platforms of the process, because it holds an empty database, which is slow to make.
static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::new(embedded::migrations::runner().get_migrations().clone()));

/// The file's name in the data directory.
const FILE: &str = "platform.db";

/// Every request queries the catalog first, so it may use more memory than the file of a single wiki.
const SIZING: Sizing = Sizing { connections: 8, cache_kib: 2048 };

/// The open platform.db.
#[derive(Debug)]
pub(crate) struct Catalog {
    db: CatalogFile,
}

impl Catalog {
    /// Opens `platform.db` in the directory, or creates it there.
    ///
    /// # Errors
    /// The file can't be created or opened, is corrupt, or is of a newer version. [`CatalogError::Lost`]: the directory
    /// has wikis, and the file isn't their catalog.
    pub(crate) fn open(dir: &Path, scheduler: &Scheduler) -> Result<Self, CatalogError> {
        let db = CatalogFile::open(dir, &dir.join(FILE), &SCHEMA, scheduler, SIZING)?;
        Ok(Self { db })
    }

    /// Usage of the connection pool.
    pub(crate) fn pool_use(&self) -> PoolUse {
        self.db.pool_use()
    }
}

/// The present time, to the second, as the columns store it.
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc().truncate_to_second()
}

/// Returns an error unless the wiki exists, before a row that refers to the wiki is written.
fn require_wiki(transaction: &Transaction<'_>, id: TenantId) -> Result<(), CatalogError> {
    let mut statement =
        transaction.prepare_cached("select 1 from wikis where id = ?1 and state <> 'deleted'")?;
    if statement.exists([id.to_string()])? { Ok(()) } else { Err(CatalogError::UnknownWiki(id)) }
}
