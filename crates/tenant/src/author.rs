//! Who a commit names.

/// The name and e-mail address that a commit carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Author {
    name: String,
    email: String,
}

/// A name or an address that git could not store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an author's name and e-mail address must not be empty or contain <, > or control characters"
)]
pub struct InvalidAuthor;

impl Author {
    /// Takes a name and an e-mail address as they are.
    ///
    /// # Errors
    /// One of them is empty, or contains `<`, `>` or a control character.
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Result<Self, InvalidAuthor> {
        let (name, email) = (name.into(), email.into());
        let fits = |text: &str| {
            !text.trim().is_empty()
                && !text.chars().any(|c| c.is_control() || matches!(c, '<' | '>'))
        };
        if fits(&name) && fits(&email) { Ok(Self { name, email }) } else { Err(InvalidAuthor) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The e-mail address.
    pub fn email(&self) -> &str {
        &self.email
    }
}
