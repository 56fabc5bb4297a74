//! What a call came to, in the words that decide what happens next.
//!
//! git says most of it in English and the rest in its exit code. What is matched here is what git and
//! OpenSSH print in the C locale; what isn't recognised is taken for something that may pass.

use std::time::Duration;

use super::address::Blocked;
use super::git::GitUnusable;
use super::process::Ran;

mod http_trace;

pub(super) use http_trace::HttpTrace;

/// The most that is kept of what a remote said, in characters.
const MAX_TEXT: usize = 2000;

/// Why a call didn't do what it was for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The branch has commits that this side doesn't.
    #[error("the remote's branch has moved on")]
    NonFastForward,
    /// The remote won't have it: a hook, a protected branch, a limit.
    #[error("the remote refused it: {text}")]
    Rejected {
        /// What the remote said.
        text: String,
    },
    /// Somebody else is writing the branch.
    #[error("the remote's branch is locked: {text}")]
    RefLocked {
        /// What the remote said.
        text: String,
    },
    /// The credential is wrong, missing, or not good for this.
    #[error("the remote doesn't accept the credential: {text}")]
    Auth {
        /// What the remote said.
        text: String,
    },
    /// The host showed a key that isn't known, or isn't the one that was known.
    #[error("{}", wrong_host_key(.fingerprint.as_deref()))]
    HostKey {
        /// The fingerprint of the key that it showed, if another one was known.
        fingerprint: Option<String>,
    },
    /// The host may not be reached from here.
    #[error(transparent)]
    BlockedAddress(#[from] Blocked),
    /// The host points elsewhere. That isn't followed: where it leads was never looked at.
    #[error("the remote redirects, which is not followed{}", .to.as_ref().map(|to| format!(": use {to}")).unwrap_or_default())]
    Redirect {
        /// Where to, without any credential.
        to: Option<String>,
    },
    /// More came than there is room for, or it took more computing than it may.
    #[error("the remote's history is larger than it may be")]
    TooLarge,
    /// There is no such branch.
    #[error("the remote has no such branch")]
    BranchMissing,
    /// There is no such repository, or none that may be seen.
    #[error("the remote has no such repository: {text}")]
    RepositoryGone {
        /// What the remote said.
        text: String,
    },
    /// Too many requests, or maintenance.
    #[error("the remote asks to come later")]
    RateLimited {
        /// How much later, if it said so. At most a day.
        retry_after: Option<Duration>,
    },
    /// The objects are not what git objects have to be, or name what must not be named.
    #[error("the remote's history holds what can't be taken over: {text}")]
    HostileTree {
        /// What git found.
        text: String,
    },
    /// The remote is of a kind that can't be synchronised with: SHA-256, or shallow.
    #[error("the remote can't be synchronised with: {text}")]
    Unsupported {
        /// Why.
        text: String,
    },
    /// This machine's disk is full. Nothing of what came is kept.
    #[error("there is no room on this machine's disk: {text}")]
    DiskFull {
        /// What was said.
        text: String,
    },
    /// Something that may be gone the next time: the network, the remote's disk.
    #[error("the remote can't be reached or used now: {text}")]
    Transient {
        /// What was said.
        text: String,
    },
    /// It took too long. A push may have landed.
    #[error("the remote took too long, and was given up")]
    Timeout,
    /// A push may have landed: the connection ended before the remote said.
    #[error("the remote didn't say whether the push landed: {text}")]
    Unknown {
        /// What was said.
        text: String,
    },
    /// There is no git.
    #[error("there is no git program: {text}")]
    GitMissing {
        /// What the system said.
        text: String,
    },
    /// git is too old.
    #[error("git is too old: {found}")]
    GitTooOld {
        /// What it calls itself.
        found: String,
    },
}

impl Failure {
    /// Whether a push that ended so may have landed. The remote has to be looked at before anything
    /// else is done.
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

/// What a push did that didn't fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The branch names the commit now.
    Updated,
    /// It did already.
    UpToDate,
}

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Fetch,
    Push,
    List,
}

/// What a push came to, by its exit code, what it reported, what was said besides, and what was said
/// over HTTP.
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

/// The line of the one ref in what `git push --porcelain` prints: its flag, and what is said of it.
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

/// What a call came to that failed without a word on any ref.
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
    // Not if the remote tells of its own.
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
    // What git says then is of the terminal that it hasn't.
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
    if says(&["fsck error", "in packed object", "invalid tree entry"]) {
        return Failure::HostileTree { text: text() };
    }
    // Before a connection is there, nothing can have landed.
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

/// What the last answer over HTTP means, if it means anything by itself.
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

/// What to do about a host's key.
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

/// The fingerprint in OpenSSH's warning that a key has changed.
fn shown_fingerprint(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("key sent by the remote host is")?;
    let word = rest.split_whitespace().next()?.trim_end_matches('.');
    word.starts_with("SHA256:").then(|| word.to_owned())
}

/// What a hook or a host said to people, on one line.
fn remote_lines(said: &str) -> String {
    let lines = said.lines().filter_map(|line| line.strip_prefix("remote: "));
    clean(&lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; "))
}

/// The last of what was said, on one line.
fn text_of(said: &str) -> String {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    clean(&lines[lines.len().saturating_sub(12)..].join("; "))
}

/// Without what a terminal would act on, and not too long.
fn clean(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).collect();
    match shown.char_indices().rev().nth(MAX_TEXT) {
        Some((start, _)) => format!("…{}", &shown[start..]),
        None => shown,
    }
}

/// Takes secrets out of what git and ssh said: those of this call, and whatever stands before the `@`
/// of a URL.
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
