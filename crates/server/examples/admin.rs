//! The admin API used from a program: creates a wiki, gives an editor a token, lists, suspends,
//! resumes and deletes, and prints each request with its answer.
//!
//! ```sh
//! cargo run -p wikigrove-server --example admin
//! cargo run -p wikigrove-server --example admin -- --url http://127.0.0.1:8081 --token "$TOKEN"
//! ```
//!
//! Without `--url` it starts a server of its own, in this process and in a temporary directory.
//! Everything it makes, it deletes.

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::error::Error;

use axum::body::Body;
use clap::Parser;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use wikigrove_server::app;
use wikigrove_server::auth::Authenticator;
use wikigrove_server::limits::HttpLimits;
use wikigrove_server::serve::serve;
use wikigrove_tenant::Platform;

type Failure = Box<dyn Error + Send + Sync>;

/// Shows the admin API at work.
#[derive(Parser)]
struct Arguments {
    /// The control plane of a running server, such as http://127.0.0.1:8081.
    #[arg(long, requires = "token")]
    url: Option<String>,
    /// The operator's token of that server.
    #[arg(long, env = "WIKIGROVE_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    if let (Some(url), Some(token)) = (arguments.url, arguments.token) {
        return tour(&Admin::new(&url, token)).await;
    }
    let data = tempfile::tempdir()?;
    let platform = Platform::open(data.path()).await?;
    let token = "the-operators-token-of-this-example".to_owned();
    let auth = Authenticator::new(platform.clone(), &token);
    let limits = HttpLimits::default();
    let router = app::control(&platform, &auth, "http://wiki.example.org", &limits);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    // Served by this task while the tour goes on in the other branch; dropping `stop` ends it.
    let (stop, stopped) = oneshot::channel::<()>();
    let admin = Admin::new(&url, token);
    let toured = async {
        let toured = tour(&admin).await;
        drop(admin);
        drop(stop);
        toured
    };
    let shutdown = async { drop(stopped.await) };
    let (toured, _) = tokio::join!(toured, serve(vec![(listener, router)], &limits, shutdown));
    platform.close().await;
    toured
}

/// What an operator does with a wiki, from its first day to its last.
async fn tour(admin: &Admin) -> Result<(), Failure> {
    // So that it can be run again on a server where it once failed half-way.
    let slug = format!("example-{}", std::process::id());
    let wiki = format!("/wikis/{slug}");

    let new = json!({ "slug": slug, "title": "Garden", "visibility": "public_read" });
    let created = admin.send(Method::POST, "/wikis", Some(new)).await?;
    println!("its id, which never changes: {}\n", created["id"]);

    let new = json!({ "name": "Anna's laptop", "role": "editor" });
    let token = admin.send(Method::POST, &format!("{wiki}/tokens"), Some(new)).await?;
    println!("this token is shown once; whoever has it may edit this wiki\n");

    admin.send(Method::GET, "/wikis?limit=5", None).await?;
    admin.send(Method::GET, &format!("{wiki}/tokens"), None).await?;

    let suspended =
        json!({ "state": "suspended", "reason": "Moving to another server until noon" });
    admin.send(Method::PATCH, &wiki, Some(suspended)).await?;
    println!("its readers now get 423 with this reason\n");

    admin.send(Method::PATCH, &wiki, Some(json!({ "state": "active" }))).await?;

    let id = token["id"].as_str().ok_or("the token has an id")?;
    admin.send(Method::DELETE, &format!("{wiki}/tokens/{id}"), None).await?;
    admin.send(Method::DELETE, &wiki, None).await?;
    Ok(())
}

/// A client of the admin API.
struct Admin {
    http: Client<HttpConnector, Body>,
    base: String,
    token: String,
}

impl Admin {
    fn new(url: &str, token: String) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { http, base: format!("{}/admin/v1", url.trim_end_matches('/')), token }
    }

    /// Sends a request and returns the answer's JSON. Every error is `application/problem+json`,
    /// with a sentence in `detail` and a stable `code` to decide on.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        println!("> {method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        let body = match body {
            Some(json) => {
                println!("{json:#}");
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(json.to_string())
            }
            None => Body::empty(),
        };
        let response = self.http.request(request.body(body)?).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        let answer = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        println!("< {status}");
        if status != StatusCode::NO_CONTENT {
            println!("{answer:#}\n");
        }
        if status.is_success() {
            return Ok(answer);
        }
        Err(format!("{}: {}", answer["code"], answer["detail"]).into())
    }
}
