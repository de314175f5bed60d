//! What was seen where a law is broken, in a sentence each, with the few lines that show it by hand.

use crate::by_hand::{failsafe, recloser, seatbelt, tower_resilience};
use seawall::testing::laws::Law;
use std::panic::catch_unwind;

pub(crate) struct Finding {
    package: &'static str,
    law: Law,
    pub(crate) seen: &'static str,
    /// Panics where it is seen no more.
    by_hand: fn(),
}

const fn finding(package: &'static str, law: Law, seen: &'static str, by_hand: fn()) -> Finding {
    Finding { package, law, seen, by_hand }
}

const TOWER: &str = "tower-resilience-circuitbreaker";

static FINDINGS: [Finding; 19] = [
    finding(
        TOWER,
        Law::NoStaleResult,
        "a call that began before the breaker opened, and succeeds once it is half-open, closes it \
         while the probe has not answered.",
        tower_resilience::a_late_success_closes,
    ),
    finding(
        TOWER,
        Law::Edges,
        "the count window takes in all calls since it closed, not the last ones: after 100 \
         successes, 6 failures in a row do not open a breaker of 50 % of the last 6. In a row, and \
         over time, it opens where it should.",
        tower_resilience::the_count_window_does_not_slide,
    ),
    finding(
        TOWER,
        Law::Clocks,
        "once the clock has gone back by an hour it stays open for an hour more.",
        tower_resilience::a_clock_set_back_keeps_it_open,
    ),
    finding(
        TOWER,
        Law::Panics,
        "a call that panics is not counted: ten of them leave a breaker of three failures closed.",
        tower_resilience::panics_do_not_count,
    ),
    finding(
        "seatbelt",
        Law::NoStaleResult,
        "a call that began before the breaker opened, and ends after it has closed again, counts in \
         the new window. (Open and half-open, such a call counts for nothing.)",
        seatbelt::a_late_failure_counts_after_the_recovery,
    ),
    finding(
        "seatbelt",
        Law::OneEvent,
        "a probe that fails opens the breaker again, and no callback tells of it (`on_opened` is for \
         closed to open, as documented); a panic in a callback comes out of the call.",
        seatbelt::a_reopening_is_not_told_and_a_callback_may_panic,
    ),
    finding(
        "seatbelt",
        Law::PermitsConserved,
        "a probe that is cancelled keeps its slot for the open time, as its source says.",
        seatbelt::a_dropped_probe_keeps_its_slot,
    ),
    finding(
        "seatbelt",
        Law::Clocks,
        "once the clock has gone back by an hour it stays open for an hour more.",
        seatbelt::a_clock_set_back_keeps_it_open,
    ),
    finding(
        "seatbelt",
        Law::Panics,
        "a call that panics is not counted: ten of them leave a breaker of 50 % of at least four \
         calls closed.",
        seatbelt::panics_do_not_count,
    ),
    finding(
        "failsafe",
        Law::NoStampede,
        "half-open it lets every call through until one has answered; there is no limit to set.",
        failsafe::half_open_lets_all_through,
    ),
    finding(
        "failsafe",
        Law::NoStaleResult,
        "a call that began before the breaker opened, and succeeds once it is half-open, closes it \
         while the probe has not answered.",
        failsafe::a_late_success_closes,
    ),
    finding(
        "failsafe",
        Law::OneEvent,
        "a panic in an `Instrument` comes out of the call; and one that is slow in `on_open` is told \
         on another thread that it is half-open, before it is done.",
        failsafe::an_instrument_may_panic_or_be_overtaken,
    ),
    finding(
        "failsafe",
        Law::Clocks,
        "once the clock has gone back by an hour it stays open for an hour more.",
        failsafe::a_clock_set_back_keeps_it_open,
    ),
    finding(
        "failsafe",
        Law::Panics,
        "a call that panics is not counted: ten of them leave a breaker of three failures closed.",
        failsafe::panics_do_not_count,
    ),
    finding(
        "recloser",
        Law::NoStampede,
        "half-open it lets every call through until its window, of one at least, has been filled and \
         moved on; there is no limit to set.",
        recloser::half_open_lets_all_through,
    ),
    finding(
        "recloser",
        Law::NoStaleResult,
        "calls that began before the breaker opened, and fail once it is half-open, open it again \
         while no probe has answered.",
        recloser::late_failures_open_it_again,
    ),
    finding(
        "recloser",
        Law::OneEvent,
        "its tracing events are those of whichever thread made a change: `HalfOpen` can begin before \
         `Open` does, where another thread probes meanwhile. (Panics were not asked about: a \
         subscriber must not panic.)",
        recloser::events_of_two_threads_are_mixed,
    ),
    finding(
        "recloser",
        Law::Clocks,
        "once the clock has gone back by an hour it stays open for an hour more.",
        recloser::a_clock_set_back_keeps_it_open,
    ),
    finding(
        "recloser",
        Law::Panics,
        "a call that panics is not counted: ten of them leave a breaker of 50 % of the last four \
         closed.",
        recloser::panics_do_not_count,
    ),
];

const NO_SPREAD: &str = "no setting spreads the open time.";

static NOT_ASKED: [(&str, Law, &str); 3] = [
    (TOWER, Law::NoHerd, NO_SPREAD),
    ("seatbelt", Law::NoHerd, NO_SPREAD),
    (
        "recloser",
        Law::NoHerd,
        "the first open time cannot be spread; later ones can, by a `WaitStrategy` of one's own.",
    ),
];

pub(crate) fn of(package: &str, law: Law) -> Option<&'static Finding> {
    FINDINGS.iter().find(|finding| finding.package == package && finding.law == law)
}

pub(crate) fn not_asked(package: &str, law: Law) -> Option<&'static str> {
    let found = NOT_ASKED.iter().find(|(of, what, _)| *of == package && *what == law);
    found.map(|(.., reason)| *reason)
}

/// Does by hand what is told, and says which of it was not seen.
pub(crate) fn reproduce(only: Option<&str>) -> Result<(), String> {
    let asked = |finding: &&Finding| only.is_none_or(|text| finding.package.contains(text));
    let unseen: Vec<String> = FINDINGS
        .iter()
        .filter(asked)
        .filter(|finding| catch_unwind(finding.by_hand).is_err())
        .map(|finding| format!("{}, {}", finding.package, finding.law))
        .collect();
    if unseen.is_empty() {
        return Ok(());
    }
    Err(format!("not seen by hand: {}", unseen.join("; ")))
}
