use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "a-secret-of-a-test";
const OTHER: &str = "another-secret-of-a-test";

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn peer(address: &str) -> Option<Peer> {
    Some(Peer::Tcp(format!("{address}:4000").parse().unwrap()))
}

/// Trusts 10.0.0.0/8.
fn by_network() -> Proxies {
    Proxies::new(vec![network("10.0.0.0/8")], &[], false, Some(IdentityHeaders::default())).unwrap()
}

fn by(networks: &[&str], secrets: &[&str], socket: bool) -> Proxies {
    let networks = networks.iter().map(|text| network(text)).collect();
    let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    Proxies::new(networks, &secrets, socket, Some(IdentityHeaders::default())).unwrap()
}

fn judged(proxies: &Proxies, from: Option<Peer>, lines: &[(&str, &[u8])]) -> Judged {
    proxies.judge(from, &mut headers(lines)).unwrap()
}

/// The identity that the proxy at 10.0.0.1 reports in these headers.
fn named(lines: &[(&str, &[u8])]) -> Result<Identity, Problem> {
    let judged = by_network().judge(peer("10.0.0.1"), &mut headers(lines))?;
    Ok(judged.identity.expect("a trusted proxy"))
}

fn subject(lines: &[(&str, &[u8])]) -> Option<String> {
    named(lines).unwrap().caller().subject().map(str::to_owned)
}

#[test]
fn who_believes_somebody_has_to_know_whom() {
    let new = |networks: &[Network], secrets: &[&str], socket| {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let identity = Some(IdentityHeaders::default());
        Proxies::new(networks.to_vec(), &secrets, socket, identity).err()
    };
    assert_eq!(new(&[], &[], false), Some(ProxyError::NoAnchor));
    assert_eq!(new(&[network("10.0.0.0/8")], &[], false), None);
    assert_eq!(new(&[], &[SECRET], false), None);
    assert_eq!(new(&[], &[], true), None);
    assert_eq!(new(&[], &["short"], true), Some(ProxyError::Secrets));
    assert_eq!(new(&[], &[SECRET; 3], true), Some(ProxyError::Secrets));
    for everybody in ["0.0.0.0/0", "::/0", "10.0.0.0/0"] {
        let refused = everybody.parse::<Network>();
        assert_eq!(refused, Err(ProxyError::Everybody(everybody.to_owned())));
    }
    for none in ["", "proxy", "10.0.0.0/33", "10.0.0"] {
        assert_eq!(none.parse::<Network>(), Err(ProxyError::NoNetwork(none.to_owned())));
    }
    let defaults = IdentityHeaders::default;
    let twice = IdentityHeaders { email: defaults().name, ..defaults() };
    let taken = IdentityHeaders { subject: AUTHORIZATION, ..defaults() };
    assert!(matches!(
        Proxies::new(Vec::new(), &[], true, Some(twice)),
        Err(ProxyError::SameHeader(_))
    ));
    assert!(matches!(
        Proxies::new(Vec::new(), &[], true, Some(taken)),
        Err(ProxyError::TakenHeader(_))
    ));
}

#[test]
fn each_anchor_that_is_configured_counts() {
    let ann = |secret: &'static str| {
        [("x-otterwiki-subject", &b"ann"[..]), ("x-wikigrove-proxy-secret", secret.as_bytes())]
    };
    let believes =
        |proxies: &Proxies, from, secret| judged(proxies, from, &ann(secret)).identity.is_some();
    let (proxy, stranger, local) = (peer("10.1.2.3"), peer("192.0.2.1"), Some(Peer::Local));
    for (proxies, from, secret, expected) in [
        (by(&["10.0.0.0/8"], &[], false), proxy, "", true),
        (by(&["10.0.0.0/8"], &[], false), peer("[::ffff:10.1.2.3]"), "", true),
        (by(&["10.0.0.0/8"], &[], false), stranger, "", false),
        (by(&["10.0.0.0/8"], &[], false), local, "", false),
        (by(&["10.0.0.0/8"], &[], false), None, "", false),
        (by(&[], &[SECRET], false), stranger, SECRET, true),
        (by(&[], &[SECRET], false), stranger, OTHER, false),
        (by(&[], &[SECRET, OTHER], false), stranger, OTHER, true),
        (by(&[], &[SECRET], false), None, SECRET, false),
        (by(&["10.0.0.0/8"], &[SECRET], false), proxy, SECRET, true),
        (by(&["10.0.0.0/8"], &[SECRET], false), proxy, OTHER, false),
        (by(&["10.0.0.0/8"], &[SECRET], false), stranger, SECRET, false),
        (by(&[], &[], true), local, "", true),
        (by(&[], &[], true), peer("127.0.0.1"), "", false),
        (by(&[], &[SECRET], true), local, "", false),
        (by(&[], &[SECRET], true), local, SECRET, true),
    ] {
        assert_eq!(believes(&proxies, from, secret), expected, "{proxies:?} {from:?} {secret}");
    }
    let two = headers(&[(header::PROXY_SECRET, SECRET.as_bytes()), (header::PROXY_SECRET, b"x")]);
    assert!(!by(&[], &[SECRET], false).trusts(stranger, &two));
}

