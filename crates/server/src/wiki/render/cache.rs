//! A cache of rendered pages in memory.

use std::sync::Arc;

use serde_json::Value;
use wikigrove_tenant::storage::Resolved;
use wikigrove_tenant::storage::links::{LinkStyle, Sought};
use wikigrove_tenant::{CacheUse, Etag, TenantId};

use crate::render::Rendered;

/// Capacity of the cache, in bytes.
const CAPACITY: u64 = 32 << 20;
/// Overhead of an entry besides its text, in bytes.
const OVERHEAD: usize = 800;
/// Overhead of an allocation, in bytes.
const ALLOCATION: usize = 16;
/// Overhead of a list or a link besides its texts, in bytes.
const LIST: usize = 48;
/// A node of the tree that an object is: its size, in bytes, and how many entries it has at least, on
/// average.
const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 16;
const NODE_FILLED: usize = 6;

/// The inputs of a rendered page, besides what exists in the wiki. The key contains the wiki's id,
/// so entries are never shared between wikis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) wiki: TenantId,
    pub(super) base: String,
    pub(super) path: String,
    pub(super) etag: Etag,
    pub(super) style: LinkStyle,
    /// True if wiki links find pages by name.
    pub(super) by_name: bool,
}

/// A rendered page, valid as long as its links resolve to `found`.
pub(crate) struct Entry {
    /// The candidates of its links.
    pub(super) wanted: Arc<Vec<Sought>>,
    /// What each of them led to. As long as this holds, so does what was rendered.
    pub(super) found: Vec<Resolved>,
    pub(super) rendered: Rendered,
}

impl Entry {
    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let texts = |texts: &[String]| LIST + texts.iter().map(|text| of_text(text)).sum::<usize>();
        let wanted = self.wanted.iter();
        let wanted: usize =
            wanted.map(|sought| texts(&sought.candidates) + texts(&sought.names)).sum();
        let found = self.found.iter().map(|found| match found {
            Resolved::Found { found, title } => {
                of_text(&found.path) + title.as_deref().map_or(0, of_text)
            }
            Resolved::Nothing | Resolved::Several => 0,
        });
        let found = self.found.len() * size_of::<Resolved>() + found.sum::<usize>();
        let Rendered { html, headings, front_matter, front_matter_error, links, .. } =
            &self.rendered;
        let links: usize = links.iter().map(|link| LIST + of_text(&link.target)).sum();
        let headings: usize =
            headings.iter().map(|heading| of_text(&heading.text) + of_text(&heading.id)).sum();
        OVERHEAD
            + html.capacity()
            + wanted
            + found
            + links
            + headings
            + front_matter.as_ref().map_or(0, of_value)
            + front_matter_error.as_deref().map_or(0, of_text)
    }
}

/// About how many bytes a text takes.
fn of_text(text: &str) -> usize {
    size_of::<String>() + text.len() + ALLOCATION
}

/// About how many bytes a value takes, with all that is in it.
fn of_value(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => of_text(text),
        Value::Array(items) => ALLOCATION + items.iter().map(of_value).sum::<usize>(),
        Value::Object(map) if map.is_empty() => 0,
        Value::Object(map) => {
            let inside = map.iter().map(|(key, value)| of_text(key) + of_value(value));
            map.len().div_ceil(NODE_FILLED) * NODE + inside.sum::<usize>()
        }
    };
    size_of::<Value>() + inside
}

/// A cache with a bound in bytes for all wikis together.
#[derive(Clone)]
pub(super) struct Cache(moka::sync::Cache<Key, Arc<Entry>>);

impl Cache {
    /// Number and size of the cached entries.
    pub(super) fn usage(&self) -> CacheUse {
        // Pending inserts and removals aren't counted before this.
        self.0.run_pending_tasks();
        let (entries, bytes) = (self.0.entry_count(), self.0.weighted_size());
        CacheUse { entries, bytes, capacity: CAPACITY }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.0.get(key)
    }

    pub(super) fn put(&self, key: Key, entry: Arc<Entry>) {
        self.0.insert(key, entry);
    }
}

impl Default for Cache {
    fn default() -> Self {
        let weigh = |key: &Key, entry: &Arc<Entry>| {
            let size = key.base.len() + key.path.len() + entry.size();
            u32::try_from(size).unwrap_or(u32::MAX)
        };
        Self(moka::sync::Cache::builder().max_capacity(CAPACITY).weigher(weigh).build())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wikigrove_tenant::Found;

    use super::*;
    use crate::render::{Heading, RenderedLink};

    fn entry(change: impl FnOnce(&mut Rendered)) -> Entry {
        let mut rendered = Rendered {
            html: String::new(),
            headings: Vec::new(),
            front_matter: None,
            front_matter_error: None,
            links: Vec::new(),
            plain: false,
            truncated: false,
            encoding: None,
        };
        change(&mut rendered);
        Entry { wanted: Arc::default(), found: Vec::new(), rendered }
    }

    fn sought(candidates: Vec<String>, names: Vec<String>) -> Arc<Vec<Sought>> {
        Arc::new(vec![Sought { candidates, names, is_untitled: false }])
    }

    fn found(path: &str, title: Option<&str>) -> Vec<Resolved> {
        let found = Found { path: path.to_owned(), is_page: true };
        vec![Resolved::Found { found, title: title.map(str::to_owned) }]
    }

    #[test]
    fn all_that_an_entry_holds_is_counted() {
        let empty = entry(|_| ()).size();
        let text = "x".repeat(100_000);
        let heading = |text: &str, id: &str| Heading { level: 1, text: text.into(), id: id.into() };
        for entry in [
            entry(|it| it.html = text.clone()),
            entry(|it| it.headings = vec![heading(&text, "")]),
            entry(|it| it.headings = vec![heading("", &text)]),
            entry(|it| it.front_matter = Some(json!({ "a": text }))),
            entry(|it| it.front_matter = Some(json!({ &text: 1 }))),
            entry(|it| it.front_matter = Some(json!({ "a": vec![json!({}); 3200] }))),
            entry(|it| it.front_matter = Some(json!({ "a": vec![json!({ "a": 1 }); 160] }))),
            entry(|it| it.front_matter_error = Some(text.clone())),
            entry(|it| {
                it.links = vec![RenderedLink {
                    target: text.clone(),
                    kind: "wiki",
                    exists: true,
                    is_ambiguous: false,
                }];
            }),
            Entry { wanted: sought(vec![text.clone()], Vec::new()), ..entry(|_| ()) },
            Entry { wanted: sought(Vec::new(), vec![text.clone()]), ..entry(|_| ()) },
            Entry { found: found(&text, None), ..entry(|_| ()) },
            Entry { found: found("", Some(&text)), ..entry(|_| ()) },
        ] {
            assert!(entry.size() >= empty + 100_000, "{}", entry.size());
        }
    }
}
