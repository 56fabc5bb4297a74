//! What a wiki's readers are shown it by.

use crate::storage::otterwiki::CaseMode;
use crate::storage::{LegacyUrls, Preferences, links::LinkStyle};
use crate::{Action, Error};

use super::Wiki;

/// The preferences that shape what readers see. All others are for those who administer the wiki.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// The wiki's name for its readers.
    pub site_name: String,
    /// The language of the pages, as in HTML's `lang`.
    pub site_lang: String,
    /// Whether search engines are welcome.
    pub allows_robots: bool,
    /// The path of the page that a visitor sees first.
    pub home_page: String,
    /// Which side of a wiki link is its target.
    pub link_style: LinkStyle,
    /// Which addresses lead to the pages besides our own.
    pub legacy_urls: LegacyUrls,
    /// How those addresses are spelt.
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
            legacy_urls: preferences.legacy_urls(),
            legacy_case: match preferences.retain_page_name_case() {
                true => CaseMode::Retain,
                false => CaseMode::Lower,
            },
        }
    }
}

impl Wiki {
    /// How the wiki is to be shown to its readers.
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
