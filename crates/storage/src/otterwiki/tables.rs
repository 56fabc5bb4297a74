//! The rows of OtterWiki's tables, as values.

use crate::revision::Etag;

/// The contents of an OtterWiki database, except its cache, which can be rebuilt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Settings: names and values, including those without a value.
    pub preferences: Vec<(String, Option<String>)>,
    /// Unsaved texts.
    pub drafts: Vec<Draft>,
    /// Accounts.
    pub users: Vec<User>,
    /// Contents of the file that can't be taken over.
    pub unread: Vec<Unread>,
}

/// A row of one of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableRow {
    /// A setting: its name and value.
    Preference(String, Option<String>),
    /// An unsaved text.
    Draft(Draft),
    /// An account.
    User(User),
}

impl TableRow {
    /// Returns the bytes of its texts.
    pub fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Preference(name, value) => name.len() + text(value),
            Self::Draft(draft) => {
                let Draft { page, revision, author, content, datetime, .. } = draft;
                page.len()
                    + [revision, author, content, datetime].into_iter().map(text).sum::<usize>()
            }
            Self::User(User { name, email, seen: [first, last], .. }) => {
                [name, email, first, last].into_iter().map(text).sum()
            }
        }
    }
}

/// Limits for imported rows, and the amount used.
#[derive(Clone, Debug)]
pub struct Room {
    /// Maximum bytes of all rows.
    most: usize,
    bytes: usize,
    preferences: usize,
    preference_bytes: usize,
}

impl Room {
    /// Maximum number of preferences. An OtterWiki has some fifty. Every look at one of them reads all.
    pub(crate) const PREFERENCES: usize = 10_000;
    /// Maximum bytes of all preferences.
    const PREFERENCE_BYTES: usize = 4 << 20;

    /// Creates limits with `most` bytes for all rows.
    pub fn of(most: usize) -> Self {
        Self { most, bytes: 0, preferences: 0, preference_bytes: 0 }
    }

    /// Counts a row.
    ///
    /// # Errors
    /// A limit is exceeded; the message names it.
    pub fn take(&mut self, row: &TableRow) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(row.size());
        if let TableRow::Preference(..) = row {
            self.preferences += 1;
            self.preference_bytes += row.size();
        }
        if self.preferences > Self::PREFERENCES {
            return Err(format!("it has more than {} preferences", Self::PREFERENCES));
        }
        if self.preference_bytes > Self::PREFERENCE_BYTES {
            return Err(format!("its preferences have more than {} bytes", Self::PREFERENCE_BYTES));
        }
        if self.bytes > self.most {
            return Err(format!("its rows have more than {} bytes", self.most));
        }
        Ok(())
    }
}

impl Tables {
    /// Appends a row.
    pub fn add(&mut self, row: TableRow) {
        match row {
            TableRow::Preference(name, value) => self.preferences.push((name, value)),
            TableRow::Draft(draft) => self.drafts.push(draft),
            TableRow::User(user) => self.users.push(user),
        }
    }
}

/// An unsaved text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The page: its URL in OtterWiki, its page path here.
    pub page: String,
    /// The commit that the text is based on; abbreviated in OtterWiki. Empty for a new page.
    pub revision: Option<String>,
    /// The author: an e-mail address in OtterWiki, a subject here.
    pub author: Option<String>,
    /// The text.
    pub content: Option<String>,
    /// The line of the cursor.
    pub cursor_line: Option<i64>,
    /// The column of the cursor.
    pub cursor_ch: Option<i64>,
    /// Time of the last change, in UTC, such as `2026-11-20 20:35:42.955542`.
    pub datetime: Option<String>,
    /// The version of the page that the text is based on. OtterWiki has no such column.
    pub base: Option<Etag>,
}

/// An account. Its password is never read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The displayed name.
    pub name: Option<String>,
    /// The e-mail address, which is also the login.
    pub email: Option<String>,
    /// Times of creation and last use, in UTC, as in [`Draft::datetime`].
    pub seen: [Option<String>; 2],
    /// True if an administrator approved the account.
    pub is_approved: bool,
    /// True if the account administers the wiki.
    pub is_admin: bool,
    /// True if the address was confirmed.
    pub email_confirmed: bool,
    /// True if the account may read, independent of the wiki's general setting.
    pub allow_read: bool,
    /// True if the account may write.
    pub allow_write: bool,
    /// True if the account may upload files.
    pub allow_upload: bool,
}

/// A part of a database that isn't taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// An unknown table.
    Table {
        /// Its name.
        name: String,
        /// Number of its rows.
        rows: u64,
    },
    /// An unknown column with a value in some row.
    Column {
        /// The table.
        table: String,
        /// The column.
        name: String,
    },
    /// A row with an invalid value.
    Row {
        /// The table.
        table: String,
        /// Number of the row in the table, counted from 1.
        number: u64,
    },
}
