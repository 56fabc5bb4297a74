//! Response bodies for remotes and conflicts.

use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A remote: a git repository elsewhere that is linked to a wiki.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The wiki's slug.
    pub wiki: Option<String>,
    /// URL of the repository, without secrets.
    pub url: String,
    /// The branch there. Null until the first run has found out which one the remote's HEAD names.
    pub branch: Option<String>,
    /// The directory there that the wiki is; null is all of it.
    pub subdirectory: Option<String>,
    /// Page that is synchronised with the pages below it; null for all pages.
    pub filter: Option<String>,
    /// `both`, `push`, `pull` or `off`.
    pub mode: String,
    /// `wiki`, `remote` or `stable`.
    pub winner: String,
    /// `ask`, `merge`, `import` or `push`.
    pub first_run: String,
    /// `ask` or `follow`.
    pub on_rewrite: String,
    /// Interval between scheduled runs, in seconds.
    pub interval_seconds: u64,
    /// Minimum time between runs that readers trigger, in seconds.
    pub cooldown_seconds: u64,
    /// True if the remote makes no network connections.
    pub offline: bool,
    /// `none`, `token`, `token_file`, `deploy_key` or `key_file`.
    pub credential: String,
    /// Public half of the deploy key, to be registered at the host.
    pub public_key: Option<String>,
    /// URL for the host's push webhook.
    pub webhook_url: String,
    /// The key that signs the host's webhook calls. Only in the response that creates or renews it.
    pub webhook_secret: Option<String>,
    /// `idle`, `due`, `fetching`, `comparing`, `merging`, `applying`, `pushing`, `verifying`, `backoff`,
    /// `needs_decision`, `paused`, `offline` or `disabled`.
    pub state: String,
    /// Code of the reason, if the state has one.
    pub reason: Option<String>,
    /// Number of commits that the remote isn't known to have; null if the wiki can't be opened now.
    pub queue_length: Option<u64>,
    /// Time of the oldest queued commit; null if the queue is empty.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub oldest_waiting: Option<OffsetDateTime>,
    /// Start of the current outage; null if the remote is reachable.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub down_since: Option<OffsetDateTime>,
    /// The remote's newest commit that both sides are known to have.
    pub verified_revision: Option<String>,
    /// Message of the last failure; null after a successful run.
    pub last_error: Option<String>,
    /// Time of the next scheduled run.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub next_run: Option<OffsetDateTime>,
    /// Time of creation.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
}

/// One part of a list of remotes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteList {
    /// Sorted by id.
    pub items: Vec<Remote>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// The result of testing a remote.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteTest {
    /// True if the repository can be read, and the branch exists or can be created.
    pub ok: bool,
    /// True if the repository has no branches.
    pub empty: Option<bool>,
    /// True if the repository has the configured branch.
    pub has_branch: Option<bool>,
    /// The repository's default branch.
    pub default_branch: Option<String>,
    /// Names of the branches, at most 200.
    pub branches: Vec<String>,
    /// The reason if the repository can't be read.
    pub error: Option<String>,
}

/// A pending decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// `force_pushed`, `unrelated`, `foreign_commits`, `mass_delete`, `too_many_conflicts`,
    /// `hostile_tree` or `mapping`.
    pub reason: String,
    /// The remote's tip in question.
    pub revision: String,
    /// The available choices.
    pub choices: Vec<DecisionChoice>,
    /// The reason if no previews could be made.
    pub error: Option<String>,
}

/// A choice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionChoice {
    /// `remote`, `wiki`, `both` or `retry`.
    pub choice: String,
    /// Explanation of the choice.
    pub meaning: String,
    /// Changes to the wiki's pages under this choice; null if unknown.
    pub preview: Option<DecisionPreview>,
}

/// Changes to the wiki under a choice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionPreview {
    /// Number of synchronised pages in the wiki.
    pub pages: u32,
    /// Number of those pages that would be deleted.
    pub deleted: u32,
    /// Number of conflicts that would need a review.
    pub conflicts: u32,
}

/// The keys of an SSH host.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostKeys {
    /// Keys that the host presents now.
    pub shown: Vec<HostKey>,
    /// Trusted keys.
    pub confirmed: Vec<HostKey>,
}

/// A host key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostKey {
    /// `SHA256:…`
    pub fingerprint: String,
    /// The key in OpenSSH format.
    pub key: String,
}

/// A conflict in a merge that a person should review. Both texts remain in the history.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncConflict {
    /// The conflict's number.
    pub id: i64,
    /// The id of the remote.
    pub remote: Option<String>,
    /// The page or attachment.
    pub path: String,
    /// `both_changed`, `both_added`, `deleted`, `renamed`, `file_and_directory` or `same_name`.
    pub kind: String,
    /// The ETag of the common base.
    pub base: Option<String>,
    /// The ETag of the wiki's version.
    pub ours: Option<String>,
    /// The ETag of the remote's version.
    pub theirs: Option<String>,
    /// The page or attachment that holds the losing text; the new name of a page that couldn't keep its
    /// own; or the other name of a page that both sides renamed.
    pub conflict_path: Option<String>,
    /// The merge commit.
    pub revision: String,
    /// Time of creation.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Time of the review.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub closed: Option<OffsetDateTime>,
    /// The three texts; only in the response for a single conflict.
    pub texts: Option<ConflictTexts>,
}

/// The texts of a conflict.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictTexts {
    /// The common base.
    pub base: Option<String>,
    /// The wiki's text.
    pub ours: Option<String>,
    /// The remote's text.
    pub theirs: Option<String>,
    /// True if a text is omitted because the response would be too large.
    #[serde(default)]
    pub truncated: bool,
}

/// One part of a list of conflicts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncConflictList {
    /// Oldest first.
    pub items: Vec<SyncConflict>,
    /// Cursor of the next part, for `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// The result of resolving a conflict.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// The commit of the resolution; null if nothing had to change.
    pub revision: Option<String>,
}
