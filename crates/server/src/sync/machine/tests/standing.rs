//! Failures, pauses, offline and disabled links, restarts, clock changes.

use super::*;
use crate::sync::{Mode, schedule};

#[test]
fn failures_wait_longer_and_longer_and_a_run_that_works_forgets_them() {
    let mut desk = Desk::new();
    for failures in 1..=12 {
        desk.fetching();
        assert_eq!(desk.fails(transient()).last(), Some(&Effect::Release));
        assert_eq!((desk.state.phase, desk.state.failures), (Phase::Backoff, failures));
        assert!(desk.waits() <= 15 * MINUTE);
    }
    desk.compared(facts(Relation::Same));
    assert_eq!((desk.state.failures, desk.state.last_error.clone()), (0, None));
}

#[test]
fn a_fetch_that_works_doesnt_forget_that_the_push_before_it_failed() {
    let mut desk = Desk::new();
    for failures in 1..=5 {
        desk.pushing();
        desk.fails(Failure::Transient { retry_after: None, answered: true });
        assert_eq!(desk.state.failures, failures);
    }
}

#[test]
fn while_it_waits_after_a_failure_only_people_make_it_hurry() {
    let mut desk = Desk::new();
    desk.fetching();
    desk.fails(transient());
    for event in [Event::Saved, Event::Read, Event::Webhook { after: None }] {
        assert_eq!(desk.tell(&event), []);
    }
    assert_eq!(desk.tell(&Event::Requested), [Effect::Queue]);
}

#[test]
fn a_peer_that_is_down_is_news_after_ten_minutes_and_after_a_day_and_when_it_is_back() {
    let mut desk = Desk::new();
    let since = desk.now;
    let mut told = Vec::new();
    while desk.now.since(since) < 50 * HOUR {
        desk.fetching();
        let now = desk.now;
        told.extend(notices(&desk.fails(transient())).into_iter().map(|notice| (now, notice)));
    }
    let [(first, down), (second, still)] = told[..] else { panic!("{told:?}") };
    assert_eq!([down, still], [Notice::PeerDown { since }; 2]);
    assert!((10 * MINUTE..30 * MINUTE).contains(&first.since(since)));
    assert!((24 * HOUR..25 * HOUR).contains(&second.since(since)));
    desk.fetching();
    let after = desk.now.since(since);
    desk.done(Outcome::Fetched { incoming: TIP });
    let effects = desk.done(Outcome::Compared(facts(Relation::Same)));
    assert_eq!(notices(&effects), [Notice::PeerUp { after }]);
}

#[test]
fn a_short_failure_is_no_news() {
    let mut desk = Desk::new();
    desk.fetching();
    assert_eq!(notices(&desk.fails(transient())), []);
    assert_eq!(notices(&desk.compared(facts(Relation::Same))), []);
}

#[test]
fn trouble_of_our_own_isnt_the_peers() {
    let mut desk = Desk::new();
    for _ in 0..100 {
        desk.compared(facts(Relation::Behind));
        assert_eq!(desk.fails(Failure::Local), [Effect::Release]);
    }
    desk.fetching();
    desk.fails(Failure::Local);
    assert_eq!((desk.state.phase, desk.state.down), (Phase::Backoff, None));
}

#[test]
fn what_only_people_can_mend_pauses_and_is_told_once() {
    for (failure, reason) in [
        (Failure::Auth, PauseReason::Auth),
        (Failure::HostKey, PauseReason::HostKeyChanged),
        (Failure::BlockedAddress, PauseReason::BlockedAddress),
        (Failure::Redirected, PauseReason::BlockedAddress),
        (Failure::TooLarge, PauseReason::RemoteTooLarge),
        (Failure::Unsupported, PauseReason::Unsupported),
    ] {
        let mut desk = Desk::new();
        desk.fetching();
        assert_eq!(desk.fails(failure), [Effect::Release, paused(reason)]);
        assert_eq!((desk.state.reason(), desk.state.next_at), (Some(reason.as_str()), None));
        let news = Event::Webhook { after: None };
        for event in [Event::Saved, Event::Due, news, Event::Read] {
            assert_eq!(desk.tell(&event), []);
        }
        // The allowed addresses are set at a start, so a blocked link runs again.
        let mut started = desk.clone();
        started.tell(&Event::Restarted);
        let looks = started.state.state() == State::Idle;
        assert_eq!(looks, reason == PauseReason::BlockedAddress);
        for order in [Event::Resumed, Event::Requested] {
            let mut desk = desk.clone();
            assert_eq!(desk.tell(&order), [Effect::Queue]);
        }
        desk.tell(&Event::Resumed);
        desk.fetching();
        // A user triggered this run, so its failure is announced.
        assert_eq!(desk.fails(failure), [Effect::Release, paused(reason)]);
        assert_eq!(
            desk.tell(&Event::Changed { remote: false, unused_key: false }),
            [Effect::Queue]
        );
    }
}

