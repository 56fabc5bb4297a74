//! What the index costs to build, and what it saves: lists, histories and searches of a large wiki
//! against the same of a small one, in the same run.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]
#![allow(dead_code, reason = "each benchmark uses some of what they share")]

mod common;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::{Row, Times, ms, open, print, ratio, scratch, text};
use wikigrove_storage::{ExistingPath, Most, Wiki};

const LARGE: Size = Size { pages: 10_000, commits: 11_000 };
const SMALL: Size = Size { pages: 100, commits: 160 };
const FOLDERS: usize = 256;
const ROUNDS: usize = 200;
/// A word that is in every hundredth page of the large wiki, and in one of the small one.
const RARE: &str = "quince";
/// A word that is in every page.
const COMMON: &str = "garden";

fn main() {
    let dir = scratch();
    let (large, built) = built(&dir.path().join("large"), |repo| generate(repo, LARGE));
    print(&[
        built.row("building the index: 11,000 commits"),
        imported(dir.path()).row("building the index: a real project"),
    ]);
    let (small, _) = self::built(&dir.path().join("small"), |repo| generate(repo, SMALL));
    print(&against_each_other(&large, &small));
}

/// How many pages, and how many commits that each write one.
#[derive(Clone, Copy)]
struct Size {
    pages: usize,
    commits: usize,
}

/// How an index was built.
struct Built {
    commits: usize,
    seconds: f64,
    /// Bytes by which the most memory ever used grew.
    grown: u64,
}

impl Built {
    fn row(&self, what: &'static str) -> Row {
        Row {
            what,
            ours: format!("{:.0}/s", self.commits as f64 / self.seconds),
            reference: format!(
                "{} in {:.1} s, +{} MB",
                self.commits,
                self.seconds,
                self.grown >> 20
            ),
            ratio: None,
            target: ">= 2,000 commits/s",
        }
    }
}

/// A wiki with the commits that `fill` brings into its repository, indexed from nothing.
fn built(dir: &Path, fill: impl FnOnce(&Path)) -> (Wiki, Built) {
    Wiki::create(dir).unwrap();
    fill(&dir.join("repo"));
    let wiki = open(dir);
    let (before, start) = (peak_memory(), Instant::now());
    wiki.update_index(|_| {}).unwrap();
    let (seconds, grown) = (start.elapsed().as_secs_f64(), peak_memory().saturating_sub(before));
    let commits = git(&dir.join("repo"), &["rev-list", "--count", "HEAD"]).trim().parse().unwrap();
    (wiki, Built { commits, seconds, grown })
}

/// The bundle of a real project's history, where `WIKIGROVE_TEST_DATA` says or beside the checkout.
fn imported(dir: &Path) -> Built {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("WIKIGROVE_TEST_DATA").map_or(beside, Into::into);
    let bundle = data.join("rust-rfcs.bundle");
    let fetch = |repo: &Path| {
        let bundle = bundle.to_str().unwrap();
        git(repo, &["fetch", "--quiet", bundle, "HEAD:refs/heads/main"]);
    };
    built(&dir.join("real"), fetch).1
}

fn git(repo: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("--git-dir").arg(repo).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a history in which each commit writes one page, the first ones new ones.
fn generate(repo: &Path, Size { pages, commits }: Size) {
    let mut import = Command::new("git")
        .arg("--git-dir")
        .arg(repo)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = std::io::BufWriter::new(import.stdin.take().unwrap());
    for n in 0..commits {
        let page = match n {
            _ if n < pages => n,
            _ if n % 10 == 0 => n * 7919 % pages,
            // One page has a long history.
            _ => 1,
        };
        let rare = if page % 100 == 1 { RARE } else { "" };
        let text = format!("{}{rare}\n", text(n));
        let time = 1_600_000_000 + n;
        writeln!(
            input,
            "commit refs/heads/main\ncommitter Git <git@example.org> {time} +0000\ndata 0\n\
             M 100644 inline {}.md\ndata {}\n{text}",
            name(page),
            text.len()
        )
        .unwrap();
    }
    drop(input);
    assert!(import.wait().unwrap().success());
}

fn name(page: usize) -> String {
    format!("{:03}/page-{page:05}", page % FOLDERS)
}

/// What is done, how, and how fast it should be.
type Measured<'a> = (&'static str, &'a dyn Fn(&Wiki) -> usize, &'static str);

/// What everybody does all day, on a large wiki and a small one, turn by turn.
fn against_each_other(large: &Wiki, small: &Wiki) -> Vec<Row> {
    let page = ExistingPath::new(&name(1)).unwrap();
    let history = |wiki: &Wiki| wiki.history(&page, None, Most::items(50)).unwrap().commits.len();
    let links = |wiki: &Wiki| {
        let links = wiki.page_links(&page, None, 50).unwrap();
        1 + links.outgoing.len()
    };
    let work: [Measured<'_>; 6] = [
        (
            "a list of 50 pages",
            &|wiki| wiki.pages("", None, 50).unwrap().len(),
            "<= 2 ms, <= 2 x small",
        ),
        ("50 commits of a page", &history, "<= 2 ms, <= 2 x small"),
        ("the links of a page", &links, "<= 2 ms, <= 2 x small"),
        (
            "50 changes",
            &|wiki| wiki.log(None, Most::items(50)).unwrap().commits.len(),
            "<= 2 ms, <= 2 x small",
        ),
        ("a rare word", &|wiki| wiki.search(RARE, "", 0, 50).unwrap().len(), "<= 5 ms"),
        ("a common word", &|wiki| wiki.search(COMMON, "", 0, 50).unwrap().len(), "<= 20 ms"),
    ];
    work.into_iter()
        .map(|(what, work, target)| {
            let (mut in_large, mut in_small) = (Times::default(), Times::default());
            for _ in 0..ROUNDS {
                in_large.batch(1, || assert!(work(large) > 0));
                in_small.batch(1, || assert!(work(small) > 0));
            }
            let (large, small) = (in_large.median(), in_small.median());
            let reference = format!("{} with 100 pages", ms(small));
            Row { what, ours: ms(large), reference, ratio: ratio(large, small), target }
        })
        .collect()
}

/// The most memory this process ever had, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
