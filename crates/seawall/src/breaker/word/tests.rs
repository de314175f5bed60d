//! The transition function, checked over every reachable state of small settings.

#![allow(
    clippy::print_stdout,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that says how far it went, and signed distances of small times"
)]

use super::*;
use std::collections::{HashSet, VecDeque};

const RULES: Rules = Rules {
    threshold: 2,
    recovery: 3,
    growth: 1.0,
    longest: 3,
    jitter: 0.0,
    probes: 2,
    successes: 2,
    lease: 2,
    bound: 0,
};

/// A breaker, its clock, and the words of the permits that are out.
#[derive(Clone)]
struct Model {
    word: Word,
    now: u64,
    held: Vec<Word>,
}

/// How many permits may be out at once, and how far behind a generation is told apart.
const HELD: usize = 4;
const DISTANCE: u64 = 3;

impl Model {
    /// What tells two states apart: generations by distance, times relative to now.
    fn key(&self, rules: &Rules) -> (u64, u64, i64, Vec<u64>) {
        let Self { word, now, held } = self;
        let ahead = |end: u64, now: u64, bits: u64, live: u64| {
            // Signed distance modulo the width; what is long over is all alike, and what is far
            // beyond any live end as well.
            let width = 1_i64 << bits;
            let distance = (end.wrapping_sub(now) & (width as u64 - 1)) as i64;
            let distance = if distance > width / 2 { distance - width } else { distance };
            distance.clamp(-6, live as i64 + 6)
        };
        let (payload, time) = match word.state() {
            CircuitState::Open => (0, ahead(word.payload(), *now, 30, 2 * rules.bound)),
            CircuitState::HalfOpen => {
                let Probes { in_flight, successes, lease } = word.probes();
                let unit_phase = (*now % rules.lease_unit()) as i64;
                let ahead = ahead(lease, now / rules.lease_unit(), 14, 2 * 66);
                (in_flight << 8 | successes, ahead * 100 + unit_phase)
            }
            _ => (word.payload(), 0),
        };
        let mut held: Vec<u64> = held
            .iter()
            .map(|seen| {
                (word.generation().wrapping_sub(seen.generation()) & GENERATION).min(DISTANCE)
            })
            .collect();
        held.sort_unstable();
        (word.state() as u64 | word.reopenings() << 2, payload, time, held)
    }

    /// Every state one step away, the laws asserted on each step.
    fn next(&self, rules: &Rules) -> Vec<Self> {
        let mut next = Vec::new();
        let mut push = |word, now, held| next.push(Self { word, now, held });
        for now in [self.now + 1, self.now + 7, self.now - 2] {
            push(self.word, now, self.held.clone());
        }
        if self.held.len() < HELD {
            let step = self.step(rules, Input::Acquire);
            let mut held = self.held.clone();
            if step.answer == Answer::Admit {
                held.push(step.word);
            }
            push(step.word, self.now, held);
        }
        for at in 0..self.held.len() {
            let seen = self.held[at];
            let mut held = self.held.clone();
            held.remove(at);
            for trip in [None, Some(TransitionCause::FailureRate)] {
                for input in [
                    Input::Success { seen, trip },
                    Input::Failure { seen, trip },
                    Input::Abandon { seen },
                ] {
                    let step = self.step(rules, input);
                    if !seen.same_generation(self.word) {
                        // Law 3.
                        assert_eq!((step.word, step.answer), (self.word, Answer::Stale));
                    }
                    push(step.word, self.now, held.clone());
                }
            }
        }
        for input in [Input::Isolate, Input::Close, Input::Reset] {
            push(self.step(rules, input).word, self.now, self.held.clone());
        }
        next
    }

