//! The settings of a wiki.
//!
//! They are rows of wiki.db, each with an upper-case name and a text, in the format of OtterWiki: the settings of an
//! imported wiki take effect unchanged, and can be exported unchanged. Known settings are offered as typed values,
//! under the same names in lower case ([`Preferences`]). All other rows are kept but ignored: permissions, for example,
//! are up to the platform.

mod known;
mod rows;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::index;
use crate::links::LinkStyle;
use crate::wiki::Wiki;

use known::KNOWN;
pub use rows::{RawPreferences, check_preferences};
pub(crate) use rows::{all, set};
pub use value::PreferenceValue;

/// Changes to preferences, by their lower-case names: a new value, or `None` for the default.
pub type PreferenceChanges = BTreeMap<String, Option<PreferenceValue>>;

/// The rule for commit messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMessage {
    /// A message is optional; one is generated if it is absent.
    Optional,
    /// A change without a message is refused.
    Required,
    /// Messages are ignored.
    Disabled,
}

/// The order of page and title in `[[left|right]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WikilinkStyle {
    /// `[[page|title]]`
    LinkTitle,
    /// `[[title|page]]`
    TitleLink,
}

/// Support for the URLs of other wiki software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyUrls {
    /// Not supported.
    Off,
    /// The URLs of An Otter Wiki lead to the pages.
    OtterWiki,
}

/// All known preferences, with the default for those that are missing or invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    values: BTreeMap<&'static str, Option<PreferenceValue>>,
}

impl Preferences {
    /// Reads preferences from rows. An invalid text counts as absent.
    pub fn from_rows(rows: &RawPreferences) -> Self {
        let values = KNOWN.iter().map(|known| {
            let stored = rows.get(&known.row()).and_then(|text| known.kind.read(text));
            (known.name, stored.or_else(|| known.default.value()))
        });
        Self { values: values.collect() }
    }

    /// Returns a value by its lower-case name; `None` if there is no value or the name is unknown.
    pub fn get(&self, name: &str) -> Option<&PreferenceValue> {
        self.values.get(name)?.as_ref()
    }

    /// The wiki's name for its readers; `None`: its title on the platform.
    pub fn site_name(&self) -> Option<&str> {
        self.text("site_name")
    }

    /// The wiki's description.
    pub fn site_description(&self) -> Option<&str> {
        self.text("site_description")
    }

    /// The language of the pages, as in HTML's `lang`.
    pub fn site_lang(&self) -> &str {
        self.text("site_lang").unwrap_or_default()
    }

    /// The path or URL of the logo.
    pub fn site_logo(&self) -> Option<&str> {
        self.text("site_logo")
    }

    /// The path or URL of the icon.
    pub fn site_icon(&self) -> Option<&str> {
        self.text("site_icon")
    }

    /// Returns `true` if search engines may index the wiki.
    pub fn allows_robots(&self) -> bool {
        self.text("robots_txt") != Some("disallow")
    }

    /// The path of the start page.
    pub fn home_page(&self) -> &str {
        self.text("home_page").unwrap_or_default()
    }

    /// The rule for commit messages.
    pub fn commit_message(&self) -> CommitMessage {
        match self.text("commit_message") {
            Some("required") => CommitMessage::Required,
            Some("disabled") => CommitMessage::Disabled,
            _ => CommitMessage::Optional,
        }
    }

    /// The message for changes without one; `%P` in it stands for the page's path.
    pub fn default_commit_message(&self) -> Option<&str> {
        self.text("default_commit_message")
    }

    /// The order of page and title in wiki links.
    pub fn wikilink_style(&self) -> WikilinkStyle {
        match self.text("wikilink_style") {
            Some("title_link") => WikilinkStyle::TitleLink,
            _ => WikilinkStyle::LinkTitle,
        }
    }

    /// The same setting as [`wikilink_style`](Self::wikilink_style), in the type of [`links`](crate::links).
    pub fn link_style(&self) -> LinkStyle {
        match self.wikilink_style() {
            WikilinkStyle::LinkTitle => LinkStyle::TargetFirst,
            WikilinkStyle::TitleLink => LinkStyle::TitleFirst,
        }
    }

    /// True if wiki links find the only page of a name in whatever directory.
    pub fn links_by_name(&self) -> bool {
        self.flag("links_by_name")
    }

    /// True if pages show images of other sites.
    pub fn external_images(&self) -> bool {
        self.flag("external_images")
    }

    /// Whether page names keep the case they are typed in. If not, they become lower-case.
    pub fn retain_page_name_case(&self) -> bool {
        self.flag("retain_page_name_case")
    }

    /// Returns `true` if titles made from page names show underscores as spaces.
    pub fn treat_underscore_as_space_for_titles(&self) -> bool {
        self.flag("treat_underscore_as_space_for_titles")
    }

    /// The foreign URLs that lead to the pages.
    pub fn legacy_urls(&self) -> LegacyUrls {
        match self.text("legacy_urls") {
            Some("otterwiki") => LegacyUrls::OtterWiki,
            _ => LegacyUrls::Off,
        }
    }

    /// Returns `true` if the wiki can be cloned, fetched and pushed with git.
    pub fn git_enabled(&self) -> bool {
        self.flag("git_enabled")
    }

