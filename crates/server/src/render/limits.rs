//! What a page may ask of its reader's server.

/// The largest text that is rendered, in bytes.
pub(super) const TEXT: usize = 1_000_000;
/// The links of a page that are resolved; further ones are shown as text. Their addresses can be a
/// thousand times as long as what was written.
pub(super) const LINKS: usize = 10_000;
/// How deep lists, quotations and emphasis may be nested.
pub(super) const DEPTH: usize = 100;
/// The tags of HTML in the text times the elements of the page: a `<b>` that is never closed is
/// opened anew in each of the elements that follow, and a `<div>` makes each of them deeper.
pub(super) const TAGS_TIMES_ELEMENTS: usize = 1_000_000;
/// The largest front matter that is read, in bytes.
pub(super) const FRONT_MATTER: usize = 64 * 1024;
/// The values in front matter, and how deep it may be.
pub(super) const FRONT_MATTER_VALUES: usize = 10_000;
pub(super) const FRONT_MATTER_DEPTH: usize = 32;