    fn step(&self, rules: &Rules, input: Input) -> Step {
        let step = rules.step(self.word, input, Tick::from_millis(self.now), 0.5);
        // Law 4: a cause tells of each move to another generation, by exactly one, and of no other.
        let moved = step.word.generation().wrapping_sub(self.word.generation()) & GENERATION;
        assert_eq!(moved, u64::from(step.cause.is_some()), "{:?} {input:?} {step:?}", self.word);
        if step.cause.is_none() {
            assert_eq!(step.word.state(), self.word.state());
        }
        // Law 11: the threshold holds at its edge, no sooner and no later.
        if let Input::Failure { seen, trip: None } = input {
            if self.word.is_closed() && seen.same_generation(self.word) && rules.threshold > 0 {
                let opens = self.word.failures() + 1 == rules.threshold;
                assert_eq!(step.word.state() == CircuitState::Open, opens);
            }
        }
        step
    }

    fn assert_laws(&self, rules: &Rules) {
        let own = self.held.iter().filter(|seen| seen.same_generation(self.word)).count() as u64;
        match self.word.state() {
            CircuitState::HalfOpen => {
                // Law 2, and that no slot is lost or made: those in flight are those that are out.
                assert!(own <= rules.probes.into(), "stampede: {:?}", self.word);
                assert_eq!(own, self.word.probes().in_flight, "conservation: {:?}", self.word);
                // Law 1: with everything that is out hung for ever.
                let lease = 2 * (rules.lease + 2 * rules.lease_unit());
                self.assert_admits_within(rules, lease);
            }
            CircuitState::Open => self.assert_admits_within(rules, 2 * rules.bound + 1),
            CircuitState::Closed => self.assert_admits_within(rules, 0),
            CircuitState::Isolated => {
                let step = rules.step(self.word, Input::Acquire, Tick::from_millis(self.now), 0.5);
                assert_eq!(step.answer, Answer::Reject(None));
            }
        }
    }

    fn assert_admits_within(&self, rules: &Rules, wait: u64) {
        let admits = (0..=wait).any(|wait| {
            let now = Tick::from_millis(self.now + wait);
            rules.step(self.word, Input::Acquire, now, 0.5).answer == Answer::Admit
        });
        assert!(admits, "wedged: {:?} at {}", self.word, self.now);
    }
}

/// Walks every reachable state breadth-first; gives their number.
fn explore(rules: &Rules, generation: u64, now: u64) -> usize {
    let word = Word::new(CircuitState::Closed, generation, 0, 0);
    let first = Model { word, now, held: Vec::new() };
    let mut seen = HashSet::from([first.key(rules)]);
    let mut queue = VecDeque::from([first]);
    while let Some(model) = queue.pop_front() {
        model.assert_laws(rules);
        for next in model.next(rules) {
            if seen.insert(next.key(rules)) {
                queue.push_back(next);
            }
        }
    }
    seen.len()
}

#[test]
fn laws_1_to_4_and_11_hold_in_every_reachable_state() {
    let mut total = 0;
    for rules in [
        RULES,
        Rules { probes: 1, successes: 1, threshold: 1, ..RULES },
        Rules { probes: 1, successes: 3, recovery: 0, longest: 0, ..RULES },
        Rules { probes: 3, successes: 1, growth: 2.0, longest: 6, ..RULES },
        Rules { threshold: 0, jitter: 1.0, lease: 130, ..RULES },
    ] {
        let rules = rules.bounded();
        let visited = explore(&rules, 5, 1 << 20);
        // The same where every counter wraps: generation, open end, lease end.
        let wrapping = explore(&rules, GENERATION - 1, (1 << 30) - 4);
        println!("{rules:?}: {visited} states, {wrapping} around the wrap");
        total += visited + wrapping;
    }
    println!("visited {total} states: no wedge, no stampede, no stale result");
    assert!(total > 50_000, "the walk has become a stroll: {total}");
}

/// A row of the table: what happens to a word, and what must come of it.
fn after(rules: &Rules, inputs: &[(Input, u64)]) -> Word {
    inputs.iter().fold(Word::NEW, |word, (input, now)| {
        let input = match *input {
            // The calls of these tables were all admitted in the generation at hand.
            Input::Success { trip, .. } => Input::Success { seen: word, trip },
            Input::Failure { trip, .. } => Input::Failure { seen: word, trip },
            Input::Abandon { .. } => Input::Abandon { seen: word },
            by_hand => by_hand,
        };
        rules.step(word, input, Tick::from_millis(*now), 0.0).word
    })
}

