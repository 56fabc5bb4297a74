//! Questions that only users may decide, and the runs after a decision.

use super::*;
use crate::sync::machine::MANY_TIES;
use crate::sync::{
    Choice, DecisionReason, FirstRun, MANY_CONFLICTS, MANY_DELETIONS, MOVED_HEADS, Mode, OnRewrite,
    Plan,
};

fn asks(effects: &[Effect], reason: DecisionReason) {
    assert_eq!(notices(effects), [Notice::DecisionNeeded { reason, tip: TIP }]);
    assert!(effects.contains(&Effect::Release));
}

/// Answers the open question, and returns the effects of the comparison after it.
fn answered(desk: &mut Desk, choice: Choice, facts: Facts) -> Vec<Effect> {
    assert_eq!(desk.tell(&Event::Decided { choice, tip: Some(TIP) }), [Effect::Queue]);
    desk.compared(Facts { decided: true, ..facts })
}

fn plan(effects: &[Effect]) -> Option<Plan> {
    effects.iter().find_map(|effect| match effect {
        Effect::Merge { plan, .. } | Effect::Apply { plan, .. } => Some(*plan),
        _ => None,
    })
}

fn rewritten(relation: Relation) -> Facts {
    Facts { rewritten: true, ..facts(relation) }
}

#[test]
fn a_rewrite_is_asked_about() {
    for relation in [Relation::Ahead, Relation::Diverged, Relation::Unrelated] {
        let mut desk = Desk::new();
        let effects = desk.compared(rewritten(relation));
        asks(&effects, DecisionReason::ForcePushed);
        assert_eq!((desk.state.seen, desk.state.next_at), (Some(OLD), None));
    }
}

#[test]
fn what_landed_and_was_set_back_is_a_rewrite_too() {
    let mut desk = Desk::new();
    desk.verifying();
    desk.done(landed(HEAD));
    desk.comparing();
    assert_eq!(desk.state.seen, Some(HEAD));
}

#[test]
fn a_link_that_follows_does_so_if_the_wiki_has_nothing_of_its_own() {
    let settings = Settings { on_rewrite: OnRewrite::Follow, ..Settings::default() };
    let clean = Facts { local_only: false, ..rewritten(Relation::Diverged) };
    let mut desk = Desk::with(settings.clone());
    let effects = desk.compared(clean);
    assert_eq!(plan(&effects), Some(Plan::Since(OLD)));

    // Also if the remote was only set back.
    let mut desk = Desk::with(settings.clone());
    let effects = desk.compared(Facts { relation: Relation::Ahead, ..clean });
    assert_eq!(plan(&effects), Some(Plan::Since(OLD)));

    let mut desk = Desk::with(settings.clone());
    asks(&desk.compared(rewritten(Relation::Diverged)), DecisionReason::ForcePushed);
    let mut desk = Desk::with(Settings { mode: Mode::Push, ..settings });
    asks(&desk.compared(clean), DecisionReason::ForcePushed);
}

#[test]
fn every_answer_to_a_rewrite_keeps_both_histories() {
    for (choice, relation, expected) in [
        (Choice::Remote, Relation::Diverged, Some(Plan::Since(OLD))),
        (Choice::Remote, Relation::Ahead, Some(Plan::Since(OLD))),
        (Choice::Wiki, Relation::Diverged, Some(Plan::Ours)),
        (Choice::Both, Relation::Diverged, Some(Plan::Merge)),
        (Choice::Both, Relation::Unrelated, Some(Plan::Merge)),
        // A push is enough.
        (Choice::Wiki, Relation::Ahead, None),
        (Choice::Both, Relation::Ahead, None),
    ] {
        let mut desk = Desk::new();
        desk.compared(rewritten(relation));
        let effects = answered(&mut desk, choice, rewritten(relation));
        assert_eq!(plan(&effects), expected, "{choice} {relation:?}");
        assert_eq!(effects.last() == Some(&push(HEAD)), expected.is_none());
        assert_eq!(desk.state.decision.is_none(), expected.is_none());
    }
}

#[test]
fn a_first_meeting_goes_as_the_settings_say() {
    let met = |first_run, trivial| {
        let mut desk = Desk::unmet(Settings { first_run, ..Settings::default() });
        let effects = desk.compared(Facts { trivial, ..facts(Relation::Unrelated) });
        (desk.state.state(), plan(&effects))
    };
    for first_run in [FirstRun::Ask, FirstRun::Push] {
        assert_eq!(met(first_run, false), (State::NeedsDecision, None));
        // Only a README, as a hosting service creates it.
        assert_eq!(met(first_run, true), (State::Merging, Some(Plan::Merge)));
    }
    assert_eq!(met(FirstRun::Merge, false), (State::Merging, Some(Plan::Merge)));
    assert_eq!(met(FirstRun::Import, false), (State::Applying, Some(Plan::Theirs)));
}

#[test]
fn a_wiki_without_a_commit_takes_what_the_remote_has() {
    let mut desk = Desk::unmet(Settings::default());
    let effects = desk.compared(Facts { local: None, ..facts(Relation::Behind) });
    assert_eq!(plan(&effects), Some(Plan::FastForward));
}

