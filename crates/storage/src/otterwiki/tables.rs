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
