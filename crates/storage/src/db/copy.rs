//! Consistent copies of whole databases.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{DbError, connect_plainly};
use crate::files::{self, At as _};

/// Writes a new file with everything that the connection sees, and syncs it. Pages are copied as they are, so the
/// schema needn't be known and none of its code is run.
pub(crate) fn copy_into(source: &Connection, to: &Path) -> Result<(), DbError> {
    files::write_new(to, b"")?;
    let mut copy = connect_plainly(to)?;
    // Only the finished file is of use, and no journal may be left beside it.
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