const OK: Input = Input::Success { seen: Word::NEW, trip: None };
const FAIL: Input = Input::Failure { seen: Word::NEW, trip: None };

#[test]
fn a_success_clears_the_failures_before_it() {
    let word = after(&RULES, &[(FAIL, 0), (OK, 0), (FAIL, 0)]);
    assert_eq!((word.state(), word.failures()), (CircuitState::Closed, 1));
}

#[test]
fn an_open_breaker_lets_a_probe_through_exactly_at_its_end() {
    let rules = RULES.bounded();
    let opened = after(&rules, &[(FAIL, 10), (FAIL, 10)]);
    let acquire = |now| rules.step(opened, Input::Acquire, Tick::from_millis(now), 0.0);
    assert_eq!(acquire(12).answer, Answer::Reject(Some(1)));
    assert_eq!(acquire(13).answer, Answer::Admit);
    assert_eq!(acquire(13).cause, Some(TransitionCause::RecoveryTimeout));
    assert_eq!((opened.generation(), acquire(13).word.generation()), (1, 2));
}

#[test]
fn the_open_time_grows_to_its_cap_and_closing_resets_it() {
    let rules = Rules { recovery: 10, growth: 2.0, longest: 35, probes: 1, ..RULES }.bounded();
    let times: Vec<u64> = (0..5).map(|reopenings| rules.open_time(reopenings, 0.0)).collect();
    assert_eq!(times, [10, 20, 35, 35, 35]);
    let closed = after(
        &Rules { successes: 1, ..rules },
        &[(FAIL, 0), (FAIL, 0), (Input::Acquire, 10), (FAIL, 10), (Input::Acquire, 30), (OK, 30)],
    );
    assert_eq!((closed.state(), closed.reopenings()), (CircuitState::Closed, 0));
}

#[test]
fn the_open_time_is_spread_upwards_only() {
    let rules = Rules { recovery: 100, longest: 100, jitter: 0.5, ..RULES };
    assert_eq!([0.0, 0.5, 1.0].map(|random| rules.open_time(0, random)), [100, 125, 150]);
}

#[test]
fn half_open_closes_on_the_last_success_it_needs_and_reopens_on_any_failure() {
    let probe = [(FAIL, 0), (FAIL, 0), (Input::Acquire, 3), (OK, 3), (Input::Acquire, 3)];
    let closed = after(&RULES, &[&probe[..], &[(OK, 3)]].concat());
    assert_eq!(closed.state(), CircuitState::Closed);
    let reopened = after(&RULES, &[&probe[..], &[(FAIL, 3)]].concat());
    assert_eq!((reopened.state(), reopened.reopenings()), (CircuitState::Open, 1));
}

#[test]
fn hung_probes_lose_slot_and_voice_when_the_lease_is_over_and_the_slot_is_needed() {
    let hung = after(
        &RULES,
        &[
            (FAIL, 0),
            (FAIL, 0),
            (Input::Acquire, 3),
            (OK, 3),
            (Input::Acquire, 3),
            (Input::Acquire, 3),
        ],
    );
    assert_eq!(hung.probes().in_flight, 2);
    let before = RULES.step(hung, Input::Acquire, Tick::from_millis(4), 0.0);
    assert_eq!(before.answer, Answer::Reject(None));
    let taken = RULES.step(hung, Input::Acquire, Tick::from_millis(5), 0.0);
    assert_eq!((taken.answer, taken.cause), (Answer::Admit, Some(TransitionCause::LeaseEnded)));
    let Probes { in_flight, successes, .. } = taken.word.probes();
    assert_eq!((in_flight, successes), (1, 1), "the successes of others are kept");
    let late = Input::Success { seen: hung, trip: None };
    let late = RULES.step(taken.word, late, Tick::from_millis(5), 0.0);
    assert_eq!(late.answer, Answer::Stale);
}

