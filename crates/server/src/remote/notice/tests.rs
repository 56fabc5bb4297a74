use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::Mutex;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Request, State};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;
use crate::remote::address::Resolving;
use crate::remote::webhook;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[derive(Debug)]
struct Here;

impl Resolver for Here {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

fn notice() -> Notice {
    Notice {
        id: "n-1".to_owned(),
        kind: "sync.paused".to_owned(),
        at: OffsetDateTime::UNIX_EPOCH,
        subject: "garden isn't synchronised\r\nBcc: everybody@example.org".to_owned(),
        text: "The token of garden is wrong.\n.\nGr\u{fc}\u{df}e\n".to_owned(),
        data: json!({"wiki": "garden"}),
    }
}

fn notifier(relay: Option<MailRelay>) -> Notifier {
    let policy = Policy { admitted: vec!["hook.test".parse().unwrap()], only: None };
    Notifier::new(policy, relay).with_resolver(Arc::new(Here))
}

fn webhook(url: &str) -> Channel {
    Channel::Webhook { url: url.parse().unwrap(), secret: Secret::new(SECRET.to_owned()) }
}

/// The requests that a receiver got, and its answers; the last answer is repeated.
#[derive(Default)]
struct Receiver {
    got: Mutex<Vec<(String, HeaderMap, Vec<u8>)>>,
    answers: Mutex<Vec<u16>>,
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    request: Request,
) -> (StatusCode, HeaderMap) {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    receiver.got.lock().unwrap().push((parts.uri.to_string(), parts.headers, body));
    let mut answers = receiver.answers.lock().unwrap();
    let status = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
    let location = [(http::header::LOCATION, "http://127.0.0.1:1/".parse().unwrap())];
    (StatusCode::from_u16(status).unwrap(), location.into_iter().collect())
}

async fn receiver(answers: &[u16]) -> (Arc<Receiver>, u16) {
    let receiver =
        Arc::new(Receiver { answers: Mutex::new(answers.to_vec()), ..Receiver::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(receive).with_state(Arc::clone(&receiver));
    wikigrove_tenant::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (receiver, port)
}

#[tokio::test]
async fn a_webhook_is_called_with_a_signature_that_holds() {
    let (receiver, port) = receiver(&[204]).await;
    let channel = webhook(&format!("http://hook.test:{port}/wiki/notices?key=a%20b"));
    assert_eq!(notifier(None).deliver(&notice(), &channel).await, Ok(()));
    let got = receiver.got.lock().unwrap().clone();
    let [(target, headers, body)] = &got[..] else { panic!("{got:?}") };
    assert_eq!(target, "/wiki/notices?key=a%20b");
    assert_eq!(headers["host"], format!("hook.test:{port}"));
    let secret = Secret::new(SECRET.to_owned());
    let delivery = webhook::verify(Some(&secret), headers, body, SystemTime::now()).unwrap();
    assert_eq!(delivery.id.as_deref(), Some("n-1"));
    let said: Value = serde_json::from_slice(body).unwrap();
    let expected = json!({
        "type": "sync.paused", "timestamp": "1970-01-01T00:00:00Z", "data": {"wiki": "garden"}
    });
    assert_eq!(said, expected);
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_is_final_and_nothing_is_followed() {
    let later = |status: &str| Err(NotDelivered::Later(status.to_owned()));
    let refused = |status: &str| Err(NotDelivered::Refused(status.to_owned()));
    for (answer, outcome) in [
        (200, Ok(())),
        (429, later("429 Too Many Requests")),
        (500, later("500 Internal Server Error")),
        (503, later("503 Service Unavailable")),
        (404, refused("404 Not Found")),
        (302, refused("302 Found")),
        (410, Err(NotDelivered::Gone)),
    ] {
        let (receiver, port) = receiver(&[answer]).await;
        let channel = webhook(&format!("http://hook.test:{port}/x"));
        assert_eq!(notifier(None).deliver(&notice(), &channel).await, outcome);
        assert_eq!(receiver.got.lock().unwrap().len(), 1, "{answer}");
    }
}

#[test]
fn a_channel_comes_back_as_it_was_kept_and_shows_no_secret() {
    let url: WebhookUrl = "https://hook.test:8443/canary?canary=1".parse().unwrap();
    let made = Channel::webhook(url.clone());
    let Channel::Webhook { secret, .. } = &made else { panic!("{made:?}") };
    assert_eq!(secret.expose().len(), "whsec_".len() + 44);
    assert_eq!((made.kind(), made.shown().as_str()), ("webhook", "https://hook.test:8443"));
    let kept = made.to_be_sealed().unwrap();
    let back = Channel::unsealed(&made.shown(), Some(&kept)).unwrap();
    let Channel::Webhook { url: again, secret: same } = &back else { panic!("{back:?}") };
    assert_eq!((again, same.expose()), (&url, secret.expose()));
    // The id of a platform's channel doesn't depend on its secret.
    assert_eq!(Channel::webhook(url).platform_id(), back.platform_id());
    assert!(!back.platform_id().contains("canary") && !format!("{back:?}").contains("canary"));

    let ada = ada();
    assert!(ada.to_be_sealed().is_none() && ada.platform_id() != back.platform_id());
    let Some(Channel::Mail(again)) = Channel::unsealed(&ada.shown(), None) else { panic!() };
    assert_eq!(again.to_string(), ada.shown());
}

#[tokio::test]
async fn a_webhook_inside_is_not_called() {
    let (receiver, port) = receiver(&[200]).await;
    let channels = [
        webhook("https://inside.test/x"),
        webhook(&format!("http://127.0.0.1:{port}/x")),
        webhook("https://169.254.169.254/latest/"),
    ];
    for channel in channels {
        let outcome = notifier(None).deliver(&notice(), &channel).await;
        assert!(matches!(outcome, Err(NotDelivered::Blocked(_))), "{outcome:?}");
    }
    assert!(receiver.got.lock().unwrap().is_empty());
}

#[test]
fn a_webhooks_url_is_shown_without_its_secrets() {
    for url in [
        "ssh://hook.test/x",
        "https://a:b@hook.test/x",
        "https://hook.test/x?a b",
        "https://hook.test/x?a#b",
        "https://hook.test",
    ] {
        url.parse::<WebhookUrl>().expect_err(url);
    }
    let url: WebhookUrl = "https://hook.test/canary?canary".parse().unwrap();
    assert!(!format!("{url:?}").contains("canary"));
}

/// A self-signed certificate for `hook.test`, and its key.
fn certificate() -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert"), dir.path().join("key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=hook.test", "-addext", "subjectAltName=DNS:hook.test"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (std::fs::read(cert).unwrap(), std::fs::read(key).unwrap())
}

/// Answers one request over TLS.
async fn serve_tls(cert: &[u8], key: &[u8]) -> u16 {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert).map(Result::unwrap).collect();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    wikigrove_tenant::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config.clone()));
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > 2 {}
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    port
}

