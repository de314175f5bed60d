//! Which breakers are asked, and what each is held to: by every rule for opening that it offers and
//! that the kit can state, open for ten seconds, with one probe at a time where that can be set.

use crate::{call::Subject, clock, peers};
use seawall::{
    CircuitBreaker,
    breaker::CircuitBreakerBuilder,
    testing::{
        ManualClock,
        laws::{self, BreakerUnderTest, Checked, Report, Rules, Trip, Violation},
    },
};
use std::time::Duration;

const OPEN: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(60);
/// Far above a second, in which some reckon their spread.
const LONG: Duration = Duration::from_secs(1000);

/// A crate, and the ways to set it up.
pub(crate) struct Contender {
    pub(crate) package: &'static str,
    settings: Vec<(&'static str, Ask)>,
}

type Ask = Box<dyn Fn() -> Report>;

impl Contender {
    fn new(package: &'static str) -> Self {
        Self { package, settings: Vec::new() }
    }

    /// One more way to set it up, held to every law.
    fn with<B: BreakerUnderTest + 'static>(
        mut self,
        name: &'static str,
        rules: Rules,
        make: impl Fn() -> B + 'static,
    ) -> Self {
        let make = following(make);
        self.settings.push((name, Box::new(move || laws::check_all(&make, &rules))));
        self
    }

    /// One whose open time is spread, by a chance that no two runs share: held to law 15 alone.
    fn spread<B: BreakerUnderTest + 'static>(mut self, make: impl Fn() -> B + 'static) -> Self {
        let rules =
            Rules { spread: 1.0, longest_recovery: 2 * LONG, ..Rules::consecutive(3, LONG) };
        let make = following(make);
        let ask = move || Report::default().with(laws::no_herd(&make, &rules));
        self.settings.push(("open time spread", Box::new(ask)));
        self
    }

    /// What was kept or not asked, and what was broken, with the settings that it was seen in.
    pub(crate) fn ask(&self) -> (Vec<Checked>, Vec<(&'static str, Violation)>) {
        let (mut checked, mut broken) = (Vec::new(), Vec::new());
        for (name, ask) in &self.settings {
            let report = ask();
            checked.extend(report.checked().copied());
            broken.extend(report.violations().map(|violation| (*name, violation.clone())));
        }
        (checked, broken)
    }
}

/// Has the system's clock follow the kit's from the start: some read it when they are made.
fn following<B>(make: impl Fn() -> B) -> impl Fn(&ManualClock) -> B {
    move |clock| {
        clock::follow(clock);
        make()
    }
}

const fn rate(minimum_calls: u32, over_calls: Option<u32>) -> Trip {
    Trip::Rate { rate: 0.5, minimum_calls, over_calls }
}

pub(crate) fn all() -> Vec<Contender> {
    vec![seawall(), tower_resilience(), seatbelt(), failsafe(), recloser()]
}

fn seawall() -> Contender {
    let rules = Rules { lease: Some(WINDOW), ..Rules::consecutive(3, OPEN) };
    let build = |set: fn(CircuitBreakerBuilder) -> CircuitBreakerBuilder| {
        move || set(CircuitBreaker::builder().recovery_timeout(OPEN)).build()
    };
    Contender::new("seawall")
        .with("in a row", rules, build(|it| it.failure_threshold(3)))
        .with(
            "count window",
            Rules { trip: rate(6, Some(6)), ..rules },
            build(|it| it.failure_rate(0.5).over_calls(6).minimum_calls(6)),
        )
        .with(
            "time window",
            Rules { trip: rate(4, None), ..rules },
            build(|it| it.failure_rate(0.5).over_time(WINDOW).minimum_calls(4)),
        )
        .spread(|| {
            let builder = CircuitBreaker::builder().failure_threshold(3);
            builder.recovery_timeout(LONG).recovery_jitter(1.0).build()
        })
}

fn tower_resilience() -> Contender {
    use peers::tower_resilience::{Breaker, Builder, consecutive, count, time};
    let rules = Rules::consecutive(3, OPEN);
    let build = |builder: fn() -> Builder| move || Subject(Breaker::new(builder(), OPEN, 1));
    Contender::new("tower-resilience-circuitbreaker")
        .with("in a row", rules, build(|| consecutive(3)))
        .with("count window", Rules { trip: rate(6, Some(6)), ..rules }, build(|| count(0.5, 6)))
        .with("time window", Rules { trip: rate(4, None), ..rules }, build(|| time(0.5, 4, WINDOW)))
}

fn seatbelt() -> Contender {
    // A probe that has not answered keeps others out until *more* than the open time is over.
    let lease = Some(OPEN + Duration::from_millis(1));
    let rules = Rules { trip: rate(4, None), lease, ..Rules::consecutive(1, OPEN) };
    let make = || Subject(peers::seatbelt::Breaker::new(0.5, 4, WINDOW, OPEN));
    Contender::new("seatbelt").with("time window", rules, make)
}

fn failsafe() -> Contender {
    use peers::failsafe::Breaker;
    // Its time window is a moving average, for which the kit has no rule.
    Contender::new("failsafe")
        .with("in a row", Rules::consecutive(3, OPEN), || Subject(Breaker::new(3, OPEN)))
        .spread(|| Subject(Breaker::spread(3, LONG)))
}

fn recloser() -> Contender {
    // Its windows say nothing before they are full, and speak by the call after that; half-open as
    // well, where the shortest window is one.
    let rules = Rules {
        trip: rate(5, Some(4)),
        successes_to_close: 2,
        failures_to_reopen: 2,
        ..Rules::consecutive(1, OPEN)
    };
    let make = || Subject(peers::recloser::Breaker::new(0.5, 4, OPEN));
    Contender::new("recloser").with("count window", rules, make)
}
