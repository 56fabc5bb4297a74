//! What a commit says: the author's words, or the wiki's.

use crate::error::Error;
use crate::preferences::{CommitMessage, Preferences};

/// The longest commit message, in bytes.
const MAX_MESSAGE: usize = 16 * 1024;

/// The reason for a change, if one was given, and what there is to say without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// The author's words.
    pub(crate) given: Option<&'a str>,
    /// What was done, such as `Create`.
    pub(crate) verb: &'a str,
    /// What it was done to: the path of a page, most times.
    pub(crate) subject: &'a str,
    /// What else there is to say, in a paragraph of its own.
    pub(crate) detail: Option<&'a str>,
}

impl Message<'_> {
    /// The text of the commit message, as the wiki wants it.
    pub(crate) fn text(&self, preferences: &Preferences) -> Result<String, Error> {
        let policy = preferences.commit_message();
        let given = self.given.map(str::trim).filter(|text| !text.is_empty());
        match given.filter(|_| policy != CommitMessage::Disabled) {
            Some(text) => checked(text.to_owned()),
            None if policy == CommitMessage::Required => Err(Error::MessageRequired),
            None => checked(self.made_up(preferences)),
        }
    }

    fn made_up(&self, preferences: &Preferences) -> String {
        let subject = printable(self.subject);
        if let Some(default) = preferences.default_commit_message() {
            return default.replace("%P", &subject);
        }
        match self.detail {
            Some(detail) => format!("{} {subject}\n\n{detail}", self.verb),
            None => format!("{} {subject}", self.verb),
        }
    }
}

/// Names of an adopted wiki may hold anything; a message has one line for them.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { printable.extend(c.escape_debug()) } else { printable.push(c) }
    }
    printable
}

fn checked(message: String) -> Result<String, Error> {
    if message.len() > MAX_MESSAGE {
        return Err(Error::InvalidMessage { why: "is longer than 16 KiB" });
    }
    if message.contains('\0') {
        return Err(Error::InvalidMessage { why: "holds a NUL character" });
    }
    Ok(message)
}
