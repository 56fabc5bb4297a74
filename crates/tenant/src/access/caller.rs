//! Who asks.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use crate::access::Role;
use crate::token::{Token, TokenRole};
use crate::{Author, InvalidSubject, TenantId, check_subject};

/// What the addresses of those end with who have none. The domain can never receive mail.
pub(crate) const STAND_IN: &str = "@users.invalid";

/// Who asks, and whom commits name: a stable subject and an author.
///
/// A user's role comes from the wiki's list of members, unless the application around us decides
/// it with [`with_role`](Self::with_role). Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    who: Arc<Who>,
    /// Where the request came from, if that is known.
    client: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Who {
    /// What identifies the caller; `None` is nobody in particular.
    subject: Option<String>,
    /// Whether the subject is a user's, and not the operator's or a token's.
    is_user: bool,
    author: Author,
    standing: Standing,
    ceiling: Ceiling,
    act_as: bool,
    /// The token that was shown.
    token: Option<String>,
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

/// What a caller's role can't exceed, wherever it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ceiling {
    /// It isn't limited.
    None,
    At(Role),
    /// It is nobody, and sees nothing.
    Nothing,
}

impl Caller {
    /// Somebody who showed no credential.
    pub fn anonymous() -> Self {
        // Most requests of a public wiki come from nobody.
        static NOBODY: LazyLock<Caller> = LazyLock::new(|| {
            Caller::new(None, stand_in("anonymous", "anonymous"), Standing::Anonymous, false)
        });
        NOBODY.clone()
    }

    /// A user: `subject` is the stable identifier that the identity provider gave, never a name or
    /// an address that could pass to somebody else. One that [can't be](crate::check_subject) a
    /// user's gets in nowhere.
    pub fn user(subject: impl Into<String>, author: Author) -> Self {
        Self::new(Some(subject.into()), author, Standing::User, true)
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
            Caller::new(Some("operator".to_owned()), author, Standing::Operator, false)
        });
        OPERATOR.clone()
    }

    /// The bearer of a token: the user whose it is, if it is somebody's.
    pub fn token(token: &Token) -> Self {
        let standing = match token.role {
            TokenRole::Operator => Standing::Operator,
            TokenRole::Wiki { wiki, role } => Standing::Token { wiki, role },
        };
        let subject = token.principal();
        let author = match &token.author {
            Some(author) => author.clone(),
            None => stand_in(&token.name, &subject),
        };
        Self::from(Who {
            subject: Some(subject),
            is_user: token.subject.is_some(),
            author,
            standing,
            ceiling: Ceiling::None,
            act_as: token.act_as,
            token: Some(token.id.clone()),
        })
    }

    /// Gives the caller this role in every wiki it enters. The lists of members aren't consulted:
    /// the application around us has decided.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        Arc::make_mut(&mut self.who).standing = Standing::Given(role);
        self
    }

    /// The same caller, nowhere with a greater role than this, whatever grants it: a token, the list
    /// of members, the wiki's visibility, running the platform. `None` leaves no role at all, and no
    /// wiki to be seen. It only ever narrows: of several limits the smallest holds.
    #[must_use]
    pub fn limited_to(mut self, role: Option<Role>) -> Self {
        let who = Arc::make_mut(&mut self.who);
        who.ceiling = match (who.ceiling, role) {
            (Ceiling::Nothing, _) | (_, None) => Ceiling::Nothing,
            (Ceiling::None, Some(role)) => Ceiling::At(role),
            (Ceiling::At(before), Some(role)) => Ceiling::At(before.min(role)),
        };
        self
    }

    /// The same caller making changes in `author`'s name; `None` if it may not.
    pub fn acting_as(&self, author: Author) -> Option<Self> {
        let who = || Arc::new(Who { author, ..Who::clone(&self.who) });
        self.who.act_as.then(|| Self { who: who(), client: self.client })
    }

    /// The same caller, asking from a network address. Callers without a subject are told apart by it where
    /// they share what is limited.
    #[must_use]
    pub fn at(mut self, client: Option<IpAddr>) -> Self {
        self.client = client;
        self
    }

    /// The network address that the request came from, if it is known.
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// What identifies the caller; `None` for an anonymous one.
    pub fn subject(&self) -> Option<&str> {
        self.who.subject.as_deref()
    }

    /// Whom commits name.
    pub fn author(&self) -> &Author {
        &self.who.author
    }

    /// The user that the caller is: who showed nothing, a token that is nobody's and the operator
    /// are none.
    pub fn user_subject(&self) -> Option<&str> {
        if self.is_user() { self.subject() } else { None }
    }

    /// The id of the token that was shown, if one was.
    pub fn token_id(&self) -> Option<&str> {
        self.who.token.as_deref()
    }

    /// Whether the caller runs the platform. One that is [limited](Self::limited_to) doesn't.
    pub fn is_operator(&self) -> bool {
        self.who.standing == Standing::Operator && self.who.ceiling == Ceiling::None
    }

    /// Whether the caller showed no credential, and no role was given to it either.
    pub fn is_anonymous(&self) -> bool {
        self.who.standing == Standing::Anonymous
    }

    /// The subject to look for in a wiki's list of members, if that list counts for this caller.
    pub fn member_subject(&self) -> Option<&str> {
        match self.who.standing {
            Standing::User | Standing::Token { .. } => self.user_subject(),
            Standing::Anonymous | Standing::Given(_) | Standing::Operator => None,
        }
    }

    fn new(subject: Option<String>, author: Author, standing: Standing, is_user: bool) -> Self {
        let (ceiling, act_as, token) = (Ceiling::None, false, None);
        Self::from(Who { subject, is_user, author, standing, ceiling, act_as, token })
    }

    /// Checks that the caller, if it is a user, has a subject that can be a user's.
    pub(crate) fn check(&self) -> Result<(), InvalidSubject> {
        self.user_subject().map_or(Ok(()), check_subject)
    }

    /// Whether the caller is known by nothing but a token that was made for another wiki.
    pub(crate) fn is_stranger_in(&self, wiki: TenantId) -> bool {
        matches!(self.standing(), Standing::Token { wiki: of, .. } if of != wiki) && !self.is_user()
    }

    pub(super) fn is_user(&self) -> bool {
        self.who.is_user
    }

    pub(super) fn ceiling(&self) -> Ceiling {
        self.who.ceiling
    }

    pub(super) fn standing(&self) -> Standing {
        self.who.standing
    }
}

impl From<Who> for Caller {
    fn from(who: Who) -> Self {
        Self { who: Arc::new(who), client: None }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Who { subject, is_user, author, standing, ceiling, act_as, token } = &*self.who;
        f.debug_struct("Caller")
            .field("subject", subject)
            .field("is_user", is_user)
            .field("author", author)
            .field("standing", standing)
            .field("ceiling", ceiling)
            .field("act_as", act_as)
            .field("token", token)
            .field("client", &self.client)
            .finish()
    }
}

/// The author of a user's commits, made of what is known of them.
pub(crate) fn author_of(subject: &str, name: Option<&str>, email: Option<&str>) -> Author {
    let name = name.unwrap_or(subject);
    match email {
        Some(email) => Author::new(name, email),
        None => stand_in(name, subject),
    }
}

/// An author made from a name and a subject that may contain what git can't store.
fn stand_in(name: &str, subject: &str) -> Author {
    let email = format!("{}{STAND_IN}", subject.replace(char::is_whitespace, "-"));
    Author::new(name, email)
}
