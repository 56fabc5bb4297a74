use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const BODY: &[u8] =
    br#"{"ref": "refs/heads/main", "after": "1111111111111111111111111111111111111111"}"#;

fn secret() -> Secret {
    Secret::new(SECRET.to_owned())
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn hex(secret: &str, body: &[u8]) -> String {
    let mac = keyed(secret.as_bytes()).chain_update(body);
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn verified(pairs: &[(&'static str, &str)], body: &[u8]) -> Result<Delivery, Refused> {
    verify(Some(&secret()), &headers(pairs), body, at(1_000_000))
}

#[test]
fn each_host_is_understood() {
    let hex = hex(SECRET, BODY);
    let standard = sign_standard(&secret(), "msg_1", 1_000_000, BODY);
    for pairs in [
        &[("x-hub-signature-256", &*format!("sha256={hex}")), ("x-github-delivery", "d-1")][..],
        &[("x-gitea-signature", &hex), ("x-gitea-delivery", "d-1")],
        &[("x-forgejo-signature", &hex), ("x-forgejo-delivery", "d-1")],
        &[("x-gitlab-token", SECRET), ("x-gitlab-event-uuid", "e"), ("idempotency-key", "d-1")],
        &[
            ("webhook-signature", &standard),
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1000000"),
        ],
        // Gitea and Forgejo send all of these.
        &[
            ("x-hub-signature-256", &format!("sha256={hex}")),
            ("x-gitea-signature", &hex),
            ("x-forgejo-signature", &hex),
            ("x-gitea-delivery", "d-1"),
        ],
    ] {
        let delivery = verified(pairs, BODY).unwrap();
        assert!([Some("d-1"), Some("msg_1")].contains(&delivery.id.as_deref()));
        assert_eq!(delivery.git_ref.as_deref(), Some("refs/heads/main"));
        assert_eq!(delivery.after, Some(Revision::from_bytes([0x11; 20])));
        assert!(delivery.concerns("main") && !delivery.concerns("other"));
    }
}

/// The example in GitHub's documentation.
#[test]
fn githubs_own_example_is_good() {
    let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(hex("It's a Secret to Everybody", b"Hello, World!"), signature);
}

/// The example in the libraries of the Standard Webhooks specification.
#[test]
fn the_example_of_standard_webhooks_is_good() {
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
    let signature = sign_standard(
        &secret,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn without_a_secret_nothing_is_accepted() {
    let empty = Secret::new(String::new());
    let short = Secret::new("a".repeat(MIN_SECRET - 1));
    for (secret, signature) in [
        (None, hex("", BODY)),
        (Some(&empty), hex("", BODY)),
        (Some(&short), hex(short.expose(), BODY)),
    ] {
        for pairs in [
            &[("x-gitlab-token", "")][..],
            &[("x-gitlab-token", short.expose())],
            &[("x-gitea-signature", &signature)],
            &[],
        ] {
            let refused = verify(secret, &headers(pairs), BODY, at(0)).unwrap_err();
            assert_eq!(refused, Refused::Disabled);
        }
    }
}

#[test]
fn anything_wrong_is_refused() {
    let good = hex(SECRET, BODY);
    let other = hex("fedcba9876543210fedcba9876543210", BODY);
    for pairs in [
        &[][..],
        &[("x-hub-signature-256", "")],
        &[("x-hub-signature-256", "sha256=")],
        &[("x-hub-signature-256", &good)],
        &[("x-hub-signature-256", &format!("sha1={good}"))],
        &[("x-hub-signature-256", &format!("sha256={other}"))],
        &[("x-hub-signature-256", &format!("sha256={}", &good[..62]))],
        &[("x-gitea-signature", "")],
        &[("x-gitea-signature", "zz")],
        &[("x-gitlab-token", "")],
        &[("x-gitlab-token", &SECRET[..31])],
        &[("x-gitlab-token", &format!("{SECRET}0"))],
        &[("x-gitea-signature", &good), ("x-forgejo-signature", &other)],
        &[("x-gitea-signature", &good), ("x-gitea-signature", &good)],
        &[("webhook-signature", "v1,")],
        &[("x-hub-signature", &good)],
    ] {
        assert_eq!(verified(pairs, BODY), Err(Refused::Signature), "{pairs:?}");
    }
    let reserialised =
        serde_json::to_vec(&serde_json::from_slice::<serde_json::Value>(BODY).unwrap()).unwrap();
    assert_ne!(reserialised, BODY);
    let signature = hex(SECRET, &reserialised);
    assert_eq!(verified(&[("x-gitea-signature", &signature)], BODY), Err(Refused::Signature));
}

#[test]
fn a_large_body_is_refused_before_it_is_hashed() {
    let body = vec![b' '; MAX_BODY + 1];
    let signature = hex(SECRET, &body);
    assert_eq!(verified(&[("x-gitea-signature", &signature)], &body), Err(Refused::TooLarge));
    assert_eq!(verified(&[], &body), Err(Refused::TooLarge));
    let body = &body[..MAX_BODY];
    verified(&[("x-gitea-signature", &hex(SECRET, body))], body).unwrap();
}

#[test]
fn a_delivery_that_is_repeated_later_is_stale() {
    let signature = sign_standard(&secret(), "msg_1", 1_000_000, BODY);
    let pairs = [
        ("webhook-signature", &*format!("v1a,x v1,AAAA {signature}")),
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1000000"),
    ];
    let verified = |now| verify(Some(&secret()), &headers(&pairs), BODY, at(now));
    verified(1_000_300).unwrap();
    verified(999_700).unwrap();
    assert_eq!(verified(1_000_301), Err(Refused::Stale));
    assert_eq!(verified(999_699), Err(Refused::Stale));
    let other_id = [pairs[0], ("webhook-id", "msg_2"), pairs[2]];
    assert_eq!(
        verify(Some(&secret()), &headers(&other_id), BODY, at(1_000_000)),
        Err(Refused::Signature)
    );
    let no_time = sign_standard(&secret(), "msg_1", u64::MAX, BODY);
    let far =
        [("webhook-signature", &*no_time), pairs[1], ("webhook-timestamp", "18446744073709551615")];
    assert_eq!(verify(Some(&secret()), &headers(&far), BODY, at(1_000_000)), Err(Refused::Stale));
}

#[test]
fn what_is_no_push_is_a_hint_without_words() {
    for body in [&b"{}"[..], b"payload=%7B%7D", b"[1]", b"\xff", b"{\"ref\": 1}", b""] {
        let delivery = verified(&[("x-gitea-signature", &hex(SECRET, body))], body).unwrap();
        assert_eq!((delivery.git_ref.clone(), delivery.after), (None, None));
        assert!(delivery.concerns("main") && delivery.id.is_none());
    }
    let deleted =
        br#"{"ref": "refs/heads/a", "after": "0000000000000000000000000000000000000000"}"#;
    let delivery = verified(&[("x-gitea-signature", &hex(SECRET, deleted))], deleted).unwrap();
    assert_eq!(delivery.after, None);
}

#[test]
fn a_delivery_is_new_once_for_each_link() {
    let deliveries = Deliveries::default();
    let delivery =
        |id: Option<&str>| Delivery { id: id.map(str::to_owned), git_ref: None, after: None };
    assert!(deliveries.is_new("garden", &delivery(Some("a"))));
    assert!(!deliveries.is_new("garden", &delivery(Some("a"))));
    assert!(deliveries.is_new("garden", &delivery(Some("b"))));
    assert!(deliveries.is_new("kitchen", &delivery(Some("a"))));
    // Two deliveries without an id may be different ones.
    assert!(deliveries.is_new("garden", &delivery(None)));
    assert!(deliveries.is_new("garden", &delivery(None)));
}

proptest! {
    #[test]
    fn no_other_body_and_no_other_secret_passes(body in prop::collection::vec(any::<u8>(), 0..64), flip in 0_usize..64, other in "[ -~]{32,40}") {
        let signature = hex(SECRET, &body);
        let pairs = [("x-gitea-signature", &*signature)];
        prop_assert!(verified(&pairs, &body).is_ok());
        let mut changed = body.clone();
        match changed.get_mut(flip) {
            Some(byte) => *byte ^= 1,
            None => changed.push(0),
        }
        prop_assert_eq!(verified(&pairs, &changed), Err(Refused::Signature));
        prop_assume!(other != SECRET);
        let refused = verify(Some(&Secret::new(other)), &headers(&pairs), &body, at(0));
        prop_assert_eq!(refused, Err(Refused::Signature));
    }
}
