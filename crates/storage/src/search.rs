//! Full-text search.

use crate::deadline;
use crate::error::Error;
use crate::index::Query;
use crate::page::PageSummary;
use crate::repo::{RepoError, View};
use crate::wiki::Wiki;

pub use crate::index::{SearchResult, SnippetPart};

/// Maximum length of a query, in bytes; the rest is ignored.
const MAX_QUERY: usize = 1024;
/// Maximum size of a page for which a snippet is made, in bytes.
const MAX_SHOWN: u64 = 16 << 20;

impl Wiki {
    /// Pages below `prefix` that match the query, best first, without the first `skip`.
    ///
    /// All words must occur. `"two words"` is a phrase, `begin*` a prefix, and `-word` excludes pages with the
    /// word; case, accents, points, strokes and width don't matter, and all other characters only separate words.
    /// While the index is being built (see [`index_progress`](Self::index_progress)), only indexed pages are found.
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

/// The content of a search result; empty if the page is very large or damaged. Damage is reported when the page is
/// read, and doesn't make the search fail.
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
