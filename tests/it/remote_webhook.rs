//! Webhooks that nobody who knows the secret sent, from `bad_inputs.json`.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, StatusCode};
use wikigrove_server::remote::webhook::{MAX_BODY, Refused, verify};
use wikigrove_tenant::Secret;

use crate::bad_inputs::driven_by;

const SECRET: &str = "garden-0123456789abcdef0123456789";
/// The signature of the body below under this secret, by `openssl dgst -sha256 -hmac`.
const BODY: &[u8] = b"{\"ref\":  \"refs/heads/main\"}";
const SIGNATURE: &str = "995b0fccd9d482e9dfc7c8d4ee71b05db54434ac678a2cc7fd209dd87e13647f";

fn answered(secret: Option<&str>, header: (&'static str, &str), body: &[u8]) -> StatusCode {
    let secret = secret.map(|secret| Secret::new(secret.to_owned()));
    let mut headers = HeaderMap::new();
    headers.insert(header.0, HeaderValue::from_str(header.1).unwrap());
    match verify(secret.as_ref(), &headers, body, SystemTime::now()) {
        Ok(_) => StatusCode::ACCEPTED,
        Err(refused) => refused.status(),
    }
}

#[test]
fn webhooks_that_the_host_did_not_sign_are_refused() {
    let signed = format!("sha256={SIGNATURE}");
    let hub = "x-hub-signature-256";
    assert_eq!(answered(Some(SECRET), (hub, &signed), BODY), StatusCode::ACCEPTED);
    for bad in driven_by("webhooks_that_the_host_did_not_sign_are_refused") {
        let status = match bad.id.as_str() {
            "header-039" => answered(Some(SECRET), (hub, "sha256="), BODY),
            "header-041" => {
                answered(Some("kitchen-0123456789abcdef012345678"), (hub, &signed), BODY)
            }
            "header-042" => {
                answered(Some(SECRET), (hub, &signed), b"{\"ref\":\"refs/heads/main\"}")
            }
            "header-044" => answered(Some(SECRET), ("x-gitlab-token", &SECRET[..20]), BODY),
            other => panic!("{other} is not driven"),
        };
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", bad.id);
    }
}

#[test]
fn a_wiki_without_a_secret_has_no_webhook() {
    for bad in driven_by("a_wiki_without_a_secret_has_no_webhook") {
        for secret in [None, Some("")] {
            let status = answered(secret, ("x-gitlab-token", ""), BODY);
            assert_eq!(status, StatusCode::NOT_FOUND, "{}", bad.id);
        }
    }
}

#[test]
fn a_webhook_that_is_too_large_is_refused_unread() {
    for bad in driven_by("a_webhook_that_is_too_large_is_refused_unread") {
        let body = vec![b' '; 100 * MAX_BODY];
        let status = answered(Some(SECRET), ("x-gitlab-token", "wrong"), &body);
        assert_eq!(status, Refused::TooLarge.status(), "{}", bad.id);
    }
}
