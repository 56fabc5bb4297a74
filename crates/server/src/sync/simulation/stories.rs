//! A few fixed scenarios, to check amounts and not only results.

use std::time::Duration;

use super::life::MINUTE;
use super::world::{Outage, World};
use crate::sync::{Event, Failure, Settings, Winner};

/// Wikis that are each linked with each remote, without faults, and at rest.
fn world(wikis: usize, remotes: usize, winner: Winner) -> World {
    let mut world = World::empty(7, false);
    world.chaos = false;
    let tree = world.pages(3);
    let first = world.git.commit(&[], tree);
    for remote in 0..remotes {
        world.add_remote(None, remote, Some(first));
        world.remotes[remote].others = false;
    }
    for wiki in 0..wikis {
        world.add_server();
        world.add_wiki(wiki, Some(first));
        for remote in 0..remotes {
            // So rarely that no timer matters in these tests.
            let interval = Duration::from_secs(24 * 60 * 60);
            let settings = Settings { winner, interval, ..Settings::default() };
            world.add_link(wiki, remote, settings);
        }
    }
    world.advance(MINUTE);
    assert_eq!(world.difference(), None);
    world
}

#[test]
fn a_save_is_at_the_remote_within_seconds() {
    let mut world = world(1, 1, Winner::Wiki);
    world.save_in(0, None);
    assert_eq!(world.wikis[0].jobs.len(), 1);
    world.advance(15_000);
    assert_eq!(world.difference(), None);
}

#[test]
fn fifty_saves_in_five_seconds_are_three_pushes_at_most() {
    let mut world = world(1, 1, Winner::Wiki);
    for _ in 0..50 {
        world.save_in(0, None);
        world.advance(100);
    }
    world.advance(MINUTE);
    assert_eq!(world.difference(), None);
    assert!((1..=3).contains(&world.remotes[0].pushes), "{}", world.remotes[0].pushes);
}

#[test]
fn three_days_without_the_remote_are_one_push_of_three_hundred_saves() {
    let mut world = world(1, 1, Winner::Wiki);
    let day = 24 * 60 * MINUTE;
    let down = Failure::Transient { retry_after: None, answered: true };
    world.remotes[0].outage = Some((Outage::Fails(down), world.now + 3 * day));
    let asked = world.remotes[0].asked;
    for _ in 0..300 {
        world.save_in(0, None);
        world.advance(3 * day / 300);
    }
    assert_eq!(world.wikis[0].jobs.len(), 300);
    // About one attempt in seven and a half minutes.
    let asked = world.remotes[0].asked - asked;
    assert!((300..900).contains(&asked), "{asked}");
    world.advance(20 * MINUTE);
    assert_eq!(world.difference(), None);
    assert_eq!(world.remotes[0].pushes, 1);
    world.check_nothing_lost();
}

#[test]
fn two_wikis_that_edit_one_line_through_one_remote_agree_with_one_conflict_page() {
    for winner in Winner::ALL {
        let mut world = world(2, 1, *winner);
        world.save_in(0, Some("p0"));
        world.save_in(1, Some("p0"));
        world.advance(MINUTE);
        assert_eq!(world.difference(), None, "{winner}");
        let tip = world.tip(0).unwrap();
        let conflicts = world.git.tree(tip).keys().filter(|path| path.contains("(conflict"));
        assert_eq!(conflicts.count(), 1);
        world.check_nothing_lost();
    }
}

#[test]
fn two_ends_that_settle_one_conflict_without_each_other_have_one_tree_if_the_winner_is_stable() {
    let mut world = world(2, 2, Winner::Stable);
    let outage = Some((Outage::Rejects, world.now + MINUTE));
    // Each text reaches one remote only, so that both ends settle the same pair.
    world.save_in(0, Some("p0"));
    world.save_in(1, Some("p0"));
    world.remotes[0].outage = outage;
    world.advance(10 * MINUTE);
    for link in 0..world.links.len() {
        world.hear(link, &Event::Resumed);
    }
    world.advance(10 * MINUTE);
    assert_eq!(world.difference(), None);
    let tree = world.git.tree(world.tip(0).unwrap());
    assert_eq!(tree.keys().filter(|path| path.contains("(conflict")).count(), 1);
    world.check_nothing_lost();
}

#[test]
fn a_wiki_and_a_remote_with_nothing_new_exchange_nothing() {
    let mut world = world(1, 1, Winner::Wiki);
    let (asked, commits) = (world.remotes[0].asked, world.wikis[0].head);
    world.hear(0, &Event::Requested);
    world.advance(MINUTE);
    assert_eq!((world.remotes[0].asked, world.remotes[0].pushes), (asked + 1, 0));
    assert_eq!(world.wikis[0].head, commits);
}
