//! Tests of the channels' queues.

use serde_json::json;
use time::Duration;

use super::*;
use crate::catalog::SealedChannel;
use crate::catalog::tests::{garden, scratch, settled};

/// The id of the platform's channel.
const PLATFORM: &str = "platform";

fn notice(kind: &str) -> NewNotice {
    NewNotice { kind: kind.to_owned(), once: None, detail: json!({ "a": 1 }) }
}

fn mail(catalog: &Catalog, id: &str, wiki: TenantId) {
    let (kind, target) = ("mail".to_owned(), "ann@example.org".to_owned());
    let new = SealedChannel { id: id.to_owned(), wiki, kind, target, sealed: None };
    catalog.create_channel(&new, 9).unwrap();
}

fn platform(catalog: &Catalog) {
    catalog.set_platform_channels(&[PLATFORM.to_owned()]).unwrap();
}

/// The channel and kind of each next notice.
fn next(catalog: &Catalog) -> Vec<(String, String)> {
    let due = catalog.next_notices(&[], &[], 9).unwrap();
    due.into_iter().map(|due| (due.channel, due.notice.kind)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(channel, kind): &(&str, &str)| ((*channel).to_owned(), (*kind).to_owned());
    expected.iter().map(owned).collect()
}

fn rows(catalog: &Catalog, table: &str) -> u32 {
    let sql = format!("select count(*) from {table}");
    let count = |connection: &rusqlite::Connection| {
        Ok::<_, CatalogError>(connection.query_row(&sql, [], |row| row.get(0))?)
    };
    catalog.db.read(|connection| count(connection)).unwrap()
}

#[test]
fn a_notice_is_for_the_platform_and_for_its_wiki() {
    let (_dir, catalog) = scratch();
    let (garden, kitchen) = (garden(&catalog).id, settled(&catalog, "kitchen").id);
    catalog.add_notice(garden, "a", &notice("nobody-hears")).unwrap();
    platform(&catalog);
    mail(&catalog, "ann", garden);
    mail(&catalog, "bob", kitchen);
    catalog.add_notice(garden, "a", &notice("paused")).unwrap();
    let mut told = next(&catalog);
    told.sort();
    assert_eq!(told, pairs(&[("ann", "paused"), (PLATFORM, "paused")]));
    // A platform that is set up again keeps the waiting notices.
    platform(&catalog);
    assert_eq!(next(&catalog).len(), 2);
    catalog.set_platform_channels(&[]).unwrap();
    assert_eq!(next(&catalog), pairs(&[("ann", "paused")]));
    catalog.remove_channel("ann").unwrap();
    assert_eq!((next(&catalog), rows(&catalog, "deliveries")), (Vec::new(), 0));
}

#[test]
fn who_has_it_gets_it_no_more_while_others_wait() {
    let (_dir, catalog) = scratch();
    let wiki = garden(&catalog).id;
    mail(&catalog, "ann", wiki);
    mail(&catalog, "bob", wiki);
    catalog.add_notice(wiki, "a", &notice("first")).unwrap();
    catalog.add_notice(wiki, "a", &notice("second")).unwrap();
    let id = catalog.next_notices(&[], &[], 1).unwrap()[0].notice.id;
    catalog.notice_settled("ann", id).unwrap();
    let late = i64::MAX;
    catalog.notice_postponed("bob", late).unwrap();
    assert_eq!(next(&catalog), pairs(&[("ann", "second"), ("bob", "first")]));
    // More notices don't make an unreachable channel due sooner.
    catalog.add_notice(wiki, "a", &notice("third")).unwrap();
    let due = catalog.next_notices(&["ann"], &[], 9).unwrap();
    assert_eq!((due[0].at, due[0].attempts, due.len()), (late, 1, 1));
    catalog.notice_settled("bob", id).unwrap();
    let due = catalog.next_notices(&["ann"], &[], 9).unwrap();
    assert!(due[0].at < late && due[0].attempts == 0 && due[0].notice.kind == "second");
    assert_eq!(catalog.next_notices(&[], &[wiki], 9).unwrap(), []);
}

#[test]
fn what_is_told_once_is_told_once() {
    let (_dir, catalog) = scratch();
    let wiki = garden(&catalog).id;
    mail(&catalog, "ann", wiki);
    let mut told = Vec::new();
    for once in ["a", "a", "b"] {
        let notice = NewNotice { once: Some(once.to_owned()), ..notice("conflicts") };
        told.push(catalog.add_notice(wiki, "a", &notice).unwrap());
    }
    assert_eq!((told, rows(&catalog, "deliveries")), (vec![true, false, true], 2));
}

#[test]
fn what_is_old_is_given_up_and_a_clock_that_was_put_back_stops_nobody() {
    let (_dir, catalog) = scratch();
    let wiki = garden(&catalog).id;
    mail(&catalog, "ann", wiki);
    catalog.add_notice(wiki, "a", &notice("paused")).unwrap();
    catalog.notice_postponed("ann", i64::MAX).unwrap();
    assert_eq!(catalog.give_up_notices(now() - Duration::DAY, 1000).unwrap(), 0);
    assert!(catalog.next_notices(&[], &[], 9).unwrap()[0].at <= milliseconds());
    assert_eq!(catalog.give_up_notices(now() + Duration::DAY, 1000).unwrap(), 1);
    assert_eq!(next(&catalog), []);
    assert_eq!(catalog.give_up_notices(now() + Duration::DAY, 1000).unwrap(), 0);
}

#[test]
fn old_notices_do_not_pile_up_but_none_goes_before_it_was_told() {
    let (_dir, catalog) = scratch();
    let wiki = garden(&catalog).id;
    mail(&catalog, "ann", wiki);
    catalog.add_notice(wiki, "a", &notice("waits")).unwrap();
    for _ in 0..KEPT + 20 {
        catalog.add_notice(wiki, "a", &notice("paused")).unwrap();
    }
    assert_eq!(rows(&catalog, "notices"), KEPT + 21);
    catalog.remove_channel("ann").unwrap();
    catalog.add_notice(wiki, "a", &notice("paused")).unwrap();
    assert_eq!(rows(&catalog, "notices"), KEPT);
}

#[test]
fn whoever_is_to_be_told_is_found_by_an_index() {
    let (_dir, catalog) = scratch();
    let plan: Vec<String> = catalog
        .db
        .read(|connection| {
            let mut plan = connection.prepare(&format!("explain query plan {NEXT}"))?;
            let rows = plan.query_map(params!["[]", "[]", 1], |row| row.get("detail"))?;
            Ok::<_, CatalogError>(rows.collect::<Result<_, _>>()?)
        })
        .unwrap();
    let plan = plan.join("; ");
    assert!(plan.contains("channels_by_time") && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn a_channel_that_is_never_told_has_a_bounded_queue_and_one_wiki_leaves_the_others_theirs() {
    let (_dir, catalog) = scratch();
    let (garden, kitchen) = (garden(&catalog).id, settled(&catalog, "kitchen").id);
    platform(&catalog);
    catalog.add_notice(kitchen, "k", &notice("paused")).unwrap();
    for _ in 0..MOST + 20 {
        catalog.add_notice(garden, "a", &notice("conflicts")).unwrap();
    }
    assert_eq!((rows(&catalog, "notices"), rows(&catalog, "deliveries")), (MOST + 1, MOST + 1));
    assert_eq!(next(&catalog), pairs(&[(PLATFORM, "paused")]));
}