#[test]
fn unrelated_histories_become_one_as_somebody_chose() {
    for (choice, expected) in
        [(Choice::Remote, Plan::Theirs), (Choice::Wiki, Plan::Ours), (Choice::Both, Plan::Merge)]
    {
        let mut desk = Desk::unmet(Settings::default());
        asks(&desk.compared(facts(Relation::Unrelated)), DecisionReason::Unrelated);
        let effects = answered(&mut desk, choice, facts(Relation::Unrelated));
        assert_eq!(plan(&effects), Some(expected));
    }
}

#[test]
fn others_commits_in_a_remote_that_is_only_pushed_to_are_asked_about() {
    for (relation, both) in
        [(Relation::Behind, Plan::FastForward), (Relation::Diverged, Plan::Merge)]
    {
        for (choice, expected) in [(Choice::Both, both), (Choice::Wiki, Plan::Ours)] {
            let mut desk = Desk::with(Settings { mode: Mode::Push, ..Settings::default() });
            asks(&desk.compared(facts(relation)), DecisionReason::ForeignCommits);
            assert_eq!(plan(&answered(&mut desk, choice, facts(relation))), Some(expected));
        }
    }
}

#[test]
fn a_remote_that_lost_most_pages_is_asked_about_before_a_fast_forward_and_after_a_merge() {
    let many = Deletions { pages: 150, deleted: 120 };
    let mut desk = Desk::new();
    let behind = Facts { deletions: many, ..facts(Relation::Behind) };
    asks(&desk.compared(behind), DecisionReason::MassDelete);
    assert_eq!(plan(&answered(&mut desk, Choice::Remote, behind)), Some(Plan::FastForward));

    let mut desk = Desk::new();
    desk.compared(facts(Relation::Diverged));
    let outcome = Outcome::Merged { conflicts: 0, deletions: many };
    asks(&desk.done(outcome.clone()), DecisionReason::MassDelete);
    answered(&mut desk, Choice::Remote, facts(Relation::Diverged));
    assert_eq!(plan(&desk.done(outcome)), Some(Plan::Merge));
}

#[test]
fn many_deletions_are_more_than_twenty_and_more_than_half() {
    let many = |deleted, pages| Deletions { pages, deleted }.are_many();
    assert!(!many(MANY_DELETIONS, 20) && !many(75, 150) && !many(0, 0));
    assert!(many(MANY_DELETIONS + 1, 21) && many(76, 150));
}

#[test]
fn more_than_a_hundred_conflicts_are_a_question_and_nothing_is_applied() {
    for (choice, expected) in
        [(Choice::Both, Plan::Merge), (Choice::Wiki, Plan::Ours), (Choice::Remote, Plan::Theirs)]
    {
        let mut desk = Desk::new();
        desk.compared(facts(Relation::Diverged));
        asks(&desk.done(merged(MANY_CONFLICTS + 1)), DecisionReason::TooManyConflicts);
        let mut effects = answered(&mut desk, choice, facts(Relation::Diverged));
        if choice == Choice::Both {
            effects = desk.done(merged(MANY_CONFLICTS + 1));
        }
        assert!(matches!(effects.last(), Some(Effect::Apply { .. })));
        assert_eq!(plan(&effects), Some(expected));
    }
}

#[test]
fn to_have_chosen_to_merge_isnt_to_have_chosen_a_thousand_conflicts() {
    let mut desk = Desk::new();
    desk.compared(rewritten(Relation::Diverged));
    answered(&mut desk, Choice::Both, rewritten(Relation::Diverged));
    asks(&desk.done(merged(1_000)), DecisionReason::TooManyConflicts);
    // This answer covers the rewrite as well, as the tip is the same.
    let effects = answered(&mut desk, Choice::Both, rewritten(Relation::Diverged));
    assert_eq!(plan(&effects), Some(Plan::Merge));
    assert_eq!(plan(&desk.done(merged(1_000))), Some(Plan::Merge));
}

#[test]
fn a_tree_that_no_wiki_may_have_waits_until_it_is_mended_there() {
    for (outcome, reason) in [
        (Outcome::HostileTree { incoming: TIP, text: String::new() }, DecisionReason::HostileTree),
        (Outcome::Unmappable { incoming: TIP }, DecisionReason::Mapping),
    ] {
        let mut desk = Desk::new();
        desk.fetching();
        asks(&desk.done(outcome), reason);
        for choice in [Choice::Remote, Choice::Wiki, Choice::Both] {
            assert_eq!(desk.tell(&Event::Decided { choice, tip: Some(TIP) }), []);
        }
        let again = Event::Decided { choice: Choice::Retry, tip: Some(TIP) };
        assert_eq!(desk.tell(&again), [Effect::Queue]);
        assert_eq!(desk.state.decision, None);
    }
}

