//! The three git calls of synchronisation (list, fetch, push), hardened so that neither the URL, nor the remote, nor
//! the machine's git configuration can run other programs here.
//!
//! Each call has a directory of its own with its keys, a checked and pinned address, a deadline, and limits on file
//! size, CPU time and output. Secrets are only in that program's environment or in its directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use wikigrove_tenant::Revision;
use wikigrove_tenant::storage::fsck::{self, Door};
use wikigrove_tenant::storage::git_program::command as git;

use super::address::{Policy, ResolveError, Resolver, SystemResolver};
use super::credential::Credential;
use super::git::GitProgram;
use super::host_key::{HostKey, scanned};
use super::outcome::{Call, Failure, HttpTrace, Pushed, of_failure, of_push, scrubbed};
use super::process::{Limits, NotRun, Ran, run};
use super::scratch::{Scratch, prepare};
use super::url::{Branch, RemoteUrl};

mod access;

use access::Access;

/// The empty tree: attributes are read from it, so that no remote's `.gitattributes` applies.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// The limits on the duration and size of a call.
#[derive(Debug, Clone, Copy)]
pub struct WireLimits {
    /// The longest duration of a fetch or a push.
    pub transfer: Duration,
    /// The longest duration of listing the remote's branches.
    pub listing: Duration,
    /// The largest pack of a fetch, in bytes.
    pub pack_bytes: u64,
    /// Memory that each program of a call may allocate, in bytes. A few bytes of a pack can declare an object of any
    /// size, and git allocates all of it before it can be checked.
    pub memory_bytes: u64,
}

impl Default for WireLimits {
    /// Five minutes, twenty seconds, a gibibyte, a gibibyte.
    fn default() -> Self {
        Self {
            transfer: Duration::from_secs(300),
            listing: Duration::from_secs(20),
            pack_bytes: 1024 * 1024 * 1024,
            memory_bytes: 1024 * 1024 * 1024,
        }
    }
}

/// A remote with all that one call needs.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its URL.
    pub url: RemoteUrl,
    /// The credential.
    pub credential: Credential,
    /// The accepted keys of its host, in addition to the built-in ones.
    pub host_keys: Vec<HostKey>,
}

/// The branches of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branches {
    /// The branch that `HEAD` names, if the remote states it.
    pub head: Option<String>,
    /// All branches by name, without `refs/heads/`, with their commits. Empty for an empty repository.
    pub all: Vec<(String, Revision)>,
}

impl Branches {
    /// The default branch: the one that `HEAD` names, or the only one, or one with a usual name.
    pub fn usual(&self) -> Option<&str> {
        let names = || self.all.iter().map(|(name, _)| name.as_str());
        let only = (self.all.len() == 1).then(|| names().next()).flatten();
        let head = self.head.as_deref().filter(|head| names().any(|name| name == *head));
        let called = |usual: &str| names().find(|name| *name == usual);
        head.or(only).or_else(|| called("main")).or_else(|| called("master"))
    }
}

/// Calls git and ssh.
#[derive(Debug, Clone)]
pub struct Wire {
    git: GitProgram,
    policy: Policy,
    resolver: Arc<dyn Resolver>,
    limits: WireLimits,
    root: PathBuf,
}

impl Wire {
    /// Creates a client whose calls use directories below `root`, which is created if needed. Files left there by a
    /// crashed process are shredded, so each `root` must have only one `Wire`.
    ///
    /// The directory can't be created or cleaned.
    pub fn new(
        git: GitProgram,
        policy: Policy,
        limits: WireLimits,
        root: &Path,
    ) -> std::io::Result<Self> {
        prepare(root)?;
        // git changes its working directory, so the path must be absolute.
        let root = root.canonicalize()?;
        Ok(Self { git, policy, resolver: Arc::new(SystemResolver), limits, root })
    }

    /// Replaces the resolver.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// The policy on reachable hosts.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The git program.
    pub fn git(&self) -> &GitProgram {
        &self.git
    }

