//! A git remote elsewhere: a bare repository behind git's own HTTP server, that misbehaves to order.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use data_encoding::BASE64;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Git;

/// What the remote does instead of, or with, what it is asked. Each counts for the requests that it
/// is [ordered](TestRemote::order) for.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Hangs up before anything is done.
    CutBefore,
    /// Does it, and hangs up without a word.
    CutAfter,
    /// Does it, later.
    Delay(Duration),
    /// Answers one byte a second.
    Trickle,
    /// Answers with this status and these headers only.
    Status(u16, Vec<(&'static str, String)>),
}

#[derive(Debug, Default)]
struct Orders {
    /// For the next requests whose path or query contains the text.
    faults: Vec<(&'static str, Fault, usize)>,
    /// `user:password` that is needed, if any is.
    login: Option<String>,
    seen: VecDeque<Seen>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
}

/// A bare repository over HTTP on the loopback interface. It ends with the value.
#[derive(Debug)]
pub struct TestRemote {
    dir: tempfile::TempDir,
    port: u16,
    orders: Arc<Mutex<Orders>>,
    server: JoinHandle<()>,
}

impl TestRemote {
    /// An empty repository, with the branch `main` to be.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::at(dir.path());
        git.run(&["init", "-q", "--bare", "-b", "main", "x.git"]);
        Git::at(dir.path().join("x.git")).run(&["config", "http.receivepack", "true"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let orders = Arc::<Mutex<Orders>>::default();
        let shared = Shared { root: dir.path().to_owned(), orders: Arc::clone(&orders) };
        let router = Router::new().fallback(answer).with_state(shared);
        let server =
            wikigrove_tenant::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { dir, port, orders, server }
    }

    /// Its port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL under some name of the host.
    pub fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/x.git", self.port)
    }

    /// The repository itself.
    pub fn git(&self) -> Git {
        Git::at(self.dir.path().join("x.git"))
    }

    /// Somebody else's clone of it, for commits that come from there.
    pub fn clone_beside(&self, name: &str) -> Git {
        let git = Git::at(self.dir.path());
        git.run(&["clone", "-q", "x.git", name]);
        Git::at(self.dir.path().join(name))
    }

    /// From now on it needs this login.
    pub fn require(&self, user: &str, password: &str) {
        self.orders.lock().unwrap().login = Some(format!("{user}:{password}"));
    }

    /// The next `times` requests whose path or query contains `part` meet a fault.
    pub fn order(&self, part: &'static str, fault: Fault, times: usize) {
        self.orders.lock().unwrap().faults.push((part, fault, times));
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// From now on it does as it is asked.
    pub fn forgive(&self) {
        self.orders.lock().unwrap().faults.clear();
    }

    /// A hook that the repository runs, as a shell script.
    pub fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.git().dir().join("hooks").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The requests since the last time, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.orders.lock().unwrap().seen.drain(..).collect()
    }

    /// How often somebody asked to push since the [last look](Self::seen) at the requests.
    pub fn pushes(&self) -> usize {
        let asked = |seen: &Seen| seen.target.contains("service=git-receive-pack");
        self.seen().iter().filter(|seen| asked(seen)).count()
    }
}

impl Drop for TestRemote {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Shared {
    root: std::path::PathBuf,
    orders: Arc<Mutex<Orders>>,
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let target = request.uri().path_and_query().unwrap().as_str().to_owned();
    let (fault, login) = {
        let mut orders = shared.orders.lock().unwrap();
        let headers = request.headers().clone();
        orders.seen.push_back(Seen { target: target.clone(), headers });
        let found =
            orders.faults.iter_mut().find(|(part, _, left)| *left > 0 && target.contains(part));
        let fault = found.map(|(_, fault, left)| {
            *left -= 1;
            fault.clone()
        });
        (fault, orders.login.clone())
    };
    match fault {
        None => {}
        Some(Fault::CutBefore) => return cut(StatusCode::OK),
        Some(Fault::CutAfter) => {
            backend(&shared.root, request).await;
            return cut(StatusCode::OK);
        }
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::Trickle) => return trickling(backend(&shared.root, request).await).await,
        Some(Fault::Status(status, headers)) => {
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            for (name, value) in headers {
                let value = HeaderValue::from_str(&value).unwrap();
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
            return response;
        }
    }
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let expected = login.map(|login| format!("Basic {}", BASE64.encode(login.as_bytes())));
    if expected.is_some() && given != expected.as_deref() {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    backend(&shared.root, request).await
}

/// An answer that promises more than comes. Its beginning is on its way before it ends: a client would
/// send the same again by itself on a connection that ended without any.
fn cut(status: StatusCode) -> Response {
    let broken = stream::unfold(0, |step| async move {
        if step == 0 {
            return Some((Ok(Bytes::from_static(b"0")), 1));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        Some((Err(std::io::Error::other("cut")), 2))
    });
    (status, [(header::CONTENT_LENGTH, "1000")], Body::from_stream(broken)).into_response()
}

async fn trickling(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let one_by_one = stream::unfold(bytes, |mut bytes| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let first = (!bytes.is_empty()).then(|| bytes.split_to(1))?;
        Some((Ok::<_, std::io::Error>(first), bytes))
    });
    Response::from_parts(parts, Body::from_stream(one_by_one))
}

/// git's own server, by the rules of CGI.
async fn backend(root: &Path, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Who sends it may be cut off.
    let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST.into_response() };
    let body = body.to_bytes();
    let header = |name: &str| {
        parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "somebody")
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = async move {
        // It may end without having read everything.
        let _ = stdin.write_all(&body).await;
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    parsed(&output.unwrap().stdout)
}

/// A response as CGI programs print it.
fn parsed(printed: &[u8]) -> Response {
    let end = printed.windows(4).position(|part| part == b"\r\n\r\n");
    let Some(end) = end else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut response = Response::new(Body::from(printed[end + 4..].to_vec()));
    for line in std::str::from_utf8(&printed[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            *response.status_mut() = value[..3].parse().unwrap();
        } else {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
    }
    response
}
