//! Somebody who is told what links can't do by themselves.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wikigrove_server::remote::Channel;
use wikigrove_tenant::Secret;

/// How long a notice may be on its way.
const PATIENCE: Duration = Duration::from_secs(20);

type Told = Arc<Mutex<Vec<Value>>>;

/// A receiver of notices on the loopback interface. It ends with the value.
#[derive(Debug)]
pub struct Notices {
    port: u16,
    told: Told,
    server: JoinHandle<()>,
}

impl Notices {
    /// Starts to listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Told::default();
        let router = Router::new().fallback(hear).with_state(told.clone());
        let server =
            wikigrove_tenant::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, told, server }
    }

    /// How it is reached.
    pub fn channel(&self) -> Channel {
        let url = format!("http://127.0.0.1:{}/notices", self.port).parse().unwrap();
        let secret = data_encoding::BASE64.encode(b"what these calls are signed with");
        Channel::Webhook { url, secret: Secret::new(format!("whsec_{secret}")) }
    }

    /// What it was told of so far, the oldest first.
    pub fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap().clone()
    }

    /// Of what kinds that is.
    pub fn kinds(&self) -> Vec<String> {
        self.told().iter().map(|notice| notice["type"].as_str().unwrap().to_owned()).collect()
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

async fn hear(State(told): State<Told>, body: Bytes) -> StatusCode {
    told.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    StatusCode::NO_CONTENT
}
