//! Settings of one wiki.
//!
//! They are rows of wiki.db, an upper-case name and a text each, as the wiki software has them that
//! this format comes from: an adopted wiki's settings hold at once and go back unchanged. What this
//! program knows it shows typed, under the lower-case names of the same rows ([`Preferences`]). All
//! other rows are kept and never consulted: who may do what, for one, is the platform's to say.

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

/// Changes to some preferences, by their lower-case names: a new value, or `None` for the default.
pub type PreferenceChanges = BTreeMap<String, Option<PreferenceValue>>;

/// What a wiki wants to hear with each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMessage {
    /// A message, or else one is made up.
    Optional,
    /// A message; without one the change is refused.
    Required,
    /// None: those that come are dropped.
    Disabled,
}

/// Which side of `[[left|right]]` is the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WikilinkStyle {
    /// `[[page|title]]`
    LinkTitle,
    /// `[[title|page]]`
    TitleLink,
}

/// Whether addresses of other wiki software lead to the pages, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyUrls {
    /// They don't.
    Off,
    /// Those of An Otter Wiki do.
    OtterWiki,
}

/// All preferences that this program knows, with the defaults where nothing (usable) is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    values: BTreeMap<&'static str, Option<PreferenceValue>>,
}

impl Preferences {
    /// What these rows say. A text that has no meaning for its preference counts as absent.
    pub fn from_rows(rows: &RawPreferences) -> Self {
        let values = KNOWN.iter().map(|known| {
            let stored = rows.get(&known.row()).and_then(|text| known.kind.read(text));
            (known.name, stored.or_else(|| known.default.value()))
        });
        Self { values: values.collect() }
    }

    /// A value by its lower-case name; `None` if there is none or the name isn't known.
    pub fn get(&self, name: &str) -> Option<&PreferenceValue> {
        self.values.get(name)?.as_ref()
    }

    /// The wiki's name for its readers; `None` is its title on the platform.
    pub fn site_name(&self) -> Option<&str> {
        self.text("site_name")
    }

    /// What the wiki is about.
    pub fn site_description(&self) -> Option<&str> {
        self.text("site_description")
    }

    /// The language of the pages, as in HTML's `lang`.
    pub fn site_lang(&self) -> &str {
        self.text("site_lang").unwrap_or_default()
    }

    /// The path or address of the logo.
    pub fn site_logo(&self) -> Option<&str> {
        self.text("site_logo")
    }

    /// The path or address of the icon.
    pub fn site_icon(&self) -> Option<&str> {
        self.text("site_icon")
    }

    /// Whether search engines are welcome.
    pub fn allows_robots(&self) -> bool {
        self.text("robots_txt") != Some("disallow")
    }

    /// The path of the page that a visitor sees first.
    pub fn home_page(&self) -> &str {
        self.text("home_page").unwrap_or_default()
    }

    /// Whether changes need a message.
    pub fn commit_message(&self) -> CommitMessage {
        match self.text("commit_message") {
            Some("required") => CommitMessage::Required,
            Some("disabled") => CommitMessage::Disabled,
            _ => CommitMessage::Optional,
        }
    }

    /// The message of changes that come without one; `%P` in it stands for the page's path.
    pub fn default_commit_message(&self) -> Option<&str> {
        self.text("default_commit_message")
    }

    /// How wiki links are read.
    pub fn wikilink_style(&self) -> WikilinkStyle {
        match self.text("wikilink_style") {
            Some("title_link") => WikilinkStyle::TitleLink,
            _ => WikilinkStyle::LinkTitle,
        }
    }

    /// The same, as [`links`](crate::links) takes it.
    pub fn link_style(&self) -> LinkStyle {
        match self.wikilink_style() {
            WikilinkStyle::LinkTitle => LinkStyle::TargetFirst,
            WikilinkStyle::TitleLink => LinkStyle::TitleFirst,
        }
    }

    /// Whether pages show images of other sites.
    pub fn external_images(&self) -> bool {
        self.flag("external_images")
    }

    /// Whether page names keep the case they are typed in. If not, they become lower-case.
    pub fn retain_page_name_case(&self) -> bool {
        self.flag("retain_page_name_case")
    }

    /// Whether titles made from page names show spaces for underscores.
    pub fn treat_underscore_as_space_for_titles(&self) -> bool {
        self.flag("treat_underscore_as_space_for_titles")
    }

    /// Which addresses lead to the pages besides our own.
    pub fn legacy_urls(&self) -> LegacyUrls {
        match self.text("legacy_urls") {
            Some("otterwiki") => LegacyUrls::OtterWiki,
            _ => LegacyUrls::Off,
        }
    }

    /// Whether the wiki can be cloned, fetched and pushed with git.
    pub fn git_enabled(&self) -> bool {
        self.flag("git_enabled")
    }

    /// Whether its admins may push a history that isn't built on what is there.
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

/// One object: every name, and `null` where there is no value.
impl Serialize for Preferences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(serializer)
    }
}

/// A preference that can't be set, or not to that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the preference `{name}` {why}")]
pub struct InvalidPreference {
    /// Its name; the beginning of a long one.
    pub name: String,
    /// `unknown_preference`, `wrong_type` or `invalid_value`.
    pub code: &'static str,
    /// What is wrong with it: the end of a sentence.
    pub why: String,
}

impl InvalidPreference {
    fn new(name: &str, code: &'static str, why: impl Into<String>) -> Self {
        Self { name: name.chars().take(64).collect(), code, why: why.into() }
    }
}

/// All that is wrong with some preferences: at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidPreferences(Vec<InvalidPreference>);

impl InvalidPreferences {
    /// Each thing, in the order of the names.
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

/// The rows that these changes come to: a text to store, or `None` for a row to remove.
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

/// The rows of a new wiki with these settings.
///
/// # Errors
/// A name isn't known, or a value isn't one for its preference.
pub fn preference_rows(changes: &PreferenceChanges) -> Result<RawPreferences, InvalidPreferences> {
    let rows = rows_of(changes)?;
    Ok(rows.into_iter().filter_map(|(name, text)| Some((name, text?))).collect())
}

/// The preferences of an open wiki, read once: every save asks them.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Option<Arc<Preferences>>>);

impl Remembered {
    /// Reads under the lock: whoever forgets meanwhile waits, and forgets what was read.
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
    /// All preferences; from memory, most times.
    ///
    /// # Errors
    /// wiki.db can't be read.
    pub fn preferences(&self) -> Result<Arc<Preferences>, Error> {
        self.check_open()?;
        self.remembered_preferences().get_or_read(|| self.raw_preferences())
    }

    /// Changes some preferences, all or none; the others stay. Returns all.
    ///
    /// # Errors
    /// A name isn't known, or a value isn't one for its preference; the disk is full.
    pub fn change_preferences(
        &self,
        changes: &PreferenceChanges,
    ) -> Result<Arc<Preferences>, Error> {
        self.change_rows(&rows_of(changes)?)?;
        self.preferences()
    }

    /// Every row, also of what this program doesn't know: to be carried to another wiki or program.
    /// An adopted wiki may keep secrets there.
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

    /// Sets rows as another wiki or program had them; the others stay.
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

    /// Has the index written anew: links are indexed as they are read, and that changed. To be called when
    /// the preferences of before are forgotten.
    pub(crate) fn outdate_index(&self) -> Result<(), Error> {
        self.write(|unit| {
            unit.also(index::forget);
            Ok(())
        })?;
        Ok(())
    }
}
