//! A plain breaker behind a lock that keeps every law, and breaks one where it is told to.

use seawall::{
    CircuitState, Random,
    testing::{
        ManualClock,
        laws::{BreakerUnderTest, Rules, Told, Trip},
    },
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What is wrong with a toy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// A dropped probe keeps its slot, for a lease if there is one.
    KeepsTheSlotOfADroppedProbe,
    /// Leases never end.
    ForgetsTheLease,
    OneProbeMore,
    /// Looks for a free slot, and takes it a while later.
    LooksThenTakes,
    /// A success closes it, whenever its call began.
    LateSuccessCloses,
    /// A probe of an earlier round gives back a slot of this one.
    LateDropFreesASlot,
    OneFailureMore,
    OneFailureLess,
    ProbesAMomentEarly,
    OneSuccessMore,
    /// Opens again by the second probe that fails.
    OneProbeFailureMore,
    /// Reckons with an end of the open time that may be far ahead.
    TrustsTheClock,
    PanicsWhenTheClockGoesBack,
    TellsTwice,
    TellsNothingOfProbing,
    /// Each thread tells of what it did once it has let the lock go, whoever was first.
    TellsAsItComes,
    LetsThePanicOfAListenerOut,
    HasNoSpread,
    /// A panic of the operation counts neither way.
    PanicIsNoFailure,
    SwallowsThePanic,
    /// A permit that is dropped by a panic is lost.
    UnwindingLosesThePermit,
}

pub(crate) struct Toy {
    clock: ManualClock,
    rules: Rules,
    flaw: Flaw,
    now: Mutex<Now>,
    told: Mutex<Vec<Arc<Told>>>,
    untold: Mutex<Vec<(CircuitState, CircuitState)>>,
}

struct Now {
    state: CircuitState,
    generation: u64,
    failures: u32,
    successes: u32,
    failed_probes: u32,
    opened: Duration,
    open_for: Duration,
    /// Number and admission of each probe in flight.
    slots: Vec<(u64, Duration)>,
    probes: u64,
}

pub(crate) struct ToyPermit<'a> {
    toy: &'a Toy,
    generation: u64,
    slot: Option<u64>,
    settled: bool,
}

impl Toy {
    pub(crate) fn new(clock: &ManualClock, rules: Rules, flaw: Flaw) -> Self {
        let now = Now {
            state: CircuitState::Closed,
            generation: 0,
            failures: 0,
            successes: 0,
            failed_probes: 0,
            opened: Duration::ZERO,
            open_for: Duration::ZERO,
            slots: Vec::new(),
            probes: 0,
        };
        let clock = clock.clone();
        let (told, untold) = (Mutex::default(), Mutex::default());
        Self { clock, rules, flaw, now: Mutex::new(now), told, untold }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threshold(&self) -> u32 {
        let Trip::Failures(failures) = self.rules.trip else { panic!("toys count in a row") };
        match self.flaw {
            Flaw::OneFailureMore => failures + 1,
            Flaw::OneFailureLess => failures - 1,
            _ => failures,
        }
    }

    fn may_probe(&self, now: &mut Now) -> bool {
        let mut time = self.clock.now();
        match self.flaw {
            Flaw::TrustsTheClock => return time >= now.opened + now.open_for,
            Flaw::PanicsWhenTheClockGoesBack => {
                return time.checked_sub(now.opened).expect("time goes on") >= now.open_for;
            }
            Flaw::ProbesAMomentEarly => time += Duration::from_millis(1),
            _ => {}
        }
        now.opened = now.opened.min(time);
        time - now.opened >= now.open_for
    }

    /// Whether there is a slot, after those whose lease is over are free.
    fn has_room(&self, now: &mut Now) -> bool {
        let time = self.clock.now();
        if self.flaw != Flaw::ForgetsTheLease {
            let lease = self.rules.lease.unwrap_or(Duration::MAX);
            now.slots.iter_mut().for_each(|(_, since)| *since = time.min(*since));
            now.slots.retain(|(_, since)| time - *since < lease);
        }
        let more = usize::from(self.flaw == Flaw::OneProbeMore);
        now.slots.len() < self.rules.probes as usize + more
    }

    fn take_slot(&self, now: &mut Now) -> Option<u64> {
        now.probes += 1;
        now.slots.push((now.probes, self.clock.now()));
        Some(now.probes)
    }

    fn go(&self, now: &mut Now, to: CircuitState) {
        let from = now.state;
        now.state = to;
        now.generation += 1;
        (now.failures, now.successes, now.failed_probes) = (0, 0, 0);
        now.slots.clear();
        if to == CircuitState::Open {
            now.opened = self.clock.now();
            let chance = Random::new().next_unit();
            let spread = if self.flaw == Flaw::HasNoSpread { 0.0 } else { self.rules.spread };
            now.open_for = self.rules.recovery_timeout.mul_f64(1.0 + spread * chance);
        }
        if self.flaw == Flaw::TellsNothingOfProbing && to == CircuitState::HalfOpen {
            return;
        }
        if self.flaw == Flaw::TellsAsItComes {
            self.untold.lock().unwrap().push((from, to));
            return;
        }
        self.tell(from, to);
    }

    fn tell_untold(&self) {
        let untold = std::mem::take(&mut *self.untold.lock().unwrap());
        untold.into_iter().for_each(|(from, to)| self.tell(from, to));
    }

    fn tell(&self, from: CircuitState, to: CircuitState) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for told in &told {
            if self.flaw == Flaw::LetsThePanicOfAListenerOut {
                told(from, to);
                continue;
            }
            for _ in 0..if self.flaw == Flaw::TellsTwice { 2 } else { 1 } {
                let _ = catch_unwind(AssertUnwindSafe(|| told(from, to)));
            }
        }
    }

