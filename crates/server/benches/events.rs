//! How soon those who listen to a wiki's events hear of a save, and what they cost those who save.
//!
//! `cargo bench -p wikigrove-server --bench events`. The server and all who listen are one process.
//! `WIKIGROVE_EVENTS_LISTENERS` (1000), `WIKIGROVE_EVENTS_SAVES` (100) and `WIKIGROVE_EVENTS_ROUNDS`
//! (5) change how it measures; `TMPDIR` says on which disk is saved.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on panics")]
#![allow(clippy::print_stdout, reason = "a script that reports")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use wikigrove_server::app::{self, Addresses};
use wikigrove_server::auth::Authenticator;
use wikigrove_server::limits::HttpLimits;
use wikigrove_server::serve::serve;
use wikigrove_tenant::{NewTenant, Platform, Visibility};

const TOKEN: &str = "token-of-the-benchmark";
/// The wiki that is listened to, and one that nobody listens to.
const WIKIS: [&str; 2] = ["heard", "unheard"];
/// From the answer to a save until the last listener has the event, for 99 of 100 saves.
const TARGET: Duration = Duration::from_millis(200);

/// How many and how often.
struct Effort {
    listeners: usize,
    saves: usize,
    rounds: usize,
}

fn main() {
    // `cargo test --benches` only wants to know that it works.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let number = |name, earnest, otherwise| {
        let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
        given.unwrap_or(if in_earnest { earnest } else { otherwise })
    };
    let effort = Effort {
        listeners: number("WIKIGROVE_EVENTS_LISTENERS", 1000, 10),
        saves: number("WIKIGROVE_EVENTS_SAVES", 100, 5),
        rounds: number("WIKIGROVE_EVENTS_ROUNDS", 5, 1),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&effort));
}

async fn run(effort: &Effort) {
    let data = tempfile::tempdir().unwrap();
    let platform = Platform::open(data.path()).await.unwrap();
    for slug in WIKIS {
        let mut new = NewTenant::new(slug.parse().unwrap());
        new.visibility = Visibility::PublicRead;
        platform.create_tenant(new).await.unwrap();
    }
    let limits = HttpLimits::default();
    let auth = Authenticator::new(platform.clone(), TOKEN);
    let router = app::public(&platform, &auth, &Addresses::default(), &limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = wikigrove_tenant::spawn(async move {
        serve(vec![(listener, router)], &limits, async { drop(stopped.await) }).await
    });
    let mut audience = Audience::gather(address, effort.listeners).await;
    let writer = Writer::new(address);
    delays(&writer, &mut audience, effort).await;
    rates(&writer, &mut audience, effort).await;
    drop(stop);
    let started = Instant::now();
    assert_eq!(serving.await.unwrap(), 0);
    println!("all streams ended {:.0?} after the server was told to stop", started.elapsed());
    platform.close().await;
}

async fn delays(writer: &Writer, audience: &mut Audience, effort: &Effort) {
    let mut first = Vec::new();
    let mut last = Vec::new();
    for number in 0..effort.saves {
        writer.save(WIKIS[0], &format!("delay-{number}")).await;
        let answered = Instant::now();
        let heard = audience.hear(1).await;
        first.push(heard[0].saturating_duration_since(answered));
        last.push(heard[heard.len() - 1].saturating_duration_since(answered));
    }
    let Effort { listeners, saves, .. } = effort;
    println!("{listeners} listeners on one wiki, {saves} saves, one after another\n");
    println!("{:44} {:>10} {:>10}", "from the answer until …", "p50", "p99");
    for (name, times) in [("the first listener has it", first), ("the last listener has it", last)]
    {
        let (half, most) = (percentile(&times, 50), percentile(&times, 99));
        let verdict = if most > TARGET { "  above the target" } else { "" };
        println!("{name:44} {half:10.2?} {most:10.2?}{verdict}");
    }
    println!("\ntarget: p99 within {TARGET:?}\n");
}

/// Rounds with and without listeners take turns: what else the machine does is done to both.
async fn rates(writer: &Writer, audience: &mut Audience, effort: &Effort) {
    let mut rates = WIKIS.map(|_| Vec::new());
    for round in 0..effort.rounds {
        for (wiki, rates) in WIKIS.iter().zip(&mut rates) {
            let started = Instant::now();
            for number in 0..effort.saves {
                writer.save(wiki, &format!("round-{round}/{number}")).await;
            }
            rates.push(effort.saves as f64 / started.elapsed().as_secs_f64());
            if *wiki == WIKIS[0] {
                // Nobody is still busy with these when the others are measured.
                audience.hear(effort.saves).await;
            }
        }
    }
    let [heard, unheard] = rates;
    let shares = heard.iter().zip(&unheard).map(|(with, without)| with / without).collect();
    println!("{:44} {:>10}", "", "saves/s");
    println!("{:44} {:10.0}", "nobody listens", median(unheard));
    let listeners = format!("{} listen", effort.listeners);
    println!("{listeners:44} {:10.0} {:9.1}%\n", median(heard), median(shares) * 100.0);
}

/// All who listen.
struct Audience {
    listeners: usize,
    /// When somebody heard an event.
    heard: mpsc::UnboundedReceiver<Instant>,
    _listening: JoinSet<()>,
}

impl Audience {
    async fn gather(address: SocketAddr, listeners: usize) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let mut listening = JoinSet::new();
        for _ in 0..listeners {
            let stream = listen(address).await;
            listening.spawn(follow(stream, tell.clone()));
        }
        Self { listeners, heard, _listening: listening }
    }

    /// Waits until everybody has heard so many events; returns when each of them was heard.
    async fn hear(&mut self, events: usize) -> Vec<Instant> {
        let mut times = Vec::with_capacity(self.listeners * events);
        while times.len() < self.listeners * events {
            times.push(self.heard.recv().await.expect("everybody goes on listening"));
        }
        times.sort_unstable();
        times
    }
}