#[test]
fn an_answer_to_another_question_is_none() {
    let mut desk = Desk::new();
    assert_eq!(desk.tell(&Event::Decided { choice: Choice::Wiki, tip: None }), []);
    desk.compared(rewritten(Relation::Diverged));
    assert_eq!(desk.tell(&Event::Decided { choice: Choice::Wiki, tip: Some(HEAD) }), []);
    assert_eq!(desk.state.state(), State::NeedsDecision);
}

#[test]
fn an_answer_doesnt_hold_for_what_the_remote_became_meanwhile() {
    let mut desk = Desk::new();
    desk.compared(rewritten(Relation::Diverged));
    desk.tell(&Event::Decided { choice: Choice::Remote, tip: Some(TIP) });
    // The fetched tip isn't a descendant of the tip that was decided about.
    let effects = desk.compared(rewritten(Relation::Diverged));
    asks(&effects, DecisionReason::ForcePushed);
    assert_eq!(desk.state.decision, None);
}

#[test]
fn an_answer_is_kept_until_it_is_done() {
    let mut desk = Desk::new();
    desk.compared(rewritten(Relation::Diverged));
    answered(&mut desk, Choice::Both, rewritten(Relation::Diverged));
    desk.tell(&Event::Restarted);
    let effects = desk.compared(Facts { decided: true, ..rewritten(Relation::Diverged) });
    assert_eq!(plan(&effects), Some(Plan::Merge));
    desk.done(merged(0));
    desk.done(Outcome::Applied { head: MERGE });
    assert_eq!((desk.state.decision, desk.state.seen), (None, Some(TIP)));
}

#[test]
fn while_it_waits_for_an_answer_nothing_wakes_it_and_nobody_is_told_again() {
    let mut desk = Desk::new();
    desk.compared(rewritten(Relation::Diverged));
    for event in [
        Event::Saved,
        Event::Due,
        Event::Webhook { after: None },
        Event::Requested,
        Event::Read,
        Event::Resumed,
        Event::Restarted,
    ] {
        assert_eq!(desk.tell(&event), [], "{event:?}");
    }
    assert_eq!(
        (desk.state.state(), desk.state.reason()),
        (State::NeedsDecision, Some("force_pushed"))
    );
}

#[test]
fn histories_that_differ_over_the_same_text_are_merged_by_whoever_draws_the_shortest() {
    let same = Facts { same_tree: true, ..facts(Relation::Diverged) };
    let mut desk = Desk::new();
    let effects = desk.compared(same);
    assert_eq!(effects, [Effect::RemoveJobs { up_to: TIP }, Effect::Release]);
    assert_eq!(desk.state.failures, 0);
    assert!(desk.waits() <= 2 * SECOND);
    // No other end made the merge meanwhile.
    assert_eq!(plan(&desk.compared(same)), Some(Plan::Merge));
    desk.done(merged(0));
    desk.done(Outcome::Applied { head: MERGE });
    desk.done(Outcome::Pushed);
    desk.done(landed(MERGE));

    // Another end merged differently meanwhile: the next wait may be longer.
    let other = Facts { local: Some(MERGE), ..same };
    assert_eq!(plan(&desk.compared(other)), None);
    assert_eq!(desk.state.tie.map(|tie| tie.count), Some(1));
}

#[test]
fn conflicts_again_and_again_are_put_off_a_little_but_the_first_isnt() {
    let mut desk = Desk::new();
    desk.compared(facts(Relation::Diverged));
    assert!(plan(&desk.done(merged(1))).is_some());
    desk.done(Outcome::Applied { head: MERGE });
    desk.done(Outcome::Pushed);
    desk.done(landed(MERGE));
    desk.compared(facts(Relation::Diverged));
    assert_eq!(desk.done(merged(1)), [Effect::Release]);
    assert_eq!(desk.state.phase, Phase::Backoff);
    desk.compared(facts(Relation::Diverged));
    assert!(plan(&desk.done(merged(1))).is_some());
}

#[test]
fn saves_do_not_put_a_merge_with_conflicts_off_for_ever() {
    let mut desk = Desk::new();
    desk.state.conflicted_at = Some(desk.now);
    let mut waits = Vec::new();
    for number in 10.. {
        // Both ends have moved since the last run.
        let local = Some(revision(number));
        desk.compared(Facts { local, ..facts(Relation::Diverged) });
        if plan(&desk.done(merged(1))).is_some() {
            break;
        }
        waits.push(desk.waits());
    }
    assert_eq!(waits.len() as u32, MANY_TIES);
    assert!(waits.iter().sum::<Duration>() < MINUTE, "{waits:?}");
}

#[test]
fn a_merge_with_conflicts_that_a_save_came_into_is_made_again_at_once() {
    let mut desk = Desk::new();
    desk.compared(facts(Relation::Diverged));
    for _ in 0..MOVED_HEADS {
        assert!(plan(&desk.done(merged(1))).is_some());
        desk.done(Outcome::HeadMoved);
        desk.done(Outcome::Compared(facts(Relation::Diverged)));
    }
    let insists = Effect::Apply { incoming: TIP, plan: Plan::Merge, insist: true };
    assert_eq!(desk.done(merged(1)), [insists]);
}