    /// The commit of a remote's branch, to decide if there is something to fetch, and if a push landed.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::BranchMissing`] if there is no such branch, also in an empty repository.
    pub async fn tip(&self, remote: &Remote, branch: &Branch) -> Result<Revision, Failure> {
        let full = branch.full();
        let listed = self.list(remote, &["--exit-code"], &[&full]).await?;
        let of_branch = |(id, name): (&str, &str)| (name == full).then(|| id.parse().ok())?;
        match refs(&listed).find_map(of_branch) {
            Some(tip) => Ok(tip),
            None if is_sha256(&listed) => Err(sha256()),
            None => Err(Failure::BranchMissing),
        }
    }

    /// All branches of the remote. Also shows if the remote can be read and if it is empty.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::TooLarge`] if the list is longer than a mebibyte.
    pub async fn branches(&self, remote: &Remote) -> Result<Branches, Failure> {
        let listed = self.list(remote, &["--symref"], &["HEAD", "refs/heads/*"]).await?;
        if is_sha256(&listed) {
            return Err(sha256());
        }
        let head = listed.lines().find_map(|line| {
            line.strip_prefix("ref: refs/heads/")?.strip_suffix("\tHEAD").map(str::to_owned)
        });
        let branch = |(id, name): (&str, &str)| {
            Some((name.strip_prefix("refs/heads/")?.to_owned(), id.parse().ok()?))
        };
        Ok(Branches { head, all: refs(&listed).filter_map(branch).collect() })
    }

    /// Fetches a branch into a bare repository that has no other user meanwhile, under the full ref name `into`, and
    /// returns its commit. An existing ref of that name is replaced.
    ///
    /// # Errors
    /// [`Failure`]. Partly fetched data is removed.
    pub async fn fetch(
        &self,
        remote: &Remote,
        repository: &Path,
        branch: &Branch,
        into: &str,
    ) -> Result<Revision, Failure> {
        let access = self.access(remote).await?;
        // If git silently skips the branch, an older commit must not be taken for its tip.
        let mut forget = git();
        forget.arg("--git-dir").arg(repository).args(["update-ref", "--no-deref", "-d", into]);
        let forgot = self.run_here(&forget).await?;
        if forgot.code != Some(0) {
            return Err(of_failure(
                Call::Fetch,
                &forgot,
                &scrubbed(&forgot.stderr, &[]),
                &HttpTrace::default(),
            ));
        }
        let mut command = Self::command(&access, Some(repository));
        command.args(["fetch", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]);
        command.args(["--no-recurse-submodules", "--quiet", "--", &access.url]);
        command.arg(format!("+{}:{into}", branch.full()));
        let called = self.call(&access, &command, self.limits.transfer).await;
        // git leaves unfinished files behind, and is killed without a message at the size limit.
        let largest = remove_unfinished(repository).map_err(transient)?;
        let (ran, said, http) = called?;
        if ran.code != Some(0) {
            let is_full = largest >= self.limits.pack_bytes / 512 * 512;
            let told = || of_failure(Call::Fetch, &ran, &said, &http);
            return Err(if is_full { Failure::TooLarge } else { told() });
        }
        let mut found = git();
        found.arg("--git-dir").arg(repository).args(["rev-parse", "--verify", "--end-of-options"]);
        found.arg(format!("{into}^{{commit}}"));
        let ran = self.run_here(&found).await?;
        // git silently skips refs that it can't take from a shallow repository.
        let missing = "its history is cut off (shallow), or the branch names no commit";
        String::from_utf8_lossy(&ran.stdout)
            .trim()
            .parse()
            .map_err(|_| Failure::Unsupported { text: missing.to_owned() })
    }