#[test]
fn a_key_that_nobody_can_have_put_there_yet_is_not_tried_before_somebody_says_so() {
    let mut desk = Desk::new();
    assert_eq!(desk.tell(&Event::Changed { remote: true, unused_key: true }), []);
    assert_eq!((desk.state.reason(), desk.state.next_at), (Some("auth"), None));
    assert!(desk.state.last_error.as_ref().is_some_and(|said| said.contains("public half")));
    for event in [Event::Saved, Event::Read, Event::Restarted, Event::Offline, Event::Online] {
        assert_eq!(desk.tell(&event), []);
    }
    assert_eq!(desk.tell(&Event::Requested), [Effect::Queue]);
}

#[test]
fn a_secret_that_is_replaced_by_itself_is_tried_again_and_told_once() {
    let mut desk = Desk::with(Settings { renews: true, ..Settings::default() });
    desk.fetching();
    assert_eq!(desk.fails(Failure::Auth), [Effect::Release, paused(PauseReason::Auth)]);
    assert_eq!(desk.waits(), schedule::RENEWAL);
    assert_eq!(desk.wait(), [Effect::Queue]);
    desk.fetching();
    assert_eq!(desk.fails(Failure::Auth), [Effect::Release]);
    desk.wait();
    desk.pushing();
    desk.fails(Failure::Auth);
    desk.now = desk.now + schedule::RENEWAL;
    // Also if only the push isn't allowed.
    desk.pushing();
}

#[test]
fn a_link_that_is_off_runs_for_nobody() {
    let mut desk = Desk::new();
    desk.settings.mode = Mode::Off;
    desk.tell(&Event::Requested);
    assert_eq!(desk.state.state(), State::Disabled);
}

#[test]
fn a_repository_is_gone_after_a_day_and_looked_for_every_six_hours_without_a_word() {
    let mut desk = Desk::new();
    let since = desk.now;
    while desk.state.state() != State::Paused {
        desk.fetching();
        desk.fails(Failure::Gone);
    }
    assert!((24 * HOUR..25 * HOUR).contains(&desk.now.since(since)));
    assert_eq!((desk.state.reason(), desk.waits()), (Some("remote_gone"), schedule::PROBE));
    desk.fetching();
    assert_eq!(desk.fails(Failure::Gone), [Effect::Release]);
    assert_eq!(desk.state.reason(), Some("remote_gone"));
    let effects = desk.compared(facts(Relation::Same));
    assert!(matches!(notices(&effects)[..], [Notice::PeerUp { .. }]));
}

#[test]
fn a_clock_that_jumps_a_day_makes_no_repository_gone() {
    let mut desk = Desk::new();
    desk.fetching();
    desk.fails(Failure::Gone);
    desk.now = desk.now + 48 * HOUR;
    desk.fetching();
    desk.fails(Failure::Gone);
    assert_eq!(desk.state.state(), State::Backoff);
}

#[test]
fn offline_ends_what_is_on_and_nothing_runs_until_it_is_over() {
    let mut desk = Desk::new();
    desk.pushing();
    assert_eq!(desk.tell(&Event::Offline), [Effect::Cancel, Effect::Release]);
    for event in [Event::Saved, Event::Requested, Event::Due, Event::Webhook { after: None }] {
        assert_eq!(desk.tell(&event), []);
    }
    assert_eq!(desk.done(Outcome::Pushed), []);
    assert_eq!(desk.tell(&Event::Restarted), []);
    assert_eq!(desk.state.state(), State::Offline);
    assert_eq!(desk.tell(&Event::Online), [Effect::Queue]);
}

#[test]
fn an_answer_given_offline_waits_for_the_network() {
    let mut desk = Desk::new();
    desk.fetching();
    desk.done(Outcome::HostileTree { incoming: TIP, text: "has a `.git`".to_owned() });
    assert_eq!(desk.state.last_error.as_deref(), Some("has a `.git`"));
    desk.tell(&Event::Offline);
    assert_eq!(desk.state.state(), State::NeedsDecision);
    let again = Event::Decided { choice: crate::sync::Choice::Retry, tip: None };
    assert_eq!(desk.tell(&again), []);
    assert_eq!(desk.state.state(), State::Offline);
}

