//! Who made a change, as git records it.

use std::fmt;

use serde::Serialize;

/// The longest name and the longest e-mail address, in bytes.
const LIMIT: usize = 320;

/// The name and e-mail address written into a commit.
///
/// Neither can hold what would end a header of the commit object: line breaks, NUL, `<` or `>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Author {
    name: String,
    email: String,
}

/// A name or e-mail address that git couldn't record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the author's {field} {why}")]
pub struct InvalidAuthor {
    /// "name" or "email".
    pub field: &'static str,
    why: &'static str,
}

impl Author {
    /// Takes names as people have them: what git can't record is dropped, as git does itself.
    /// A name of which nothing is left becomes `unknown`; of one over 320 bytes the beginning is taken.
    pub fn new(name: impl AsRef<str>, email: impl AsRef<str>) -> Self {
        let name = cleaned(name.as_ref());
        let name = if name.is_empty() { "unknown".to_owned() } else { name };
        Self { name: beginning(name), email: beginning(cleaned(email.as_ref())) }
    }

    /// Takes names from a request: what git can't record is refused, so that nobody is surprised.
    ///
    /// # Errors
    /// The name is empty; or either is longer than 320 bytes or holds a control character, `<` or `>`.
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

    /// What an existing commit says, however odd: reading history never fails for its authors. Of what is
    /// longer than the limit the beginning is kept, since it is stored with every file that the commit
    /// changes.
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
