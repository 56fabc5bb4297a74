use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use axum::extract::ConnectInfo;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::limits::{ByteBudget, Principal};
use crate::metrics::Metrics;
use crate::middleware::{Browsers, stack};

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<usize>,
}

fn app() -> Router {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "slow"
    };
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() };
    Router::new()
        .route("/peer", get(peer))
        .route("/slow", get(slow))
        .route("/large", get(|| async { vec![0; 50_000_000] }))
        .route("/counted", get(counted))
        .route("/never", get(std::future::pending::<()>))
        .route(
            "/read",
            axum::routing::put(|body: bytes::Bytes| async move { body.len().to_string() }),
        )
        .route("/endless", get(endless))
}

/// A large response that is counted in a budget.
async fn counted() -> axum::response::Response {
    let limits = HttpLimits { unread_timeout: Duration::from_millis(300), ..limits() };
    let response = axum::response::Response::new(vec![0; 1_000_000].into());
    ByteBudget::new(&limits).settle(response, http::Version::HTTP_2, || Principal::Nowhere)
}

/// Sends some text, then stays silent.
async fn endless() -> axum::response::Response {
    let text = futures_util::stream::iter([Ok::<_, std::convert::Infallible>("something")]);
    let chunks = futures_util::StreamExt::chain(text, futures_util::stream::pending());
    let mut response = axum::response::Response::new(axum::body::Body::from_stream(chunks));
    response.extensions_mut().insert(Endless);
    response
}

async fn start(limits: HttpLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let requests = Metrics::default().listener("test");
    #[expect(clippy::disallowed_methods, reason = "a test has no current wiki")]
    let ended = tokio::spawn(async move {
        let shutdown = async { stopped.await.unwrap_or_default() };
        serve(
            vec![(
                listener,
                stack(app(), &limits, &ByteBudget::new(&limits), &Browsers::default(), &requests),
            )],
            &limits,
            shutdown,
        )
        .await
    });
    Running { address, stop, ended }
}

fn limits() -> HttpLimits {
    HttpLimits {
        header_timeout: Duration::from_millis(300),
        shutdown_grace: Duration::from_secs(5),
        ..HttpLimits::default()
    }
}

