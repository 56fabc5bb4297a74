//! Tests of the table of links.

use super::*;
use crate::catalog::tests::{garden, scratch, settled};
use crate::channel::DueNotice;
use crate::link::NewNotice;

fn sealed(byte: u8) -> Sealed {
    Sealed { nonce: vec![byte; 24], sealed: vec![byte] }
}

fn settings() -> LinkSettings {
    LinkSettings {
        url: "https://git.example.org/garden.git".to_owned(),
        branch: "main".to_owned(),
        subdirectory: Some("docs".to_owned()),
        filter: None,
        mode: "both".to_owned(),
        winner: "wiki".to_owned(),
        first_run: "ask".to_owned(),
        on_rewrite: "ask".to_owned(),
        interval: Duration::from_secs(300),
        cooldown: Duration::from_secs(60),
        offline: false,
    }
}

fn progress(word: &str, next_at: Option<i64>) -> LinkProgress {
    LinkProgress { state: "{}".to_owned(), word: word.to_owned(), reason: None, next_at }
}

pub(in crate::catalog) fn new(id: &str, wiki: TenantId) -> SealedLink {
    SealedLink {
        id: id.to_owned(),
        wiki,
        settings: settings(),
        credential: Some(StoredCredential {
            kind: "token".to_owned(),
            public_key: None,
            sealed: sealed(1),
        }),
        known_hosts: String::new(),
        webhook: sealed(2),
        progress: progress("idle", Some(50)),
    }
}

fn ids(links: &[Link]) -> Vec<&str> {
    links.iter().map(|link| link.id.as_str()).collect()
}

#[test]
fn a_link_is_what_was_made_and_changed() {
    let (_dir, catalog) = scratch();
    let wiki = garden(&catalog).id;
    let made = catalog.create_link(&new("a", wiki)).unwrap();
    assert_eq!(made.settings, settings());
    assert_eq!(catalog.link("a").unwrap(), Some(made.clone()));
    assert_eq!(catalog.link_credential("a").unwrap().unwrap().sealed, sealed(1));
    assert_eq!(catalog.link_webhook("a").unwrap(), sealed(2));
    let progress = LinkProgress {
        state: "{}".to_owned(),
        word: "due".to_owned(),
        reason: None,
        next_at: Some(7),
    };
    let changed = SealedUpdate {
        progress: Some(progress.clone()),
        settings: Some(LinkSettings { mode: "pull".to_owned(), ..settings() }),
        credential: Some(Some(StoredCredential {
            kind: "deploy_key".to_owned(),
            public_key: Some("ssh-ed25519 AAAA".to_owned()),
            sealed: sealed(4),
        })),
        known_hosts: Some("git.example.org ssh-ed25519 AAAA".to_owned()),
        webhook: Some(sealed(3)),
    };
    let changed = catalog.update_link("a", &changed).unwrap();
    assert_eq!(
        (changed.settings.mode.as_str(), changed.credential.as_str()),
        ("pull", "deploy_key")
    );
    assert_eq!(changed.public_key.as_deref(), Some("ssh-ed25519 AAAA"));
    assert_eq!(catalog.link_credential("a").unwrap().unwrap().sealed, sealed(4));
    assert_eq!(catalog.link_webhook("a").unwrap(), sealed(3));
    assert_eq!(changed.progress, progress);
    let open = SealedUpdate { credential: Some(None), ..SealedUpdate::default() };
    let opened = catalog.update_link("a", &open).unwrap();
    assert_eq!((opened.credential.as_str(), opened.progress), ("none", progress));
    assert!(catalog.link_credential("a").unwrap().is_none());
    assert!(catalog.remove_link("a").unwrap());
    assert!(!catalog.remove_link("a").unwrap());
    assert!(catalog.link_credential("a").is_err() && catalog.link_webhook("a").is_err());
    assert!(catalog.update_link("a", &SealedUpdate::default()).is_err());
}

