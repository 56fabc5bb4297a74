//! Copies of whole databases, as of one moment.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{DbError, connect_plainly};
use crate::files::{self, At as _};

/// Writes a new file with all that the connection sees, and syncs it. It goes page by page: nothing that the
/// database defines is run or has to be known.
pub(crate) fn copy_into(source: &Connection, to: &Path) -> Result<(), DbError> {
    files::write_new(to, b"")?;
    let mut copy = connect_plainly(to)?;
    // Nothing but the finished file is of any use, and no journal is left beside it.
    copy.execute_batch("pragma synchronous = off; pragma journal_mode = memory;")?;
    match Backup::new(source, &mut copy)?.step(-1)? {
        StepResult::Done => {}
        _ => {
            let detail = "another program keeps it locked".to_owned();
            return Err(DbError::Busy { path: Default::default(), detail });
        }
    }
    copy.close().map_err(|(_, error)| error)?;
    Ok(std::fs::File::open(to).and_then(|file| file.sync_all()).at("sync", to)?)
}
