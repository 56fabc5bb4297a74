//! Who asks.

use std::sync::{Arc, LazyLock};

use crate::access::Role;
use crate::token::{Token, TokenRole};
use crate::{Author, TenantId};

/// Who asks, and whom commits name: a stable subject and an author.
///
/// A user's role comes from the wiki's list of members, unless the application around us decides
/// it with [`with_role`](Self::with_role). Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller(Arc<Who>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Who {
    /// What identifies the caller; `None` is nobody in particular.
    subject: Option<String>,
    author: Author,
    standing: Standing,
    act_as: bool,
}

/// Where a caller's role comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// From the wiki's visibility alone.
    Anonymous,
    /// From the wiki's list of members.
    User,
    /// From the token that was shown, in the wiki it was made for.
    Token { wiki: TenantId, role: Role },
    /// From the application around us, in every wiki.
    Given(Role),
    /// From running the platform.
    Operator,
}

impl Caller {
    /// Somebody who showed no credential.
    pub fn anonymous() -> Self {
        // Most requests of a public wiki come from nobody.
        static NOBODY: LazyLock<Caller> = LazyLock::new(|| {
            Caller::new(None, stand_in("anonymous", "anonymous"), Standing::Anonymous)
        });
        NOBODY.clone()
    }

    /// A user: `subject` is the stable identifier that the identity provider gave, never a name or
    /// an address that could pass to somebody else.
    pub fn user(subject: impl Into<String>, author: Author) -> Self {
        Self::new(Some(subject.into()), author, Standing::User)
    }

    /// A user without an e-mail address: commits say `<subject>@users.invalid`, a domain that can
    /// never receive mail.
    pub fn user_without_email(subject: impl Into<String>, name: &str) -> Self {
        let subject = subject.into();
        let author = stand_in(name, &subject);
        Self::user(subject, author)
    }

    /// Whoever runs the platform.
    pub fn operator() -> Self {
        static OPERATOR: LazyLock<Caller> = LazyLock::new(|| {
            let author = stand_in("operator", "operator");
            Caller::new(Some("operator".to_owned()), author, Standing::Operator)
        });
        OPERATOR.clone()
    }

    /// The bearer of a token.
    pub fn token(token: &Token) -> Self {
        let standing = match token.role {
            TokenRole::Operator => Standing::Operator,
            TokenRole::Wiki { wiki, role } => Standing::Token { wiki, role },
        };
        let subject = token.subject();
        let author = stand_in(&token.name, &subject);
        Self(Arc::new(Who { subject: Some(subject), author, standing, act_as: token.act_as }))
    }

    /// Gives the caller this role in every wiki it enters. The lists of members aren't consulted:
    /// the application around us has decided.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        Arc::make_mut(&mut self.0).standing = Standing::Given(role);
        self
    }

    /// The same caller making changes in `author`'s name; `None` if it may not.
    pub fn acting_as(&self, author: Author) -> Option<Self> {
        self.0.act_as.then(|| Self(Arc::new(Who { author, ..Who::clone(&self.0) })))
    }

    /// What identifies the caller; `None` for an anonymous one.
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// Whom commits name.
    pub fn author(&self) -> &Author {
        &self.0.author
    }

    /// Whether the caller runs the platform.
    pub fn is_operator(&self) -> bool {
        self.0.standing == Standing::Operator
    }

    /// Whether the caller showed no credential, and no role was given to it either.
    pub fn is_anonymous(&self) -> bool {
        self.0.standing == Standing::Anonymous
    }

    /// The subject to look for in a wiki's list of members, if that list counts for this caller.
    pub fn member_subject(&self) -> Option<&str> {
        if self.0.standing == Standing::User { self.subject() } else { None }
    }

    fn new(subject: Option<String>, author: Author, standing: Standing) -> Self {
        Self(Arc::new(Who { subject, author, standing, act_as: false }))
    }

    pub(super) fn standing(&self) -> Standing {
        self.0.standing
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Who { subject, author, standing, act_as } = &*self.0;
        f.debug_struct("Caller")
            .field("subject", subject)
            .field("author", author)
            .field("standing", standing)
            .field("act_as", act_as)
            .finish()
    }
}

/// An author made from a name and a subject that may contain what git can't store.
fn stand_in(name: &str, subject: &str) -> Author {
    let email = format!("{}@users.invalid", subject.replace(char::is_whitespace, "-"));
    Author::new(name, email)
}
