//! The presentation of a wiki to its readers.

use crate::storage::otterwiki::CaseMode;
use crate::storage::{LegacyUrls, Preferences, links::LinkStyle};
use crate::{Action, Error};

use super::Wiki;

/// The preferences that affect readers. All others are visible only to admins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// The wiki's name for readers.
    pub site_name: String,
    /// The language of the pages, as in HTML's `lang`.
    pub site_lang: String,
    /// `true` if search engines may index the wiki.
    pub allows_robots: bool,
    /// The path of the start page.
    pub home_page: String,
    /// The side of a wiki link that is its target.
    pub link_style: LinkStyle,
    /// True if wiki links find the only page of a name in whatever directory.
    pub links_by_name: bool,
    /// True if pages show images of other sites.
    pub external_images: bool,
    /// Which addresses lead to the pages besides our own.
    pub legacy_urls: LegacyUrls,
    /// The case of names in legacy addresses.
    pub legacy_case: CaseMode,
}

impl Presentation {
    fn new(preferences: &Preferences, title: &str) -> Self {
        Self {
            site_name: preferences.site_name().unwrap_or(title).to_owned(),
            site_lang: preferences.site_lang().to_owned(),
            allows_robots: preferences.allows_robots(),
            home_page: preferences.home_page().to_owned(),
            link_style: preferences.link_style(),
            links_by_name: preferences.links_by_name(),
            external_images: preferences.external_images(),
            legacy_urls: preferences.legacy_urls(),
            legacy_case: match preferences.retain_page_name_case() {
                true => CaseMode::Retain,
                false => CaseMode::Lower,
            },
        }
    }
}

impl Wiki {
    /// The presentation of the wiki to its readers.
    ///
    /// # Errors
    /// The caller may not read; the wiki can't be read.
    pub async fn presentation(&self) -> Result<Presentation, Error> {
        self.allow(Action::Read).await?;
        let preferences = self.run(|wiki| wiki.preferences()).await?;
        let title = match self.title() {
            "" => self.slug().as_str(),
            title => title,
        };
        Ok(Presentation::new(&preferences, title))
    }
}
