//! A remote is reached over HTTP, and everything that goes wrong there is told apart.
//!
//! Real git on both sides; the remote misbehaves to order.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use testkit::{Fault, Git, TestRemote};
use wikigrove_server::remote::address::Resolving;
use wikigrove_server::remote::{
    AccessToken, Blocked, Branch, Credential, Failure, GitProgram, Policy, Pushed, Remote,
    Resolver, Wire, WireLimits,
};
use wikigrove_tenant::Revision;

use crate::bad_inputs::driven_by;

/// The name that the remote has. No real resolver knows it.
pub(super) const HOST: &str = "git.test";
/// What must never be seen anywhere.
pub(super) const CANARY: &str = "canary-8c7f1e2a";
const INTO: &str = "refs/wiki/remote/1.incoming";

/// Names that are where a test says, one answer after the other, the last for ever.
#[derive(Debug)]
struct Names(Vec<IpAddr>, AtomicUsize);

impl Resolver for Names {
    fn resolve<'a>(&'a self, name: &'a str, _: u16) -> Resolving<'a> {
        let asked = self.1.fetch_add(1, Ordering::SeqCst);
        let known = name == HOST || name.ends_with(".example");
        let found = if known { vec![self.0[asked.min(self.0.len() - 1)]] } else { Vec::new() };
        Box::pin(async move { Ok(found) })
    }
}

fn names(addresses: &[&str]) -> Arc<dyn Resolver> {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(Names(addresses, AtomicUsize::new(0)))
}

/// A wiki's side: a bare repository to push from and fetch into, and what calls git for it.
pub(super) struct Here {
    dir: tempfile::TempDir,
    pub(super) wire: Wire,
}

impl Here {
    pub(super) fn new() -> Self {
        Self::with(WireLimits::default())
    }

    fn with(limits: WireLimits) -> Self {
        let policy = Policy { admitted: vec![HOST.parse().unwrap()], only: None };
        Self::reaching(policy, limits, names(&["127.0.0.1"]))
    }

    fn reaching(policy: Policy, limits: WireLimits, names: Arc<dyn Resolver>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = GitProgram::probe().unwrap();
        // A space and a percent sign, because somebody's data directory has them.
        let wire = Wire::new(git, policy, limits, &dir.path().join("my wire %d")).unwrap();
        Git::at(dir.path()).run(&["init", "-q", "--bare", "-b", "main", "scratch.git"]);
        Self { dir, wire: wire.with_resolver(names) }
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("scratch.git")
    }

    /// A commit on top of `parent` that holds one file.
    pub(super) fn commit(&self, parent: Option<Revision>, content: &str) -> Revision {
        commit(&self.repository(), parent, "home.md", content)
    }

    pub(super) async fn fetch(&self, remote: &Remote) -> Result<Revision, Failure> {
        self.wire.fetch(remote, &self.repository(), &main(), INTO).await
    }

    pub(super) async fn push(&self, remote: &Remote, commit: Revision) -> Result<Pushed, Failure> {
        self.wire.push(remote, &self.repository(), commit, &main()).await
    }

    /// Nothing of a call is left.
    pub(super) fn assert_tidy(&self) {
        assert_eq!(std::fs::read_dir(self.dir.path().join("my wire %d")).unwrap().count(), 0);
    }
}

