//! The bounds of the audit log.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use testkit::{ServerSetup, TestServer, User, slug};
use wikigrove_tenant::{AuditEntry, AuditFilter};

/// Work that is done every half second is done within this time.
const SOON: Duration = Duration::from_secs(30);

/// Looked after every half second, as a server is every ten.
async fn server(setup: ServerSetup) -> (TestServer, User) {
    let (server, operator) =
        setup.settings(|settings| settings.idle = Duration::from_secs(1)).start().await;
    operator.create_wiki("garden").await.good();
    (server, operator)
}

async fn rows(server: &TestServer, action: &str) -> Vec<AuditEntry> {
    let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
    server.platform().audit_log(filter, None, 500).await.unwrap()
}

/// Waits until the rows of an action are as wanted.
async fn until(server: &TestServer, action: &str, wanted: impl Fn(&[AuditEntry]) -> bool) {
    let started = Instant::now();
    loop {
        let rows = rows(server, action).await;
        if wanted(&rows) {
            return;
        }
        assert!(started.elapsed() < SOON, "{rows:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_one_caller_is_refused_again_and_again_is_one_row_with_a_number() {
    let (server, operator) = server(ServerSetup::default()).await;
    let reader = operator.token("garden", "reader").await;
    let other = operator.token("garden", "reader").await;
    let change = |user: &User| user.on("garden").change_preferences(json!({ "site_name": "x" }));
    for _ in 0..60 {
        change(&reader).await.problem("forbidden");
    }
    change(&other).await.problem("forbidden");
    until(&server, "preferences.change", |rows| {
        // A minute may have ended in between.
        rows.len() <= 3 && rows.iter().map(|row| row.count).sum::<u32>() == 61
    })
    .await;
    let rows = rows(&server, "preferences.change").await;
    assert!(rows.iter().all(|row| row.result == Some(403)), "{rows:?}");
    let listed = operator.admin(Method::GET, "/audit?action=preferences.change").await.good();
    assert!(listed.json()["items"][0]["count"].as_u64().is_some(), "{}", listed.text());
}

#[tokio::test]
async fn guesses_at_an_invitation_are_counted_and_its_acceptance_is_written_down() {
    let (server, operator) = server(ServerSetup::default()).await;
    let made = operator
        .admin(Method::POST, "/wikis/garden/invitations")
        .json(json!({ "role": "reader" }))
        .await
        .good();
    operator.create_wiki("kitchen").await.good();
    let ann = json!({ "name": "ann", "role": "reader", "subject": "ann" });
    let ann = operator.token_with("kitchen", ann).await;
    let accept = |wiki: &str, secret: &Value| {
        let call = ann.on(wiki).api(Method::POST, "/invitations/accept");
        call.json(json!({ "token": secret }))
    };
    for _ in 0..30 {
        accept("garden", &json!("wgi_wrong")).await.problem("unknown_wiki");
    }
    // Nor does a row for each wiki that there isn't come of it.
    for number in 0..30 {
        accept(&format!("none-{number}"), &json!("wgi_wrong")).await.problem("unknown_wiki");
    }
    accept("garden", &made.json()["token"]).await.good();
    until(&server, "invitation.accept", |rows| {
        let refused = rows.iter().filter(|row| row.result == Some(404));
        refused.map(|row| row.count).sum::<u32>() == 60
    })
    .await;
    let rows = rows(&server, "invitation.accept").await;
    assert!(rows.len() <= 5, "{rows:#?}");
    let accepted: Vec<_> = rows.iter().filter(|row| row.result == Some(200)).collect();
    assert_eq!((accepted.len(), accepted[0].count), (1, 1));
    assert_eq!(accepted[0].what.subject.as_deref(), Some("ann"));
}

#[tokio::test]
async fn a_principal_makes_few_rows_an_hour_and_reads_as_often_as_before() {
    let limits = |limits: &mut wikigrove_server::limits::HttpLimits| {
        limits.audited_per_hour = NonZeroU32::new(20);
    };
    let (server, operator) = server(ServerSetup::default().limits(limits)).await;
    let admin = operator.token("garden", "admin").await;
    let other = operator.token("garden", "admin").await;
    let change = |user: &User| user.on("garden").change_preferences(json!({ "site_name": "x" }));
    for _ in 0..10 {
        change(&admin).await.good();
    }
    let refused = change(&admin).await;
    assert_eq!(refused.status(), 429);
    refused.problem("rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 60);
    assert_eq!(rows(&server, "preferences.change").await.len(), 10);
    // Calls that make no row, another principal and the operator aren't limited.
    admin.on("garden").preferences().await.good();
    admin.on("garden").create("home", "hello\n").await.good();
    change(&other).await.good();
    for _ in 0..15 {
        change(&operator).await.good();
    }
}

#[tokio::test]
async fn the_log_is_as_long_as_it_may_be_and_keeps_what_is_newest() {
    let setup = ServerSetup::default().settings(|settings| settings.audit_rows = 20);
    let (server, operator) = server(setup).await;
    for number in 0..50 {
        let title = json!({ "title": format!("title {number}") });
        operator.change_wiki("garden", title).await.good();
    }
    until(&server, "wiki.change", |rows| rows.len() <= 20).await;
    let before = rows(&server, "wiki.change").await;
    assert_eq!(before.len(), 20);
    operator.change_wiki("garden", json!({ "title": "the last" })).await.good();
    until(&server, "wiki.change", |rows| rows.len() == 20 && rows[0].id > before[0].id).await;
    assert!(rows(&server, "wiki.create").await.is_empty());
    assert!(server.platform().tenant(&slug("garden")).await.unwrap().is_some());
}
