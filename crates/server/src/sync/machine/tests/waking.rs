//! The triggers of a run: saves, timers, webhooks, users' requests, reads.

use super::*;
use crate::sync::Mode;

#[test]
fn a_save_is_sent_after_two_quiet_seconds() {
    let mut desk = Desk::new();
    assert_eq!(desk.tell(&Event::Saved), []);
    assert_eq!((desk.state.state(), desk.waits()), (State::Idle, 2 * SECOND));
    assert_eq!(desk.wait(), [Effect::Queue]);
    assert_eq!(desk.state.phase, Phase::Due);
}

#[test]
fn a_burst_of_saves_is_one_run_after_ten_seconds_at_most() {
    let mut desk = Desk::new();
    let first = desk.now;
    for _ in 0..50 {
        desk.tell(&Event::Saved);
        assert!(desk.state.next_at.unwrap() <= first + 10 * SECOND);
        if desk.now + 100 * SECOND / 1000 > desk.state.next_at.unwrap() {
            break;
        }
        desk.now = desk.now + SECOND / 10;
    }
    desk.now = first + 9 * SECOND;
    desk.tell(&Event::Saved);
    assert_eq!(desk.state.next_at, Some(first + 10 * SECOND));
}

#[test]
fn a_save_doesnt_put_off_a_look_that_is_due_before() {
    let mut desk = Desk::new();
    desk.now = desk.state.look_at.unwrap() - SECOND;
    desk.tell(&Event::Saved);
    assert_eq!(desk.waits(), SECOND);
}

#[test]
fn a_link_that_only_pulls_doesnt_care_for_saves() {
    let mut desk = Desk::with(Settings { mode: Mode::Pull, ..Settings::default() });
    desk.tell(&Event::Saved);
    assert_eq!(desk.waits(), 5 * MINUTE);
}

#[test]
fn a_save_during_a_run_is_the_next_run() {
    let mut desk = Desk::new();
    desk.comparing();
    desk.tell(&Event::Saved);
    desk.done(Outcome::Compared(facts(Relation::Same)));
    assert_eq!((desk.state.state(), desk.waits()), (State::Idle, 2 * SECOND));
}

#[test]
fn the_timer_is_the_interval_give_or_take_a_fifth() {
    let mut desk = Desk::new();
    let waits: Vec<_> = (0..50)
        .map(|_| {
            desk.compared(facts(Relation::Same));
            desk.waits()
        })
        .collect();
    assert!(waits.iter().all(|wait| (4 * MINUTE..=6 * MINUTE).contains(wait)));
    assert!(waits.iter().any(|wait| *wait != waits[0]));
    assert_eq!(desk.wait(), [Effect::Queue]);
}

#[test]
fn a_timer_that_comes_early_is_nobodys() {
    let mut desk = Desk::new();
    assert_eq!(desk.tell(&Event::Due), []);
    assert_eq!(desk.state.phase, Phase::Idle);
}

#[test]
fn a_host_that_tells_of_a_push_makes_it_look_at_once() {
    let mut desk = Desk::new();
    assert_eq!(desk.tell(&Event::Webhook { after: Some(TIP) }), [Effect::Queue]);
}

#[test]
fn ten_deliveries_during_a_run_are_one_run_more() {
    let mut desk = Desk::new();
    desk.comparing();
    for _ in 0..10 {
        assert_eq!(desk.tell(&Event::Webhook { after: Some(MERGE) }), []);
    }
    let effects = desk.done(Outcome::Compared(facts(Relation::Same)));
    assert_eq!(effects[1..], [Effect::Release, Effect::Queue]);
    desk.comparing();
    desk.done(Outcome::Compared(facts(Relation::Same)));
    assert_eq!(desk.state.phase, Phase::Idle);
}

#[test]
fn news_of_our_own_push_is_none() {
    let mut desk = Desk::new();
    desk.verifying();
    // The webhook arrives while the link still verifies the push.
    desk.tell(&Event::Webhook { after: Some(HEAD) });
    assert!(!desk.state.pending);
    desk.done(landed(HEAD));
    for known in [HEAD, OLD] {
        assert_eq!(desk.tell(&Event::Webhook { after: Some(known) }), []);
    }
}

#[test]
fn it_knows_its_last_tips_and_not_all() {
    let mut desk = Desk::new();
    for number in 10..90 {
        desk.state.see(revision(number));
    }
    assert!(desk.state.knows(revision(89)) && desk.state.knows(revision(25)));
    assert!(!desk.state.knows(revision(24)));
}

#[test]
fn readers_cause_one_look_in_a_minute_and_people_as_many_as_they_want() {
    let mut desk = Desk::new();
    assert_eq!(desk.tell(&Event::Read), [Effect::Queue]);
    desk.compared(facts(Relation::Same));
    for _ in 0..3 {
        assert_eq!(desk.tell(&Event::Read), []);
    }
    assert_eq!(desk.tell(&Event::Requested), [Effect::Queue]);
    desk.compared(facts(Relation::Same));
    desk.now = desk.now + MINUTE;
    assert_eq!(desk.tell(&Event::Read), [Effect::Queue]);
}

#[test]
fn what_comes_while_it_waits_for_its_turn_adds_nothing() {
    let mut desk = Desk::new();
    desk.tell(&Event::Requested);
    for event in [Event::Saved, Event::Requested, Event::Read, Event::Webhook { after: None }] {
        assert_eq!(desk.tell(&event), []);
    }
}

#[test]
fn a_turn_that_isnt_wanted_any_more_is_given_back() {
    let mut desk = Desk::new();
    assert_eq!(desk.tell(&Event::Started), [Effect::Release]);
}
