//! What a thousand links cost that have nothing to do.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wikigrove_server::sync::runner::{Options, Remotes};
use wikigrove_server::sync::{LinkState, Settings};
use wikigrove_tenant::{LinkProgress, LinkSettings, NewLink, NewTenant, Platform, TenantId};

/// The share of one core that all links together may use.
const TARGET: f64 = 0.01;

/// What the wikis of a process have.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Links,
    None,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Links => "wikis-with-links",
            Self::None => "wikis-without",
        }
    }

    /// What this process is to be, if it was started by the script.
    pub(crate) fn of_this_process() -> Option<Self> {
        let asked = std::env::args().nth(1)?;
        [Self::Links, Self::None].into_iter().find(|kind| kind.name() == asked)
    }
}

/// A process with wikis.
struct Wikis(Child);

impl Wikis {
    fn start(kind: Kind, count: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([kind.name(), &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        Self(child)
    }

    /// The processor time of it and of all its children that have ended (Linux, in ticks of 10 ms).
    fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
        let ticks: u64 =
            fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The processes that it has started and that are there now.
    fn children(&self) -> HashSet<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let of_task = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("children")).ok()
        };
        let children: Vec<String> = tasks.filter_map(of_task).collect();
        children.iter().flat_map(|ids| ids.split_whitespace()).map(str::to_owned).collect()
    }
}

impl Drop for Wikis {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

pub(crate) fn measure(count: usize, seconds: u64) {
    if !std::path::Path::new("/proc/self/stat").exists() {
        println!("idle links aren't measured: this system doesn't tell what a process used\n");
        return;
    }
    let both = [Kind::Links, Kind::None].map(|kind| Wikis::start(kind, count));
    // What a start does isn't measured.
    std::thread::sleep(Duration::from_secs(2));
    let before = both.each_ref().map(Wikis::processor_time);
    let (began, mut children) = (Instant::now(), HashSet::new());
    while began.elapsed() < Duration::from_secs(seconds) {
        children.extend(both[0].children());
        std::thread::sleep(Duration::from_millis(50));
    }
    let elapsed = began.elapsed().as_secs_f64();
    println!("{count} wikis, {elapsed:.0} s in which nothing happens\n");
    println!("{:28} {:>12}", "", "of one core");
    let names = ["each with an idle link", "without links"];
    for ((name, wikis), before) in names.iter().zip(&both).zip(before) {
        let share = (wikis.processor_time() - before).as_secs_f64() / elapsed;
        let verdict = if share > TARGET { "  above the target" } else { "" };
        println!("{name:28} {:11.2}%{verdict}", share * 100.0);
    }
    println!("\nprocesses started: {}", children.len());
    println!("target: {:.0}% of one core, no process\n", TARGET * 100.0);
}

/// Has wikis until the script ends.
pub(crate) fn run(kind: Kind) {
    let count: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let data = tempfile::tempdir().unwrap();
        let platform = Platform::open(data.path()).await.unwrap();
        for number in 0..count {
            let slug = format!("wiki-{number}").parse().unwrap();
            let wiki = platform.create_tenant(NewTenant::new(slug)).await.unwrap();
            if matches!(kind, Kind::Links) {
                platform.create_link(idle_link(wiki.id)).await.unwrap();
            }
        }
        let remotes = Remotes::start(&platform, Options::default()).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "ready").and_then(|()| out.flush()).unwrap();
        let input = || std::io::Read::read(&mut std::io::stdin(), &mut [0]);
        let _ = wikigrove_tenant::spawn_blocking(input).await;
        remotes.stop().await;
        platform.close().await;
    });
}

/// A link that has met its remote, and looks by itself once a month. (And once in the minutes after a start,
/// which is part of what is measured.)
fn idle_link(wiki: TenantId) -> NewLink {
    let (settings, mut state) = (Settings::default(), LinkState::default());
    state.seen = Some("1487e4b1d011d2914f0a1b9c5a3ffdbe4fd7c9a0".parse().unwrap());
    NewLink {
        wiki,
        settings: LinkSettings {
            url: "https://git.example.org/wiki.git".to_owned(),
            branch: "main".to_owned(),
            subdirectory: None,
            filter: None,
            mode: settings.mode.to_string(),
            winner: settings.winner.to_string(),
            first_run: settings.first_run.to_string(),
            on_rewrite: settings.on_rewrite.to_string(),
            interval: Duration::from_secs(31 * 24 * 60 * 60),
            cooldown: settings.cooldown,
            offline: false,
        },
        credential: None,
        known_hosts: String::new(),
        progress: LinkProgress {
            state: serde_json::to_string(&state).unwrap(),
            word: state.state().to_string(),
            reason: None,
            next_at: None,
        },
    }
}