#[tokio::test]
async fn a_receivers_certificate_has_to_be_of_somebody_trusted() {
    let (cert, key) = certificate();
    let port = serve_tls(&cert, &key).await;
    let channel = webhook(&format!("https://hook.test:{port}/x"));
    let trusting = notifier(None).with_roots(&cert).unwrap();
    assert_eq!(trusting.deliver(&notice(), &channel).await, Ok(()));
    let outcome = notifier(None).deliver(&notice(), &channel).await;
    assert!(matches!(outcome, Err(NotDelivered::Later(_))), "{outcome:?}");
    assert!(notifier(None).with_roots(b"nothing").is_err());
}

/// A mail server that accepts mails after a number of refusals.
async fn mail_server(refusals: &'static [&'static str]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mails = Arc::<Mutex<Vec<String>>>::default();
    let taken = Arc::clone(&mails);
    wikigrove_tenant::spawn(async move {
        let mut refusals = refusals.iter();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Some(mail) = talk(stream, refusals.next().copied()).await {
                taken.lock().unwrap().push(mail);
            }
        }
    });
    (address, mails)
}

async fn talk(stream: TcpStream, refusal: Option<&str>) -> Option<String> {
    let mut stream = BufReader::new(stream);
    let mut mail = None;
    let mut answer = "220 here".to_owned();
    loop {
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 || line.starts_with("QUIT") {
            return mail;
        }
        answer = match line.split([' ', '\r']).next()? {
            "RCPT" => refusal.unwrap_or("250 yes").to_owned(),
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.ok()?;
                let mut text = line.clone();
                while !text.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut text).await.ok()?;
                }
                mail = Some(text);
                "250 taken".to_owned()
            }
            _ => "250 yes".to_owned(),
        };
    }
}

fn relay(address: SocketAddr) -> MailRelay {
    let url = Secret::new(format!("smtp://127.0.0.1:{}", address.port()));
    MailRelay::new(&url, "Wikis <wikis@example.org>").unwrap()
}

fn ada() -> Channel {
    Channel::Mail("Ada <ada@example.org>".parse().unwrap())
}

/// The received mails, once there is one.
async fn arrived(mails: &Mutex<Vec<String>>) -> Vec<String> {
    for _ in 0..500 {
        if !mails.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    mails.lock().unwrap().clone()
}

#[tokio::test]
async fn a_mail_arrives_as_one_mail_to_one_person() {
    let (address, mails) = mail_server(&["451 later"]).await;
    let notifier = notifier(Some(relay(address)));
    let outcome = notifier.deliver(&notice(), &ada()).await;
    assert!(matches!(outcome, Err(NotDelivered::Later(_))), "{outcome:?}");
    assert_eq!(notifier.deliver(&notice(), &ada()).await, Ok(()));
    let mails = arrived(&mails).await;
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert!(mail.contains("\r\nTo: Ada <ada@example.org>\r\n"), "{mail}");
    assert!(mail.contains("\r\nMessage-ID: <n-1@example.org>\r\n"), "{mail}");
    assert!(mail.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{mail}");
    assert!(mail.contains("The token of garden is wrong."), "{mail}");
    assert!(!mail.contains("\nBcc:"), "{mail}");
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_sent_once() {
    let (address, mails) = mail_server(&["550 nobody here"]).await;
    let outcome = notifier(Some(relay(address))).deliver(&notice(), &ada()).await;
    assert!(matches!(outcome, Err(NotDelivered::Refused(_))), "{outcome:?}");
    assert!(mails.lock().unwrap().is_empty());
    assert_eq!(notifier(None).deliver(&notice(), &ada()).await, Err(NotDelivered::NoRelay));
}

#[test]
fn a_relay_that_is_none_is_refused_without_being_repeated() {
    for url in ["", "http://x", "smtp://", "smtps://ada:canary@ho st"] {
        let error = MailRelay::new(&Secret::new(url.to_owned()), "a@example.org").unwrap_err();
        assert_eq!(error, InvalidMail::Relay, "{url}");
    }
    let url = Secret::new("smtps://ada:canary@mail.example.org".to_owned());
    assert_eq!(MailRelay::new(&url, "nobody").unwrap_err(), InvalidMail::Address);
    assert!(!format!("{:?}", MailRelay::new(&url, "a@example.org").unwrap()).contains("canary"));
    "ada@example.org\nBcc: x".parse::<Recipient>().unwrap_err();
}
