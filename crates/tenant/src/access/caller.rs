//! The caller of a request.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use crate::access::Role;
use crate::token::{Token, TokenRole};
use crate::{Author, InvalidSubject, TenantId, check_subject};

/// The domain of the stand-in addresses of users without an e-mail address. It can never receive mail.
pub(crate) const STAND_IN: &str = "@users.invalid";

/// The caller of a request: a stable subject, and the author that its commits name.
///
/// A user's role comes from the wiki's list of members, unless the embedding application sets it with
/// [`with_role`](Self::with_role). Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    who: Arc<Who>,
    /// The network address that the request came from, if known.
    client: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Who {
    /// The stable identifier of the caller; `None` for an anonymous caller.
    subject: Option<String>,
    /// `true` if the subject is a user's, and not the operator's or a token's.
    is_user: bool,
    author: Author,
    standing: Standing,
    ceiling: Ceiling,
    act_as: bool,
    /// The id of the token that the request was authenticated with.
    token: Option<String>,
}

/// The source of a caller's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The wiki's visibility alone.
    Anonymous,
    /// The wiki's list of members.
    User,
    /// The caller's token, in the wiki it is for.
    Token { wiki: TenantId, role: Role },
    /// The embedding application, in every wiki.
    Given(Role),
    /// The caller is the platform's operator.
    Operator,
}

/// An upper limit of a caller's role, regardless of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ceiling {
    /// No limit.
    None,
    At(Role),
    /// The caller has no role, and sees no wiki.
    Nothing,
}

impl Caller {
    /// A caller without credentials.
    pub fn anonymous() -> Self {
        // A shared value: most requests of a public wiki are anonymous.
        static NOBODY: LazyLock<Caller> = LazyLock::new(|| {
            Caller::new(None, stand_in("anonymous", "anonymous"), Standing::Anonymous, false)
        });
        NOBODY.clone()
    }

    /// A user. `subject` is the stable identifier from the identity provider, never a name or an address that could
    /// later belong to another person. A user whose subject is [invalid](crate::check_subject) is refused by every
    /// wiki.
    pub fn user(subject: impl Into<String>, author: Author) -> Self {
        Self::new(Some(subject.into()), author, Standing::User, true)
    }

    /// A user without an e-mail address. The address in commits is `<subject>@users.invalid`, a domain that can never
    /// receive mail.
    pub fn user_without_email(subject: impl Into<String>, name: &str) -> Self {
        let subject = subject.into();
        let author = stand_in(name, &subject);
        Self::user(subject, author)
    }

    /// The platform's operator.
    pub fn operator() -> Self {
        static OPERATOR: LazyLock<Caller> = LazyLock::new(|| {
            let author = stand_in("operator", "operator");
            Caller::new(Some("operator".to_owned()), author, Standing::Operator, false)
        });
        OPERATOR.clone()
    }

    /// The bearer of a token: the user it belongs to, if it belongs to one.
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

    /// Gives the caller this role in every wiki. The lists of members aren't consulted: the embedding application has
    /// decided.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        Arc::make_mut(&mut self.who).standing = Standing::Given(role);
        self
    }

    /// The same caller with an upper limit on its role, regardless of the source: a token, the list of members, the
    /// wiki's visibility, being the operator. `None` leaves no role at all, and no visible wiki. Limits only narrow: of
    /// several, the smallest holds.
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

    /// The same caller with changes authored by `author`; `None` if the caller's token doesn't allow that.
    pub fn acting_as(&self, author: Author) -> Option<Self> {
        let who = || Arc::new(Who { author, ..Who::clone(&self.who) });
        self.who.act_as.then(|| Self { who: who(), client: self.client })
    }

    /// The same caller with a network address. Where a limit is shared, callers without a subject are told apart by
    /// their addresses.
    #[must_use]
    pub fn at(mut self, client: Option<IpAddr>) -> Self {
        self.client = client;
        self
    }

    /// The network address that the request came from, if known.
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// The stable identifier of the caller; `None` for an anonymous one.
    pub fn subject(&self) -> Option<&str> {
        self.who.subject.as_deref()
    }

    /// The author that the caller's commits name.
    pub fn author(&self) -> &Author {
        &self.who.author
    }

    /// The subject of the user that the caller is. `None` for anonymous callers, tokens without a user, and the
    /// operator.
    pub fn user_subject(&self) -> Option<&str> {
        if self.is_user() { self.subject() } else { None }
    }

    /// The id of the caller's token, if it has one.
    pub fn token_id(&self) -> Option<&str> {
        self.who.token.as_deref()
    }

    /// Returns `true` if the caller is the operator. A [limited](Self::limited_to) one isn't.
    pub fn is_operator(&self) -> bool {
        self.who.standing == Standing::Operator && self.who.ceiling == Ceiling::None
    }

    /// Returns `true` if the caller has no credentials, and no role from the embedding application.
    pub fn is_anonymous(&self) -> bool {
        self.who.standing == Standing::Anonymous
    }

    /// The subject to look up in a wiki's list of members, if that list applies to this caller.
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

    /// Checks that the subject of a caller that is a user is valid.
    pub(crate) fn check(&self) -> Result<(), InvalidSubject> {
        self.user_subject().map_or(Ok(()), check_subject)
    }

    /// Returns `true` if the caller's only credential is a token for another wiki.
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

/// The author of a user's commits, from the user's name and address as far as they are known.
pub(crate) fn author_of(subject: &str, name: Option<&str>, email: Option<&str>) -> Author {
    let name = name.unwrap_or(subject);
    match email {
        Some(email) => Author::new(name, email),
        None => stand_in(name, subject),
    }
}

/// An author from a name and a subject that may contain characters that git can't store.
fn stand_in(name: &str, subject: &str) -> Author {
    let email = format!("{}{STAND_IN}", subject.replace(char::is_whitespace, "-"));
    Author::new(name, email)
}
