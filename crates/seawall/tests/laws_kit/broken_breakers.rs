//! A kit that cannot fail proves nothing: each flaw is found by its law, in words that tell what it is.

use crate::toy::{Flaw, Toy};
use seawall::testing::{
    ManualClock,
    laws::{self, Law, Report, Rules},
};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

/// Three failures in a row; two probes, both of which must succeed; spread by a half.
const RULES: Rules = Rules {
    spread: 0.5,
    longest_recovery: Duration::from_secs(16),
    probes: 2,
    successes_to_close: 2,
    lease: Some(Duration::from_secs(20)),
    ..Rules::consecutive(3, Duration::from_secs(10))
};

fn report(flaw: Flaw, rules: Rules) -> Report {
    laws::check_all(|clock: &ManualClock| Toy::new(clock, rules, flaw), &rules)
}

/// Asserts that the toy breaks these laws and no other, the first of them in a story with `words`.
#[track_caller]
fn assert_broken(flaw: Flaw, rules: Rules, laws: &[Law], words: &[&str]) {
    let report = report(flaw, rules);
    let broken: Vec<Law> = report.violations().map(|violation| violation.law).collect();
    assert_eq!(broken, laws, "{flaw:?}\n{report}");
    let story = report.violations().next().unwrap().to_string();
    for word in words {
        assert!(story.contains(word), "{flaw:?}: no `{word}` in\n{story}");
    }
    // As short as its telling needs.
    assert!(story.lines().count() <= 14, "{story}");
}

#[test]
fn a_sound_breaker_keeps_every_law_and_each_is_asked() {
    let report = report(Flaw::None, RULES);
    assert!(report.holds(), "{report}");
    assert!(report.checked().all(|checked| checked.not_asked.is_none()), "{report}");
    assert!(report.schedules() > 10_000, "{report}");
}

#[test]
fn a_breaker_that_forgets_dropped_probes_is_wedged() {
    let rules = Rules { lease: None, probes: 1, successes_to_close: 1, ..RULES };
    assert_broken(
        Flaw::KeepsTheSlotOfADroppedProbe,
        rules,
        &[Law::NoWedge, Law::PermitsConserved],
        &[
            "law 1 (no wedge) is broken:",
            "1. 3 calls fail: let through -> open",
            "3. a call asks: let through -> half_open",
            "4. the oldest call is dropped -> half_open",
            "5. calls ask 17 times over",
            "seen: nobody was let through in",
        ],
    );
}

#[test]
fn a_breaker_that_waits_for_a_hung_probe_for_ever_is_wedged() {
    assert_broken(
        Flaw::ForgetsTheLease,
        RULES,
        &[Law::NoWedge],
        &["while 2 calls hung", "allowed: a permit is there again"],
    );
}

#[test]
fn one_probe_too_many_is_a_stampede() {
    assert_broken(
        Flaw::OneProbeMore,
        RULES,
        &[Law::NoStampede],
        &["law 2 (no stampede)", "5. a call asks: let through", "seen: 3 probes", "allowed: 2 at"],
    );
}

#[test]
fn a_slot_that_two_threads_can_take_is_a_stampede() {
    let rules = Rules { probes: 1, successes_to_close: 1, ..RULES };
    assert_broken(
        Flaw::LooksThenTakes,
        rules,
        &[Law::NoStampede],
        &["4 threads ask at once:", "let through", "allowed: 1 at a time"],
    );
}

#[test]
fn a_late_success_that_closes_is_a_stale_result() {
    assert_broken(
        Flaw::LateSuccessCloses,
        RULES,
        &[Law::NoStaleResult],
        &[
            "law 3 (no stale result)",
            "a call admitted before the last change of state succeeds -> closed",
            "seen: closed",
            "allowed: open, as if the late call still went on",
        ],
    );
}

#[test]
fn a_late_drop_that_frees_a_slot_is_a_stale_result() {
    let report = report(Flaw::LateDropFreesASlot, RULES);
    let stale = report.violations().find(|violation| violation.law == Law::NoStaleResult).unwrap();
    assert!(stale.to_string().contains("last change of state is dropped"), "{stale}");
    assert!(stale.to_string().contains("let through"), "{stale}");
}

#[test]
fn a_threshold_off_by_one_is_seen_at_the_edge() {
    assert_broken(
        Flaw::OneFailureMore,
        RULES,
        &[Law::Edges],
        &["1. 3 calls fail", "seen: it is closed", "open by this call: it opens after 3 failures"],
    );
    assert_broken(
        Flaw::OneFailureLess,
        RULES,
        &[Law::Edges],
        &["2. a call fails: let through -> open", "allowed: closed: it opens after 3 failures"],
    );
}

