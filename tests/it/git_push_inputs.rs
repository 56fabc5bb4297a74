//! Hostile pushes, driven from `bad_inputs.json` as listed in `bad_inputs.rs`.
//!
//! A client like git would build few of these, so objects are made with the plumbing, packed by name and
//! sent by hand. What is refused leaves the wiki, its files and its objects as they were.

use http::Method;
use serde_json::json;
use testkit::{Answer, Git, TestServer, User, scratch};

use super::bad_inputs::{Bad, driven_by};
use super::git_http::pushing::State;

const NOTHING: &str = "0000000000000000000000000000000000000000";
const AUTHOR: &str = "A <a@example.org> 1600000000 +0000";

/// A wiki with one page, and a repository to make objects in.
struct Garden {
    server: TestServer,
    operator: User,
    editor: User,
    git: Git,
    _place: tempfile::TempDir,
}

/// Objects on their way: the commit, and all that goes with it.
struct Push {
    commit: String,
    objects: Vec<String>,
}

impl Garden {
    async fn new() -> Self {
        let (server, operator, editor) = TestServer::with_garden().await;
        editor.on("garden").create("home", "hello\n").await.good();
        editor.on("garden").pages().await;
        let place = scratch();
        let git = Git::clone(&editor.on("garden").git_url(), place.path().join("clone"));
        Self { server, operator, editor, git, _place: place }
    }

    fn head(&self) -> String {
        self.server.git("garden").run(&["rev-parse", "main"])
    }

    /// An object of any kind and content, as long as git can write it at all.
    fn object(&self, kind: &str, content: &[u8]) -> String {
        let args = ["hash-object", "-t", kind, "-w", "--stdin", "--literally"];
        let id = self.git.run_with(&args, content);
        id.trim().to_owned()
    }

    fn blob(&self, content: &[u8]) -> String {
        self.object("blob", content)
    }

    fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        self.object("tree", &tree(entries))
    }

    fn commit(&self, tree: &str) -> String {
        self.commit_with(tree, &format!("author {AUTHOR}\ncommitter {AUTHOR}\n"), b"a message\n")
    }

    fn commit_with(&self, tree: &str, headers: &str, message: &[u8]) -> String {
        let head = format!("tree {tree}\nparent {}\n{headers}\n", self.head());
        self.object("commit", &[head.as_bytes(), message].concat())
    }

    /// A commit whose tree has these entries, and the objects that they need.
    fn push(&self, entries: &[(&str, &[u8], &str)], needs: &[&str]) -> Push {
        let tree = self.tree(entries);
        let commit = self.commit(&tree);
        let mut objects = vec![commit.clone(), tree];
        objects.extend(needs.iter().map(|id| (*id).to_owned()));
        Push { commit, objects }
    }

    /// A good push, of one page.
    fn page(&self, name: &str) -> Push {
        let blob = self.blob(name.as_bytes());
        self.push(&[("100644", format!("{name}.md").as_bytes(), &blob)], &[&blob])
    }

    fn pack(&self, push: &Push) -> Vec<u8> {
        let list = push.objects.join("\n") + "\n";
        self.git.bytes_with(&["pack-objects", "--stdout", "-q"], list.as_bytes())
    }

    /// Sends a push that a client without any of git's extras could make.
    async fn send(&self, push: &Push) -> Answer {
        let pack = self.pack(push);
        let line = format!("{} {} refs/heads/main\0report-status", self.head(), push.commit);
        self.post(&[&line], &pack).await
    }

    async fn post(&self, lines: &[&str], pack: &[u8]) -> Answer {
        let mut body = Vec::new();
        for line in lines {
            body.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes());
        }
        body.extend_from_slice(b"0000");
        body.extend_from_slice(pack);
        let media_type = "application/x-git-receive-pack-request";
        let call = self.editor.on("garden").git(Method::POST, "/git-receive-pack");
        call.body(media_type, body).await
    }

    /// Checks that a push is refused, whole.
    async fn refuses(&self, id: &str, push: &Push) -> String {
        let before = State::of(&self.server);
        let answer = self.send(push).await;
        let text = String::from_utf8_lossy(answer.bytes()).into_owned();
        assert!(text.contains("ng refs/heads/main "), "{id}: {answer}");
        assert!(!text.contains("ok refs/heads/main"), "{id}: {answer}");
        assert!(!text.contains('\u{1b}') && text.len() < 500, "{id}: {answer}");
        assert_eq!(State::of(&self.server), before, "{id}");
        let pages = self.editor.on("garden").pages().await;
        assert_eq!(pages.len(), 1, "{id}: {pages:?}");
        text
    }

    /// Checks that a push is taken.
    async fn takes(&self, id: &str, push: &Push) {
        let answer = self.send(push).await;
        let text = String::from_utf8_lossy(answer.bytes()).into_owned();
        assert!(text.contains("ok refs/heads/main"), "{id}: {answer}");
        assert_eq!(self.head(), push.commit, "{id}");
        self.server.git("garden").fsck();
    }

    /// What is sent when a push has parts that aren't all there.
    async fn good(self) {
        let push = self.page("tulips");
        self.takes("afterwards", &push).await;
        let page = self.editor.on("garden").read("tulips").await.good();
        assert_eq!(page.json()["content"], "tulips");
    }
}

