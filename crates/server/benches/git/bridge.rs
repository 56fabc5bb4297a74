//! `git http-backend`, reached over HTTP as a web server's CGI would do it, and no slower than need be.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::BytesMut;
use futures_util::{StreamExt as _, stream};
use http::HeaderName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

const PIECE: usize = 128 * 1024;

/// Serves a repository; returns its URL.
pub(crate) async fn serve(repository: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(repository.parent().unwrap().to_owned());
    wikigrove_tenant::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/repo")
}

fn start(root: PathBuf, request: &Request) -> Child {
    let header = |name: &str| {
        request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    Command::new("git")
        .arg("http-backend")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROJECT_ROOT", root)
        .env("PATH_INFO", request.uri().path())
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("REQUEST_METHOD", request.method().as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn answer(State(root): State<PathBuf>, request: Request) -> Response {
    let mut child = start(root, &request);
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut body = request.into_body().into_data_stream();
    wikigrove_tenant::spawn(async move {
        while let Some(piece) = body.next().await {
            stdin.write_all(&piece.unwrap()).await.unwrap();
        }
    });
    let mut buffer = BytesMut::new();
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        assert!(stdout.read_buf(&mut buffer).await.unwrap() > 0, "git says nothing");
    };
    let head = String::from_utf8(buffer.split_to(end + 4).to_vec()).unwrap();
    let mut response = Response::new(Body::empty());
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        match name {
            "Status" => *response.status_mut() = value[..3].parse().unwrap(),
            _ => {
                let name: HeaderName = name.parse().unwrap();
                response.headers_mut().insert(name, value.parse().unwrap());
            }
        }
    }
    let rest =
        stream::unfold((child, stdout, buffer), |(mut child, mut stdout, mut buffer)| async move {
            if buffer.is_empty() {
                buffer.reserve(PIECE);
                if stdout.read_buf(&mut buffer).await.unwrap() == 0 {
                    child.wait().await.unwrap();
                    return None;
                }
            }
            let piece = buffer.split().freeze();
            Some((Ok::<_, std::io::Error>(piece), (child, stdout, buffer)))
        });
    *response.body_mut() = Body::from_stream(rest);
    response
}
