//! Limits of the time and memory that a page may cost.

use std::time::Duration;

/// The largest text that is rendered, in bytes.
pub(super) const TEXT: usize = 1_000_000;
/// Maximum number of resolved links of a page; further ones are shown as text.
pub(super) const LINKS: usize = 10_000;
/// The largest HTML of a page, in bytes. Text grows to six times its size if each character has to be escaped; real
/// pages hardly ever double.
pub(super) const HTML: usize = 8_000_000;
/// Maximum number of elements of a page: each takes a few hundred bytes of memory while it is cleaned.
pub(super) const ELEMENTS: usize = 100_000;
/// Maximum number of headings of a page. Each is in the response twice, and has an anchor.
pub(super) const HEADINGS: usize = 10_000;
/// Length in bytes at which text is divided that has no elements in between.
pub(super) const TEXT_NODE: usize = 4096;
/// Maximum of the number of characters to be escaped in undivided text, times its length in bytes: for each of them the
/// serialiser may search the whole rest.
pub(super) const ESCAPES_TIMES_TEXT: u64 = 10_000_000_000;
/// Maximum size of all paths that the links may refer to, in bytes; each has to be looked up. A link of six bytes on a
/// page deep in the wiki may refer to two paths of a thousand bytes.
pub(super) const LOOKED_UP: usize = 2_000_000;
/// Maximum size of the URLs of a page's links into the wiki, in bytes. Links beyond are shown as text.
pub(super) const ADDRESSES: usize = 1_000_000;
/// Maximum depth of nested lists, quotations and emphasis.
pub(super) const DEPTH: usize = 100;
/// Maximum of the number of HTML tags in the text, times the number of elements of the page: an unclosed `<b>` is
/// reopened in each element that follows, and an unclosed `<div>` makes each of them deeper.
pub(super) const TAGS_TIMES_ELEMENTS: usize = 1_000_000;
/// The same for a page that counts as small: it takes milliseconds, and a few megabytes of memory.
pub(super) const SMALL_TAGS_TIMES_ELEMENTS: usize = 50_000;
/// The elements that the cleaner adds because elements of formatting are left open. Each takes about two hundred
/// bytes.
pub(super) const OPENED_ANEW: usize = 200_000;
/// The elements that a page with a table of HTML may have from there on. What stands in such a table and
/// not in a cell is put before it, and finding that place takes a step for each element before it.
pub(super) const ELEMENTS_AFTER_TABLE: usize = 20_000;
/// The processor time that the cleaner may take. The limits above keep most pages far below.
pub(super) const CLEANING: Duration = Duration::from_secs(2);
