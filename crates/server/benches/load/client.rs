//! The client of the load script: HTTP/1.1 over connections that stay, and only as much of it as
//! it takes to know where an answer ends. What it costs is the same for whatever it drives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    random: u64,
}

/// What an answer said that matters here.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As it stood in the header, quotes included.
    pub(crate) etag: Option<String>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, seed: u64) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(64 << 10), random: seed * 2 + 1 }
    }

    /// Sends a request, written out, and reads its answer to the end.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Answer {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        let mut expected = usize::MAX;
        while self.buffer.len() < expected {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            if expected == usize::MAX
                && let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                expected = head + 4 + self.header(head, "content-length").parse::<usize>().unwrap();
            }
        }
        self.answer()
    }

    fn answer(&self) -> Answer {
        let head = self.buffer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&self.buffer[9..12]).unwrap().parse().unwrap();
        let etag = self.header(head, "etag");
        Answer { status, etag: (!etag.is_empty()).then(|| etag.to_owned()) }
    }

    /// The value of a header, or nothing. Both servers write names in lower case.
    fn header(&self, head: usize, name: &str) -> &str {
        let head = std::str::from_utf8(&self.buffer[..head]).unwrap();
        let line = head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default()
    }

    fn body(&self) -> &[u8] {
        let head = self.buffer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        &self.buffer[head + 4..]
    }

    /// Any of them, each equally likely (a linear congruential generator is random enough).
    fn pick<'a>(&mut self, requests: &'a [Vec<u8>]) -> &'a [u8] {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        &requests[usize::try_from(self.random >> 33).unwrap() % requests.len()]
    }
}

/// Requests to one server, sent by a number of connections at once.
pub(crate) struct Load {
    connections: Vec<Connection>,
    requests: Arc<Vec<Vec<u8>>>,
}

impl Load {
    /// `fits` judges one body, so that nobody measures how fast errors are.
    pub(crate) async fn new(
        address: SocketAddr,
        connections: usize,
        requests: Vec<Vec<u8>>,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Self {
        let mut open = Vec::new();
        for seed in 0..connections {
            open.push(Connection::open(address, seed as u64).await);
        }
        for request in &requests {
            let answer = open[0].exchange(request).await;
            assert!(answer.status == 200 && fits(open[0].body()), "{}", answer.status);
        }
        Self { connections: open, requests: Arc::new(requests) }
    }

    /// Keeps all connections busy for a while; returns how long each answer took.
    pub(crate) async fn run(&mut self, time: Duration) -> Vec<Duration> {
        let until = Instant::now() + time;
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let requests = self.requests.clone();
            running.spawn(async move {
                let (mut times, mut asked) = (Vec::new(), Instant::now());
                while asked < until {
                    let request = connection.pick(&requests);
                    assert_eq!(connection.exchange(request).await.status, 200);
                    let answered = Instant::now();
                    times.push(answered - asked);
                    asked = answered;
                }
                (connection, times)
            });
        }
        let mut all = Vec::new();
        while let Some(ended) = running.join_next().await {
            let (connection, times) = ended.unwrap();
            self.connections.push(connection);
            all.extend(times);
        }
        all
    }
}

/// A GET, written out.
pub(crate) fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
}

/// The save of a page, written out.
pub(crate) fn put(path: &str, token: &str, condition: &str, content: &str) -> Vec<u8> {
    let body = serde_json::json!({ "content": content }).to_string();
    let length = body.len();
    format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{condition}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
