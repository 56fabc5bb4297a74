//! Errors of attachments.

use crate::revision::Etag;

/// Reasons why an attachment can't be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// There is no such attachment.
    #[error("there is no attachment `{path}`")]
    NotFound {
        /// The path as requested.
        path: String,
    },
    /// The attachment to be created exists, with other content.
    #[error("the attachment `{path}` exists already")]
    Exists {
        /// Its path.
        path: String,
        /// Its present version.
        etag: Etag,
    },
    /// The attachment's version differs from the base of the change.
    #[error("the attachment `{path}` does not have the version that the change was based on")]
    Stale {
        /// Its path.
        path: String,
        /// Its present version; `None` if there is no such attachment.
        current: Option<Etag>,
    },
    /// The content is larger than the wiki allows.
    #[error("the attachment is larger than {limit} bytes")]
    TooLarge {
        /// Maximum bytes.
        limit: u64,
    },
}