/// A tree's bytes, in the order that is given.
fn tree(entries: &[(&str, &[u8], &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        let id = data_encoding::HEXLOWER.decode(id.as_bytes()).unwrap();
        bytes.extend_from_slice(&id);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_that_lead_out_of_themselves_are_refused() {
    let garden = Garden::new().await;
    let page = garden.blob(b"text\n");
    let below = garden.tree(&[("100644", b"x.md", &page)]);
    let link = garden.blob(b"/etc/passwd");
    let git = garden.blob(b".git");
    for Bad { id, .. } in driven_by("trees_that_lead_out_of_themselves_are_refused") {
        let push = match id.as_str() {
            "git_push-001" => garden.push(&[("40000", b"..", &below)], &[&below, &page]),
            "git_push-002" => garden.push(&[("40000", b".", &below)], &[&below, &page]),
            "git_push-004" => garden.push(&[("40000", b".GIT", &below)], &[&below, &page]),
            "git_push-005" => garden.push(&[("40000", b"git~1", &below)], &[&below, &page]),
            "git_push-007" => {
                garden.push(&[("40000", ".g\u{200c}it".as_bytes(), &below)], &[&below, &page])
            }
            "git_push-008" => garden.push(&[("100644", b"a/../../x", &page)], &[&page]),
            "git_push-010" => garden.push(&[("100644", b"a\\..\\x.md", &page)], &[&page]),
            "git_push-011" => garden.push(&[("120000", b"page.md", &link)], &[&link]),
            "git_push-013" => garden.push(&[("120000", b"a", &git)], &[&git]),
            "git_push-014" => {
                let entries: [(&str, &[u8], &str); 2] =
                    [("120000", b"a", &link), ("40000", b"a", &below)];
                garden.push(&entries, &[&link, &below, &page])
            }
            "git_push-016" => garden.push(&[("120000", b".gitattributes", &link)], &[&link]),
            "git_push-017" => garden.push(&[("160000", b"module", &"1".repeat(40))], &[]),
            "git_push-019" => {
                let text = b"[submodule \"a\"]\n\tpath = a\n\turl = ext::sh -c id\n";
                let modules = garden.blob(text);
                garden.push(&[("100644", b".gitmodules", &modules)], &[&modules])
            }
            other => panic!("{other} isn't built"),
        };
        garden.refuses(&id, &push).await;
    }
    garden.good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cannot_be_told_apart_or_shown_are_refused() {
    let garden = Garden::new().await;
    let (one, two) = (garden.blob(b"one\n"), garden.blob(b"two\n"));
    for Bad { id, .. } in driven_by("names_that_cannot_be_told_apart_or_shown_are_refused") {
        let pair = |a: &[u8], b: &[u8]| {
            garden.push(&[("100644", a, &one), ("100644", b, &two)], &[&one, &two])
        };
        let push = match id.as_str() {
            "git_push-022" => pair(b"Home.md", b"home.md"),
            "git_push-023" => pair("cafe\u{301}.md".as_bytes(), "caf\u{e9}.md".as_bytes()),
            "git_push-025" => pair(b"x.md", b"x.md"),
            "git_push-026" => pair(b"z.md", b"a.md"),
            "git_push-028" => garden.push(&[("100644", b"a\x1b[31m.md", &one)], &[&one]),
            "git_push-029" => garden.push(&[("100644", b"a\xff\xfe.md", &one)], &[&one]),
            "git_push-032" => {
                let name = "x".repeat(297) + ".md";
                garden.push(&[("100644", name.as_bytes(), &one)], &[&one])
            }
            "git_push-034" => {
                // git reads it as a file, and so does the wiki.
                let garden = Garden::new().await;
                let one = garden.blob(b"one\n");
                let push = garden.push(&[("100666", b"x.md", &one)], &[&one]);
                garden.takes(&id, &push).await;
                garden.editor.on("garden").read("x").await.good();
                continue;
            }
            other => panic!("{other} isn't built"),
        };
        let said = garden.refuses(&id, &push).await;
        if id == "git_push-022" {
            assert!(said.contains("Home.md") && said.contains("home.md"), "{said}");
        }
    }
    garden.good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_broken_or_missing_are_refused() {
    let garden = Garden::new().await;
    let page = garden.blob(b"text\n");
    let good = garden.tree(&[("100644", b"x.md", &page)]);
    let people = format!("author {AUTHOR}\ncommitter {AUTHOR}\n");
    let with =
        |commit: String| Push { objects: vec![commit.clone(), good.clone(), page.clone()], commit };
    for Bad { id, .. } in driven_by("objects_that_are_broken_or_missing_are_refused") {
        let push = match id.as_str() {
            "git_push-037" => garden.push(&[("100644", b"x.md", NOTHING)], &[]),
            "git_push-038" => garden.push(&[("100644", b"x.md", &"2".repeat(40))], &[]),
            "git_push-050" => with(garden.commit_with(&good, &people, b"a\0b\n")),
            "git_push-053" => {
                with(garden.commit_with(&good, &format!("committer {AUTHOR}\n"), b"m\n"))
            }
            other => panic!("{other} isn't built"),
        };
        garden.refuses(&id, &push).await;
    }
    garden.good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_would_fill_memory_or_time_are_refused() {
    let garden = Garden::new().await;
    let page = garden.blob(b"text\n");
    let good = garden.tree(&[("100644", b"x.md", &page)]);
    let nested = |depth: usize| {
        let path = "a/".repeat(depth - 1) + "x.md";
        let stream = format!(
            "commit refs/heads/deep\ncommitter {AUTHOR}\ndata 1\nm\nfrom {}\ndeleteall\nM 100644 inline {path}\ndata 1\nx\n",
            garden.head()
        );
        let deep = ["-c", "core.maxTreeDepth=10000"];
        let git = |args: &[&str], input: &str| {
            garden.git.run_with(&[&deep[..], args].concat(), input.as_bytes())
        };
        git(&["fast-import", "--quiet", "--force"], &stream);
        let commit = git(&["rev-parse", "deep"], "").trim().to_owned();
        let listed = git(&["rev-list", "--objects", "deep", "^main"], "");
        let ids = listed.lines().map(|line| line[..40].to_owned());
        Push { commit, objects: ids.collect() }
    };
    for Bad { id, .. } in driven_by("pushes_that_would_fill_memory_or_time_are_refused") {
        let push = match id.as_str() {
            "git_push-040" => nested(500),
            "git_push-041" => nested(3000),
            "git_push-043" => {
                let mut objects = vec![page.clone()];
                for level in 0..7 {
                    let inner = objects.last().unwrap().clone();
                    let mode = if level == 0 { "100644" } else { "40000" };
                    let names: Vec<String> = (0..10).map(|n| format!("{n}")).collect();
                    let entries: Vec<(&str, &[u8], &str)> =
                        names.iter().map(|name| (mode, name.as_bytes(), inner.as_str())).collect();
                    objects.push(garden.tree(&entries));
                }
                let commit = garden.commit(objects.last().unwrap());
                objects.push(commit.clone());
                Push { commit, objects }
            }
            "git_push-044" => {
                // More than an attachment may have, in a pack of less than a megabyte.
                let zeros = garden.blob(&vec![0; 150_000_000]);
                garden.push(&[("100644", b"zeros.bin", &zeros)], &[&zeros])
            }
            "git_push-056" => {
                let people = format!("author {AUTHOR}\ncommitter {AUTHOR}\n");
                let message = vec![b'm'; 100_000_000];
                let commit = garden.commit_with(&good, &people, &message);
                Push { objects: vec![commit.clone(), good.clone(), page.clone()], commit }
            }
            "git_push-059" => {
                let signature = " x".repeat(60) + "\n";
                let headers = format!(
                    "author {AUTHOR}\ncommitter {AUTHOR}\ngpgsig -----BEGIN-----\n{}",
                    signature.repeat(10_000_000 / signature.len())
                );
                let commit = garden.commit_with(&good, &headers, b"m\n");
                Push { objects: vec![commit.clone(), good.clone(), page.clone()], commit }
            }
            other => panic!("{other} isn't built"),
        };
        garden.refuses(&id, &push).await;
    }
    garden.good().await;
}

/// A pack of two objects: 64 KiB of zeros, and, as a difference from it, these 20,480 times.
const GROWING: &[u8] = b"\
    \x50\x41\x43\x4b\x00\x00\x00\x02\x00\x00\x00\x02\xb0\x80\x20\x78\xda\xed\xc1\x01\x01\x00\
    \x00\x00\x80\x90\xfe\xaf\xee\x08\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x6a\x00\x0f\x00\x01\xe8\x80\x0a\x57\x78\xda\xed\xc1\x31\x01\x00\
    \x30\x0c\xc0\xa0\x67\xf5\x1d\xe9\xad\x89\x7d\x40\xbd\xce\x04\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7c\xb7\x03\x90\x05\x62\x2b\x5c\xba\x88\
    \xea\x13\x2f\x89\x79\x80\x7f\xa6\xf3\x8f\xe7\x29\x6f\x89\x29\x9d";

/// git holds all of an object that is packed as a difference in memory, before anybody can say that it
/// is too large.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_bytes_that_become_gigabytes_are_refused_by_git_already() {
    let garden = Garden::new().await;
    let before = State::of(&garden.server);
    let line = format!("{} {} refs/heads/main\0report-status", garden.head(), "1".repeat(40));
    let text = garden.post(&[&line], GROWING).await.good().text().to_owned();
    assert!(text.contains("ng refs/heads/main can't be unpacked"), "{text}");
    assert_eq!(State::of(&garden.server), before);
    garden.good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_but_harmless_pushes_are_taken() {
    for Bad { id, .. } in driven_by("odd_but_harmless_pushes_are_taken") {
        let garden = Garden::new().await;
        let page = garden.blob(b"text\n");
        let good = garden.tree(&[("100644", b"x.md", &page)]);
        let with = |headers: &str| {
            let commit = garden.commit_with(&good, headers, b"m\n");
            Push { objects: vec![commit.clone(), good.clone(), page.clone()], commit }
        };
        let push = match id.as_str() {
            "git_push-031" => garden.push(&[("100644", b"--help.md", &page)], &[&page]),
            "git_push-035" => garden.push(&[("100755", b"x.md", &page)], &[&page]),
            "git_push-052" => {
                with("author A <a@x> 253402300799 +9999\ncommitter A <a@x> 1600000000 -1200\n")
            }
            "git_push-055" => with(&format!(
                "author Boss <boss@example.org> 1600000000 +0000\ncommitter {AUTHOR}\n"
            )),
            other => panic!("{other} isn't built"),
        };
        garden.takes(&id, &push).await;
        let wiki = garden.editor.on("garden");
        let name = if id == "git_push-031" { "--help" } else { "x" };
        assert_eq!(wiki.read(name).await.good().json()["content"], "text\n", "{id}");
        assert_eq!(wiki.history(name).await.len(), 1, "{id}");
        let changes = wiki.changes().await;
        assert_eq!(changes[0]["revision"], push.commit, "{id}: by who is built on whom");
        let log = garden.server.platform().audit_log(Default::default(), None, 10).await.unwrap();
        let row = log.iter().find(|row| row.what.action == "git.push").unwrap();
        assert_eq!(row.what.detail["new"], push.commit, "{id}");
        assert!(row.what.subject.as_deref().is_some_and(|who| who.starts_with("token:")), "{id}");
    }
}

/// Whichever it is, nothing comes of it: no program reads such files, and none is confused.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_other_programs_would_obey_does_nothing_here() {
    for Bad { id, .. } in driven_by("what_only_other_programs_would_obey_does_nothing_here") {
        let garden = Garden::new().await;
        let push = match id.as_str() {
            "git_push-020" => {
                let file = garden.blob(b"[lfs]\n\turl = https://evil.example\n");
                garden.push(&[("100644", b".lfsconfig", &file)], &[&file])
            }
            "git_push-058" => {
                let page = garden.blob(b"text\n");
                let good = garden.tree(&[("100644", b"x.md", &page)]);
                let headers = format!("author {AUTHOR}\ncommitter {AUTHOR}\nencoding x\ny: z\n");
                let commit = garden.commit_with(&good, &headers, b"m\n");
                Push { objects: vec![commit.clone(), good, page], commit }
            }
            other => panic!("{other} isn't built"),
        };
        let answer = garden.send(&push).await;
        let text = String::from_utf8_lossy(answer.bytes()).into_owned();
        let is_taken = text.contains("ok refs/heads/main");
        assert!(is_taken != text.contains("ng refs/heads/main"), "{id}: {answer}");
        assert_eq!(garden.head() == push.commit, is_taken, "{id}");
        let _ = garden.editor.on("garden").changes().await;
        garden.server.git("garden").fsck();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_or_long_chains_of_small_objects_are_kept_together() {
    for Bad { id, .. } in driven_by("many_or_long_chains_of_small_objects_are_kept_together") {
        let garden = Garden::new().await;
        let mut stream = format!("reset refs/heads/many\nfrom {}\n", garden.head()).into_bytes();
        let (count, name): (usize, fn(usize) -> String) = match id.as_str() {
            "git_push-046" => (20_000, |n| format!("{}/{n}.txt", n / 1000)),
            "git_push-047" => (4_000, |_| "long.txt".to_owned()),
            other => panic!("{other} isn't built"),
        };
        let commits = if id == "git_push-046" { 1 } else { count };
        for commit in 0..commits {
            stream.extend_from_slice(
                format!("commit refs/heads/many\ncommitter {AUTHOR}\ndata 1\nm\n").as_bytes(),
            );
            for n in commit..count.min(commit + count / commits) {
                let text = format!("{}{n}\n", "the same in all of them\n".repeat(10));
                let line = format!("M 100644 inline {}\ndata {}\n{text}\n", name(n), text.len());
                stream.extend_from_slice(line.as_bytes());
            }
        }
        garden.git.bytes_with(&["fast-import", "--quiet", "--depth=4095"], &stream);
        let pushed = garden.git.output(&["push", "-q", "origin", "many:main"]);
        let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
        // Refused with a reason, or there: not loose, one file for each object.
        assert!(pushed.status.success() || said.contains("[remote rejected]"), "{id}: {said}");
        let counted = garden.server.git("garden").run(&["count-objects", "-v"]);
        let loose: usize =
            counted.lines().next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(loose < 1100, "{id}: {counted}");
        let files = garden.server.git("garden").run(&["ls-tree", "-r", "--name-only", "main"]);
        let expected = if id == "git_push-046" { count } else { 1 };
        assert_eq!(files.lines().count() >= expected, pushed.status.success(), "{id}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_but_the_branchs_is_written_to() {
    let garden = Garden::new().await;
    let push = garden.page("tulips");
    let pack = garden.pack(&push);
    let before = State::of(&garden.server);
    let (head, new) = (garden.head(), push.commit.clone());
    let line = |old: &str, new: &str, name: &str| format!("{old} {new} {name}\0report-status");
    for Bad { id, .. } in driven_by("no_name_but_the_branchs_is_written_to") {
        let lines = match id.as_str() {
            "git_push-061" => vec![line(NOTHING, &new, "refs/heads/main.lock")],
            "git_push-062" => vec![line(NOTHING, &new, "refs/heads/main/b")],
            "git_push-064" => vec![
                line(NOTHING, &new, "refs/heads/$(touch${IFS}x)"),
                line(NOTHING, &new, "refs/heads/`touch${IFS}x`"),
                line(NOTHING, &new, "refs/heads/$(touch x)"),
            ],
            "git_push-065" => vec![line(NOTHING, &new, "refs/wiki/internal/x")],
            "git_push-067" => vec![line(&head, NOTHING, "refs/heads/main")],
            other => panic!("{other} isn't built"),
        };
        for line in lines {
            let pack: &[u8] = if id == "git_push-067" { &[] } else { &pack };
            let answer = garden.post(&[&line], pack).await;
            let text = String::from_utf8_lossy(answer.bytes()).into_owned();
            assert!(answer.status() == 400 || text.contains("ng refs/"), "{id}: {answer}");
            assert_eq!(State::of(&garden.server), before, "{id}: {line}");
        }
    }
    garden.good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_not_replaced_by_force() {
    let garden = Garden::new().await;
    let [Bad { id, .. }] = &driven_by("a_history_is_not_replaced_by_force")[..] else { panic!() };
    let page = garden.blob(b"other\n");
    let tree = garden.tree(&[("100644", b"x.md", &page)]);
    let people = format!("tree {tree}\nauthor {AUTHOR}\ncommitter {AUTHOR}\n\nm\n");
    let commit = garden.object("commit", people.as_bytes());
    let push = Push { objects: vec![commit.clone(), tree, page], commit };
    let said = garden.refuses(id, &push).await;
    assert!(said.contains("non-fast-forward"), "{said}");
    // Not even where it is allowed, by an editor.
    let allowed = json!({ "git_force_push": true });
    garden.operator.on("garden").change_preferences(allowed).await.good();
    garden.refuses(id, &push).await;
    garden.good().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_is_asked_for_is_read_before_git_reads_it() {
    let garden = Garden::new().await;
    let push = garden.page("tulips");
    let pack = garden.pack(&push);
    let before = State::of(&garden.server);
    let head = garden.head();
    let wiki = garden.editor.on("garden");
    let fetch = |protocol: &str, body: String| {
        wiki.git(Method::POST, "/git-upload-pack")
            .header("git-protocol", protocol)
            .body("application/x-git-upload-pack-request", body)
    };
    let packet = |line: &str| format!("{:04x}{line}", line.len() + 4);
    let two = |lines: &[&str]| {
        let lines: String = lines.iter().map(|line| packet(line)).collect();
        format!("{}0001{lines}0000", packet("command=fetch"))
    };
    for Bad { id, .. } in driven_by("what_git_is_asked_for_is_read_before_git_reads_it") {
        match id.as_str() {
            "git_push-070" => {
                let line = format!("{head} {} refs/heads/main\0report-status", push.commit);
                let options = garden.post(&[&format!("{line} push-options")], &pack).await;
                assert_eq!(options.status(), 400, "{id}: {options}");
                let signed = garden.post(&["push-cert\0report-status", &line], &pack).await;
                assert_eq!(signed.status(), 400, "{id}: {signed}");
                let offered = wiki.git(Method::GET, "/info/refs?service=git-receive-pack").await;
                let offered = offered.good();
                let offered = String::from_utf8_lossy(offered.bytes()).into_owned();
                assert!(!offered.contains("push-cert") && !offered.contains("push-options"));
            }
            "git_push-071" => {
                let reader = garden.operator.token("garden", "reader").await;
                let ask = |method, path| reader.on("garden").git(method, path);
                let asked = ask(Method::GET, "/info/refs?service=git-receive-pack").await;
                assert_eq!(asked.status(), 403, "{id}: {asked}");
                let media_type = "application/x-git-receive-pack-request";
                let sent = ask(Method::POST, "/git-receive-pack").body(media_type, "0000").await;
                assert_eq!(sent.status(), 403, "{id}: {sent}");
            }
            "git_push-073" => {
                let asked = wiki.git(Method::GET, "/info/refs?service=git-upload-pack%00").await;
                assert_eq!(asked.status(), 400, "{id}: {asked}");
            }
            "git_push-074" => {
                for odd in ["version=2:GIT_TRACE=/tmp/x", "version=2\tx", "version=22", "x"] {
                    let asked = wiki.git(Method::GET, "/info/refs?service=git-upload-pack");
                    let asked = asked.header("git-protocol", odd).await.good();
                    let text = String::from_utf8_lossy(asked.bytes()).into_owned();
                    assert!(text.starts_with("001e# service=git-upload-pack\n"), "{id}: {text}");
                    assert!(!text.contains("version 2"), "{id}: {text}");
                }
            }
            "git_push-076" => {
                let secret = garden.server.git("garden");
                let secret = secret.run_with(&["hash-object", "-w", "--stdin"], b"secret");
                let page = garden.server.git("garden").run(&["rev-parse", "main:home.md"]);
                for hidden in [secret.trim(), &page, &"3".repeat(40)] {
                    let asked = two(&[&format!("want {hidden}"), "done"]);
                    for protocol in ["version=2", "version=1", "version=0"] {
                        let plain = format!(
                            "{}0000{}",
                            packet(&format!("want {hidden}\n")),
                            packet("done\n")
                        );
                        let asked = if protocol == "version=2" { asked.clone() } else { plain };
                        let answer = fetch(protocol, asked).await;
                        let text = String::from_utf8_lossy(answer.bytes()).into_owned();
                        assert!(
                            text.contains("not our ref") && !text.contains("PACK"),
                            "{id}: {text}"
                        );
                    }
                }
                let folder = garden.server.git("garden").dir().join("objects").join(&secret[..2]);
                std::fs::remove_dir_all(folder).unwrap();
            }
            "git_push-077" => {
                for filter in ["sparse:oid=main", "tree:0", "blob:none"] {
                    let want = format!("want {head}");
                    let asked = two(&[&want, &format!("filter {filter}"), "deepen 1", "done"]);
                    let answer = fetch("version=2", asked).await;
                    let text = String::from_utf8_lossy(answer.bytes()).into_owned();
                    assert!(!text.contains("PACK"), "{id}: {text}");
                }
            }
            other => panic!("{other} isn't built"),
        }
        assert_eq!(State::of(&garden.server), before, "{id}");
    }
    garden.good().await;
}
