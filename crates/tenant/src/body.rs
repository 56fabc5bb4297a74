//! Response bodies that keep the current wiki.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

use crate::Wiki;
use crate::context;

/// A marker in the extensions of a response: its body doesn't need the wiki, so the wiki isn't kept open while the
/// client reads it.
#[derive(Clone, Copy, Debug)]
pub struct Detached;

pin_project_lite::pin_project! {
    /// A body that is polled with the wiki of its request as the current one.
    ///
    /// A streamed body is produced after the handler returned, by the task that writes to the socket; without this type
    /// it would have no current wiki.
    #[derive(Debug)]
    pub struct ScopedBody<B> {
        wiki: Option<Wiki>,
        #[pin]
        inner: B,
    }
}

impl<B> ScopedBody<B> {
    pub(crate) fn new(wiki: Option<Wiki>, inner: B) -> Self {
        Self { wiki, inner }
    }
}

impl<B: Body> Body for ScopedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        match this.wiki {
            Some(wiki) => context::within(wiki, || this.inner.poll_frame(context)),
            None => this.inner.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