    fn acquire_locked(&self) -> Option<ToyPermit<'_>> {
        let mut now = self.lock();
        if now.state == CircuitState::Open {
            if !self.may_probe(&mut now) {
                return None;
            }
            self.go(&mut now, CircuitState::HalfOpen);
        }
        let mut slot = None;
        if now.state == CircuitState::HalfOpen {
            if !self.has_room(&mut now) {
                return None;
            }
            if self.flaw == Flaw::LooksThenTakes {
                drop(now);
                (0..5).for_each(|_| thread::yield_now());
                now = self.lock();
            }
            slot = self.take_slot(&mut now);
        }
        Some(ToyPermit { toy: self, generation: now.generation, slot, settled: false })
    }

    /// The slot of a probe whose outcome still counts.
    fn frees(&self, now: &mut Now, permit: &ToyPermit<'_>) -> bool {
        let before = now.slots.len();
        now.slots.retain(|(slot, _)| Some(*slot) != permit.slot);
        now.slots.len() < before
    }

    fn settle(&self, permit: ToyPermit<'_>, success: bool) {
        self.settle_locked(permit, success);
        self.tell_untold();
    }

    fn settle_locked(&self, mut permit: ToyPermit<'_>, success: bool) {
        permit.settled = true;
        let mut now = self.lock();
        let stale = permit.generation != now.generation;
        if stale && self.flaw == Flaw::LateSuccessCloses && success && !now.state.is_closed() {
            return self.go(&mut now, CircuitState::Closed);
        }
        match (now.state, success) {
            _ if stale => {}
            (CircuitState::Closed, true) => now.failures = 0,
            (CircuitState::Closed, false) => {
                now.failures += 1;
                if now.failures >= self.threshold() {
                    self.go(&mut now, CircuitState::Open);
                }
            }
            _ if !self.frees(&mut now, &permit) => {}
            (_, true) => {
                now.successes += 1;
                let more = u32::from(self.flaw == Flaw::OneSuccessMore);
                if now.successes >= self.rules.successes_to_close + more {
                    self.go(&mut now, CircuitState::Closed);
                }
            }
            (_, false) => {
                now.failed_probes += 1;
                let more = u32::from(self.flaw == Flaw::OneProbeFailureMore);
                if now.failed_probes >= self.rules.failures_to_reopen + more {
                    self.go(&mut now, CircuitState::Open);
                }
            }
        }
    }
}

impl Drop for ToyPermit<'_> {
    fn drop(&mut self) {
        let lost = self.toy.flaw == Flaw::KeepsTheSlotOfADroppedProbe
            || (self.toy.flaw == Flaw::UnwindingLosesThePermit && thread::panicking());
        if self.settled || lost {
            return;
        }
        let mut now = self.toy.lock();
        if !self.toy.frees(&mut now, self) && self.toy.flaw == Flaw::LateDropFreesASlot {
            now.slots.pop();
        }
    }
}

impl BreakerUnderTest for Toy {
    type Permit<'a> = ToyPermit<'a>;

    fn acquire(&self) -> Option<ToyPermit<'_>> {
        let permit = self.acquire_locked();
        self.tell_untold();
        permit
    }

    fn success(&self, permit: ToyPermit<'_>) {
        self.settle(permit, true);
    }

    fn failure(&self, permit: ToyPermit<'_>) {
        self.settle(permit, false);
    }

    fn state(&self) -> CircuitState {
        self.lock().state
    }

    fn on_transition(&self, told: Told) -> bool {
        self.told.lock().unwrap().push(Arc::new(told));
        true
    }

    fn run(&self, operation: fn()) -> Option<bool> {
        let Some(permit) = self.acquire() else { return Some(false) };
        match catch_unwind(operation) {
            Ok(()) => self.success(permit),
            Err(payload) => {
                match self.flaw {
                    Flaw::PanicIsNoFailure => drop(permit),
                    _ => self.failure(permit),
                }
                if self.flaw != Flaw::SwallowsThePanic {
                    std::panic::resume_unwind(payload);
                }
            }
        }
        Some(true)
    }
}
