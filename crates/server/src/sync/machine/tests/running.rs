//! A run: fetch, compare, merge, apply, push, verify.

use super::*;
use crate::sync::{MOVED_HEADS, Mode, Plan, REJECTIONS, Winner};

#[test]
fn nothing_new_on_either_side_is_one_fetch_and_no_push() {
    let mut desk = Desk::new();
    let effects = desk.compared(facts(Relation::Same));
    assert_eq!(effects, [Effect::RemoveJobs { up_to: TIP }, Effect::Release]);
    assert_eq!((desk.state.phase, desk.state.seen), (Phase::Idle, Some(TIP)));
}

#[test]
fn an_empty_remote_that_it_never_met_gets_the_branch() {
    let mut desk = Desk::unmet(Settings::default());
    desk.fetching();
    let effects = desk.done(Outcome::BranchAbsent { empty: true, local: Some(HEAD) });
    assert_eq!(effects, [Effect::Push { commit: HEAD, from: None }]);
}

#[test]
fn an_empty_remote_and_an_empty_wiki_have_nothing_to_say_to_each_other() {
    for (mode, local) in [(Mode::Both, None), (Mode::Pull, Some(HEAD))] {
        let mut desk = Desk::unmet(Settings { mode, ..Settings::default() });
        desk.fetching();
        desk.done(Outcome::BranchAbsent { empty: true, local });
        assert_eq!(desk.state.state(), State::Idle);
    }
}

#[test]
fn a_branch_that_was_there_is_not_made_anew() {
    for (seen, empty) in [(Some(OLD), true), (Some(OLD), false), (None, false)] {
        let mut desk = Desk::new();
        desk.state.seen = seen;
        desk.fetching();
        let effects = desk.done(Outcome::BranchAbsent { empty, local: Some(HEAD) });
        assert_eq!(effects, [Effect::Release, paused(PauseReason::BranchMissing)]);
        assert_eq!(desk.state.next_at, None);
    }
}

#[test]
fn a_wiki_that_is_ahead_pushes_and_jobs_go_when_the_remote_is_seen_to_have_it() {
    let mut desk = Desk::new();
    let effects = desk.compared(facts(Relation::Ahead));
    assert_eq!(effects, [Effect::RemoveJobs { up_to: TIP }, push(HEAD)]);
    assert_eq!(desk.done(Outcome::Pushed), [Effect::Verify { pushed: HEAD }]);
    let effects = desk.done(landed(HEAD));
    assert_eq!(effects, [Effect::RemoveJobs { up_to: HEAD }, Effect::Release]);
    assert_eq!((desk.state.phase, desk.state.seen), (Phase::Idle, Some(HEAD)));
}

#[test]
fn a_wiki_that_is_behind_fast_forwards() {
    let mut desk = Desk::new();
    let effects = desk.compared(facts(Relation::Behind));
    let apply = Effect::Apply { incoming: TIP, plan: Plan::FastForward, insist: false };
    assert_eq!(effects.last(), Some(&apply));
    assert_eq!(desk.done(Outcome::Applied { head: TIP }), [Effect::Release]);
    assert_eq!((desk.state.phase, desk.state.seen), (Phase::Idle, Some(TIP)));
}

#[test]
fn what_moved_on_both_sides_is_merged_applied_and_pushed() {
    let mut desk = Desk::with(Settings { winner: Winner::Stable, ..Settings::default() });
    let effects = desk.compared(facts(Relation::Diverged));
    let merge = Effect::Merge { incoming: TIP, plan: Plan::Merge, winner: Winner::Stable };
    assert_eq!(effects.last(), Some(&merge));
    let apply = Effect::Apply { incoming: TIP, plan: Plan::Merge, insist: false };
    assert_eq!(desk.done(merged(100)), [apply]);
    let effects = desk.done(Outcome::Applied { head: MERGE });
    assert_eq!(effects, [push(MERGE)]);
}

#[test]
fn a_link_that_only_pulls_pushes_nothing_of_all_that() {
    for relation in [Relation::Ahead, Relation::Behind, Relation::Diverged] {
        let mut desk = Desk::with(Settings { mode: Mode::Pull, ..Settings::default() });
        desk.compared(facts(relation));
        if relation == Relation::Diverged {
            desk.done(merged(0));
        }
        if relation != Relation::Ahead {
            desk.done(Outcome::Applied { head: MERGE });
        }
        assert_eq!((desk.state.state(), desk.state.seen), (State::Idle, Some(TIP)));
    }
}

#[test]
fn a_save_under_a_merge_makes_it_begin_again_and_the_sixth_insists() {
    let mut desk = Desk::new();
    let mut effects = desk.compared(facts(Relation::Diverged));
    for moved in 0..=MOVED_HEADS {
        assert!(matches!(effects.last(), Some(Effect::Merge { .. })));
        let insist = moved == MOVED_HEADS;
        let apply = Effect::Apply { incoming: TIP, plan: Plan::Merge, insist };
        assert_eq!(desk.done(merged(0)), [apply]);
        let again = desk.done(Outcome::HeadMoved);
        let compare = Effect::Compare { incoming: TIP, seen: Some(OLD), decided: None };
        assert_eq!(again, [compare]);
        effects = desk.done(Outcome::Compared(facts(Relation::Diverged)));
    }
}

