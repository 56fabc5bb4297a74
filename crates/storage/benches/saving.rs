//! What a durable save costs, against the least that a durable write of the same bytes can cost.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]
#![allow(dead_code, reason = "each benchmark uses some of what they share")]

mod common;

use std::path::Path;

use common::{Bench, Row, Times, ms, print, ratio, scratch, text};
use rusqlite::Connection;
use wikigrove_storage::LinkId;

const ROUNDS: usize = 30;
const BATCH: u32 = 16;
const WRITERS: usize = 16;

fn main() {
    let dir = scratch();
    let rows = [
        against_sqlite(dir.path()),
        with_a_link(dir.path()),
        writers_on_one_wiki(dir.path()),
        writers_on_many_wikis(dir.path()),
    ];
    print(&rows);
    print(&flat_folder(dir.path()));
}

/// The least that a durable write can cost: one row, one transaction, the same settings.
struct Reference(Connection, std::path::PathBuf, usize);

impl Reference {
    fn new(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch(
                "pragma journal_mode = wal; pragma synchronous = full;
                 create table page (id integer primary key, content blob not null)",
            )
            .unwrap();
        Self(connection, path.to_owned(), 0)
    }

    fn save(&mut self) {
        let content = text(self.2);
        self.2 += 1;
        let mut insert = self.0.prepare_cached("insert into page (content) values (?1)").unwrap();
        insert.execute([content.as_bytes()]).unwrap();
    }

    fn log(&self) -> u64 {
        log_size(&self.1)
    }
}

fn log_size(database: &Path) -> u64 {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).map_or(0, |metadata| metadata.len())
}

fn against_sqlite(dir: &Path) -> Row {
    let mut bench = Bench::new(&dir.join("saves"), 100, 10);
    let mut reference = Reference::new(&dir.join("reference.db"));
    let (our_log, their_log) = bytes_logged(dir, &mut reference);
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        ours.batch(BATCH, || bench.update());
        theirs.batch(BATCH, || reference.save());
    }
    let (ours, theirs) = (ours.median(), theirs.median());
    println!("log bytes an operation: ours {our_log}, SQLite's {their_log}");
    Row {
        what: "durable save of 5 KB, 100 pages in 10 folders",
        ours: ms(ours),
        reference: format!("{} one row in SQLite", ms(theirs)),
        ratio: ratio(theirs, ours),
        target: ">= 0.60 of its rate",
    }
}

/// What it costs that a link has to get every save.
fn with_a_link(dir: &Path) -> Row {
    let mut without = Bench::new(&dir.join("without"), 100, 10);
    let mut with = Bench::new(&dir.join("with"), 100, 10);
    with.wiki.set_links(vec![LinkId(1)]);
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        ours.batch(BATCH, || with.update());
        theirs.batch(BATCH, || without.update());
    }
    let (ours, theirs) = (ours.median(), theirs.median());
    Row {
        what: "a save that a link has to get",
        ours: ms(ours),
        reference: format!("{} without a link", ms(theirs)),
        ratio: ratio(ours, theirs),
        target: "<= 1.10 of its time",
    }
}

/// In a log that has not been written back since, so that its size is the sum.
fn bytes_logged(dir: &Path, reference: &mut Reference) -> (u64, u64) {
    const TIMES: u64 = 32;
    let mut bench = Bench::new(&dir.join("logged"), 100, 10);
    bench = bench.reopened();
    let database = dir.join("logged/wiki.db");
    let before = (log_size(&database), reference.log());
    for _ in 0..TIMES {
        bench.update();
        reference.save();
    }
    let after = (log_size(&database), reference.log());
    ((after.0 - before.0) / TIMES, (after.1 - before.1) / TIMES)
}

fn writers_on_one_wiki(dir: &Path) -> Row {
    let alone = Bench::new(&dir.join("alone"), 100, 10);
    let shared = Bench::new(&dir.join("shared"), 100, 10);
    writers("16 writers on one wiki, a new page", &alone, |_| &shared)
}

fn writers_on_many_wikis(dir: &Path) -> Row {
    let alone = Bench::new(&dir.join("alone-2"), 100, 10);
    let wikis: Vec<_> =
        (0..WRITERS).map(|n| Bench::new(&dir.join(format!("wiki-{n}")), 100, 10)).collect();
    writers("16 writers on 16 wikis, a new page", &alone, |writer| &wikis[writer])
}

/// One writer and sixteen write the same pages in turns, four for each of the sixteen.
fn writers<'a>(what: &'static str, alone: &Bench, wiki: impl Fn(usize) -> &'a Bench + Sync) -> Row {
    let create = |bench: &Bench, round: usize, writer: usize| {
        for n in 0..4 {
            bench.create_shared(&format!("{writer}/new-{round}-{n}"));
        }
    };
    let (mut one, mut many) = (Times::default(), Times::default());
    for round in 0..ROUNDS / 2 {
        one.batch(1, || (0..WRITERS).for_each(|writer| create(alone, round, writer)));
        many.batch(1, || together(|writer| create(wiki(writer), round, writer)));
    }
    let saves = WRITERS as u32 * 4;
    let (one, many) = (one.median() / saves, many.median() / saves);
    Row {
        what,
        ours: ms(many),
        reference: format!("{} one writer", ms(one)),
        ratio: ratio(one, many),
        target: ">= 1 of its rate",
    }
}

fn together(work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let work = &work;
            scope.spawn(move || work(writer));
        }
    });
}

fn flat_folder(dir: &Path) -> [Row; 2] {
    let mut small = Bench::new(&dir.join("small"), 100, 0);
    let mut large = Bench::new(&dir.join("large"), 10_000, 0);
    let mut times: [Times; 4] = Default::default();
    for round in 0..ROUNDS {
        times[0].batch(4, || small.update());
        times[1].batch(4, || large.update());
        times[2].batch(1, || small.create(&format!("new-{round}")));
        times[3].batch(1, || large.create(&format!("new-{round}")));
    }
    let [small_update, large_update, small_create, large_create] =
        times.map(|mut times| times.median());
    let row = |what, large, small| Row {
        what,
        ours: ms(large),
        reference: format!("{} into 100 pages", ms(small)),
        ratio: ratio(large, small),
        target: "<= 8",
    };
    [
        row("change one of 10,000 pages in a folder", large_update, small_update),
        row("add a page to 10,000 in a folder", large_create, small_create),
    ]
}
