//! Law 2: slots in half-open never exceed the limit, in any schedule, on any number of threads.

use crate::common::{Calls, Meeting, Outcome, PATIENCE, S, fail, together, watched};
use seawall::{
    CircuitBreaker, CircuitState, Error, Verdict,
    testing::{ManualClock, Scope},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::{mpsc, watch};

const CALLERS: usize = 64;
const RECOVERY: Duration = Duration::from_secs(10);

fn breaker(probes: u32) -> CircuitBreaker {
    CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(RECOVERY)
        .probes(probes)
        .successes_to_close(probes)
        .build()
}

/// Sixty-four tasks call at once; gives how many operations ran before any of them ended.
async fn operations_started(breaker: Arc<CircuitBreaker>, scope: Option<Scope>) -> usize {
    let (say, mut heard) = mpsc::unbounded_channel();
    let (open, gate) = watch::channel(false);
    let mut tasks = Vec::new();
    for _ in 0..CALLERS {
        let (breaker, say, gate) = (Arc::clone(&breaker), say.clone(), gate.clone());
        let call = async move {
            let started = say.clone();
            let operation = || {
                started.send("started").unwrap();
                let mut gate = gate.clone();
                async move {
                    gate.wait_for(|open| *open).await.unwrap();
                    Outcome::Ok(1)
                }
            };
            match breaker.run(operation).await {
                Err(Error::Rejected(_)) => say.send("rejected").unwrap(),
                outcome => assert_eq!(outcome, Ok(1)),
            }
        };
        tasks.push(match &scope {
            Some(scope) => tokio::spawn(scope.attach(call)),
            None => tokio::spawn(call),
        });
    }
    let mut started = 0;
    for _ in 0..CALLERS {
        let said = tokio::time::timeout(PATIENCE, heard.recv()).await.expect("they all decide");
        started += usize::from(said == Some("started"));
    }
    open.send(true).unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    started
}

/// Law 2: tasks of one thread.
#[tokio::test(start_paused = true)]
async fn sixty_four_callers_at_an_open_breaker_whose_time_is_over_start_as_many_probes_as_allowed()
{
    for probes in [1, 3, 63] {
        let breaker = Arc::new(breaker(probes));
        fail(&breaker);
        tokio::time::advance(RECOVERY).await;
        let started = operations_started(Arc::clone(&breaker), None).await;
        assert_eq!(started, probes as usize);
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

/// Law 2: tasks on many threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn sixty_four_callers_on_eight_workers_start_as_many_probes_as_allowed() {
    for round in 0..50 {
        let probes = 1 + round % 3;
        let (clock, breaker) = (ManualClock::new(), Arc::new(breaker(probes)));
        let scope = Scope::new(clock.clone());
        {
            let _entered = scope.enter();
            fail(&breaker);
        }
        clock.advance(RECOVERY);
        let started = operations_started(Arc::clone(&breaker), Some(scope)).await;
        assert_eq!(started, probes as usize);
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

/// Law 2: threads that hold the decision themselves.
#[test]
fn sixty_four_threads_get_as_many_permits_as_there_are_probes() {
    const ROUNDS: u32 = 50;
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone());
    for probes in [1, 2, 5] {
        let breaker = breaker(probes);
        let (round, admitted) = (Meeting::new(CALLERS), Calls::new());
        together(CALLERS, |n| {
            let _scope = scope.enter();
            for _ in 0..ROUNDS {
                if n == 0 {
                    fail(&breaker);
                    clock.advance(RECOVERY);
                }
                round.wait();
                let permit = breaker.try_acquire();
                round.wait();
                if let Ok(permit) = permit {
                    admitted.count();
                    permit.record(Verdict::Success);
                }
                round.wait();
            }
        });
        assert_eq!(admitted.get(), ROUNDS * probes);
    }
}

/// Law 2: slots that come and go are never more than there are. Each caller asks until it gets one,
/// so that a slot which is not given back is seen whatever the scheduler does.
#[test]
fn probes_in_flight_never_pass_the_limit_while_slots_are_taken_and_given_back() {
    const PROBES: u32 = 3;
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone());
    let breaker = breaker(PROBES);
    {
        let _scope = scope.enter();
        fail(&breaker);
        clock.advance(RECOVERY);
    }
    watched(move || {
        let (in_flight, most) = (AtomicU32::new(0), AtomicU32::new(0));
        together(8, |_| {
            let _scope = scope.enter();
            for _ in 0..500 {
                let permit = loop {
                    match breaker.try_acquire() {
                        Ok(permit) => break permit,
                        Err(_) => std::thread::yield_now(),
                    }
                };
                most.fetch_max(in_flight.fetch_add(1, SeqCst) + 1, SeqCst);
                std::thread::yield_now();
                in_flight.fetch_sub(1, SeqCst);
                drop(permit);
            }
        });
        assert!(most.into_inner() <= PROBES);
        assert_eq!(breaker.counters().probes_in_flight, 0);
    });
}

/// Law 2: when a lease ends, one caller takes the place of the hung probe, not all who wait.
#[test]
fn sixty_four_threads_at_the_end_of_a_lease_get_one_permit() {
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone());
    for _ in 0..20 {
        let breaker = breaker(1);
        let _entered = scope.enter();
        fail(&breaker);
        clock.advance(RECOVERY);
        let _hung = breaker.try_acquire().unwrap();
        clock.advance(62 * S);
        let (all_asked, admitted) = (Meeting::new(CALLERS), Calls::new());
        together(CALLERS, |_| {
            let _scope = scope.enter();
            let permit = breaker.try_acquire();
            all_asked.wait();
            if permit.is_ok() {
                admitted.count();
            }
        });
        assert_eq!(admitted.get(), 1);
    }
}