#[test]
fn a_user_is_who_the_proxy_says() {
    let caller = named(&[
        ("x-otterwiki-subject", b" did:example:ann\t"),
        ("x-otterwiki-name", "Änn, the gardener".as_bytes()),
        ("x-otterwiki-email", b"ann@example.org"),
    ])
    .unwrap()
    .caller();
    assert_eq!(caller.subject(), Some("did:example:ann"));
    assert_eq!(caller.author(), &Author::new("Änn, the gardener", "ann@example.org"));
    let bare = named(&[("x-otterwiki-subject", b"ann")]).unwrap().caller();
    assert_eq!(bare.author(), &Author::new("ann", "ann@users.invalid"));
}

/// header-008
#[test]
fn without_a_subject_it_is_nobody() {
    for lines in [
        &[][..],
        &[("x-otterwiki-subject", &b""[..])],
        &[("x-otterwiki-subject", b"  ")],
        &[("x-otterwiki-name", b"admin"), ("x-otterwiki-permissions", b"ADMIN")],
    ] {
        let caller = named(lines).unwrap().caller();
        assert!(caller.is_anonymous() && caller.subject().is_none(), "{lines:?}");
    }
}

/// header-002, header-003, header-005, header-006
#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for lines in [
        &[("x-otterwiki-subject", &b"a"[..]), ("x-otterwiki-subject", b"admin")][..],
        &[("x-otterwiki-subject", b"a, admin")],
        &[("x-otterwiki-subject", b"a,admin")],
        &[("x-otterwiki-subject", b"a"), ("x_otterwiki_subject", b"admin")],
        &[("x-otterwiki-subject", b"a"), ("x.otterwiki.subject", b"admin")],
        &[("X_Otterwiki-Subject", b"admin")],
        &[("x-otterwiki-subject", b"a"), ("x-otterwiki_permissions", b"ADMIN")],
        &[("x-otterwiki-subject", b"a\tb")],
        &[("x-otterwiki-subject", "a\u{85}b".as_bytes())],
        &[("x-otterwiki-subject", b"\xff")],
        &[("x-otterwiki-subject", b"a"), ("x-otterwiki-name", b"\xff")],
        &[("x-otterwiki-subject", b"a"), ("x-otterwiki-email", b"a@b, c@d")],
        &[("x-otterwiki-permissions", b"READ"), ("x-otterwiki-permissions", b"ADMIN")],
        &[("x-otterwiki-subject", b"operator")],
        &[("x-otterwiki-subject", b"token:0123")],
        &[("x-otterwiki-subject", &[b'a'; 256])],
    ] {
        let refused = named(lines).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (400, "invalid_identity"));
    }
    assert_eq!(subject(&[("x-otterwiki-subject", b" admin\t ")]).as_deref(), Some("admin"));
}

#[test]
fn permissions_are_a_ceiling() {
    let of =
        |permissions: &[u8]| named(&[("x-otterwiki-permissions", permissions)]).unwrap().ceiling;
    assert_eq!(named(&[]).unwrap().ceiling, None);
    assert_eq!(of(b""), Some(None));
    assert_eq!(of(b"SLEEP,root"), Some(None));
    assert_eq!(of(b"READ"), Some(Some(Role::Reader)));
    assert_eq!(of(b"read, write"), Some(Some(Role::Editor)));
    assert_eq!(of(b"UPLOAD"), Some(Some(Role::Editor)));
    assert_eq!(of(b"READ,WRITE,UPLOAD,ADMIN"), Some(Some(Role::Admin)));
}