    /// Pushes a commit of a bare repository to a branch, whose tip must be an ancestor of the commit.
    ///
    /// # Errors
    /// [`Failure`]. If the push [may have landed](Failure::may_have_landed), ask for the [tip](Self::tip).
    pub async fn push(
        &self,
        remote: &Remote,
        repository: &Path,
        commit: Revision,
        branch: &Branch,
    ) -> Result<Pushed, Failure> {
        self.push_with(remote, repository, commit, branch, None).await
    }

    /// Like [`push`](Self::push), but replaces the branch, if it still is at `expected`. The commits it replaces are
    /// lost at the remote, so the caller must know that they aren't needed.
    ///
    /// # Errors
    /// As for `push`; [`Failure::NonFastForward`] if the branch is at another commit.
    pub async fn replace(
        &self,
        remote: &Remote,
        repository: &Path,
        commit: Revision,
        branch: &Branch,
        expected: Revision,
    ) -> Result<Pushed, Failure> {
        self.push_with(remote, repository, commit, branch, Some(expected)).await
    }

    async fn push_with(
        &self,
        remote: &Remote,
        repository: &Path,
        commit: Revision,
        branch: &Branch,
        lease: Option<Revision>,
    ) -> Result<Pushed, Failure> {
        let access = self.access(remote).await?;
        let full = branch.full();
        let mut command = Self::command(&access, Some(repository));
        command.args(["push", "--porcelain", "--no-verify", "--no-recurse-submodules"]);
        if let Some(expected) = lease {
            command.arg(format!("--force-with-lease={full}:{expected}"));
        }
        command.args(["--", &access.url]).arg(format!("{commit}:{full}"));
        let (ran, said, http) = self.call(&access, &command, self.limits.transfer).await?;
        // The remote's messages are on both outputs.
        let reported = scrubbed(&ran.stdout, &access.secrets());
        of_push(&ran, &reported, &said, &http)
    }

    /// The keys that an SSH host presents now, for users to compare with the published ones. None of them is trusted by
    /// this.
    ///
    /// [`Failure::BlockedAddress`], [`Failure::Transient`] or [`Failure::Timeout`].
    pub async fn host_keys(&self, url: &RemoteUrl) -> Result<Vec<HostKey>, Failure> {
        let address = self.policy.resolve(url, &*self.resolver).await.map_err(unresolved)?;
        let mut command = Command::new("ssh-keyscan");
        command.env_clear().env("PATH", access::PATH).env("LC_ALL", "C");
        command.args(["-T", "10", "-p", &url.port().to_string(), "--", &address.to_string()]);
        let ran = run(&command, self.program_limits(self.limits.listing)).await.map_err(not_run)?;
        let keys = scanned(&String::from_utf8_lossy(&ran.stdout));
        if keys.is_empty() {
            return Err(Failure::Transient { text: "the host shows no key".to_owned() });
        }
        Ok(keys)
    }

    async fn list(
        &self,
        remote: &Remote,
        options: &[&str],
        patterns: &[&str],
    ) -> Result<String, Failure> {
        let access = self.access(remote).await?;
        let mut command = Self::command(&access, None);
        command.arg("ls-remote").args(options).args(["--", &access.url]).args(patterns);
        let (ran, said, http) = self.call(&access, &command, self.limits.listing).await?;
        match ran.code {
            Some(0) if ran.cut => Err(Failure::TooLarge),
            Some(0) => Ok(String::from_utf8_lossy(&ran.stdout).into_owned()),
            _ => Err(of_failure(Call::List, &ran, &said, &http)),
        }
    }

    /// Resolves the address, and prepares the files of the call.
    async fn access(&self, remote: &Remote) -> Result<Access, Failure> {
        let address =
            self.policy.resolve(&remote.url, &*self.resolver).await.map_err(unresolved)?;
        let scratch = Scratch::new(&self.root).map_err(transient)?;
        Access::new(remote, address, scratch)
    }