#[test]
fn a_push_of_which_nothing_is_heard_is_looked_for() {
    for outcome in [
        Outcome::PushUnknown,
        Outcome::Failed { failure: transient(), text: String::new() },
        Outcome::Failed { failure: Failure::Local, text: String::new() },
    ] {
        let mut desk = Desk::new();
        desk.pushing();
        assert_eq!(desk.done(outcome), [Effect::Verify { pushed: HEAD }]);
    }
}

#[test]
fn a_push_that_didnt_land_waits_and_keeps_its_jobs() {
    let mut desk = Desk::new();
    desk.verifying();
    assert_eq!(desk.done(Outcome::Seen(Landing::NotLanded)), [Effect::Release]);
    assert_eq!((desk.state.phase, desk.state.seen), (Phase::Backoff, Some(TIP)));
}

#[test]
fn what_others_built_on_our_push_is_fetched_at_once() {
    let mut desk = Desk::new();
    desk.verifying();
    let effects = desk.done(landed(MERGE));
    let expected = [Effect::RemoveJobs { up_to: MERGE }, Effect::Release, Effect::Queue];
    assert_eq!(effects, expected);
    assert_eq!(desk.state.seen, Some(HEAD));
}

#[test]
fn a_lost_race_is_run_again_quickly_three_times_and_then_waits() {
    let mut desk = Desk::new();
    for races in 1..=6 {
        desk.pushing();
        assert_eq!(desk.done(Outcome::NonFastForward), [Effect::Release]);
        assert_eq!(desk.state.failures, u32::saturating_sub(races, 3));
        assert!(desk.waits() <= if races <= 3 { 2 * SECOND } else { 16 * SECOND });
    }
    desk.verifying();
    desk.done(Outcome::Seen(Landing::Elsewhere));
    assert_eq!(desk.state.phase, Phase::Backoff);
}

#[test]
fn three_refusals_stop_the_pushes_and_pulling_goes_on() {
    let mut desk = Desk::new();
    let refused = || Outcome::Rejected { text: "protected branch".to_owned() };
    for _ in 1..REJECTIONS {
        desk.pushing();
        assert_eq!(desk.done(refused()), [Effect::Release]);
        assert_eq!(desk.state.phase, Phase::Backoff);
    }
    desk.pushing();
    assert_eq!(desk.done(refused()), [paused(PauseReason::Rejected), Effect::Release]);
    assert_eq!((desk.state.state(), desk.state.reason()), (State::Paused, Some("rejected")));
    assert_eq!(desk.state.last_error.as_deref(), Some("protected branch"));

    // The wiki is ahead, and the link doesn't push.
    let effects = desk.compared(facts(Relation::Ahead));
    assert_eq!(effects, [Effect::RemoveJobs { up_to: TIP }, Effect::Release]);
    desk.compared(facts(Relation::Diverged));
    desk.done(merged(0));
    assert_eq!(desk.done(Outcome::Applied { head: MERGE }), [Effect::Release]);

    // Six hours later it tries once more, and sends no second notice.
    desk.now = desk.now + 6 * HOUR;
    desk.pushing();
    assert_eq!(desk.done(refused()), [Effect::Release]);
    assert_eq!(desk.state.state(), State::Paused);
    desk.tell(&Event::Resumed);
    desk.verifying();
    desk.done(landed(HEAD));
    assert_eq!((desk.state.state(), desk.state.last_error.clone()), (State::Idle, None));
}

#[test]
fn a_key_that_may_read_but_not_write_pulls_on() {
    let mut desk = Desk::new();
    desk.pushing();
    assert_eq!(desk.fails(Failure::Auth), [paused(PauseReason::Auth), Effect::Release]);
    desk.now = desk.now + 24 * HOUR;
    let effects = desk.compared(facts(Relation::Behind));
    assert!(matches!(effects.last(), Some(Effect::Apply { .. })));
    desk.done(Outcome::Applied { head: TIP });
    assert_eq!(desk.tell(&Event::Changed { remote: false, unused_key: false }), [Effect::Queue]);
    desk.pushing();
}

#[test]
fn a_busy_host_is_left_alone_for_as_long_as_it_asks() {
    let busy = Failure::Transient { retry_after: Some(20 * MINUTE), answered: true };
    let mut desk = Desk::new();
    desk.fetching();
    assert_eq!(desk.fails(busy), [Effect::Release]);
    assert!(desk.waits() >= 20 * MINUTE);
    let mut desk = Desk::new();
    desk.pushing();
    assert_eq!(desk.fails(busy), [Effect::Release]);
    assert!(desk.waits() >= 20 * MINUTE && desk.waits() < 21 * MINUTE);
}

#[test]
fn what_another_run_found_out_is_nobodys() {
    let mut desk = Desk::new();
    desk.pushing();
    let before = desk.state.clone();
    assert_eq!(desk.tell(&Event::Done { run: 0, outcome: landed(HEAD) }), []);
    assert_eq!(desk.done(merged(0)), []);
    assert_eq!(desk.state, before);
}
