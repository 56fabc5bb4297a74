//! What a page may ask of its reader's server.

use std::time::Duration;

/// The largest text that is rendered, in bytes.
pub(super) const TEXT: usize = 1_000_000;
/// The links of a page that are resolved; further ones are shown as text.
pub(super) const LINKS: usize = 10_000;
/// The largest HTML that a page may become, in bytes. Text grows to six times its size when each of its
/// characters has to be escaped; of pages that people write hardly any doubles.
pub(super) const HTML: usize = 8_000_000;
/// The elements that a page may have: each takes a few hundred bytes of memory while it is cleaned.
pub(super) const ELEMENTS: usize = 100_000;
/// The headings that a page may have. Each is in the answer twice, and has an anchor.
pub(super) const HEADINGS: usize = 10_000;
/// Text of this many bytes is divided, where it isn't by elements.
pub(super) const TEXT_NODE: usize = 4096;
/// The characters to be escaped in text that stays one piece, times its length in bytes: for each of them
/// the serialiser may search all that follows.
pub(super) const ESCAPES_TIMES_TEXT: u64 = 10_000_000_000;
/// The paths that its links may mean, in bytes, of which it is looked up whether they exist: a link of six
/// bytes on a page deep in the wiki means two paths of a thousand bytes.
pub(super) const LOOKED_UP: usize = 2_000_000;
/// The addresses of a page's links into the wiki, in bytes. Links beyond are shown as text.
pub(super) const ADDRESSES: usize = 1_000_000;
/// How deep lists, quotations and emphasis may be nested.
pub(super) const DEPTH: usize = 100;
/// The tags of HTML in the text times the elements of the page: a `<b>` that is never closed is
/// opened anew in each of the elements that follow, and a `<div>` makes each of them deeper.
pub(super) const TAGS_TIMES_ELEMENTS: usize = 1_000_000;
/// The same for a page that counts as small: it takes milliseconds, and a few megabytes of memory.
pub(super) const SMALL_TAGS_TIMES_ELEMENTS: usize = 50_000;
/// The elements that the cleaner adds because elements of formatting are left open. Each takes about two hundred
/// bytes.
pub(super) const OPENED_ANEW: usize = 200_000;
/// The elements that a page with a table of HTML may have from there on. What stands in such a table and
/// not in a cell is put before it, and finding that place takes a step for each element before it.
pub(super) const ELEMENTS_AFTER_TABLE: usize = 20_000;
/// How long the cleaner may compute. The limits above keep most pages far below.
pub(super) const CLEANING: Duration = Duration::from_secs(2);
