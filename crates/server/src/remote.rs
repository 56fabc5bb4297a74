//! What a wiki says to the world outside, and hears from it: git remotes, webhooks, notices.
//!
//! Everything here is one call at a time. When to call, what to do with the answer and what waits in
//! between is for whoever drives it.

pub mod address;
pub mod credential;
pub mod git;
pub mod host_key;
pub mod notice;
pub mod outcome;
pub mod url;
pub mod webhook;
pub mod wire;

mod process;
mod scratch;

pub use address::{Blocked, Endpoint, Policy, ResolveError, Resolver, SystemResolver};
pub use credential::{
    AccessToken, Credential, DeployKey, InvalidCredential, SecretFiles, StoredCredential,
};
pub use git::{GitProgram, GitUnusable};
pub use host_key::{HostKey, InvalidHostKey};
pub use notice::{
    Channel, InvalidMail, MailRelay, NotDelivered, Notice, Notifier, Recipient, WebhookUrl,
};
pub use outcome::{Failure, Pushed};
pub use url::{Branch, Host, InvalidBranch, InvalidUrl, RemoteUrl, Scheme, Subdirectory};
pub use wire::{Branches, Remote, Wire, WireLimits};
