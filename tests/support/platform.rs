//! A platform with the wikis and members that a test asks for.

use std::ops::Deref;
use std::time::Duration;

use tempfile::TempDir;
use wikigrove_tenant::{
    Author, Base, Caller, Error, NewTenant, Platform, Role, Settings, Slug, Visibility, Wiki,
};

/// The data directory within a temporary one: made by the platform itself.
const DATA: &str = "data";

/// A running platform; derefs to it.
pub struct Grove {
    platform: Platform,
    settings: Settings,
    /// `None` for a platform in memory.
    dir: Option<TempDir>,
}

/// What a [`Grove`] starts with.
#[must_use = "call start"]
pub struct GroveBuilder {
    wikis: Vec<NewTenant>,
    members: Vec<(Slug, String, Role)>,
    settings: Settings,
    on_disk: bool,
}

impl Grove {
    /// Private, empty wikis of these names.
    pub fn with<S: AsRef<str>>(wikis: impl IntoIterator<Item = S>) -> GroveBuilder {
        let wikis = wikis.into_iter().map(|name| NewTenant::new(slug(name.as_ref()))).collect();
        let settings = Settings::default();
        GroveBuilder { wikis, members: Vec::new(), settings, on_disk: false }
    }

    /// `count` wikis: `wiki-0`, `wiki-1`, ….
    pub fn of(count: usize) -> GroveBuilder {
        Self::with((0..count).map(|number| format!("wiki-{number}")))
    }

    /// No wiki.
    pub fn empty() -> GroveBuilder {
        Self::of(0)
    }

    /// The wiki for the operator.
    pub async fn on(&self, wiki: &str) -> Wiki {
        self.wiki(wiki, Caller::operator()).await.unwrap_or_else(|error| panic!("{wiki}: {error}"))
    }

    /// The wiki for a user.
    ///
    /// # Errors
    /// The user may not see it.
    pub async fn user(&self, subject: &str, wiki: &str) -> Result<Wiki, Error> {
        self.wiki(wiki, user(subject)).await
    }

    /// Creates a page and says what became of it.
    ///
    /// # Errors
    /// It can't be saved.
    pub async fn save(&self, wiki: &str, page: &str, text: &str) -> Result<(), Error> {
        let wiki = self.wiki(wiki, Caller::operator()).await?;
        wiki.save(page, text, Base::New).await.map(drop)
    }

    /// Ends the platform without closing it, as a crash would, lets `meanwhile` do something to its
    /// directory, and starts it again.
    pub async fn restarted(self, meanwhile: impl FnOnce(&std::path::Path)) -> Self {
        let Self { platform, settings, dir } = self;
        let dir = dir.expect("only a platform on disk can be restarted");
        drop(platform);
        let data = dir.path().join(DATA);
        meanwhile(&data);
        let platform = Platform::open_with(data, settings.clone()).await;
        Self { platform: platform.expect("starts again"), settings, dir: Some(dir) }
    }
}

impl Deref for Grove {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.platform
    }
}

impl GroveBuilder {
    /// Lets everybody see, or change, all wikis.
    pub fn visible(mut self, visibility: Visibility) -> Self {
        self.wikis.iter_mut().for_each(|wiki| wiki.visibility = visibility);
        self
    }

    /// Gives a user a role in a wiki.
    pub fn member(mut self, wiki: &str, subject: &str, role: Role) -> Self {
        self.members.push((slug(wiki), subject.to_owned(), role));
        self
    }

    /// The most wikis open at once.
    pub fn open_wikis(mut self, open_wikis: usize) -> Self {
        self.settings.open_wikis = open_wikis;
        self
    }

    /// After how long an unused wiki is closed.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.settings.idle = idle;
        self
    }

    /// In a directory that outlives the platform.
    pub fn on_disk(mut self) -> Self {
        self.on_disk = true;
        self
    }

    /// Starts the platform and makes everything that was asked for.
    pub async fn start(self) -> Grove {
        let dir = self.on_disk.then(|| tempfile::tempdir().expect("a temporary directory"));
        let settings = self.settings;
        let platform = match &dir {
            Some(dir) => Platform::open_with(dir.path().join(DATA), settings.clone()).await,
            None => Platform::in_memory_with(settings.clone()).await,
        };
        let grove = Grove { platform: platform.expect("starts"), settings, dir };
        for wiki in self.wikis {
            grove.create_tenant(wiki).await.expect("creates a wiki");
        }
        for (wiki, subject, role) in self.members {
            grove.set_member(&wiki, &subject, role).await.expect("makes a member");
        }
        grove
    }
}

/// A valid slug.
pub fn slug(text: &str) -> Slug {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A user of this subject.
pub fn user(subject: &str) -> Caller {
    Caller::user(subject, author(subject))
}

/// An author of this name.
pub fn author(name: &str) -> Author {
    Author::new(name, format!("{name}@example.org"))
}