fn commit(repository: &Path, parent: Option<Revision>, file: &str, content: &str) -> Revision {
    let git = Git::at(repository);
    let path = repository.join("content");
    std::fs::write(&path, content).unwrap();
    let blob = git.run(&["hash-object", "-w", "content"]);
    std::fs::remove_file(path).unwrap();
    git.run(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{file}")]);
    let tree = git.run(&["write-tree"]);
    let parent = parent.map(|parent| parent.to_string());
    let parents = parent.iter().flat_map(|parent| ["-p", parent.as_str()]);
    let args: Vec<_> = ["commit-tree", "-m", content, &tree].into_iter().chain(parents).collect();
    git.run(&args).parse().unwrap()
}

pub(super) fn main() -> Branch {
    "main".parse().unwrap()
}

fn open_to_all(remote: &TestRemote) -> Remote {
    at(&remote.url(HOST), Credential::None)
}

fn with_token(remote: &TestRemote, token: &str) -> Remote {
    at(&remote.url(HOST), Credential::Token(AccessToken::new(Some("ada"), token).unwrap()))
}

pub(super) fn at(url: &str, credential: Credential) -> Remote {
    Remote { url: url.parse().unwrap(), credential, host_keys: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_goes_there_and_comes_back() {
    let (remote, here, there) = (TestRemote::start().await, Here::new(), Here::new());
    let to = open_to_all(&remote);
    let empty = here.wire.branches(&to).await.unwrap();
    assert!(empty.all.is_empty(), "{empty:?}");
    assert_eq!(here.wire.tip(&to, &main()).await, Err(Failure::BranchMissing));
    let first = here.commit(None, "one");
    assert_eq!(here.push(&to, first).await, Ok(Pushed::Updated));
    assert_eq!(here.push(&to, first).await, Ok(Pushed::UpToDate));
    let second = here.commit(Some(first), "two");
    assert_eq!(here.push(&to, second).await, Ok(Pushed::Updated));
    assert_eq!(here.wire.tip(&to, &main()).await, Ok(second));
    let branches = here.wire.branches(&to).await.unwrap();
    assert_eq!(branches.head.as_deref(), Some("main"));
    assert_eq!(branches.all, [("main".to_owned(), second)]);
    assert_eq!(there.fetch(&to).await, Ok(second));
    Git::at(there.repository()).fsck();
    remote.git().fsck();
    here.assert_tidy();
    there.assert_tidy();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_borrows_a_wikis_objects_fetches_only_what_is_new() {
    let (remote, here, there) = (TestRemote::start().await, Here::new(), Here::new());
    let to = open_to_all(&remote);
    let first = here.commit(None, "one");
    Git::at(here.dir.path()).run(&["init", "-q", "--bare", "-b", "main", "borrowing.git"]);
    let borrowing = here.dir.path().join("borrowing.git");
    let objects = format!("{}\n", here.repository().join("objects").display());
    std::fs::write(borrowing.join("objects/info/alternates"), objects).unwrap();
    let packs = || std::fs::read_dir(borrowing.join("objects/pack")).unwrap().count();
    assert_eq!(here.wire.push(&to, &borrowing, first, &main()).await, Ok(Pushed::Updated));
    assert_eq!(here.wire.fetch(&to, &borrowing, &main(), INTO).await, Ok(first));
    assert_eq!(packs(), 0);
    there.fetch(&to).await.unwrap();
    let second = there.commit(Some(first), "two");
    there.push(&to, second).await.unwrap();
    assert_eq!(here.wire.fetch(&to, &borrowing, &main(), INTO).await, Ok(second));
    assert!(packs() > 0);
    Git::at(&borrowing).fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_moved_on_is_never_overwritten() {
    let (remote, here, there) = (TestRemote::start().await, Here::new(), Here::new());
    let to = open_to_all(&remote);
    let base = here.commit(None, "base");
    here.push(&to, base).await.unwrap();
    there.fetch(&to).await.unwrap();
    let theirs = there.commit(Some(base), "theirs");
    there.push(&to, theirs).await.unwrap();
    let ours = here.commit(Some(base), "ours");
    assert_eq!(here.push(&to, ours).await, Err(Failure::NonFastForward));
    here.fetch(&to).await.unwrap();
    assert_eq!(here.push(&to, ours).await, Err(Failure::NonFastForward));
    assert_eq!(here.wire.tip(&to, &main()).await, Ok(theirs));
    // A branch that is nobody else's is replaced, but only as it was seen.
    let replace =
        async |expected| here.wire.replace(&to, &here.repository(), ours, &main(), expected).await;
    assert_eq!(replace(base).await, Err(Failure::NonFastForward));
    assert_eq!(here.wire.tip(&to, &main()).await, Ok(theirs));
    assert_eq!(replace(theirs).await, Ok(Pushed::Updated));
    assert_eq!(here.wire.tip(&to, &main()).await, Ok(ours));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_tried_once_and_shown_nowhere() {
    let (remote, here) = (TestRemote::start().await, Here::new());
    remote.require("ada", "right");
    let wrong = with_token(&remote, CANARY);
    let commit = here.commit(None, "one");
    let failures = [
        here.wire.tip(&wrong, &main()).await.unwrap_err(),
        here.push(&wrong, commit).await.unwrap_err(),
        here.fetch(&wrong).await.unwrap_err(),
        here.wire.tip(&open_to_all(&remote), &main()).await.unwrap_err(),
    ];
    for failure in failures {
        assert!(matches!(failure, Failure::Auth { .. }), "{failure:?}");
        let shown = format!("{failure} {failure:?}");
        assert!(!shown.contains(CANARY) && !shown.contains("Basic"), "{shown}");
    }
    assert_eq!(remote.seen().len(), 4, "one request each");
    here.assert_tidy();
    let config = std::fs::read_to_string(here.repository().join("config")).unwrap();
    assert!(!config.contains(CANARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_may_ask_for_the_token_again_and_again() {
    let [_] = &driven_by("a_remote_may_ask_for_the_token_again_and_again")[..] else { panic!() };
    let (remote, here) = (TestRemote::start().await, Here::new());
    remote.require("ada", CANARY);
    let to = with_token(&remote, CANARY);
    let commit = here.commit(None, "one");
    assert_eq!(here.push(&to, commit).await, Ok(Pushed::Updated));
    let asked = remote.seen();
    assert!(asked.len() >= 2);
    assert!(asked.iter().all(|request| request.headers.contains_key("authorization")), "{asked:?}");
    assert_eq!(here.fetch(&to).await, Ok(commit));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_in_no_argument_and_no_file_while_it_is_used() {
    let (remote, here) = (TestRemote::start().await, Here::new());
    remote.require("ada", CANARY);
    remote.order("info/refs", Fault::Delay(Duration::from_secs(2)), 1);
    let to = with_token(&remote, CANARY);
    let commit = here.commit(None, "one");
    let encoded = data_encoding::BASE64.encode(format!("ada:{CANARY}").as_bytes());
    let look = async {
        while remote.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for process in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            assert!(!line.contains(CANARY) && !line.contains(&encoded), "{line}");
        }
        let files = walk(here.dir.path());
        assert!(files.iter().any(|file| file.ends_with("trace")), "{files:?}");
        for file in files {
            let text = std::fs::read(&file).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains(CANARY) && !text.contains(&encoded), "{}", file.display());
        }
    };
    let (pushed, ()) = tokio::join!(here.push(&to, commit), look);
    assert_eq!(pushed, Ok(Pushed::Updated));
}

/// All files below a directory.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().filter_map(Result::ok);
    entries
        .flat_map(|entry| match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path()),
            false => vec![entry.path()],
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_wikis_at_once_show_each_remote_its_own_token() {
    let (one, other) = (TestRemote::start().await, TestRemote::start().await);
    one.require("ada", "first");
    other.require("ada", "second");
    let (here, there) = (Here::new(), Here::new());
    let (to_one, to_other) = (with_token(&one, "first"), with_token(&other, "second"));
    let commits = (here.commit(None, "one"), there.commit(None, "other"));
    let pushes = tokio::join!(here.push(&to_one, commits.0), there.push(&to_other, commits.1));
    assert_eq!(pushes, (Ok(Pushed::Updated), Ok(Pushed::Updated)));
    for (remote, login) in [(&one, "ada:first"), (&other, "ada:second")] {
        let expected = format!("Basic {}", data_encoding::BASE64.encode(login.as_bytes()));
        for request in remote.seen() {
            assert_eq!(request.headers["authorization"], expected.as_str());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_at_the_second_look_is_not_followed() {
    let [_] = &driven_by("a_name_that_leads_inside_at_the_second_look_is_not_followed")[..] else {
        panic!()
    };
    let remote = TestRemote::start().await;
    let names = names(&["203.0.114.7", "127.0.0.1"]);
    let url = "https://rebind.example/x.git".parse().unwrap();
    let policy = Policy::default();
    policy.resolve(&url, &*names).await.unwrap();
    let here = Here::reaching(policy, WireLimits::default(), names);
    let failure =
        here.wire.tip(&at("https://rebind.example/x.git", Credential::None), &main()).await;
    let Err(Failure::BlockedAddress(Blocked::Address { address, .. })) = failure else {
        panic!("{failure:?}")
    };
    assert!(address.is_loopback());
    assert!(remote.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let [_] = &driven_by("a_redirect_is_not_followed")[..] else { panic!() };
    let (remote, inside, here) =
        (TestRemote::start().await, TestRemote::start().await, Here::new());
    let to = open_to_all(&remote);
    let commit = here.commit(None, "one");
    for status in [301, 302, 307, 308] {
        let location = format!("http://ada:{CANARY}@127.0.0.1:{}/x.git/info/refs", inside.port());
        remote.order("info/refs", Fault::Status(status, vec![("location", location)]), 3);
        for failure in [
            here.wire.tip(&to, &main()).await.unwrap_err(),
            here.fetch(&to).await.unwrap_err(),
            here.push(&to, commit).await.unwrap_err(),
        ] {
            let Failure::Redirect { to: Some(to) } = failure else { panic!("{failure:?}") };
            assert!(to.starts_with("http://127.0.0.1:") && !to.contains(CANARY), "{to}");
        }
    }
    assert!(inside.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_drips_is_given_up_and_others_go_on() {
    let limits = WireLimits {
        transfer: Duration::from_secs(3),
        listing: Duration::from_secs(3),
        ..WireLimits::default()
    };
    let (slow, quick, here) =
        (TestRemote::start().await, TestRemote::start().await, Here::with(limits));
    let commit = here.commit(None, "one");
    here.push(&open_to_all(&quick), commit).await.unwrap();
    slow.order("info/refs", Fault::Trickle, 1);
    let began = Instant::now();
    let (slow_one, quick_one) = (open_to_all(&slow), open_to_all(&quick));
    let branch = main();
    let (dripped, went) = tokio::join!(here.fetch(&slow_one), here.wire.tip(&quick_one, &branch));
    assert_eq!((dripped, went), (Err(Failure::Timeout), Ok(commit)));
    assert!(began.elapsed() < Duration::from_secs(20));
    here.assert_tidy();
    // Killed with all it had started; a process that ended has no command line.
    let ended = || {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut lines =
            processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        !lines.any(|line| String::from_utf8_lossy(&line).contains(&slow.url(HOST)))
    };
    while !ended() {
        assert!(began.elapsed() < Duration::from_secs(20), "something of git is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(Failure::Timeout.may_have_landed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_asks_to_wait_is_heard() {
    let (remote, here) = (TestRemote::start().await, Here::new());
    let to = open_to_all(&remote);
    let wait = |status| Fault::Status(status, vec![("retry-after", "120".to_owned())]);
    remote.order("info/refs", wait(429), 1);
    remote.order("info/refs", wait(503), 1);
    remote.order("info/refs", Fault::Status(429, Vec::new()), 1);
    let retry_after = Some(Duration::from_secs(120));
    for expected in [retry_after, retry_after, None] {
        let failure = here.wire.tip(&to, &main()).await;
        assert_eq!(failure, Err(Failure::RateLimited { retry_after: expected }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_gone_or_closed_is_told_from_one_that_is_ill() {
    let [_] = &driven_by("a_repository_that_is_gone_or_closed_is_told_from_one_that_is_ill")[..]
    else {
        panic!()
    };
    let (remote, here) = (TestRemote::start().await, Here::new());
    let to = open_to_all(&remote);
    let mut failures = Vec::new();
    for status in [404, 410, 403, 500, 502] {
        remote.order("info/refs", Fault::Status(status, Vec::new()), 1);
        failures.push(here.fetch(&to).await.unwrap_err());
    }
    assert!(matches!(failures[0], Failure::RepositoryGone { .. }), "{failures:?}");
    assert!(matches!(failures[1], Failure::RepositoryGone { .. }), "{failures:?}");
    assert!(matches!(failures[2], Failure::Auth { .. }), "{failures:?}");
    assert!(matches!(failures[3], Failure::Transient { .. }), "{failures:?}");
    assert!(matches!(failures[4], Failure::Transient { .. }), "{failures:?}");
    let port = remote.port();
    drop(remote);
    let nobody = at(&format!("http://{HOST}:{port}/x.git"), Credential::None);
    let commit = here.commit(None, "one");
    let failure = here.push(&nobody, commit).await.unwrap_err();
    assert!(matches!(failure, Failure::Transient { .. }), "{failure:?}");
}

/// A pack of some kilobytes may hold an object of any length, which git makes whole before it looks at it.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_pack_that_grows_to_fill_the_memory_is_given_up() {
    const MEMORY: u64 = 128 * 1024 * 1024;
    let remote = TestRemote::start().await;
    let first = commit(remote.git().dir(), None, "home.md", "one").to_string();
    let tree = remote.git().run(&["rev-parse", &format!("{first}^{{tree}}")]);
    let mut long =
        format!("tree {tree}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\n").into_bytes();
    long.resize(2 * MEMORY as usize, b'a');
    let long = remote.git().run_with(&["hash-object", "-t", "commit", "-w", "--stdin"], &long);
    remote.git().run(&["update-ref", "refs/heads/main", long.trim()]);
    let here = Here::with(WireLimits { memory_bytes: MEMORY, ..WireLimits::default() });
    assert_eq!(here.fetch(&open_to_all(&remote)).await, Err(Failure::TooLarge));
    here.assert_tidy();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_too_large_leaves_nothing_behind() {
    let [_] = &driven_by("a_history_that_is_too_large_leaves_nothing_behind")[..] else { panic!() };
    let remote = TestRemote::start().await;
    let limits = WireLimits { pack_bytes: 256 * 1024, ..WireLimits::default() };
    let here = Here::with(limits);
    let mut noise = vec![0; 2 * 1024 * 1024];
    getrandom::fill(&mut noise).unwrap();
    let theirs = remote.clone_beside("theirs");
    theirs.write("big.bin", &noise).commit("big").run(&["push", "-q", "origin", "HEAD:main"]);
    assert_eq!(here.fetch(&open_to_all(&remote)).await, Err(Failure::TooLarge));
    let left = walk(&here.repository().join("objects"));
    let bytes: u64 = left.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(bytes, 0, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_was_renamed_is_missing_and_not_made_again() {
    let [_] = &driven_by("a_branch_that_was_renamed_is_missing_and_not_made_again")[..] else {
        panic!()
    };
    let (remote, here) = (TestRemote::start().await, Here::new());
    let to = open_to_all(&remote);
    let commit = here.commit(None, "one");
    here.push(&to, commit).await.unwrap();
    remote.git().run(&["branch", "-m", "main", "trunk"]);
    assert_eq!(here.fetch(&to).await, Err(Failure::BranchMissing));
    assert_eq!(here.wire.tip(&to, &main()).await, Err(Failure::BranchMissing));
    let branches = here.wire.branches(&to).await.unwrap();
    assert_eq!(branches.head.as_deref(), Some("trunk"));
    assert_eq!(branches.all, [("trunk".to_owned(), commit)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hook_says_reaches_people() {
    let (remote, here) = (TestRemote::start().await, Here::new());
    remote.require("ada", CANARY);
    let hook = format!("echo 'only Ada may push here, and {CANARY} is no password' >&2; exit 1");
    remote.hook("pre-receive", &hook);
    let commit = here.commit(None, "one");
    let failure = here.push(&with_token(&remote, CANARY), commit).await.unwrap_err();
    let Failure::Rejected { text } = failure else { panic!("{failure:?}") };
    let said = "pre-receive hook declined: only Ada may push here, and … is no password";
    assert_eq!(text, said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_being_written_is_locked_and_not_refused() {
    let (remote, here) = (TestRemote::start().await, Here::new());
    let to = open_to_all(&remote);
    let first = here.commit(None, "one");
    here.push(&to, first).await.unwrap();
    let lock = remote.git().dir().join("refs/heads/main.lock");
    std::fs::write(&lock, "").unwrap();
    let second = here.commit(Some(first), "two");
    let failure = here.push(&to, second).await.unwrap_err();
    assert!(matches!(failure, Failure::RefLocked { .. }), "{failure:?}");
    std::fs::remove_file(lock).unwrap();
    assert_eq!(here.push(&to, second).await, Ok(Pushed::Updated));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_connection_that_broke_the_remote_says_whether_the_push_landed() {
    let (remote, here) = (TestRemote::start().await, Here::new());
    let to = open_to_all(&remote);
    let first = here.commit(None, "one");
    here.push(&to, first).await.unwrap();
    let second = here.commit(Some(first), "two");
    remote.order("/git-receive-pack", Fault::CutBefore, 1);
    let failure = here.push(&to, second).await.unwrap_err();
    assert!(failure.may_have_landed(), "{failure:?}");
    assert_eq!(here.wire.tip(&to, &main()).await, Ok(first));
    remote.order("/git-receive-pack", Fault::CutAfter, 1);
    let failure = here.push(&to, second).await.unwrap_err();
    assert!(failure.may_have_landed(), "{failure:?}");
    assert_eq!(here.wire.tip(&to, &main()).await, Ok(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_names_what_git_reads_is_not_taken_over() {
    let (remote, here) = (TestRemote::start().await, Here::new());
    let git = remote.git();
    let blob = git.run(&["hash-object", "-w", "HEAD"]);
    let mut tree = b"100644 .git\0".to_vec();
    tree.extend(data_encoding::HEXLOWER.decode(blob.as_bytes()).unwrap());
    std::fs::write(git.dir().join("tree"), tree).unwrap();
    let tree = git.run(&["hash-object", "-t", "tree", "-w", "--literally", "tree"]);
    let commit = git.run(&["commit-tree", "-m", "hostile", &tree]);
    git.run(&["update-ref", "refs/heads/main", &commit]);
    let failure = here.fetch(&open_to_all(&remote)).await.unwrap_err();
    assert!(matches!(failure, Failure::HostileTree { .. }), "{failure:?}");
    let found = Git::at(here.repository()).output(&["rev-parse", "--verify", "-q", INTO]);
    assert!(!found.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_repositories_that_do_not_fit_are_named() {
    let (remote, here) = (TestRemote::start().await, Here::new());
    let to = open_to_all(&remote);
    let theirs = remote.clone_beside("theirs");
    theirs.write("a.md", "a").commit("a").write("b.md", "b").commit("b");
    theirs.run(&["push", "-q", "origin", "HEAD:main"]);
    let whole = theirs.run(&["rev-parse", "HEAD"]);
    std::fs::write(remote.git().dir().join("shallow"), format!("{whole}\n")).unwrap();
    // An earlier run's commit doesn't pass for this one's.
    let earlier = here.commit(None, "earlier").to_string();
    Git::at(here.repository()).run(&["update-ref", INTO, &earlier]);
    let failure = here.fetch(&to).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Unsupported { text } if text.contains("shallow")),
        "{failure:?}"
    );
    std::fs::remove_dir_all(remote.git().dir()).unwrap();
    let parent = Git::at(remote.git().dir().parent().unwrap());
    parent.run(&["init", "-q", "--bare", "-b", "main", "--object-format=sha256", "x.git"]);
    let other = remote.clone_beside("other");
    other.write("a.md", "a").commit("a").run(&["push", "-q", "origin", "HEAD:main"]);
    for failure in
        [here.fetch(&to).await.unwrap_err(), here.wire.tip(&to, &main()).await.unwrap_err()]
    {
        assert!(
            matches!(&failure, Failure::Unsupported { text } if text.contains("SHA-256")),
            "{failure:?}"
        );
    }
}
