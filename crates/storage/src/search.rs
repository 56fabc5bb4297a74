//! Looking for words.

use crate::error::Error;
use crate::index;
use crate::wiki::Wiki;

pub use crate::index::{SearchResult, SnippetPart};

/// The longest query, in bytes; what comes after it is ignored.
const MAX_QUERY: usize = 1024;

impl Wiki {
    /// Pages below `prefix` that hold all words of the query, best first, without the first `skip`.
    ///
    /// `"two words"` must stand side by side, `begin*` may go on, `-word` must not occur; case and
    /// accents don't matter, and anything else only separates words. While the index is being built
    /// (see [`index_progress`](Self::index_progress)) only what it has is found.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn search(
        &self,
        query: &str,
        prefix: &str,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<SearchResult>, Error> {
        self.check_open()?;
        if self.head()?.is_none() {
            return Ok(Vec::new());
        }
        let query = &query[..query.floor_char_boundary(MAX_QUERY)];
        let database = self.database()?;
        self.catch_up_a_little(database)?;
        database.read_long(|connection| Ok(index::find(connection, query, prefix, skip, limit)?))
    }
}