#[test]
fn a_state_and_its_notices_are_stored_together() {
    let (_dir, catalog) = scratch();
    let wiki = garden(&catalog).id;
    catalog.create_link(&new("a", wiki)).unwrap();
    let step = |link: &str| LinkStep {
        link: link.to_owned(),
        progress: LinkProgress {
            state: r#"{"b":1}"#.to_owned(),
            word: "paused".to_owned(),
            reason: Some("auth".to_owned()),
            next_at: None,
        },
        notices: vec![NewNotice {
            kind: "paused".to_owned(),
            once: None,
            detail: serde_json::json!({}),
        }],
    };
    catalog.set_platform_channels(&["p".to_owned()]).unwrap();
    catalog.save_links(&[step("gone"), step("a")]).unwrap();
    assert_eq!(catalog.link("a").unwrap().unwrap().progress, step("a").progress);
    let due = catalog.next_notices(&[], &[], 9).unwrap();
    let [DueNotice { channel, notice, .. }] = &due[..] else { panic!("{due:?}") };
    assert_eq!((channel.as_str(), notice.link.as_str(), notice.wiki), ("p", "a", wiki));
    catalog.notice_settled("p", notice.id).unwrap();
    let due = catalog.next_notices(&[], &[], 9).unwrap();
    assert_eq!(due, [], "a link that is gone has nothing to tell");
}

#[test]
fn links_are_listed_by_wiki_by_state_and_by_time() {
    let (_dir, catalog) = scratch();
    let (garden, kitchen) = (garden(&catalog).id, settled(&catalog, "kitchen").id);
    for (id, wiki) in [("a", garden), ("b", kitchen), ("c", garden)] {
        catalog.create_link(&new(id, wiki)).unwrap();
    }
    let save = |link: &str, progress| {
        let step = LinkStep { link: link.to_owned(), progress, notices: Vec::new() };
        catalog.save_links(&[step]).unwrap();
    };
    save("a", progress("paused", None));
    save("c", progress("idle", Some(20)));
    assert_eq!(ids(&catalog.links(garden, None, 9).unwrap()), ["a", "c"]);
    assert_eq!(ids(&catalog.links(garden, Some("a"), 9).unwrap()), ["c"]);
    assert_eq!(ids(&catalog.all_links(None, None, 2).unwrap()), ["a", "b"]);
    assert_eq!(ids(&catalog.all_links(Some("paused"), None, 9).unwrap()), ["a"]);
    assert_eq!(ids(&catalog.due_links(20, 9).unwrap()), ["c"]);
    assert_eq!(ids(&catalog.due_links(99, 9).unwrap()), ["c", "b"]);
    assert_eq!(catalog.next_link_at().unwrap(), Some(20));
}

#[test]
fn whoever_is_due_is_found_by_an_index() {
    let (_dir, catalog) = scratch();
    for sql in [
        "select * from links where next_at <= 5 order by next_at limit 3",
        "select min(next_at) from links where next_at is not null",
        "select * from links where word = 'paused' and id > '' order by id limit 3",
    ] {
        let plan: Vec<String> = catalog
            .db
            .read(|connection| {
                let mut plan = connection.prepare(&format!("explain query plan {sql}"))?;
                let rows = plan.query_map([], |row| row.get("detail"))?;
                Ok::<_, CatalogError>(rows.collect::<Result<_, _>>()?)
            })
            .unwrap();
        let plan = plan.join("; ");
        assert!(plan.contains("INDEX") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}

#[test]
fn a_wiki_that_goes_takes_its_links_along() {
    let (_dir, catalog) = scratch();
    let id = garden(&catalog).id;
    catalog.create_link(&new("a", id)).unwrap();
    let notice = NewNotice { kind: "paused".to_owned(), once: None, detail: serde_json::json!({}) };
    catalog.set_platform_channels(&["p".to_owned()]).unwrap();
    catalog.add_notice(id, "a", &notice).unwrap();
    catalog.begin_delete(id).unwrap();
    catalog.finish_delete(id).unwrap();
    assert_eq!(catalog.link("a").unwrap(), None);
    assert_eq!(catalog.next_notices(&[], &[], 9).unwrap(), []);
    assert!(catalog.create_link(&new("b", id)).unwrap_err().is_not_found());
}
