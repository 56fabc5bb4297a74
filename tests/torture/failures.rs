//! Many trials, of which each may fail without ending the others.

/// What went wrong in trials.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<String>);

impl Failures {
    /// The outcome of a trial; `None` if it panicked, which is noted.
    pub(crate) async fn catch<T: Send + 'static>(
        &mut self,
        trial: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let panic = match wikigrove_tenant::spawn(trial).await {
            Ok(outcome) => return Some(outcome),
            Err(error) => error.into_panic(),
        };
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        self.0.push(text.unwrap_or_default());
        None
    }

    /// Nothing went wrong.
    ///
    /// # Panics
    /// With everything that did.
    pub(crate) fn none(&self) {
        assert!(self.0.is_empty(), "{} trials failed:\n{}", self.0.len(), self.0.join("\n"));
    }
}