#[test]
fn an_isolated_breaker_moves_by_hand_only() {
    let isolated = after(&RULES, &[(Input::Isolate, 0)]);
    for input in [FAIL, OK, Input::Acquire, Input::Isolate] {
        let step = RULES.step(isolated, input, Tick::from_millis(1 << 40), 0.0);
        assert_eq!(step.word, isolated, "{input:?}");
    }
    assert!(after(&RULES, &[(Input::Isolate, 0), (Input::Close, 0)]).is_closed());
    assert!(after(&RULES, &[(Input::Isolate, 0), (Input::Reset, 0)]).is_closed());
}

#[test]
fn the_longest_settings_fit_the_word() {
    const THREE_DAYS: u64 = 3 * 24 * 3600 * 1000;
    let rules = Rules { recovery: THREE_DAYS, longest: THREE_DAYS, jitter: 1.0, ..RULES }.bounded();
    assert!(2 * rules.bound < PAYLOAD);
    assert_eq!(u64::from(MAX_THRESHOLD), PAYLOAD);
    let opened = rules.step(
        Word::NEW,
        Input::Failure { seen: Word::NEW, trip: Some(TransitionCause::FailureRate) },
        Tick::from_millis(77),
        1.0,
    );
    assert_eq!(rules.open_for(opened.word, Tick::from_millis(77)), Some(2 * THREE_DAYS));
}

#[test]
fn a_word_holds_each_of_its_fields_apart_from_the_others() {
    use CircuitState::{Closed, HalfOpen, Isolated, Open};
    for state in [Closed, Open, HalfOpen, Isolated] {
        for generation in [0, 1, 77, GENERATION] {
            for reopenings in [0, 1, 15] {
                for payload in [0, 1, 0x2AAA_AAAA, PAYLOAD] {
                    let word = Word::new(state, generation, reopenings, payload);
                    assert_eq!((word.state(), word.generation()), (state, generation));
                    assert_eq!((word.reopenings(), word.payload()), (reopenings, payload));
                    let is_closed = state == Closed;
                    assert_eq!(word.is_closed(), is_closed);
                    assert_eq!(word.is_clean(), is_closed && payload == 0, "{word:?}");
                    assert_eq!(u64::from(word.failures()), if is_closed { payload } else { 0 });
                    for other in [0, 1, 77, GENERATION] {
                        let other = Word::new(Open, other, 3, 9);
                        let same = other.generation() == generation;
                        assert_eq!(word.same_generation(other), same);
                    }
                }
            }
        }
    }
    // What is too large stops, starts over, or is cut: and touches no neighbour.
    let word = Word::new(Closed, GENERATION + 2, 16, PAYLOAD + 2);
    assert_eq!((word.state(), word.generation()), (Closed, 1));
    assert_eq!((word.reopenings(), word.payload()), (15, 1));
}

#[test]
fn a_half_open_word_holds_what_its_probes_have_come_to() {
    for (in_flight, successes, lease) in [(0, 0, 0), (1, 0, 5), (255, 254, LEASE), (3, 200, 1)] {
        let probes = Probes { in_flight, successes, lease };
        let word = Word::half_open(9, 4, probes);
        assert_eq!(word.probes(), probes);
        assert_eq!((word.state(), word.generation()), (CircuitState::HalfOpen, 9));
        assert_eq!((word.reopenings(), word.failures()), (4, 0));
        // A lease that ends past the width is told modulo it.
        let later = Probes { lease: lease + (LEASE + 1), ..probes };
        assert_eq!(Word::half_open(9, 4, later), word);
    }
}

#[test]
fn an_abandoned_probe_gives_its_slot_back_and_an_abandoned_call_changes_nothing() {
    let abandon = (Input::Abandon { seen: Word::NEW }, 3);
    let probing = [(FAIL, 0), (FAIL, 0), (Input::Acquire, 3), (Input::Acquire, 3)];
    let probes = after(&RULES, &[&probing[..], &[abandon]].concat()).probes();
    assert_eq!((probes.in_flight, probes.successes), (1, 0));
    let closed = after(&RULES, &[(FAIL, 0)]);
    assert_eq!(after(&RULES, &[(FAIL, 0), abandon]), closed);
}