#[test]
fn a_probe_before_its_time_and_a_success_too_many_are_seen_at_the_edge() {
    let rules = Rules { spread: 0.0, ..RULES };
    assert_broken(
        Flaw::ProbesAMomentEarly,
        rules,
        &[Law::Edges],
        &["seen: a probe after 9.999s", "allowed: the first after 10s"],
    );
    assert_broken(
        Flaw::OneSuccessMore,
        RULES,
        &[Law::Edges],
        &["it is half_open after 2 successful probes", "allowed: 2 of them close it"],
    );
}

#[test]
fn a_failed_probe_too_many_is_seen_at_the_edge() {
    assert_broken(
        Flaw::OneProbeFailureMore,
        RULES,
        &[Law::Edges],
        &["seen: it is half_open after 1 failed probes", "allowed: 1 of them open it again"],
    );
    let rules = Rules { failures_to_reopen: 2, ..RULES };
    let report = report(Flaw::None, rules);
    assert!(report.holds(), "{report}");
}

#[test]
fn a_breaker_that_trusts_its_clock_does_not_survive_it() {
    assert_broken(
        Flaw::TrustsTheClock,
        RULES,
        &[Law::Clocks],
        &["law 11 (clocks may jump)", "the clock goes back by", "it stays open"],
    );
    assert_broken(
        Flaw::PanicsWhenTheClockGoesBack,
        RULES,
        &[Law::Clocks],
        &["the clock goes back by 5s", "seen: the breaker panics: time goes on"],
    );
}

#[test]
fn a_slot_that_is_lost_at_each_drop_is_not_conserved() {
    assert_broken(
        Flaw::KeepsTheSlotOfADroppedProbe,
        RULES,
        &[Law::PermitsConserved],
        &[
            "law 7 (permits are conserved)",
            "is dropped",
            "seen: permits left: 1, though no call is out",
            "allowed: 2 at a time",
        ],
    );
}

#[test]
fn events_told_twice_or_left_out_or_harmed_by_a_listener_are_seen() {
    assert_broken(
        Flaw::TellsTwice,
        RULES,
        &[Law::OneEvent],
        &["seen: told of closed to open while it was open", "each one once"],
    );
    assert_broken(
        Flaw::TellsNothingOfProbing,
        RULES,
        &[Law::OneEvent],
        &["seen: it is half_open, and what was told ends open"],
    );
    assert_broken(
        Flaw::LetsThePanicOfAListenerOut,
        RULES,
        &[Law::OneEvent],
        &["seen: the panic of one who was told comes out of the breaker"],
    );
}

#[test]
fn what_threads_tell_as_it_comes_is_seen_out_of_order() {
    assert_broken(
        Flaw::TellsAsItComes,
        RULES,
        &[Law::OneEvent],
        // Which two are seen to be told in the wrong order is the threads' affair.
        &["seen: told of ", "each one once"],
    );
}

#[test]
fn a_fleet_without_spread_is_a_herd() {
    assert_broken(
        Flaw::HasNoSpread,
        RULES,
        &[Law::NoHerd],
        &["1. 50 breakers open in one instant", "50 of them probe within", "allowed: 25 at most"],
    );
}

#[test]
fn panics_that_count_for_nothing_or_stay_inside_or_lose_a_permit_are_seen() {
    assert_broken(
        Flaw::PanicIsNoFailure,
        RULES,
        &[Law::Panics],
        &[
            "law 16 (panics are failures)",
            "a call panics: let through",
            "as if the call had failed",
        ],
    );
    assert_broken(
        Flaw::SwallowsThePanic,
        RULES,
        &[Law::Panics],
        &["seen: no panic came out of that call"],
    );
    let rules = Rules { probes: 1, successes_to_close: 1, ..RULES };
    assert_broken(
        Flaw::UnwindingLosesThePermit,
        rules,
        &[Law::Panics],
        &["a panic drops a call's permit", "as if the call had been dropped"],
    );
}

#[test]
fn a_breaker_that_never_opens_is_not_asked_about_its_probes_and_fails_at_the_edge() {
    let never = Rules::consecutive(1000, S);
    let few = Rules::consecutive(3, S);
    let report = laws::check_all(|clock: &ManualClock| Toy::new(clock, never, Flaw::None), &few);
    let broken: Vec<Law> = report.violations().map(|violation| violation.law).collect();
    assert_eq!(broken, [Law::Edges]);
    assert!(report.to_string().contains("not asked: failing calls do not open it"), "{report}");
}

#[test]
#[should_panic(expected = "law 2 (no stampede) is broken")]
fn assert_all_panics_with_the_story() {
    laws::assert_all(|clock: &ManualClock| Toy::new(clock, RULES, Flaw::OneProbeMore), &RULES);
}

#[test]
fn a_report_is_a_table_with_the_stories_below() {
    let text = report(Flaw::OneProbeMore, RULES).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("law  "), "{text}");
    assert!(lines[1].contains("1  no wedge") && lines[1].ends_with("kept"), "{text}");
    assert!(lines[2].ends_with("BROKEN, see below"), "{text}");
    assert!(lines.contains(&"law 2 (no stampede) is broken:"), "{text}");
}
