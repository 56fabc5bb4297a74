//! What a wiki says to the world outside, and hears from it: git remotes, webhooks, notices.
//!
//! Everything here is one call at a time. When to call, what to do with the answer and what waits in
//! between is for whoever drives it.

pub mod address;
pub mod url;

pub use address::{Blocked, Endpoint, Policy, ResolveError, Resolver, SystemResolver};
pub use url::{Branch, Host, InvalidBranch, InvalidUrl, RemoteUrl, Scheme, Subdirectory};
