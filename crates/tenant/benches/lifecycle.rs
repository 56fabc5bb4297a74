//! How long it takes until a wiki is there: created on the disk, created in memory, opened again.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

mod report;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use wikigrove_tenant::{Base, Caller, Platform, Settings};

const MILLISECOND: Duration = Duration::from_millis(1);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    created_on_disk(&runtime);
    created_in_memory(&runtime);
    opened_again(&runtime);
}

fn created_on_disk(runtime: &Runtime) {
    let scratch = tempfile::tempdir().unwrap();
    let platform = runtime.block_on(Platform::open(scratch.path().join("data"))).unwrap();
    let create = |number: usize| {
        runtime.block_on(platform.create(&format!("wiki-{number}"))).unwrap();
    };
    create(100_000);
    // In turns, as the disk is faster at one moment than at the next; but not with git, whose files
    // our syncs would have to wait for.
    let (mut ours, mut sync) = (Vec::new(), Vec::new());
    for number in 0..200 {
        ours.push(report::once(|| create(number)));
        sync.push(report::once(|| write_and_sync(&scratch.path().join(format!("file-{number}")))));
    }
    let git = report::each(50, |number| git_init(&scratch.path().join(format!("git-{number}"))));
    let reference = ("git init --bare, not durable", git);
    report::line("create a wiki, durably", report::median(ours), reference, 10 * MILLISECOND);
    println!("    one new file written and synced: {:.2?}", report::median(sync));
}

fn created_in_memory(runtime: &Runtime) {
    let platform = runtime.block_on(Platform::in_memory()).unwrap();
    let reference = report::each(50, |number| git_init(&platform.dir().join(number.to_string())));
    let reference = ("git init --bare in memory", reference);
    let create = |platform: &Platform, name: &str| {
        runtime.block_on(async {
            let wiki = platform.create(name).await.unwrap();
            wiki.save("home", "red", Base::New).await.unwrap();
        });
    };
    create(&platform, "first");
    let ours = report::each(300, |number| create(&platform, &format!("wiki-{number}")));
    let target = Duration::from_micros(1_500);
    report::line("in memory: create a wiki and save a page", ours, reference, target);
    let ours = report::each(300, |number| {
        runtime.block_on(platform.create(&format!("empty-{number}"))).unwrap();
    });
    report::line("in memory: create a wiki", ours, reference, target);
    let mut platforms = Vec::new();
    let ours = report::each(200, |_| {
        let platform = runtime.block_on(Platform::in_memory()).unwrap();
        runtime.block_on(platform.create("a")).unwrap();
        // Removed after the measurement.
        platforms.push(platform);
    });
    report::line("in memory: a platform and a wiki", ours, reference, target);
}

fn opened_again(runtime: &Runtime) {
    const WIKIS: usize = 200;
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("data");
    let platform = runtime.block_on(Platform::open(&dir)).unwrap();
    runtime.block_on(async {
        for number in 0..WIKIS {
            let wiki = platform.create(&format!("wiki-{number}")).await.unwrap();
            for page in 0..5 {
                wiki.save(&format!("page-{page}"), "# A page\n", Base::New).await.unwrap();
            }
        }
        platform.close().await;
    });
    drop(platform);
    let reference = report::each(WIKIS, |number| open_with_sqlite(&dir, number));
    let reference = ("SQLite alone: open and read a row", reference);

    let platform = runtime.block_on(Platform::open(&dir)).unwrap();
    let ours = report::each(WIKIS, |number| first_request(runtime, &platform, number));
    report::line("first request to a closed wiki", ours, reference, 3 * MILLISECOND);
    drop(platform);

    let settings = Settings { open_wikis: 20, ..Settings::default() };
    let started = Instant::now();
    let platform = runtime.block_on(Platform::open_with(&dir, settings)).unwrap();
    println!("    start of a platform with {WIKIS} wikis: {:.2?}", started.elapsed());
    for number in 0..20 {
        first_request(runtime, &platform, number);
    }
    let ours = report::each(WIKIS - 20, |number| first_request(runtime, &platform, number + 20));
    report::line(
        "the same, when another one must be closed for it",
        ours,
        reference,
        3 * MILLISECOND,
    );
}

fn first_request(runtime: &Runtime, platform: &Platform, number: usize) {
    runtime.block_on(async {
        let wiki = platform.wiki(&format!("wiki-{number}"), Caller::operator()).await.unwrap();
        assert_eq!(wiki.read("page-3").await.unwrap().content, "# A page\n");
    });
}

fn open_with_sqlite(dir: &Path, number: usize) {
    let file = dir.join(format!("wikis/wiki-{number}/wiki.db"));
    let connection = rusqlite::Connection::open(file).unwrap();
    let count: i64 =
        connection.query_row("select count(*) from page", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 5);
}

fn git_init(dir: &Path) {
    let made = Command::new("git").args(["init", "--quiet", "--bare"]).arg(dir).status().unwrap();
    assert!(made.success());
}

fn write_and_sync(file: &Path) {
    let mut file = std::fs::File::create_new(file).unwrap();
    file.write_all(&[7; 4096]).unwrap();
    file.sync_all().unwrap();
}
