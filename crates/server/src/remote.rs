//! Connections to the outside: git remotes, webhooks, notices.
//!
//! Each function here performs a single call. The caller decides when to call, evaluates the result, and queues
//! retries.

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
