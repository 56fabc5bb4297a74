//! From a page to its HTML, with what was rendered before remembered.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::links::{LinkStyle, Sought};
use wikigrove_tenant::storage::{Decoded, Page, Resolved, decode};
use wikigrove_tenant::{CacheUse, ExistingPath, Revision, Wiki, spawn_blocking};

use super::cache::{Cache, Entry, Key};
use crate::render::{self, Context, Rendered, Renderer};

/// Pages that are larger, in bytes, take milliseconds to render, and wait for a place.
const LARGE: usize = 32 * 1024;

/// What renders, and remembers what it rendered. Clones share both.
#[derive(Clone, Default)]
pub(crate) struct Rendering {
    renderer: Arc<Renderer>,
    cache: Cache,
}

/// A page, and what its links lead to: all that its HTML depends on.
pub(crate) struct Prepared {
    pub(crate) page: Arc<Page>,
    key: Key,
    wanted: Vec<Sought>,
    found: Vec<Resolved>,
    known: Option<Arc<Entry>>,
}

impl Rendering {
    /// How full the memory for rendered pages is.
    pub(crate) fn cache_use(&self) -> CacheUse {
        self.cache.usage()
    }

    /// Reads a page, now or as it was in the commit `at`, and looks up what it links to.
    pub(crate) async fn prepare(
        &self,
        wiki: &Wiki,
        base: &str,
        path: &str,
        at: Option<Revision>,
        (style, by_name): (LinkStyle, bool),
    ) -> Result<Prepared, Problem> {
        let page = match at {
            Some(at) => wiki.read_at(path, at).await.map(Arc::new),
            None => wiki.read_raw(path).await,
        };
        let page = page.map_err(|error| error.problem())?;
        let key = Key {
            wiki: wiki.id(),
            base: base.to_owned(),
            path: page.summary.path.clone(),
            etag: page.summary.etag,
            style,
            by_name,
        };
        let known = self.cache.get(&key);
        let wanted = match &known {
            Some(entry) => entry.wanted.clone(),
            None => wanted(wiki, page.clone(), style, by_name).await?,
        };
        let found =
            wiki.resolve_links(at, wanted.clone()).await.map_err(|error| error.problem())?;
        Ok(Prepared { page, key, wanted, found, known })
    }

    /// The page as HTML.
    pub(crate) async fn render(
        &self,
        wiki: &Wiki,
        prepared: Prepared,
    ) -> Result<Arc<Entry>, Problem> {
        let Prepared { page, key, wanted, found, known } = prepared;
        if let Some(entry) = known
            && entry.found == found
        {
            return Ok(entry);
        }
        let there: HashMap<_, _> = wanted.iter().cloned().zip(found.iter().cloned()).collect();
        let (renderer, base, style) = (self.renderer.clone(), key.base.clone(), key.style);
        let by_name = key.by_name;
        let rendered = working(wiki, page.content.len(), move || {
            let (path, Decoded { text, encoding }) = path_and_text(&page)?;
            let context = Context { page: &path, base: &base, style, by_name, found: &there };
            Ok(Rendered { encoding, ..renderer.render(&text, &context) })
        })
        .await?;
        let entry = Arc::new(Entry { wanted, found, rendered });
        self.cache.put(key, entry.clone());
        Ok(entry)
    }
}

impl Prepared {
    /// The version of the answer: it changes with the page, with what exists of what it links to,
    /// and with the renderer.
    pub(super) fn version(&self, media_type: &str) -> String {
        let Self { page, key, wanted, found, .. } = self;
        let mut hash = Sha256::new();
        let summary = &page.summary;
        let (etag, revision) = (summary.etag.to_string(), summary.revision.to_string());
        let version = render::VERSION.to_string();
        for part in [&version, media_type, &key.base, &key.path, &etag, &revision] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(format!("{:?}{wanted:?}{found:?}", (key.style, key.by_name)));
        data_encoding::HEXLOWER.encode(&hash.finalize()[..20])
    }
}

impl Entry {
    /// What was rendered.
    pub(crate) fn rendered(&self) -> &Rendered {
        &self.rendered
    }
}

/// What the page's links may mean.
async fn wanted(
    wiki: &Wiki,
    page: Arc<Page>,
    style: LinkStyle,
    by_name: bool,
) -> Result<Vec<Sought>, Problem> {
    working(wiki, page.content.len(), move || {
        let (path, decoded) = path_and_text(&page)?;
        Ok(render::wanted(&path, &decoded.text, style, by_name))
    })
    .await
}

/// Works on a text of `size` bytes: a large one in a place for heavy work.
async fn working<T: Send + 'static>(
    wiki: &Wiki,
    size: usize,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if size > LARGE {
        return wiki.work(work).await.map_err(|error| error.problem())?;
    }
    spawn_blocking(work).await.map_err(|error| Problem::internal(&error))?
}

fn path_and_text(page: &Page) -> Result<(ExistingPath, Decoded<'_>), Problem> {
    let path = ExistingPath::new(&page.summary.path).map_err(|error| Problem::internal(&error))?;
    Ok((path, decode(&page.content)))
}