#[test]
fn a_link_that_is_switched_off_stops_at_once_and_looks_when_it_is_on_again() {
    let mut desk = Desk::new();
    desk.tell(&Event::Requested);
    assert_eq!(desk.tell(&Event::Disabled), [Effect::Release]);
    assert_eq!(desk.tell(&Event::Requested), []);
    assert_eq!(desk.tell(&Event::Restarted), []);
    assert_eq!(desk.tell(&Event::Changed { remote: false, unused_key: false }), [Effect::Queue]);
    desk.comparing();
    desk.settings.mode = Mode::Off;
    let effects = desk.tell(&Event::Changed { remote: false, unused_key: false });
    assert_eq!(effects, [Effect::Cancel, Effect::Release]);
    assert_eq!((desk.state.state(), desk.state.next_at), (State::Disabled, None));
}

#[test]
fn another_remote_is_met_for_the_first_time() {
    let mut desk = Desk::new();
    desk.pushing();
    let run = desk.state.run;
    let effects = desk.tell(&Event::Changed { remote: true, unused_key: false });
    assert_eq!(effects, [Effect::Cancel, Effect::Release, Effect::Queue]);
    assert_eq!(desk.state.seen, None);
    desk.fetching();
    // An outcome of the old run is ignored.
    assert_eq!(desk.tell(&Event::Done { run, outcome: landed(HEAD) }), []);
}

#[test]
fn after_a_restart_every_run_is_begun_again_within_the_interval() {
    type Reach = fn(&mut Desk);
    let reached: [Reach; 9] = [
        |_| {},
        |desk| drop(desk.tell(&Event::Requested)),
        |desk| {
            desk.fetching();
        },
        |desk| {
            desk.comparing();
        },
        |desk| drop(desk.compared(facts(Relation::Diverged))),
        |desk| drop(desk.compared(facts(Relation::Behind))),
        |desk| {
            desk.pushing();
        },
        |desk| {
            desk.verifying();
        },
        |desk| drop(desk.fetching().fails(transient())),
    ];
    for reach in reached {
        let mut desk = Desk::new();
        reach(&mut desk);
        let stored = serde_json::to_string(&desk.state).unwrap();
        desk.state = serde_json::from_str(&stored).unwrap();
        let held = desk.state.phase.is_run() || desk.state.phase == Phase::Due;
        // If only its state was lost, the link gives back the turn that it may still hold.
        let effects = desk.tell(&Event::Restarted);
        assert_eq!(effects.contains(&Effect::Release), held, "{effects:?}");
        assert_eq!(desk.state.state(), State::Idle);
        assert!(desk.waits() <= 5 * MINUTE);
        assert_eq!(desk.wait(), [Effect::Queue]);
    }
}

#[test]
fn a_run_of_which_nothing_is_heard_loses_its_lease() {
    let mut desk = Desk::new();
    desk.pushing();
    assert!(desk.waits() <= schedule::LEASE);
    assert_eq!(desk.wait(), [Effect::Cancel, Effect::Release]);
    assert_eq!((desk.state.phase, desk.state.failures), (Phase::Backoff, 1));
    assert_eq!(desk.done(Outcome::Pushed), []);
}

#[test]
fn a_clock_that_is_put_back_keeps_nobody_waiting_for_longer_than_before() {
    let mut desk = Desk::new();
    desk.tell(&Event::Saved);
    desk.now = desk.now - 48 * HOUR;
    desk.tell(&Event::ClockMoved);
    assert!(desk.waits() <= 10 * SECOND);

    let mut desk = Desk::new();
    desk.fetching();
    desk.fails(transient());
    desk.now = desk.now - 48 * HOUR;
    desk.tell(&Event::ClockMoved);
    assert!(desk.waits() <= 15 * MINUTE);
    assert_eq!(desk.state.down.map(|down| down.since), Some(desk.now));

    let mut desk = Desk::new();
    desk.compared(facts(Relation::Same));
    desk.now = desk.now - 48 * HOUR;
    desk.tell(&Event::ClockMoved);
    desk.now = desk.now + MINUTE;
    assert_eq!(desk.tell(&Event::Read), [Effect::Queue]);
}
