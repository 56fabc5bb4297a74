//! The shapes of answers about links with git repositories elsewhere, and about conflicts.

use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The wiki's slug.
    pub wiki: Option<String>,
    /// Where the remote is. Without any secret.
    pub url: String,
    /// The branch there.
    pub branch: String,
    /// The directory there that the wiki is; null is all of it.
    pub subdirectory: Option<String>,
    /// The page that takes part with all below it; null is all pages.
    pub filter: Option<String>,
    /// `both`, `push`, `pull` or `off`.
    pub mode: String,
    /// `wiki`, `remote` or `stable`.
    pub winner: String,
    /// `ask`, `merge`, `import` or `push`.
    pub first_run: String,
    /// `ask` or `follow`.
    pub on_rewrite: String,
    /// How often it looks by itself.
    pub interval_seconds: u64,
    /// For how long after one look a reader doesn't cause another.
    pub cooldown_seconds: u64,
    /// Whether it leaves the network alone.
    pub offline: bool,
    /// `none`, `token`, `token_file`, `deploy_key` or `key_file`.
    pub credential: String,
    /// The half of a deploy key that the remote is given.
    pub public_key: Option<String>,
    /// Where the host says that something was pushed.
    pub webhook_url: String,
    /// What it signs that with. Only in the answer that makes it.
    pub webhook_secret: Option<String>,
    /// `idle`, `due`, `fetching`, `comparing`, `merging`, `applying`, `pushing`, `verifying`, `backoff`,
    /// `needs_decision`, `paused`, `offline` or `disabled`.
    pub state: String,
    /// Why, in one word, if the state has a reason.
    pub reason: Option<String>,
    /// Commits that the remote wasn't seen to have; null if the wiki can't be opened now.
    pub queue_length: Option<u64>,
    /// When the oldest of them was made; null if none waits.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub oldest_waiting: Option<OffsetDateTime>,
    /// Since when the remote hasn't answered; null if it does.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub down_since: Option<OffsetDateTime>,
    /// The remote's newest commit that both were seen to have.
    pub verified_revision: Option<String>,
    /// What was said when something failed last; null after a run that worked.
    pub last_error: Option<String>,
    /// When it looks by itself.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub next_run: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
}

/// Links, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteList {
    /// In the order of their ids.
    pub items: Vec<Remote>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// What a look at a remote found.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteTest {
    /// Whether it can be read, and the branch is there or can be made.
    pub ok: bool,
    /// Whether it has no branch at all.
    pub empty: Option<bool>,
    /// Whether it has the link's branch.
    pub has_branch: Option<bool>,
    /// The branch that it shows to those who name none.
    pub default_branch: Option<String>,
    /// Its branches, at most 200.
    pub branches: Vec<String>,
    /// Why it can't be read.
    pub error: Option<String>,
}

/// What has to be decided.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// `force_pushed`, `unrelated`, `foreign_commits`, `mass_delete`, `too_many_conflicts`,
    /// `hostile_tree` or `mapping`.
    pub reason: String,
    /// The remote's tip that it is about.
    pub revision: String,
    /// What can be chosen.
    pub choices: Vec<DecisionChoice>,
    /// Why there are no previews, if there are none.
    pub error: Option<String>,
}

/// A choice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionChoice {
    /// `remote`, `wiki`, `both` or `retry`.
    pub choice: String,
    /// What it means.
    pub meaning: String,
    /// What would become of the wiki's pages; null where that isn't known.
    pub preview: Option<DecisionPreview>,
}

/// What a choice would do to the wiki.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionPreview {
    /// Pages the wiki has in what the link covers.
    pub pages: u32,
    /// How many of them would be gone.
    pub deleted: u32,
    /// Places that somebody would have to look at.
    pub conflicts: u32,
}

/// The keys of an SSH host.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostKeys {
    /// What it shows now.
    pub shown: Vec<HostKey>,
    /// What counts.
    pub confirmed: Vec<HostKey>,
}

/// A key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostKey {
    /// `SHA256:…`
    pub fingerprint: String,
    /// As OpenSSH writes it.
    pub key: String,
}

/// A place of a merge that a person should look at. Nothing is lost: both texts are in the history.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncConflict {
    /// Its number.
    pub id: i64,
    /// The link it came by.
    pub remote: Option<String>,
    /// The page or attachment.
    pub path: String,
    /// `both_changed`, `both_added`, `deleted`, `renamed`, `file_and_directory` or `same_name`.
    pub kind: String,
    /// The etag of what both began with.
    pub base: Option<String>,
    /// The etag of the wiki's version.
    pub ours: Option<String>,
    /// The etag of the remote's version.
    pub theirs: Option<String>,
    /// The page or attachment that the text which lost has become; the name that a page got which couldn't
    /// keep its own; or the other name of one that was renamed twice.
    pub conflict_path: Option<String>,
    /// The merge.
    pub revision: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// When somebody looked at it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub closed: Option<OffsetDateTime>,
    /// The three texts; only of a single conflict.
    pub texts: Option<ConflictTexts>,
}

/// The texts of a conflict.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictTexts {
    /// What both began with.
    pub base: Option<String>,
    /// The wiki's.
    pub ours: Option<String>,
    /// The remote's.
    pub theirs: Option<String>,
    /// Whether one is left out, because all together would be too large.
    #[serde(default)]
    pub truncated: bool,
}

/// Conflicts, and where to go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncConflictList {
    /// The oldest first.
    pub items: Vec<SyncConflict>,
    /// For `?cursor=`; null at the end.
    pub next_cursor: Option<String>,
}

/// A conflict was looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// The commit that changed something; null if nothing had to be.
    pub revision: Option<String>,
}
