//! What can be wrong with an attachment.

use crate::revision::Etag;

/// Why an attachment could not be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// There is no such attachment.
    #[error("there is no attachment `{path}`")]
    NotFound {
        /// The path as asked for.
        path: String,
    },
    /// The attachment to be created exists, with other content.
    #[error("the attachment `{path}` exists already")]
    Exists {
        /// Its path.
        path: String,
        /// Its version now.
        etag: Etag,
    },
    /// The attachment doesn't have the version that the change was based on.
    #[error("the attachment `{path}` does not have the version that the change was based on")]
    Stale {
        /// Its path.
        path: String,
        /// Its version now; `None` when there is no such attachment.
        current: Option<Etag>,
    },
    /// The content is larger than the wiki allows.
    #[error("the attachment is larger than {limit} bytes")]
    TooLarge {
        /// Bytes that are allowed.
        limit: u64,
    },
}
