//! An open wiki that can be closed under those who hold it.

use tokio::sync::Semaphore;
use wikigrove_storage::{Error, Wiki};

/// How many may use one wiki at the same moment.
const USES: u32 = 1 << 20;

/// An open wiki and its door.
///
/// The files of a wiki are found by their path. When a wiki is deleted and another one takes its
/// name, whatever still runs on the old one would read and write the new one's files. So every use
/// goes through the door, and closing waits until nobody is inside.
pub(crate) struct Live {
    wiki: Wiki,
    /// Each use takes one; closing takes all and gives none back.
    door: Semaphore,
}

impl Live {
    pub(crate) fn new(wiki: Wiki) -> Self {
        Self { wiki, door: Semaphore::new(USES as usize) }
    }

    /// Uses the wiki. Until `work` returns, its files stay where they are.
    ///
    /// # Errors
    /// [`Error::Closed`], or what `work` says.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Wiki) -> Result<T, Error>) -> Result<T, Error> {
        let _inside = self.door.try_acquire().map_err(|_| Error::Closed)?;
        work(&self.wiki)
    }

    /// Lets nobody in any more and waits until all have left.
    pub(crate) async fn shut(&self) {
        if let Ok(all) = self.door.acquire_many(USES).await {
            all.forget();
        }
    }

    /// Makes everything durable and ends the wiki, behind the shut door. Blocks.
    ///
    /// # Errors
    /// What couldn't be made durable in the repository; it is safe in wiki.db all the same.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.wiki.close()
    }
}
