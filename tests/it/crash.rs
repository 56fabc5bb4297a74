//! The server is killed in the middle of everything, again and again: what it acknowledged is there.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use testkit::{Git, OnWiki, Program, User};

const WIKIS: [&str; 3] = ["garden", "kitchen", "shed"];
const WRITERS: usize = 6;
/// More or fewer rounds than CI runs.
const ROUNDS: &str = "WIKIGROVE_CRASH_ROUNDS";

/// A save that was answered with 200 or 201.
#[derive(Clone, Debug)]
struct Acknowledged {
    wiki: &'static str,
    path: String,
    revision: String,
    etag: String,
}

/// What the server promised so far.
#[derive(Default)]
struct Promises {
    saves: Mutex<Vec<Acknowledged>>,
    wikis: Mutex<Vec<String>>,
}

/// A number that differs from call to call and from run to run.
fn random(below: u64) -> u64 {
    getrandom::u64().unwrap() % below
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_kills_lose_nothing_that_was_acknowledged() {
    let rounds = std::env::var(ROUNDS).map_or(200, |rounds| rounds.parse().unwrap());
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let promises = Arc::new(Promises::default());
    let mut checked = 0;
    for round in 0..rounds {
        let server = program.serve();
        let operator = server.operator();
        if round == 0 {
            for wiki in WIKIS {
                operator.create_wiki(wiki).await.good();
            }
        }
        // Whatever the last round left behind, every wiki can be written at once.
        every_wiki_is_writable(&operator, &promises, round).await;
        checked = every_promise_is_kept(&program, &promises, checked);
        let load = Load::start(&operator, &promises, round);
        tokio::time::sleep(Duration::from_millis(20 + random(60))).await;
        server.kill();
        load.end().await;
        for wiki in WIKIS {
            plant_damage(&program.git(wiki), &wiki_db(&program, wiki), round);
        }
    }
    let server = program.serve();
    every_wiki_is_writable(&server.operator(), &promises, rounds).await;
    lists_agree_with_git(&program, &server.operator()).await;
    server.stop();
    every_promise_is_kept(&program, &promises, 0);
    WIKIS.iter().for_each(|wiki| program.git(wiki).fsck());
    let saves = promises.saves.lock().unwrap().len();
    assert!(saves > rounds * WRITERS, "only {saves} saves: this tests nothing");
}

/// Writers on all wikis, and somebody who creates wikis, until the server is gone.
struct Load {
    over: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(operator: &User, promises: &Arc<Promises>, round: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let numbers = Arc::new(AtomicUsize::new(0));
        let mut tasks: Vec<_> = (0..WRITERS)
            .map(|_| {
                let (operator, promises) = (operator.clone(), promises.clone());
                let (over, numbers) = (over.clone(), numbers.clone());
                wikigrove_tenant::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        write_somewhere(&operator, &promises, round, number).await;
                    }
                })
            })
            .collect();
        let (operator, promises, stop) = (operator.clone(), promises.clone(), over.clone());
        tasks.push(wikigrove_tenant::spawn(async move {
            for number in 0.. {
                let slug = format!("new-{round}-{number}");
                match operator.create_wiki(&slug).attempt().await {
                    Ok(answer) if answer.status() == 201 => {
                        promises.wikis.lock().unwrap().push(slug)
                    }
                    _ if stop.load(Ordering::Relaxed) => break,
                    _ => {}
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }));
        Self { over, tasks }
    }

    async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// One attempt to create or change a page that others write, too.
async fn write_somewhere(operator: &User, promises: &Promises, round: usize, number: usize) {
    let wiki = WIKIS[random(3) as usize];
    let path = format!("dir-{}/page-{}", random(2), random(4));
    let on = operator.on(wiki);
    let Ok(read) = on.read(&path).attempt().await else { return };
    let line = format!("{round} {number}\n");
    let answer = match read.status() {
        200 => {
            let page = read.json();
            let mut text = page["content"].as_str().unwrap().to_owned();
            if text.len() > 4000 {
                text.clear();
            }
            on.save(&path, page["etag"].as_str().unwrap(), &(text + &line)).attempt().await
        }
        _ => on.create(&path, &line).attempt().await,
    };
    if let Ok(answer) = answer {
        assert!(answer.status() < 500, "{}", answer.text());
        note(promises, wiki, answer.status(), &answer.json());
    }
}

fn note(promises: &Promises, wiki: &'static str, status: u16, answer: &Value) {
    if status == 200 || status == 201 {
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let (path, revision, etag) = (text("path"), text("revision"), text("etag"));
        promises.saves.lock().unwrap().push(Acknowledged { wiki, path, revision, etag });
    }
}

async fn every_wiki_is_writable(operator: &User, promises: &Promises, round: usize) {
    for wiki in WIKIS {
        let saved = operator.on(wiki).create(&format!("alive/{round}"), "text").await;
        note(promises, wiki, saved.status(), &saved.good().json());
    }
    let created = promises.wikis.lock().unwrap().clone();
    if let Some(newest) = created.last() {
        let page: OnWiki = operator.on(newest);
        let saved = page.create(&format!("alive/{round}"), "text").await;
        assert!(matches!(saved.status(), 200 | 201), "{newest}: {}", saved.text());
    }
}

/// Every acknowledged revision is in the history of the branch, with the page as it was answered.
/// Looks at the saves from `first` on and returns how many there are.
fn every_promise_is_kept(program: &Program, promises: &Promises, first: usize) -> usize {
    let saves = promises.saves.lock().unwrap().clone();
    for wiki in WIKIS {
        let git = program.git(wiki);
        let history: HashSet<String> =
            git.run(&["rev-list", "main"]).lines().map(str::to_owned).collect();
        let mine: Vec<_> = saves[first..].iter().filter(|save| save.wiki == wiki).collect();
        let names = mine.iter().map(|save| format!("{}:{}.md", save.revision, save.path));
        let blobs = object_names(&git, names.collect());
        for (save, blob) in mine.iter().zip(blobs) {
            assert!(history.contains(&save.revision), "lost: {save:?}");
            assert_eq!(blob, save.etag, "another text: {save:?}");
        }
    }
    saves.len()
}

/// What each name means, by one git process.
fn object_names(git: &Git, names: Vec<String>) -> Vec<String> {
    let mut command = git.command();
    command
        .args(["cat-file", "--batch-check=%(objectname)"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        names.iter().for_each(|name| writeln!(input, "{name}").unwrap());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The list of pages is what the branch has, and each page is last changed where git says.
async fn lists_agree_with_git(program: &Program, operator: &User) {
    for wiki in WIKIS {
        let git = program.git(wiki);
        let listed: HashMap<String, String> = operator
            .on(wiki)
            .pages()
            .await
            .iter()
            .map(|page| {
                let text = |name: &str| page[name].as_str().unwrap().to_owned();
                (format!("{}.md", text("path")), text("revision"))
            })
            .collect();
        let files: HashSet<String> =
            git.run(&["ls-tree", "-r", "--name-only", "main"]).lines().map(str::to_owned).collect();
        assert_eq!(listed.keys().cloned().collect::<HashSet<_>>(), files);
        for file in files.iter().filter(|file| file.starts_with("dir-")) {
            assert_eq!(listed[file], git.run(&["log", "-1", "--format=%H", "main", "--", file]));
        }
    }
}

fn wiki_db(program: &Program, wiki: &str) -> PathBuf {
    program.data().join("wikis").join(wiki).join("wiki.db")
}

/// What a kill or a power cut leaves behind now and then, made certain.
fn plant_damage(git: &Git, wiki_db: &Path, round: usize) {
    match round % 4 {
        1 => std::fs::write(git.dir().join("refs/heads/main.lock"), "").unwrap(),
        2 => empty_the_objects_of_waiting_saves(git, wiki_db),
        3 => {
            std::fs::write(git.dir().join("objects/tmp_obj_left"), "half").unwrap();
            empty_the_branch(git, wiki_db);
        }
        _ => {}
    }
}

/// The objects that a power cut may leave empty: those of saves that were not checkpointed.
fn empty_the_objects_of_waiting_saves(git: &Git, wiki_db: &Path) {
    for (old, new) in waiting(wiki_db) {
        let range: Vec<String> = match old {
            Some(old) => vec![new, format!("^{old}")],
            None => vec![new],
        };
        let mut args = vec!["rev-list", "--objects", "--no-object-names"];
        args.extend(range.iter().map(String::as_str));
        // A save that never reached the repository has nothing to lose there.
        let listed = git.output(&args);
        for id in String::from_utf8_lossy(&listed.stdout).lines() {
            let path = git.dir().join("objects").join(&id[..2]).join(&id[2..]);
            if std::fs::remove_file(&path).is_ok() {
                std::fs::write(&path, "").unwrap();
            }
        }
    }
}

fn empty_the_branch(git: &Git, wiki_db: &Path) {
    if !waiting(wiki_db).is_empty() {
        std::fs::write(git.dir().join("refs/heads/main"), "").unwrap();
    }
}

/// The newest saves that wait for a checkpoint: where the branch was before and after each.
fn waiting(wiki_db: &Path) -> Vec<(Option<String>, String)> {
    let hex = |bytes: [u8; 20]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let db = Connection::open(wiki_db).unwrap();
    let mut select = db.prepare("select old, new from redo order by seq desc limit 5").unwrap();
    let rows = select
        .query_map([], |row| Ok((row.get::<_, Option<[u8; 20]>>(0)?.map(hex), hex(row.get(1)?))));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// Sixteen clients change one page, each retrying as the answers tell it to.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_savers_of_one_page_lose_nothing() {
    let (server, _operator, editor) = testkit::TestServer::with_garden().await;
    let sections: String = (0..16).map(|n| format!("section {n}\n\n\n")).collect();
    editor.on("garden").create("home", &sections).await.good();
    let clients = (0..16).map(|client| {
        let garden = editor.on("garden");
        wikigrove_tenant::spawn(async move {
            let mut answered = Vec::new();
            for round in 0..5 {
                answered.push(append(&garden, client, round).await);
            }
            answered
        })
    });
    let mut answered = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        answered.extend(client.await.unwrap());
    }
    let history: HashSet<String> =
        server.git("garden").run(&["rev-list", "main"]).lines().map(str::to_owned).collect();
    for (revision, text) in answered {
        assert!(history.contains(&revision));
        let stored = server.git("garden").bytes(&["show", &format!("{revision}:home.md")]);
        assert_eq!(String::from_utf8(stored).unwrap(), text);
    }
    let now = editor.on("garden").read("home").await.good().json();
    let text = now["content"].as_str().unwrap();
    for client in 0..16 {
        for round in 0..5 {
            assert_eq!(text.matches(&format!("line {client}-{round}\n")).count(), 1, "{text}");
        }
    }
}

/// Adds a line to a client's own section, on top of whatever is there. Returns the revision that was
/// answered and the text that it must have.
async fn append(garden: &OnWiki, client: usize, round: usize) -> (String, String) {
    loop {
        let page = garden.read("home").await.good().json();
        let section = format!("section {client}\n");
        let text = page["content"].as_str().unwrap();
        let text = text.replace(&section, &format!("{section}line {client}-{round}\n"));
        let answer = garden.save("home", page["etag"].as_str().unwrap(), &text).await;
        match answer.status() {
            200 => {
                let saved = answer.json();
                let text = saved["content"].as_str().map_or(text, str::to_owned);
                return (saved["revision"].as_str().unwrap().to_owned(), text);
            }
            409 => {
                answer.problem("edit_conflict");
            }
            status => panic!("{status}: {}", answer.text()),
        }
    }
}