    /// The git command with the options of all calls, and the credential of this call.
    fn command(access: &Access, repository: Option<&Path>) -> Command {
        let mut command = git();
        let scratch = access.scratch.path();
        command.current_dir(scratch).env("HOME", scratch).env("TZ", "UTC");
        for (key, value) in [
            ("PATH", access::PATH),
            ("GIT_ASKPASS", "/bin/false"),
            ("SSH_ASKPASS", "/bin/false"),
            ("GIT_ALLOW_PROTOCOL", access.protocol),
            ("GIT_PROTOCOL_FROM_USER", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_LITERAL_PATHSPECS", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
        ] {
            command.env(key, value);
        }
        // Without a repository, keep git from finding one around the scratch directory.
        command.env("GIT_CEILING_DIRECTORIES", scratch);
        if let Some(repository) = repository {
            command.arg("--git-dir").arg(repository);
            command.arg(format!("--attr-source={EMPTY_TREE}"));
        }
        for setting in [
            "protocol.allow=never",
            &format!("protocol.{}.allow=always", access.protocol),
            "core.fsmonitor=false",
            "credential.helper=",
            "http.followRedirects=false",
            "http.sslVerify=true",
            "http.lowSpeedLimit=1000",
            "http.lowSpeedTime=30",
            "core.fsync=all",
            "fetch.unpackLimit=1",
            "gc.auto=0",
            "maintenance.auto=false",
            "submodule.recurse=false",
            "push.gpgSign=false",
            "push.followTags=false",
        ] {
            command.args(["-c", setting]);
        }
        for setting in fsck::settings(Door::Fetch) {
            command.args(["-c", &setting]);
        }
        access.apply(&mut command);
        command
    }

    /// Runs git on local data only.
    async fn run_here(&self, command: &Command) -> Result<Ran, Failure> {
        run(command, self.program_limits(self.limits.listing)).await.map_err(not_run)
    }

    async fn call(
        &self,
        access: &Access,
        command: &Command,
        time: Duration,
    ) -> Result<(Ran, String, HttpTrace), Failure> {
        let ran = run(command, self.program_limits(time)).await.map_err(not_run)?;
        let said = scrubbed(&ran.stderr, &access.secrets());
        tracing::debug!(code = ran.code, remote = %access.url, "git has ended");
        Ok((ran, said, access.http_trace()))
    }

    fn program_limits(&self, time: Duration) -> Limits {
        let WireLimits { pack_bytes, memory_bytes, .. } = self.limits;
        Limits { file_bytes: pack_bytes, memory_bytes, time }
    }
}

/// Removes the temporary files of an interrupted fetch from a repository that has no other user, and returns the size
/// of the largest.
fn remove_unfinished(repository: &Path) -> std::io::Result<u64> {
    let mut largest = 0;
    let packs = match std::fs::read_dir(repository.join("objects/pack")) {
        Ok(packs) => packs,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for entry in packs {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("tmp_") {
            largest = largest.max(entry.metadata()?.len());
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(largest)
}

/// Returns `true` if `ls-remote` printed ids that are longer than those of SHA-1.
fn is_sha256(listed: &str) -> bool {
    refs(listed).any(|(id, _)| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn sha256() -> Failure {
    Failure::Unsupported { text: "its objects are named by SHA-256".to_owned() }
}

/// The ids and names in the output of `ls-remote`.
fn refs(listed: &str) -> impl Iterator<Item = (&str, &str)> {
    listed.lines().filter_map(|line| line.split_once('\t'))
}

fn unresolved(error: ResolveError) -> Failure {
    match error {
        ResolveError::Blocked(blocked) => Failure::BlockedAddress(blocked),
        ResolveError::Unknown { .. } => Failure::Transient { text: error.to_string() },
    }
}

fn not_run(error: NotRun) -> Failure {
    match error {
        NotRun::Timeout => Failure::Timeout,
        NotRun::Io(error) => transient(error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn transient(error: std::io::Error) -> Failure {
    Failure::Transient { text: error.to_string() }
}
