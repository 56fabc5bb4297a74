//! Many wikis in one process: names, access rules and the platform's own database.

mod access;
mod author;
mod catalog;
mod domain;
mod id;
mod random;
mod resolver;
mod shown;
mod slug;
mod tenant;
mod token;
mod words;

pub use access::{Action, Caller, Decision, Grant, Role, Source, Visibility, decide, effective};
pub use author::{Author, InvalidAuthor};
pub use domain::{Domain, InvalidDomain};
pub use id::{InvalidTenantId, TenantId};
pub use resolver::{Resolution, Resolver};
pub use slug::{Slug, SlugError};
pub use tenant::{Member, NewTenant, State, Tenant, TenantUpdate};
pub use token::{NewToken, Secret, Token, TokenRole};
pub use words::UnknownWord;