    /// Returns `true` if the wiki's admins may push a rewritten history.
    pub fn git_force_push(&self) -> bool {
        self.flag("git_force_push")
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(PreferenceValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name) == Some(&PreferenceValue::Flag(true))
    }
}

impl Default for Preferences {
    fn default() -> Self {
        Self::from_rows(&RawPreferences::new())
    }
}

/// A JSON object with every name, and `null` where there is no value.
impl Serialize for Preferences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(serializer)
    }
}

/// An unknown preference, or an invalid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the preference `{name}` {why}")]
pub struct InvalidPreference {
    /// Its name; cut off if it is long.
    pub name: String,
    /// `unknown_preference`, `wrong_type` or `invalid_value`.
    pub code: &'static str,
    /// The problem: the end of a sentence.
    pub why: String,
}

impl InvalidPreference {
    fn new(name: &str, code: &'static str, why: impl Into<String>) -> Self {
        Self { name: name.chars().take(64).collect(), code, why: why.into() }
    }
}

/// All invalid preferences of a request: at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidPreferences(Vec<InvalidPreference>);

impl InvalidPreferences {
    /// Returns the problems, in the order of the names.
    pub fn all(&self) -> &[InvalidPreference] {
        &self.0
    }
}

impl std::fmt::Display for InvalidPreferences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sentences: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&sentences.join("; "))
    }
}

/// Converts changes to rows: a text to store, or `None` for a row to remove.
fn rows_of(
    changes: &PreferenceChanges,
) -> Result<BTreeMap<String, Option<String>>, InvalidPreferences> {
    let (mut rows, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, value) in changes {
        let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
            let why = "is none that this wiki knows";
            wrong.push(InvalidPreference::new(name, "unknown_preference", why));
            continue;
        };
        match value.as_ref().map(|value| known.kind.write(value)).transpose() {
            Ok(text) => drop(rows.insert(known.row(), text)),
            Err((code, why)) => wrong.push(InvalidPreference::new(name, code, why)),
        }
    }
    if wrong.is_empty() { Ok(rows) } else { Err(InvalidPreferences(wrong)) }
}

/// Returns the rows of a new wiki with these settings.
///
/// # Errors
/// A name is unknown, or a value invalid.
pub fn preference_rows(changes: &PreferenceChanges) -> Result<RawPreferences, InvalidPreferences> {
    let rows = rows_of(changes)?;
    Ok(rows.into_iter().filter_map(|(name, text)| Some((name, text?))).collect())
}

/// The cached preferences of an open wiki: every save needs them.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Option<Arc<Preferences>>>);

impl Remembered {
    /// Reads under the lock, so that a concurrent `forget` waits and then drops the value just read.
    fn get_or_read(
        &self,
        read: impl FnOnce() -> Result<RawPreferences, Error>,
    ) -> Result<Arc<Preferences>, Error> {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(preferences) = &*remembered {
            return Ok(preferences.clone());
        }
        let preferences = Arc::new(Preferences::from_rows(&read()?));
        *remembered = Some(preferences.clone());
        Ok(preferences)
    }

    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Wiki {
    /// Returns all preferences, usually from memory.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn preferences(&self) -> Result<Arc<Preferences>, Error> {
        self.check_open()?;
        self.remembered_preferences().get_or_read(|| self.raw_preferences())
    }

    /// Changes some preferences atomically; the others stay. Returns all.
    ///
    /// # Errors
    /// A name is unknown, or a value invalid; the disk is full.
    pub fn change_preferences(
        &self,
        changes: &PreferenceChanges,
    ) -> Result<Arc<Preferences>, Error> {
        self.change_rows(&rows_of(changes)?)?;
        self.preferences()
    }

    /// Returns every row, including unknown ones, for a transfer to another wiki or program. In an imported wiki they
    /// may contain secrets.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn raw_preferences(&self) -> Result<RawPreferences, Error> {
        self.check_open()?;
        match self.existing_database()? {
            Some(database) => database.read(|connection| Ok(all(connection)?)),
            None => Ok(self.born_with().clone()),
        }
    }

    /// Sets rows from another wiki or program; the others stay.
    ///
    /// # Errors
    /// A name or text can't be stored; the disk is full.
    pub fn set_raw_preferences(&self, rows: &RawPreferences) -> Result<(), Error> {
        check_preferences(rows)?;
        let rows = rows.iter().map(|(name, text)| (name.clone(), Some(text.clone())));
        self.change_rows(&rows.collect())
    }

    fn change_rows(&self, rows: &BTreeMap<String, Option<String>>) -> Result<(), Error> {
        let changed = self.write(|unit| {
            unit.also(|transaction| rows::change(transaction, rows));
            Ok(())
        });
        self.remembered_preferences().forget();
        changed?;
        if rows.contains_key("WIKILINK_STYLE") { self.outdate_index() } else { Ok(()) }
    }

    /// Makes the index be rebuilt, because the style of links has changed. The cached preferences must have been
    /// dropped before.
    pub(crate) fn outdate_index(&self) -> Result<(), Error> {
        self.write(|unit| {
            unit.also(index::forget);
            Ok(())
        })?;
        Ok(())
    }
}