#[test]
fn a_hand_that_asks_for_what_is_so_already_moves_nothing() {
    let close = RULES.step(Word::NEW, Input::Close, Tick::from_millis(0), 0.0);
    assert_eq!((close.word, close.answer, close.cause), (Word::NEW, Answer::Noted, None));
    let isolated = after(&RULES, &[(Input::Isolate, 0)]);
    let again = RULES.step(isolated, Input::Isolate, Tick::from_millis(0), 0.0);
    assert_eq!((again.word, again.answer, again.cause), (isolated, Answer::Noted, None));
    // A reset asks for a new generation, which it always makes.
    let reset = RULES.step(Word::NEW, Input::Reset, Tick::from_millis(0), 0.0);
    assert_eq!((reset.word.generation(), reset.cause), (1, Some(TransitionCause::Reset)));
}

#[test]
fn a_rate_alone_counts_no_failures_in_a_row() {
    let rules = Rules { threshold: 0, ..RULES };
    assert_eq!(after(&rules, &[(FAIL, 0), (FAIL, 0), (FAIL, 0)]), Word::NEW);
}

#[test]
fn a_live_end_lies_at_most_two_spans_ahead() {
    let rules = Rules { recovery: 10, longest: 10, ..RULES }.bounded();
    let open = Word::new(CircuitState::Open, 1, 0, 1000);
    let open_for = |now| rules.open_for(open, Tick::from_millis(now));
    assert_eq!(rules.bound, 11);
    assert_eq!([open_for(999), open_for(1000), open_for(1001)], [Some(1), None, None]);
    // A clock that has gone back: no wait is longer than the longest, and far back there is none.
    assert_eq!([open_for(989), open_for(978)], [Some(11), Some(11)]);
    assert_eq!([open_for(977), open_for(0)], [None, None]);

    // 200 ms in units of 3: 67 of them, and one that may have begun.
    let rules = Rules { lease: 200, ..RULES };
    let probes = Probes { in_flight: 1, successes: 0, lease: 1000 };
    let leased = Word::half_open(1, 0, probes);
    let leased_for = |unit: u64| rules.leased_for(leased, Tick::from_millis(3 * unit));
    assert_eq!([leased_for(999), leased_for(1000), leased_for(1001)], [Some(3), None, None]);
    assert_eq!([leased_for(932), leased_for(931)], [Some(204), Some(204)]);
    assert_eq!([leased_for(864), leased_for(863)], [Some(204), None]);
}

#[test]
fn a_lease_is_kept_in_64ths_of_itself_rounded_up() {
    for (lease, unit) in [(1, 1), (63, 1), (64, 1), (127, 1), (128, 2), (200, 3), (64_000, 1000)] {
        let rules = Rules { lease, ..RULES };
        assert_eq!(rules.lease_unit(), unit);
        let probed =
            rules.probe(Word::NEW, 0, TransitionCause::RecoveryTimeout, Tick::from_millis(0));
        let last = |now| rules.leased_for(probed.word, Tick::from_millis(now)).is_some();
        assert!(last(lease - 1), "not over before its end: {lease}");
        assert!(!last(lease + unit), "and over a unit past it: {lease}");
    }
}

#[test]
fn the_bound_of_open_times_is_what_they_can_grow_to() {
    let bound = |growth, jitter| {
        Rules { recovery: 100, longest: 250, growth, jitter, ..RULES }.bounded().bound
    };
    assert_eq!(bound(1.0, 0.0), 101, "it does not grow");
    assert_eq!(bound(2.0, 0.0), 251);
    assert_eq!(bound(2.0, 0.5), 376);
    assert_eq!(Rules { recovery: 0, longest: 9, growth: 2.0, ..RULES }.open_time(15, 1.0), 0);
}
