//! How much a wiki may hold.

/// The most a wiki may hold; `None` is as much as there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of content of all pages and attachments.
    pub bytes: Option<u64>,
    /// Pages.
    pub pages: Option<u64>,
}
