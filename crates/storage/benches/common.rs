//! What the benchmarks share: scratch wikis on a real disk, and batches that alternate.
//!
//! A disk's speed changes from minute to minute, so nothing is judged by its own milliseconds:
//! whatever is compared is measured in the same run, in small batches, turn by turn.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wikigrove_storage::{
    Author, Base, Etag, ExistingPath, Options, PagePath, Resources, Save, Wiki,
};

/// A directory on the disk that holds the build, which a temporary directory often isn't; or where
/// `WIKIGROVE_BENCH_DIR` says.
///
/// ext4 without a journal searches ever longer for a free inode while thousands of files were
/// deleted in the last minutes (as by a build). A save makes five files, so measure elsewhere then.
pub(crate) fn scratch() -> tempfile::TempDir {
    let here = std::env::var_os("WIKIGROVE_BENCH_DIR");
    let dir = here.map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    tempfile::Builder::new().prefix("bench-").tempdir_in(dir).unwrap()
}

/// A wiki, and the versions of the pages made in it.
pub(crate) struct Bench {
    pub(crate) wiki: Wiki,
    dir: PathBuf,
    pages: Vec<(PagePath, Etag)>,
    next: usize,
}

impl Bench {
    /// A wiki of `pages` pages in `folders` folders (0: all beside each other), all checkpointed.
    pub(crate) fn new(dir: &Path, pages: usize, folders: usize) -> Self {
        Wiki::create(dir).unwrap();
        let wiki = open(dir);
        let mut bench = Self { wiki, dir: dir.to_owned(), pages: Vec::new(), next: 0 };
        if folders == 0 && pages > 1000 {
            bench.import_flat(pages);
        } else {
            for n in 0..pages {
                let folder = if folders == 0 { String::new() } else { format!("{}/", n % folders) };
                bench.create(&format!("{folder}page-{n:05}"));
            }
        }
        bench.wiki.checkpoint().unwrap();
        bench
    }

    /// Ten thousand saves take minutes; `git fast-import` makes the same pages in a second.
    fn import_flat(&mut self, pages: usize) {
        use std::io::Write as _;
        let mut git = std::process::Command::new("git")
            .arg("--git-dir")
            .arg(self.dir.join("repo"))
            .args(["fast-import", "--quiet"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = git.stdin.take().unwrap();
        writeln!(input, "commit refs/heads/main\ncommitter Git <git@example.org> 1 +0000\ndata 0")
            .unwrap();
        for n in 0..pages {
            let text = text(n);
            writeln!(input, "M 100644 inline page-{n:05}.md\ndata {}\n{text}", text.len()).unwrap();
        }
        drop(input);
        assert!(git.wait().unwrap().success());
        for page in self.wiki.pages("", None, pages).unwrap() {
            self.pages.push((PagePath::new(&page.path).unwrap(), page.etag));
        }
    }

    /// Opens a wiki that exists.
    pub(crate) fn open(dir: &Path, resources: &Resources) -> Self {
        let wiki = Wiki::open(dir, Options::new("bench"), resources).unwrap();
        Self { wiki, dir: dir.to_owned(), pages: Vec::new(), next: 0 }
    }

    /// The same wiki after closing and opening it.
    pub(crate) fn reopened(self) -> Self {
        self.wiki.close().unwrap();
        let Self { wiki, dir, pages, next } = self;
        drop(wiki);
        Self { wiki: open(&dir), dir, pages, next }
    }

    pub(crate) fn page(&self, at: usize) -> ExistingPath {
        ExistingPath::clone(&self.pages[at].0)
    }

    /// Adds a page from any thread; its version isn't remembered.
    pub(crate) fn create_shared(&self, path: &str) {
        save(&self.wiki, &PagePath::new(path).unwrap(), Base::New, path.len());
    }

    pub(crate) fn create(&mut self, path: &str) {
        let path = PagePath::new(path).unwrap();
        let saved = save(&self.wiki, &path, Base::New, self.next);
        self.next += 1;
        self.pages.push((path, saved));
    }

    /// Writes a new text to the next page, round and round.
    pub(crate) fn update(&mut self) {
        let at = self.next.wrapping_mul(7919) % self.pages.len();
        let (path, etag) = &mut self.pages[at];
        *etag = save(&self.wiki, path, Base::Version(*etag), 1_000_000 + self.next);
        self.next += 1;
    }
}

pub(crate) fn open(dir: &Path) -> Wiki {
    Wiki::open(dir, Options::new("bench"), &Resources::default()).unwrap()
}

fn save(wiki: &Wiki, path: &PagePath, base: Base, seed: usize) -> Etag {
    let author = Author::new("Ada", "ada@example.org");
    let content = text(seed);
    let save = Save {
        path,
        content: content.as_bytes(),
        base,
        author: &author,
        message: None,
        merge: true,
    };
    wiki.save(&save).unwrap().etag
}

/// About 5 KB of Markdown that compresses like prose, different for every seed.
pub(crate) fn text(seed: usize) -> String {
    const WORDS: [&str; 16] = [
        "rose",
        "garden",
        "water",
        "in",
        "the",
        "early",
        "morning",
        "and",
        "prune",
        "after",
        "frost",
        "a",
        "south-facing",
        "wall",
        "keeps",
        "warmth",
    ];
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = format!("# Page {seed}\n\n");
    while text.len() < 5000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[(state % 16) as usize]);
        text.push(if state.is_multiple_of(11) { '\n' } else { ' ' });
    }
    text
}

/// How long batches took, per operation.
#[derive(Default)]
pub(crate) struct Times {
    batches: Vec<Duration>,
}

impl Times {
    /// Runs `work` `times` times as one batch.
    pub(crate) fn batch(&mut self, times: u32, mut work: impl FnMut()) {
        let start = Instant::now();
        (0..times).for_each(|_| work());
        self.batches.push(start.elapsed() / times);
    }

    pub(crate) fn push(&mut self, time: Duration) {
        self.batches.push(time);
    }

    pub(crate) fn median(&mut self) -> Duration {
        self.batches.sort_unstable();
        self.batches[self.batches.len() / 2]
    }
}

/// One line of the answer.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) ours: String,
    pub(crate) reference: String,
    pub(crate) ratio: Option<f64>,
    pub(crate) target: &'static str,
}

pub(crate) fn print(rows: &[Row]) {
    println!("{:<46} {:>12} {:>26} {:>7}  target", "", "ours", "reference", "ratio");
    for Row { what, ours, reference, ratio, target } in rows {
        let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        println!("{what:<46} {ours:>12} {reference:>26} {ratio:>7}  {target}");
    }
}

pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

pub(crate) fn ratio(one: Duration, other: Duration) -> Option<f64> {
    Some(one.as_secs_f64() / other.as_secs_f64())
}
