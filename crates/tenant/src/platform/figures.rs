//! Statistics of a platform, without opening a wiki.

use crate::figures::{Census, Figures};
use crate::{Error, Platform};

impl Platform {
    /// Present memory use, and counters since the platform was opened. Reads no file.
    pub fn figures(&self) -> Figures {
        let inner = &self.0;
        Figures {
            open_wikis: inner.registry.len(),
            most_open_wikis: inner.settings.open_wikis.max(1),
            comings: inner.registry.comings(),
            changes: inner.announced.all(),
            platform_pool: inner.catalog.pool_use(),
            wiki_pools: inner.registry.pool_use(),
            pages: inner.resources.cache.usage(),
            catalog_rows: inner.memory.rows(),
        }
    }

    /// Counts the wikis, the links and the notices in the catalog. Links are counted per reason only in the states of
    /// `with_reason`.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn census(&self, with_reason: &'static [&'static str]) -> Result<Census, Error> {
        self.catalog(move |catalog| catalog.census(with_reason)).await
    }

    /// The given links, by id, that still exist.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn links_left(&self, of: Vec<String>) -> Result<Vec<String>, Error> {
        self.catalog(move |catalog| catalog.links_left(&of)).await
    }
}

#[cfg(test)]
mod tests {
    use crate::{Base, Comings, Origin, Platform, Settings};

    #[tokio::test]
    async fn wikis_are_counted_as_they_come_and_go() {
        let settings = Settings { open_wikis: 1, ..Settings::default() };
        let platform = Platform::in_memory_with(settings).await.unwrap();
        let garden = platform.create("garden").await.unwrap();
        garden.save("roses", "red", Base::New).await.unwrap();
        garden.read("roses").await.unwrap();
        let figures = platform.figures();
        assert_eq!((figures.open_wikis, figures.most_open_wikis), (1, 1));
        let changes = [(Origin::Api, 1), (Origin::Git, 0), (Origin::Sync, 0)];
        assert_eq!(figures.changes, changes);
        assert!(figures.wiki_pools.connections >= 1 && figures.platform_pool.connections >= 1);
        assert_eq!((figures.pages.entries, figures.catalog_rows), (1, 1));

        drop(garden);
        platform.create("kitchen").await.unwrap();
        let comings = platform.figures().comings;
        assert_eq!(comings, Comings { opened: 2, idle: 0, displaced: 1, ended: 0 });
        platform.close().await;
        assert_eq!(platform.figures().comings.ended, 1);
    }
}
