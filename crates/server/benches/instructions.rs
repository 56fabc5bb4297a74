//! How many instructions the server takes for a read, a save, and a read of a wiki that isn't open. They are the same
//! on any machine, however busy it is.
//!
//! `cargo bench -p wikigrove-server --bench instructions`. Needs valgrind: the server runs in it twice for each
//! operation, with few requests and with more, and the difference is what they took.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on panics")]
#![allow(clippy::print_stdout, reason = "a script that reports")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpListener;
use wikigrove_server::app::{self, Addresses};
use wikigrove_server::auth::Authenticator;
use wikigrove_server::limits::HttpLimits;
use wikigrove_server::serve::serve;
use wikigrove_tenant::{Base, Caller, NewTenant, Platform, Settings, Visibility};

const TOKEN: &str = "token-of-the-instruction-count";
/// Size of a page, in bytes.
const BYTES: usize = 5000;
/// Number of wikis, each with one page. Two may be open.
const WIKIS: usize = 6;
/// Number of requests in the first and in the second run.
const REQUESTS: [u64; 2] = [100, 600];

#[derive(Clone, Copy, Debug)]
enum Operation {
    Read,
    Save,
    Open,
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return server();
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches` only wants to know that it works, and valgrind need not be there.
        return;
    }
    for operation in [Operation::Read, Operation::Save, Operation::Open] {
        let [few, many] = REQUESTS.map(|requests| count(operation, requests));
        let each = (many - few) / (REQUESTS[1] - REQUESTS[0]);
        println!("{operation:?}: {each} instructions");
    }
}

/// The instructions of a server that answers so many requests, from its start to its end.
fn count(operation: Operation, requests: u64) -> u64 {
    let mut child = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut client = Client::new(line.trim().parse().unwrap());
    let mut etag = client.get(0);
    for number in 0..requests {
        match operation {
            Operation::Read => drop(client.get(0)),
            Operation::Save => etag = client.put(&etag, number),
            Operation::Open => drop(client.get(usize::try_from(number).unwrap() % WIKIS)),
        }
    }
    ended(child)
}

fn ended(mut child: Child) -> u64 {
    drop(child.stdin.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected.unwrap_or_else(|| panic!("{said}")).1.trim().parse().unwrap()
}

/// One connection that stays.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).unwrap()))
    }

    fn get(&mut self, wiki: usize) -> String {
        let path = format!("/w/wiki-{wiki}/api/v1/pages/page");
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    fn put(&mut self, etag: &str, number: u64) -> String {
        let body = serde_json::json!({ "content": text(number) }).to_string();
        self.exchange(&format!(
            "PUT /w/wiki-0/api/v1/pages/page HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
             If-Match: {etag}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Sends a request and returns the etag of its answer.
    fn exchange(&mut self, request: &str) -> String {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut etag, mut length, mut is_first) = (String::new(), 0, true);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            assert!(!is_first || line.contains(" 200 "), "{line}");
            is_first = false;
            match line.trim_end().split_once(": ") {
                Some(("etag", value)) => value.clone_into(&mut etag),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        etag
    }
}

fn text(number: u64) -> String {
    let line = "Roses want sun, water and a pruning in spring; see [[garden/pruning]].\n\n";
    let mut text = format!("# Page {number}\n\n{}", line.repeat(BYTES / line.len() + 1));
    text.truncate(BYTES);
    text
}

/// Serves until its standard input ends.
fn server() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let data = tempfile::tempdir().unwrap();
        let settings = Settings { open_wikis: 2, ..Settings::default() };
        let platform = Platform::open_with(data.path(), settings).await.unwrap();
        for number in 0..WIKIS {
            let slug = format!("wiki-{number}");
            let mut new = NewTenant::new(slug.parse().unwrap());
            new.visibility = Visibility::PublicRead;
            platform.create_tenant(new).await.unwrap();
            let wiki = platform.wiki(&slug, Caller::operator()).await.unwrap();
            wiki.save("page", text(u64::MAX), Base::New).await.unwrap();
        }
        let limits =
            HttpLimits { shutdown_grace: Duration::from_millis(100), ..HttpLimits::default() };
        let auth = Authenticator::new(platform.clone(), TOKEN);
        let router = app::public(&platform, &auth, &Addresses::default(), &limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "{}", listener.local_addr().unwrap()).and_then(|()| out.flush()).unwrap();
        let end_of_input = async {
            let read = wikigrove_tenant::spawn_blocking(|| std::io::stdin().read(&mut [0]));
            let _ = read.await;
        };
        serve(vec![(listener, router)], &limits, end_of_input).await;
        platform.close().await;
    });
}
