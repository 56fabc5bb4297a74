//! Wikis inside another app that has its own users and its own idea of a login.
//!
//! `cargo run -p wikigrove-tenant --features axum --example embed` starts the app, sends it a few
//! requests and ends. With `--serve [address]` it stays, for your own:
//!
//! ```text
//! curl -X PUT -H 'x-user: ann' -H 'if-none-match: *' -d '# Roses' http://127.0.0.1:8080/w/garden/roses
//! curl -H 'x-user: ann' http://127.0.0.1:8080/w/garden/roses
//! ```
#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, Request};
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::util::MapRequestLayer;
use wikigrove_tenant::{Author, Base, Caller, Error, Platform, Resolver, Role, Wiki};

type Failure = Box<dyn std::error::Error>;

/// A user as this app knows them.
#[derive(Clone)]
struct MyUser {
    sub: String,
    name: String,
    mail: String,
}

/// The app's own login. A real one would look at a session; this one believes a header.
fn my_auth() -> MapRequestLayer<fn(Request) -> Request> {
    MapRequestLayer::new(|mut request| {
        let user = request.headers().get("x-user").and_then(|value| value.to_str().ok());
        if let Some(sub) = user.map(str::to_owned) {
            let (name, mail) = (sub.to_uppercase(), format!("{sub}@example.org"));
            request.extensions_mut().insert(MyUser { sub, name, mail });
        }
        request
    })
}

/// The whole of what embedding takes: a layer, and handlers that ask for the wiki.
fn app(wikis: &Platform) -> Router {
    let layer = wikis.layer(Resolver::path("/w/{slug}")).identify(|parts| {
        parts
            .extensions
            .get::<MyUser>()
            .map(|u| Caller::user(&u.sub, Author::new(&u.name, &u.mail)))
    });
    Router::new().route("/w/{slug}/{*page}", get(show).put(save)).layer(layer).layer(my_auth())
}

async fn show(w: Wiki, Path((_, p)): Path<(String, String)>) -> Result<String, Error> {
    Ok(w.read(&p).await?.content)
}

async fn save(
    w: Wiki,
    Path((_, p)): Path<(String, String)>,
    base: Base,
    text: String,
) -> Result<String, Error> {
    Ok(w.save(&p, text, base).await?.revision.to_string())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // An app that means it would say `Platform::open("./data")`.
    let wikis = Platform::in_memory().await?;
    for slug in ["garden", "kitchen"] {
        wikis.create(slug).await?;
    }
    wikis.set_member(&"garden".parse()?, "ann", Role::Editor).await?;
    wikis.set_member(&"garden".parse()?, "bob", Role::Reader).await?;

    let mut arguments = std::env::args().skip(1);
    let serve = arguments.next().is_some_and(|argument| argument == "--serve");
    let address = arguments.next();
    let default = if serve { "127.0.0.1:8080" } else { "127.0.0.1:0" };
    let listener = TcpListener::bind(address.as_deref().unwrap_or(default)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");

    let serving = async { axum::serve(listener, app(&wikis)).await };
    if serve {
        serving.await?;
    } else {
        tokio::select! {
            served = serving => served?,
            toured = tour(address) => toured?,
        }
    }
    wikis.close().await;
    Ok(())
}

/// A few requests, with what they answer.
async fn tour(address: SocketAddr) -> Result<(), Failure> {
    let new = "if-none-match: *\r\n";
    for (user, request, headers, body, expected) in [
        ("ann", "PUT /w/garden/roses", new, "# Roses\n", 200),
        ("ann", "GET /w/garden/roses", "", "", 200),
        ("bob", "GET /w/garden/roses", "", "", 200),
        ("bob", "PUT /w/garden/tulips", new, "# Tulips\n", 403),
        // A page is never overwritten by somebody who didn't see it.
        ("ann", "PUT /w/garden/roses", new, "# Thorns\n", 412),
        ("ann", "PUT /w/garden/roses", "", "# Thorns\n", 428),
        // Ann isn't a member of the kitchen, so she isn't even told that it exists.
        ("ann", "GET /w/kitchen/soup", "", "", 404),
        ("ann", "GET /w/attic/soup", "", "", 404),
    ] {
        let answer = ask(address, user, request, headers, body).await?;
        println!("{user}: {request}\n    {answer}");
        if !answer.starts_with(&expected.to_string()) {
            return Err(format!("{expected} was expected").into());
        }
    }
    Ok(())
}

/// The status and the body of an answer.
async fn ask(
    address: SocketAddr,
    user: &str,
    request: &str,
    headers: &str,
    body: &str,
) -> Result<String, Failure> {
    let mut connection = TcpStream::connect(address).await?;
    let head = format!(
        "{request} HTTP/1.1\r\nhost: {address}\r\nx-user: {user}\r\ncontent-type: text/plain\r\n\
         content-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head.lines().next().and_then(|line| line.split_once(' ')).ok_or("no status")?.1;
    Ok(format!("{status}: {}", body.trim_end()))
}
