//! Renders pages, with a cache.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::storage::links::{LinkStyle, Sought};
use wikigrove_tenant::storage::{Decoded, Page, Resolved, decode};
use wikigrove_tenant::{CacheUse, ExistingPath, Revision, Wiki};

use super::cache::{Cache, Entry, Key};
use super::joined::{Joined, Slot};
use super::reserving;
use crate::limits::{ByteBudget, HttpLimits, Principal, Reserved};
use crate::render::{self, Context, Rendered, Renderer};

/// Pages that are larger, in bytes, are rendered in a place for heavy work; so are those that turn out to cost
/// much.
const LARGE: usize = 32 * 1024;
/// Renderings that are larger, in bytes, are serialised apart from the requests of others.
const LARGE_ANSWER: usize = 64 * 1024;

/// What renders, and remembers what it rendered. Clones share both.
#[derive(Clone)]
pub(crate) struct Rendering {
    renderer: Arc<Renderer>,
    cache: Cache,
    joined: Joined,
    budget: ByteBudget,
}

/// A page and the targets of its links: all inputs of its HTML.
pub(crate) struct Prepared {
    pub(crate) page: Arc<Page>,
    key: Key,
    wanted: Arc<Vec<Sought>>,
    found: Vec<Resolved>,
    known: Option<Arc<Entry>>,
    /// The state that equal requests share. It stays until the last of them is answered.
    slot: Slot,
}

impl Rendering {
    /// Renders nothing yet. Large answers are reserved in `budget`.
    pub(crate) fn new(budget: &ByteBudget) -> Self {
        let (renderer, cache, joined) = Default::default();
        Self { renderer, cache, joined, budget: budget.clone() }
    }

    /// How full the memory for rendered pages is.
    pub(crate) fn cache_use(&self) -> CacheUse {
        self.cache.usage()
    }

    /// Reads a page, at present or in the commit `at`, and looks up the targets of its links.
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
        let slot = self.joined.slot(&key);
        let wanted = match &known {
            Some(entry) => entry.wanted.clone(),
            None => {
                let mut shared = slot.enter().await?;
                match &shared.wanted {
                    Some(wanted) => wanted.clone(),
                    None => {
                        let wanted = wanted(wiki, page.clone(), style, by_name).await?;
                        shared.wanted.insert(Arc::new(wanted)).clone()
                    }
                }
            }
        };
        let found = wiki.resolve_links(at, wanted.to_vec()).await;
        let found = found.map_err(|error| error.problem())?;
        Ok(Prepared { page, key, wanted, found, known, slot })
    }

    /// Renders the page as HTML.
    pub(crate) async fn render(
        &self,
        wiki: &Wiki,
        prepared: Prepared,
    ) -> Result<Arc<Entry>, Problem> {
        let Prepared { page, key, wanted, found, known, slot } = prepared;
        let is_valid = |entry: &Arc<Entry>| entry.found == found;
        if let Some(entry) = known.filter(is_valid) {
            return Ok(entry);
        }
        // One of equal requests renders, and the others wait for it.
        let mut shared = slot.enter().await?;
        if let Some(entry) = shared.entry.as_ref().filter(|entry| is_valid(entry)) {
            return Ok(entry.clone());
        }
        let there = wanted.iter().cloned().zip(found.iter().cloned()).collect();
        let rendered = self.rendered(wiki, page, &key, Arc::new(there)).await?;
        let entry = Arc::new(Entry { wanted, found, rendered });
        self.cache.put(key, entry.clone());
        shared.entry = Some(entry.clone());
        Ok(entry)
    }

    /// Renders a page: a small one in a turn of the wiki's readers, and others in a place for heavy work.
    async fn rendered(
        &self,
        wiki: &Wiki,
        page: Arc<Page>,
        key: &Key,
        found: Arc<HashMap<Sought, Resolved>>,
    ) -> Result<Rendered, Problem> {
        let is_large = page.content.len() > LARGE;
        let render = |is_small: bool| {
            let (renderer, page, found) = (self.renderer.clone(), page.clone(), found.clone());
            let (base, style, by_name) = (key.base.clone(), key.style, key.by_name);
            move || {
                let (path, Decoded { text, encoding }) = path_and_text(&page)?;
                let context = Context { page: &path, base: &base, style, by_name, found: &found };
                let rendered = match is_small {
                    true => renderer.render_small(&text, &context),
                    false => Some(renderer.render(&text, &context)),
                };
                Ok(rendered.map(|rendered| Rendered { encoding, ..rendered }))
            }
        };
        let mut rendered = None;
        if !is_large {
            rendered = in_turn(wiki, render(true)).await?;
        }
        if rendered.is_none() {
            rendered = heavy(wiki, render(false)).await?;
        }
        rendered.ok_or_else(|| Problem::internal(&io::Error::other("a page was not rendered")))
    }

    /// Serialises an answer of about `size` bytes that contains a rendering. A large one is serialised apart from
    /// the requests of others, and its bytes are reserved for the principal before they are made.
    pub(super) async fn json<T: Serialize + Send + 'static>(
        &self,
        wiki: &Wiki,
        size: usize,
        principal: Principal,
        answer: T,
    ) -> Result<(Bytes, Option<Reserved>), Problem> {
        if size <= LARGE_ANSWER {
            let bytes = serde_json::to_vec(&answer).map_err(|error| Problem::internal(&error))?;
            return Ok((bytes.into(), None));
        }
        let budget = self.budget.clone();
        let serialised = wiki.work_in_turn(move || reserving::json(&budget, principal, &answer));
        let (bytes, held) = serialised.await.map_err(|error| error.problem())??;
        Ok((bytes, Some(Reserved::whole(held))))
    }
}

impl Default for Rendering {
    fn default() -> Self {
        Self::new(&ByteBudget::new(&HttpLimits::default()))
    }
}

impl Prepared {
    /// The etag of the response: it changes with the page, with the existence of its links'
    /// targets, and with the renderer.
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
    /// The rendered page.
    pub(crate) fn rendered(&self) -> &Rendered {
        &self.rendered
    }
}

/// The paths and names that the page's links may refer to.
async fn wanted(
    wiki: &Wiki,
    page: Arc<Page>,
    style: LinkStyle,
    by_name: bool,
) -> Result<Vec<Sought>, Problem> {
    let is_large = page.content.len() > LARGE;
    let wanted = move || {
        let (path, decoded) = path_and_text(&page)?;
        Ok(render::wanted(&path, &decoded.text, style, by_name))
    };
    if is_large { heavy(wiki, wanted).await } else { in_turn(wiki, wanted).await }
}

/// Works on a large page, in a place for heavy work.
async fn heavy<T: Send + 'static>(
    wiki: &Wiki,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    wiki.work(work).await.map_err(|error| error.problem())?
}

/// Works on a small page, in a turn of the wiki's readers.
async fn in_turn<T: Send + 'static>(
    wiki: &Wiki,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    wiki.work_in_turn(work).await.map_err(|error| error.problem())?
}

fn path_and_text(page: &Page) -> Result<(ExistingPath, Decoded<'_>), Problem> {
    let path = ExistingPath::new(&page.summary.path).map_err(|error| Problem::internal(&error))?;
    Ok((path, decode(&page.content)))
}