/// header-011
#[test]
fn a_client_is_where_the_nearest_hop_says_that_is_not_ours() {
    let client = |from, forwarded: &[&[u8]]| {
        let lines: Vec<(&str, &[u8])> =
            forwarded.iter().map(|line| ("x-forwarded-for", *line)).collect();
        judged(&by_network(), from, &lines).client.map(|address| address.to_string())
    };
    let proxy = || peer("10.0.0.1");
    for (from, forwarded, expected) in [
        (peer("192.0.2.1"), &[&b"127.0.0.1"[..]][..], "192.0.2.1"),
        (proxy(), &[], "10.0.0.1"),
        (proxy(), &[b"192.0.2.1"], "192.0.2.1"),
        (proxy(), &[b"127.0.0.1, 192.0.2.1"], "192.0.2.1"),
        (proxy(), &[b"127.0.0.1", b"192.0.2.1 , 10.0.0.9"], "192.0.2.1"),
        (proxy(), &[b"192.0.2.1, garbage"], "10.0.0.1"),
        (proxy(), &[b"192.0.2.1, garbage, 10.0.0.9"], "10.0.0.9"),
        (proxy(), &[b"192.0.2.1:4711"], "192.0.2.1"),
        (proxy(), &[b"[2001:db8::1]:4711"], "2001:db8::1"),
        (proxy(), &[b"[2001:db8::1]"], "2001:db8::1"),
        (proxy(), &[b"::ffff:192.0.2.1"], "192.0.2.1"),
        (proxy(), &[b"\xff"], "10.0.0.1"),
        (proxy(), &[b""], "10.0.0.1"),
    ] {
        assert_eq!(client(from, forwarded).as_deref(), Some(expected), "{forwarded:?}");
    }
    let local =
        judged(&by(&[], &[], true), Some(Peer::Local), &[("x-forwarded-for", b"192.0.2.1")]);
    assert_eq!(local.client, Some("192.0.2.1".parse().unwrap()));
}

#[test]
fn secrets_are_lines_of_a_file() {
    let of = |text: &str| Proxies::secrets(text).map(|secrets| secrets.len());
    assert_eq!(of("one\n"), Ok(1));
    assert_eq!(of("one\n\n  two \n"), Ok(2));
    assert_eq!(of(" \n"), Err(ProxyError::Secrets));
}

#[test]
fn what_is_shown_of_proxies_has_no_secret() {
    let shown = format!("{:?}", by(&[], &[SECRET], false));
    assert!(!shown.contains(SECRET) && shown.contains("secrets: 1"), "{shown}");
}

/// Names that resemble the evaluated headers, in all spellings.
fn near() -> impl Strategy<Value = String> {
    let names = proptest::sample::select(vec![
        "x-otterwiki-subject",
        "x-otterwiki-name",
        "x-otterwiki-email",
        "x-otterwiki-permissions",
        header::PROXY_SECRET,
        "x-forwarded-for",
        "x-forwarded-user",
        "remote-user",
    ]);
    let separators = proptest::sample::select(vec!["-", "_", ".", "~"]);
    (names, separators).prop_map(|(name, separator)| name.replace('-', separator))
}

proptest! {
    #[test]
    fn from_anybody_else_no_header_changes_who_somebody_is(
        lines in proptest::collection::vec((near(), "[ -~]{0,20}"), 0..6),
        from in proptest::sample::select(vec!["192.0.2.1", "127.0.0.1", "[2001:db8::1]"]),
    ) {
        let lines: Vec<(&str, &[u8])> =
            lines.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let secret = |text: &str| text == SECRET;
        prop_assume!(!lines.iter().any(|(_, value)| secret(&String::from_utf8_lossy(value))));
        for proxies in [by_network(), by(&[], &[SECRET], true)] {
            let mut kept = headers(&lines);
            let judged = proxies.judge(peer(from), &mut kept).unwrap();
            let address = peer(from).and_then(Peer::address);
            prop_assert_eq!(judged, Judged { client: address, identity: None });
            // Handlers behind this middleware never see the headers.
            prop_assert!(kept.keys().all(|name| !name.as_str().contains("otterwiki")), "{:?}", kept);
            prop_assert!(kept.keys().all(|name| !name.as_str().contains("secret")), "{:?}", kept);
        }
    }

    #[test]
    fn a_proxy_names_one_user_or_is_refused(
        lines in proptest::collection::vec((near(), "[ -~\\t]{0,12}"), 0..4),
    ) {
        let lines: Vec<(&str, &[u8])> =
            lines.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let mut kept = headers(&lines);
        let sent: Vec<&[u8]> = lines
            .iter()
            .filter(|(name, _)| *name == "x-otterwiki-subject")
            .map(|(_, value)| value.trim_ascii())
            .collect();
        if let Ok(judged) = by_network().judge(peer("10.0.0.1"), &mut kept) {
            let caller = judged.identity.unwrap().caller();
            prop_assert!(sent.len() <= 1);
            let expected = sent.first().filter(|subject| !subject.is_empty());
            prop_assert_eq!(caller.subject().map(str::as_bytes), expected.copied());
        }
    }
}
