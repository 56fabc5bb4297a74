//! Maps the result of a git call to the failures that the caller distinguishes.
//!
//! git reports most errors as English text and the rest by its exit code. The texts here are those that git and OpenSSH
//! print in the C locale; an unknown text counts as a temporary failure.

use std::time::Duration;

use wikigrove_tenant::storage::fsck::{Finding, Harm};

use super::address::Blocked;
use super::git::GitUnusable;
use super::process::Ran;

mod http_trace;

pub(super) use http_trace::HttpTrace;

/// The longest text kept from a remote, in characters.
const MAX_TEXT: usize = 2000;

/// The reason for which a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The branch has commits that this side doesn't have.
    #[error("the remote's branch has moved on")]
    NonFastForward,
    /// The remote refuses the push: a hook, a protected branch, a limit.
    #[error("the remote refused it: {text}")]
    Rejected {
        /// The remote's message.
        text: String,
    },
    /// The branch is locked by another write.
    #[error("the remote's branch is locked: {text}")]
    RefLocked {
        /// The remote's message.
        text: String,
    },
    /// The credential is wrong, missing, or lacks the permission.
    #[error("the remote doesn't accept the credential: {text}")]
    Auth {
        /// The remote's message.
        text: String,
    },
    /// The host's key is unknown, or differs from the known one.
    #[error("{}", wrong_host_key(.fingerprint.as_deref()))]
    HostKey {
        /// The fingerprint of the host's key, if it differs from the known one.
        fingerprint: Option<String>,
    },
    /// The host may not be reached from here.
    #[error(transparent)]
    BlockedAddress(#[from] Blocked),
    /// The host redirects. Redirects aren't followed, as the target's address wasn't checked.
    #[error("the remote redirects, which is not followed{}", .to.as_ref().map(|to| format!(": use {to}")).unwrap_or_default())]
    Redirect {
        /// The target, without any credential.
        to: Option<String>,
    },
    /// The data exceeds the size limit, or the call exceeded its CPU time.
    #[error("the remote's history is larger than it may be")]
    TooLarge,
    /// The remote has no such branch.
    #[error("the remote has no such branch")]
    BranchMissing,
    /// There is no such repository, or it isn't visible with this credential.
    #[error("the remote has no such repository: {text}")]
    RepositoryGone {
        /// The remote's message.
        text: String,
    },
    /// Too many requests, or maintenance.
    #[error("the remote asks to come later")]
    RateLimited {
        /// The wait that the remote asked for. At most a day.
        retry_after: Option<Duration>,
    },
    /// A clone of it would write where it must not, or run a command.
    #[error("the remote's history holds what can't be taken over: {text}")]
    HostileTree {
        /// git's message.
        text: String,
    },
    /// The remote is of a kind that can't be synchronised with: SHA-256, shallow, or with broken objects.
    #[error("the remote can't be synchronised with: {text}")]
    Unsupported {
        /// The reason.
        text: String,
    },
    /// This machine's disk is full. None of the fetched data is kept.
    #[error("there is no room on this machine's disk: {text}")]
    DiskFull {
        /// The message.
        text: String,
    },
    /// A temporary failure of the network or the remote.
    #[error("the remote can't be reached or used now: {text}")]
    Transient {
        /// The message.
        text: String,
    },
    /// The call took too long. A push may have landed.
    #[error("the remote took too long, and was given up")]
    Timeout,
    /// A push may have landed: the connection ended before the remote reported a result.
    #[error("the remote didn't say whether the push landed: {text}")]
    Unknown {
        /// The message.
        text: String,
    },
    /// There is no git program.
    #[error("there is no git program: {text}")]
    GitMissing {
        /// The system's message.
        text: String,
    },
    /// git is too old.
    #[error("git is too old: {found}")]
    GitTooOld {
        /// Its version.
        found: String,
    },
}

impl Failure {
    /// Returns `true` if a push with this failure may have landed. The caller has to look at the remote before it does
    /// anything else.
    pub fn may_have_landed(&self) -> bool {
        matches!(self, Self::Timeout | Self::Unknown { .. })
    }
}

