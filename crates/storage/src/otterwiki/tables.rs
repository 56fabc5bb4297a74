//! The rows of OtterWiki's tables, as values.

use crate::revision::Etag;

/// What an OtterWiki database holds, apart from its cache, which it can make again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Settings: names and values, also those without a value.
    pub preferences: Vec<(String, Option<String>)>,
    /// Texts that weren't saved.
    pub drafts: Vec<Draft>,
    /// Accounts.
    pub users: Vec<User>,
    /// What was found in the file and is in none of the above.
    pub unread: Vec<Unread>,
}

/// A row of one of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableRow {
    /// A setting: its name and value.
    Preference(String, Option<String>),
    /// A text that wasn't saved.
    Draft(Draft),
    /// An account.
    User(User),
}

impl TableRow {
    /// The bytes of its texts.
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

/// How much is taken of rows that come from elsewhere.
#[derive(Clone, Debug)]
pub struct Room {
    /// The most bytes of all rows.
    most: usize,
    bytes: usize,
    preferences: usize,
    preference_bytes: usize,
}

impl Room {
    /// The most preferences. An OtterWiki has some fifty. All of them are read at each look at one.
    pub(crate) const PREFERENCES: usize = 10_000;
    /// The most bytes of preferences.
    const PREFERENCE_BYTES: usize = 4 << 20;

    /// Room for so many bytes of rows.
    pub fn of(most: usize) -> Self {
        Self { most, bytes: 0, preferences: 0, preference_bytes: 0 }
    }

    /// Counts a row.
    ///
    /// # Errors
    /// There is no room for it: what there is too much of.
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
    /// Adds a row after those that are there.
    pub fn add(&mut self, row: TableRow) {
        match row {
            TableRow::Preference(name, value) => self.preferences.push((name, value)),
            TableRow::Draft(draft) => self.drafts.push(draft),
            TableRow::User(user) => self.users.push(user),
        }
    }
}

/// A text that wasn't saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The page: as its URL has it in OtterWiki, its page path here.
    pub page: String,
    /// The commit that the text is based on; there, its first digits. Empty for a new page.
    pub revision: Option<String>,
    /// Whose it is: an address there, a subject here.
    pub author: Option<String>,
    /// The text.
    pub content: Option<String>,
    /// Where the cursor stood: the line.
    pub cursor_line: Option<i64>,
    /// Where the cursor stood in the line.
    pub cursor_ch: Option<i64>,
    /// When it was kept, in UTC, such as `2026-11-20 20:35:42.955542`.
    pub datetime: Option<String>,
    /// The version of the page that the text is based on. OtterWiki has no such thing.
    pub base: Option<Etag>,
}

/// An account. Its password is never read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name that is shown.
    pub name: Option<String>,
    /// The address, which is also the login.
    pub email: Option<String>,
    /// When it was made and last used, in UTC, as in [`Draft::datetime`].
    pub seen: [Option<String>; 2],
    /// Whether an administrator let it in.
    pub is_approved: bool,
    /// Whether it administers the wiki.
    pub is_admin: bool,
    /// Whether the address was confirmed.
    pub email_confirmed: bool,
    /// Whether it was allowed to read, whatever holds for all.
    pub allow_read: bool,
    /// Whether it was allowed to write.
    pub allow_write: bool,
    /// Whether it was allowed to upload files.
    pub allow_upload: bool,
}

/// Something in a database that isn't taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// A table that isn't known.
    Table {
        /// Its name.
        name: String,
        /// How many rows it has.
        rows: u64,
    },
    /// A column that isn't known, in which some row has a value.
    Column {
        /// The table.
        table: String,
        /// The column.
        name: String,
    },
    /// A row that holds what can't stand there.
    Row {
        /// The table.
        table: String,
        /// Where in the table, counted from one.
        number: u64,
    },
}