/// Opens a stream and waits for its beginning.
async fn listen(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /w/{}/api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n", WIKIS[0]);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.windows(7).any(|seven| seven == b"retry: ") {
        assert!(stream.read_buf(&mut head).await.unwrap() > 0, "the server closed the connection");
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
    stream
}

/// Tells of each event, until the stream ends.
async fn follow(mut stream: TcpStream, tell: mpsc::UnboundedSender<Instant>) {
    const BEGIN: &[u8] = b"event: change\n";
    let mut unread = Vec::with_capacity(16 << 10);
    while stream.read_buf(&mut unread).await.unwrap_or(0) > 0 {
        let now = Instant::now();
        let mut read = 0;
        while let Some(at) = unread[read..].windows(BEGIN.len()).position(|text| text == BEGIN) {
            read += at + BEGIN.len();
            if tell.send(now).is_err() {
                return;
            }
        }
        // The beginning of an event may be cut in two.
        read = read.max(unread.len().saturating_sub(BEGIN.len() - 1));
        unread.drain(..read);
    }
}

/// Saves pages over one connection.
struct Writer {
    client: Client<HttpConnector, axum::body::Body>,
    address: SocketAddr,
    content: Arc<str>,
}

impl Writer {
    fn new(address: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, address, content: "Roses want sun and water. ".repeat(200).into() }
    }

    async fn save(&self, wiki: &str, page: &str) {
        let body = serde_json::json!({ "content": &*self.content }).to_string();
        let request =
            http::Request::put(format!("http://{}/w/{wiki}/api/v1/pages/{page}", self.address))
                .header("authorization", format!("Bearer {TOKEN}"))
                .header("if-none-match", "*")
                .header("content-type", "application/json")
                .body(body.into())
                .unwrap();
        let answer = self.client.request(request).await.unwrap();
        assert_eq!(answer.status(), 201);
        http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
    }
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percent / 100]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
