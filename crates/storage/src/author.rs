//! Authors of changes, as recorded by git.

use std::fmt;

use serde::Serialize;

/// Maximum length of the name and of the e-mail address, in bytes.
const LIMIT: usize = 320;

/// The name and e-mail address written into a commit.
///
/// Neither can contain characters that would end a header of the commit object: line breaks, NUL, `<` or `>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Author {
    name: String,
    email: String,
}

/// A name or e-mail address that git can't record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the author's {field} {why}")]
pub struct InvalidAuthor {
    /// "name" or "email".
    pub field: &'static str,
    why: &'static str,
}

impl Author {
    /// Cleans a name and an e-mail address: removes characters that git can't record, as git itself does. A name of
    /// which nothing is left becomes `unknown`; more than 320 bytes are cut off.
    pub fn new(name: impl AsRef<str>, email: impl AsRef<str>) -> Self {
        let name = cleaned(name.as_ref());
        let name = if name.is_empty() { "unknown".to_owned() } else { name };
        Self { name: beginning(name), email: beginning(cleaned(email.as_ref())) }
    }

    /// Checks a name and an e-mail address from a request. Characters that git can't record are refused instead of
    /// removed, so that the recorded author is the requested one.
    ///
    /// # Errors
    /// The name is empty; or either is longer than 320 bytes or contains a control character, `<` or `>`.
    pub fn parse(name: &str, email: &str) -> Result<Self, InvalidAuthor> {
        let author = Self { name: checked("name", name)?, email: checked("email", email)? };
        if author.name.is_empty() {
            return Err(InvalidAuthor { field: "name", why: "is empty" });
        }
        Ok(author)
    }

    /// The display name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The e-mail address; may be empty.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Takes the author of an existing commit unchecked, so that history with unusual authors can be read. More than
    /// 320 bytes are cut off, since the author is stored with every file that the commit changes.
    pub(crate) fn recorded(name: String, email: String) -> Self {
        Self { name: beginning(name), email: beginning(email) }
    }
}

fn beginning(mut text: String) -> String {
    if text.len() > LIMIT {
        text.truncate(text.floor_char_boundary(LIMIT));
    }
    text
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

fn cleaned(text: &str) -> String {
    let mut cleaned: String = text.chars().filter(|c| !is_unrecordable(*c)).collect();
    while cleaned.len() > LIMIT {
        cleaned.pop();
    }
    cleaned.trim().to_owned()
}

fn is_unrecordable(c: char) -> bool {
    c.is_control() || matches!(c, '<' | '>' | '\u{2028}' | '\u{2029}')
}

fn checked(field: &'static str, text: &str) -> Result<String, InvalidAuthor> {
    if text.len() > LIMIT {
        return Err(InvalidAuthor { field, why: "is longer than 320 bytes" });
    }
    if text.chars().any(is_unrecordable) {
        return Err(InvalidAuthor { field, why: "holds a control character, `<` or `>`" });
    }
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_people_are_accepted() {
        let author = Author::parse(" Ada Lovelace ", "ada@example.org").unwrap();
        assert_eq!(author.to_string(), "Ada Lovelace <ada@example.org>");
        assert_eq!(Author::new(" Ada Lovelace ", "ada@example.org"), author);
        Author::parse("Ada", "").unwrap();
    }

    #[test]
    fn a_name_cannot_write_commit_headers() {
        for name in ["x\nparent 000", "x\0", "a<b", "a>b", "", "   ", &"x".repeat(321)] {
            assert_eq!(Author::parse(name, "a@b").unwrap_err().field, "name", "{name:?}");
            let cleaned = Author::new(name, "a@b");
            assert_eq!(Author::parse(cleaned.name(), cleaned.email()), Ok(cleaned));
        }
        assert_eq!(Author::parse("Ada", "a\r\nb").unwrap_err().field, "email");
        assert_eq!(Author::new("x\nparent 000", "<a@b>").to_string(), "xparent 000 <a@b>");
        assert_eq!(Author::new("\n", "").name(), "unknown");
    }
}
