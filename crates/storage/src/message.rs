//! Commit messages: given by the author, or generated.

use crate::error::Error;
use crate::preferences::{CommitMessage, Preferences};

/// Maximum length of a commit message, in bytes.
const MAX_MESSAGE: usize = 16 * 1024;

/// The author's message, if there is one, and the parts of a generated one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// The author's message.
    pub(crate) given: Option<&'a str>,
    /// The action, such as `Create`.
    pub(crate) verb: &'a str,
    /// The object of the action: usually the path of a page.
    pub(crate) subject: &'a str,
    /// Further information, as a separate paragraph.
    pub(crate) detail: Option<&'a str>,
}

impl Message<'_> {
    /// Returns the text of the commit message, according to the wiki's preferences.
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

/// Escapes control characters: names in an imported wiki may contain line breaks, and a message has only one line for
/// them.
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