impl From<GitUnusable> for Failure {
    fn from(error: GitUnusable) -> Self {
        match error {
            GitUnusable::Missing(text) => Self::GitMissing { text },
            GitUnusable::TooOld { found } => Self::GitTooOld { found },
        }
    }
}

/// The result of a successful push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The branch was moved to the commit.
    Updated,
    /// The branch was at the commit already.
    UpToDate,
}

/// The kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Fetch,
    Push,
    List,
}

/// The result of a push, from its exit code, its porcelain output, its error output and its HTTP headers.
pub(super) fn of_push(
    ran: &Ran,
    reported: &str,
    said: &str,
    http: &HttpTrace,
) -> Result<Pushed, Failure> {
    let Some((flag, summary)) = porcelain(reported) else {
        return Err(of_failure(Call::Push, ran, said, http));
    };
    match flag {
        ' ' | '*' | '+' if ran.code == Some(0) => Ok(Pushed::Updated),
        '=' => Ok(Pushed::UpToDate),
        '!' => Err(of_rejection(summary, said)),
        _ => Err(Failure::Unknown { text: text_of(said) }),
    }
}

/// The line of the pushed ref in the output of `git push --porcelain`: its flag and summary.
fn porcelain(stdout: &str) -> Option<(char, &str)> {
    stdout.lines().find_map(|line| {
        let mut parts = line.split('\t');
        let flag = parts.next().filter(|flag| flag.len() == 1)?.chars().next()?;
        let _refs = parts.next().filter(|refs| refs.contains(':'))?;
        Some((flag, parts.next()?))
    })
}

fn of_rejection(summary: &str, said: &str) -> Failure {
    let reason =
        summary.rsplit_once(" (").map_or(summary, |(_, reason)| reason.trim_end_matches(')'));
    let text = || match remote_lines(said) {
        lines if lines.is_empty() => clean(reason),
        lines => format!("{}: {lines}", clean(reason)),
    };
    let is_lock =
        ["cannot lock ref", "failed to update ref", "atomic transaction failed", "failed to lock"];
    if summary.starts_with("[rejected]") || reason == "non-fast-forward" {
        Failure::NonFastForward
    } else if summary.starts_with("[remote failure]") {
        Failure::Unknown { text: text() }
    } else if is_lock.iter().any(|lock| reason.contains(lock)) {
        Failure::RefLocked { text: text() }
    } else {
        Failure::Rejected { text: text() }
    }
}

/// The failure of a call that reported no ref.
pub(super) fn of_failure(call: Call, ran: &Ran, said: &str, http: &HttpTrace) -> Failure {
    let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    let text = || text_of(said);
    if ran.code == Some(127) {
        return Failure::GitMissing { text: text() };
    }
    let limited = matches!(ran.signal, Some(24 | 25)) || matches!(ran.code, Some(152 | 153));
    let words = ["died of signal 24", "died of signal 25", "File too large", "Out of memory"];
    if limited || says(&words) {
        return Failure::TooLarge;
    }
    // Except if the remote reports that its own disk is full.
    let is_full = |line: &str| line.contains("No space left on device");
    if said.lines().any(|line| is_full(line) && !line.starts_with("remote: ")) {
        return Failure::DiskFull { text: text() };
    }
    if let Some(failure) = of_status(call, http, text) {
        return failure;
    }
    if says(&["Host key verification failed", "host key is known for"]) {
        return Failure::HostKey { fingerprint: shown_fingerprint(said) };
    }
    // git's message is about the missing terminal, so it is replaced.
    if says(&["could not read Username", "could not read Password"]) {
        return Failure::Auth { text: "it wants a login".to_owned() };
    }
    if says(&[
        "Permission denied (",
        "Authentication failed",
        "marked as read only",
        "Permission to ",
        "not allowed to push",
        "Too many authentication failures",
    ]) {
        return Failure::Auth { text: text() };
    }
    if says(&["couldn't find remote ref"]) || (call == Call::List && ran.code == Some(2)) {
        return Failure::BranchMissing;
    }
    if says(&[
        "Repository not found",
        "does not appear to be a git repository",
        "could not be found",
        "Cannot find repository",
        "repository does not exist",
    ]) {
        return Failure::RepositoryGone { text: text() };
    }
    if says(&["mismatched algorithms"]) {
        return Failure::Unsupported { text: "its objects are named by SHA-256".to_owned() };
    }
    if says(&["shallow update not allowed", "shallow file"]) {
        return Failure::Unsupported { text: "its history is cut off (shallow)".to_owned() };
    }
    if let Some(finding) = Finding::of(said) {
        let text = finding.to_string();
        return match finding.harm {
            Harm::Clone => Failure::HostileTree { text },
            Harm::Broken => Failure::Unsupported { text },
        };
    }
    if says(&["fsck error", "in packed object", "invalid tree entry"]) {
        return Failure::Unsupported { text: text() };
    }
    // Before a connection is established, nothing can have landed.
    let unconnected = [
        "Could not resolve host",
        "Failed to connect",
        "Couldn't connect",
        "Connection refused",
        "Connection timed out",
        "Network is unreachable",
        "No route to host",
        "SSL",
        "certificate",
    ];
    let sent = match http.status() {
        Some(_) => http.posted(),
        None => !says(&unconnected),
    };
    if call == Call::Push && sent {
        return Failure::Unknown { text: text() };
    }
    Failure::Transient { text: text() }
}