async fn connect(server: &Running, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// Reads everything until the server closes the connection. A reset counts as closing.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one response, leaving the connection open.
async fn answer(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 8192];
    let length = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn handlers_learn_who_is_there() {
    let server = start(limits()).await;
    let mut stream = connect(&server, &request("/peer")).await;
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn a_slow_request_is_finished_and_an_idle_connection_holds_nothing_up() {
    let server = start(HttpLimits { header_timeout: Duration::from_secs(30), ..limits() }).await;
    let mut idle = connect(&server, &request("/peer")).await;
    answer(&mut idle).await;
    let silent = connect(&server, "").await;
    let slow = connect(&server, &request("/slow")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;

    let begun = Instant::now();
    server.stop.send(()).unwrap();
    let text = rest(slow).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("slow"), "{text}");
    assert_eq!(server.ended.await.unwrap(), 0);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(rest(idle).await + &rest(silent).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn what_has_no_end_of_its_own_ends_whole_with_the_server() {
    let server = start(HttpLimits { header_timeout: Duration::from_secs(30), ..limits() }).await;
    let mut stream = connect(&server, &request("/endless")).await;
    let mut begun = String::new();
    while !begun.contains("something") {
        begun += &answer(&mut stream).await;
    }
    server.stop.send(()).unwrap();
    // The last chunk arrived, so nothing was cut off.
    assert!(rest(stream).await.ends_with("0\r\n\r\n"));
    assert_eq!(server.ended.await.unwrap(), 0);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_and_counted() {
    let server = start(HttpLimits { shutdown_grace: Duration::from_millis(200), ..limits() }).await;
    let never = connect(&server, &request("/never")).await;
    let slower = connect(&server, &request("/never")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(()).unwrap();
    assert_eq!(server.ended.await.unwrap(), 2);
    assert_eq!(rest(never).await + &rest(slower).await, "");
}

#[tokio::test]
async fn a_client_that_does_not_finish_a_head_is_dropped() {
    let server = start(limits()).await;
    // A silent connection; half of HTTP/2's preface; half a head; a preface without a request.
    for begun in
        ["", "PRI * HT", "GET / HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let stream = connect(&server, begun).await;
        let opened = Instant::now();
        rest(stream).await;
        assert!(opened.elapsed() < Duration::from_secs(3), "{begun:?}: {:?}", opened.elapsed());
    }
}

/// header-009
#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let server = start(HttpLimits::default()).await;
    let head =
        format!("GET /peer HTTP/1.1\r\nhost: x\r\nx-wiki-user: {}\r\n\r\n", "a".repeat(70_000));
    let text = rest(connect(&server, &head).await).await;
    assert!(text.starts_with("HTTP/1.1 431"), "{text}");
}

/// header-035: RFC 9112 lets a server go by the chunks if it closes afterwards, which hyper does.
#[tokio::test]
async fn two_lengths_cannot_smuggle_a_second_request() {
    let server = start(limits()).await;
    for framing in [
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "content-length: 5\r\ntransfer-encoding: chunked",
    ] {
        let head = format!(
            "GET /peer HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n0\r\n\r\n{}",
            request("/peer")
        );
        let text = rest(connect(&server, &head).await).await;
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{framing}: {text}");
    }
}

/// header-036
#[tokio::test]
async fn odd_framing_is_refused_and_the_connection_closed() {
    let server = start(limits()).await;
    for framing in [
        "transfer-encoding: xchunked",
        "content-length: 1\r\ncontent-length: 2",
        "content-length: +1",
    ] {
        let head = format!(
            "POST /peer HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n0\r\n\r\nGET /peer HTTP/1.1\r\n\r\n"
        );
        let text = rest(connect(&server, &head).await).await;
        assert!(
            text.starts_with("HTTP/1.1 400") && text.matches("HTTP/1.1").count() == 1,
            "{framing}: {text}"
        );
    }
}

/// Half a request whose body never completes.
fn half() -> String {
    "PUT /read HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf".to_owned()
}

#[tokio::test]
async fn silent_peers_make_room_for_those_who_send() {
    let server = start(HttpLimits { connections: 6, ..HttpLimits::default() }).await;
    let mut silent = Vec::new();
    for begun in ["", "GET / HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &half()] {
        for _ in 0..10 {
            silent.push(connect(&server, begun).await);
        }
    }
    for _ in 0..20 {
        let began = Instant::now();
        let mut stream = connect(&server, &request("/peer")).await;
        let answered = tokio::time::timeout(Duration::from_secs(20), answer(&mut stream)).await;
        assert!(answered.unwrap().starts_with("HTTP/1.1 200"), "after {:?}", began.elapsed());
        silent.push(stream);
    }
}

#[tokio::test]
async fn a_peer_that_is_worked_for_keeps_its_place() {
    let server = start(HttpLimits { connections: 2, ..HttpLimits::default() }).await;
    let mut stream = connect(&server, &request("/endless")).await;
    let never = connect(&server, &request("/never")).await;
    while !answer(&mut stream).await.contains("something") {}
    let mut next = connect(&server, &request("/peer")).await;
    let waiting = tokio::time::timeout(Duration::from_secs(3), answer(&mut next)).await;
    assert!(waiting.is_err(), "{waiting:?}");
    drop(never);
    assert!(answer(&mut next).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_end_waits_for_no_silent_peer() {
    let server = start(HttpLimits { shutdown_grace: Duration::from_secs(60), ..limits() }).await;
    let stalled = connect(&server, &half()).await;
    let unread = connect(&server, &request("/endless")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), server.ended).await;
    assert_eq!(ended.expect("it ends").unwrap(), 0);
    drop((stalled, unread));
}

#[tokio::test]
async fn there_are_only_so_many_connections_and_the_next_waits() {
    let server = start(HttpLimits { connections: 1, ..HttpLimits::default() }).await;
    let mut first = connect(&server, &request("/peer")).await;
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 200"));
    let mut second = connect(&server, &request("/peer")).await;
    let waiting = tokio::time::timeout(Duration::from_millis(300), answer(&mut second)).await;
    assert!(waiting.is_err(), "{waiting:?}");
    drop(first);
    let text = tokio::time::timeout(Duration::from_secs(10), answer(&mut second)).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

/// HTTP/2's whole preface with one GET, whose response is awaited; then silence.
#[tokio::test]
async fn a_silent_http2_connection_is_closed_too() {
    let server = start(limits()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, axum::body::Body>(executor, io)
            .await
            .unwrap();
    let closed = wikigrove_tenant::spawn(connection);
    let request = http::Request::get("http://x/peer").body(axum::body::Body::empty()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    tokio::time::timeout(Duration::from_secs(5), closed).await.unwrap().unwrap().unwrap();
    drop(sender);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_does_not_read_the_answer_is_cut_off() {
    let unread_timeout = Duration::from_millis(300);
    let server = start(HttpLimits { unread_timeout, connections: 1, ..limits() }).await;
    let _deaf = connect(&server, &request("/large")).await;
    let text = tokio::time::timeout(Duration::from_secs(20), async {
        answer(&mut connect(&server, &request("/peer")).await).await
    });
    assert!(text.await.expect("its place becomes free").starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn who_keeps_the_window_of_a_stream_closed_is_cut_off() {
    let server = start(HttpLimits { header_timeout: Duration::from_secs(30), ..limits() }).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .initial_stream_window_size(1)
            .handshake::<_, axum::body::Body>(io)
            .await
            .unwrap();
    let closed = wikigrove_tenant::spawn(connection);
    let request = http::Request::get("http://x/counted").body(axum::body::Body::empty()).unwrap();
    let unread = sender.send_request(request).await.unwrap();
    assert_eq!(unread.status(), 200);
    let _ = tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap().unwrap();
    drop((unread, sender));
}

#[tokio::test]
async fn a_unix_socket_is_for_whom_its_mode_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listen: Listen = format!("unix:{}", path.display()).parse().unwrap();
    let listener = Listener::bind(&listen, 0o620).await.unwrap();
    assert_eq!(listener.address().unwrap(), listen);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o620);
    // A bound socket isn't replaced, nor is anything that isn't a socket.
    assert!(Listener::bind(&listen, 0o620).await.is_err());
    let file: Listen = format!("unix:{}/file", dir.path().display()).parse().unwrap();
    std::fs::write(dir.path().join("file"), "text").unwrap();
    assert!(Listener::bind(&file, 0o620).await.is_err());

    let peer = |request: axum::extract::Request| async move {
        format!("{:?}", Peer::of(request.extensions()))
    };
    let router = Router::new().route("/peer", get(peer));
    #[expect(clippy::disallowed_methods, reason = "a test has no current wiki")]
    let served = tokio::spawn(async move {
        serve(vec![(listener, router)], &limits(), std::future::pending()).await
    });
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("Some(Local)"), "{answer}");
    served.abort();
    assert!(served.await.is_err());
    // An abandoned socket is replaced.
    assert!(path.exists());
    Listener::bind(&listen, 0o620).await.unwrap();
}

#[test]
fn an_address_is_a_port_or_a_socket() {
    for good in ["127.0.0.1:8080", "[::1]:0", "unix:/run/wikigrove.sock", "unix:./socket"] {
        assert_eq!(good.parse::<Listen>().unwrap().to_string(), good);
    }
    for bad in ["", "unix:", "localhost:80", "/run/wikigrove.sock", "127.0.0.1"] {
        assert!(bad.parse::<Listen>().is_err(), "{bad}");
    }
}
