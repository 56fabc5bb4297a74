//! Looking for words.

use crate::deadline;
use crate::error::Error;
use crate::index::Query;
use crate::page::PageSummary;
use crate::repo::{RepoError, View};
use crate::wiki::Wiki;

pub use crate::index::{SearchResult, SnippetPart};

/// The longest query, in bytes; what comes after it is ignored.
const MAX_QUERY: usize = 1024;
/// Of a page with more bytes nothing is shown.
const MAX_SHOWN: u64 = 16 << 20;

impl Wiki {
    /// Pages below `prefix` that hold all words of the query, best first, without the first `skip`.
    ///
    /// `"two words"` must stand side by side, `begin*` may go on, `-word` must not occur; case, accents,
    /// points, strokes and width don't matter, and anything else only separates words. While the index is being built
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
        let Some(query) = Query::parse(&query[..query.floor_char_boundary(MAX_QUERY)]) else {
            return Ok(Vec::new());
        };
        let database = self.database()?;
        self.catch_up_a_little(database)?;
        let pages = database
            .read_long(|connection| Ok::<_, Error>(query.find(connection, prefix, skip, limit)?))?;
        let view = self.repo().view();
        let result = |page: PageSummary| {
            let content = content_of(&view, &page)?;
            Ok(SearchResult { page, snippet: query.snippet(&content)? })
        };
        pages.into_iter().map(result).collect()
    }
}

/// The content of a page that was found: nothing if it is very large, or damaged. That is told to those
/// who read it; others are found all the same.
fn content_of(view: &View, page: &PageSummary) -> Result<Vec<u8>, Error> {
    deadline::check()?;
    if page.size > MAX_SHOWN {
        return Ok(Vec::new());
    }
    match view.blob(page.etag) {
        Err(RepoError::DamagedObject { .. }) => Ok(Vec::new()),
        read => Ok(read?),
    }
}