/// The failure that the last HTTP status implies by itself, if any.
fn of_status(call: Call, http: &HttpTrace, text: impl Fn() -> String) -> Option<Failure> {
    Some(match http.status()? {
        300..=399 => Failure::Redirect { to: http.location() },
        401 | 403 | 407 => Failure::Auth { text: text() },
        404 | 410 => Failure::RepositoryGone { text: text() },
        413 if call == Call::Push => Failure::Rejected { text: text() },
        413 => Failure::TooLarge,
        429 => Failure::RateLimited { retry_after: http.retry_after() },
        503 if http.retry_after().is_some() && !(call == Call::Push && http.posted()) => {
            Failure::RateLimited { retry_after: http.retry_after() }
        }
        _ => return None,
    })
}

/// The message about an unknown or changed host key.
fn wrong_host_key(shown: Option<&str>) -> String {
    match shown {
        Some(shown) => format!("the host's key is not the one that is known: it is {shown}"),
        None => {
            "the host's key isn't known: compare the fingerprint that it shows with the one that \
                 the host publishes, and confirm it"
                .to_owned()
        }
    }
}

/// The fingerprint in OpenSSH's warning about a changed key.
fn shown_fingerprint(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("key sent by the remote host is")?;
    let word = rest.split_whitespace().next()?.trim_end_matches('.');
    word.starts_with("SHA256:").then(|| word.to_owned())
}

/// The messages of a hook or host for users, on one line.
fn remote_lines(said: &str) -> String {
    let lines = said.lines().filter_map(|line| line.strip_prefix("remote: "));
    clean(&lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; "))
}

/// The last lines of the output, joined on one line.
fn text_of(said: &str) -> String {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    clean(&lines[lines.len().saturating_sub(12)..].join("; "))
}

/// Removes control characters and limits the length.
fn clean(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).collect();
    match shown.char_indices().rev().nth(MAX_TEXT) {
        Some((start, _)) => format!("…{}", &shown[start..]),
        None => shown,
    }
}

/// Removes secrets from the output of git and ssh: the secrets of this call, and all text before the `@` of a URL.
pub(super) fn scrubbed(said: &[u8], secrets: &[&str]) -> String {
    let mut text = String::from_utf8_lossy(said).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "…");
    }
    without_userinfo(&text)
}

fn without_userinfo(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let is_end = |c: char| c.is_whitespace() || matches!(c, '/' | '\'' | '"' | '?' | '#');
        let end = after.find(is_end).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(sign) => &after[sign + 1..],
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests;
