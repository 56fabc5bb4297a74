//! Somebody who is told what links can't do by themselves.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use wikigrove_server::remote::{Channel, MailRelay, webhook};
use wikigrove_tenant::Secret;

/// How long a notice may be on its way.
const PATIENCE: Duration = Duration::from_secs(20);

/// A call as it came.
type Call = (HeaderMap, Bytes);

/// A receiver of notices on the loopback interface. It ends with the value.
#[derive(Debug)]
pub struct Notices {
    port: u16,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Vec<Call>>,
    failing: Mutex<Option<StatusCode>>,
    refused: Mutex<usize>,
}

impl Notices {
    /// Starts to listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let router = Router::new().fallback(hear).with_state(shared.clone());
        let server =
            wikigrove_tenant::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, shared, server }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/notices?for=canary", self.port)
    }

    /// How the platform reaches it.
    pub fn channel(&self) -> Channel {
        let secret = data_encoding::BASE64.encode(b"what these calls are signed with");
        let secret = Secret::new(format!("whsec_{secret}"));
        Channel::Webhook { url: self.url().parse().unwrap(), secret }
    }

    /// Answers with this from now on, and hears nothing; `None`: hears again.
    pub fn fail(&self, status: Option<StatusCode>) {
        *self.shared.failing.lock().unwrap() = status;
    }

    /// How many calls failed.
    pub fn refused(&self) -> usize {
        *self.shared.refused.lock().unwrap()
    }

    /// What it was told of so far, the oldest first.
    pub fn told(&self) -> Vec<Value> {
        let calls = self.shared.calls.lock().unwrap();
        calls.iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }

    /// Of what kinds that is.
    pub fn kinds(&self) -> Vec<String> {
        self.told().iter().map(|notice| notice["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Of which wikis that is.
    pub fn wikis(&self) -> Vec<String> {
        let wiki = |notice: &Value| notice["data"]["wiki"].as_str().unwrap().to_owned();
        self.told().iter().map(wiki).collect()
    }

    /// Whether all that came is signed with this.
    pub fn all_signed(&self, secret: &str) -> bool {
        let secret = Secret::new(secret.to_owned());
        let calls = self.shared.calls.lock().unwrap();
        calls.iter().all(|(headers, body)| {
            webhook::verify(Some(&secret), headers, body, SystemTime::now()).is_ok()
        })
    }

    /// Waits for a notice of a kind, such as `sync.paused`; returns the last.
    ///
    /// # Panics
    /// None comes.
    pub async fn of(&self, kind: &str) -> Value {
        let started = Instant::now();
        loop {
            if let Some(notice) = self.told().into_iter().rfind(|notice| notice["type"] == kind) {
                return notice;
            }
            assert!(started.elapsed() < PATIENCE, "no {kind}: {:?}", self.told());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn hear(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Some(status) = *shared.failing.lock().unwrap() {
        *shared.refused.lock().unwrap() += 1;
        return status;
    }
    shared.calls.lock().unwrap().push((headers, body));
    StatusCode::NO_CONTENT
}

/// A mail server on the loopback interface that takes what comes. It ends with the value.
#[derive(Debug)]
pub struct Mails {
    port: u16,
    taken: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Mails {
    /// Starts to listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::<Mutex<Vec<String>>>::default();
        let all = taken.clone();
        let server = wikigrove_tenant::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Some(mail) = take(stream).await {
                    all.lock().unwrap().push(mail);
                }
            }
        });
        Self { port, taken, server }
    }

    /// How a server sends by it.
    pub fn relay(&self) -> MailRelay {
        let url = Secret::new(format!("smtp://127.0.0.1:{}", self.port));
        MailRelay::new(&url, "wikis@example.org").unwrap()
    }

    /// Waits for a mail to an address; returns all of them.
    ///
    /// # Panics
    /// None comes.
    pub async fn to(&self, address: &str) -> Vec<String> {
        let started = Instant::now();
        let line = format!("\r\nTo: {address}\r\n");
        loop {
            let mut mails = self.taken.lock().unwrap().clone();
            mails.retain(|mail| mail.contains(&line));
            if !mails.is_empty() {
                return mails;
            }
            assert!(started.elapsed() < PATIENCE, "no mail to {address}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Mails {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One talk with a client, and the mail of it.
async fn take(stream: TcpStream) -> Option<String> {
    let mut stream = BufReader::new(stream);
    let mut mail = None;
    let mut answer = "220 here";
    loop {
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 || line.starts_with("QUIT") {
            return mail;
        }
        answer = "250 yes";
        if line.starts_with("DATA") {
            stream.write_all(b"354 go on\r\n").await.ok()?;
            let mut text = String::new();
            while !text.ends_with("\r\n.\r\n") {
                stream.read_line(&mut text).await.ok()?;
            }
            mail = Some(text);
        }
    }
}
