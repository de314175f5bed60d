//! The engine: real policies, on a clock of its own.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use seawall::{
    CircuitBreaker, Error, Jitter, Pipeline, RetryExecutor, RetryPolicy, Tick, Timeout, retry,
    testing::{Recorder, Scope, World},
};
use seawall_sim::{
    Answer, Arrivals, Contender, Failure, Fault, FaultKind, Outlook, Plan, Ready, Scenario, Seen,
    Span, Study, request, sleep,
};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn calm(length: Duration) -> Scenario {
    let mut scenario = Scenario::default();
    scenario.length = length;
    scenario
}

fn json(study: &Study) -> String {
    serde_json::to_string(&study.run()).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let study = |threads: usize| {
        let ready = Ready::find("retry-storm").unwrap();
        let study = ready.study().seeds(2).threads(threads);
        study.with_scenario(|scenario| {
            scenario.length = 30 * S;
            scenario.faults = vec![Fault::new(FaultKind::Stall, 10 * S, 2 * S)];
        })
    };
    let once = json(&study(1));
    assert_eq!(once, json(&study(1)));
    assert_eq!(once, json(&study(3)));
    assert_ne!(once, json(&study(1).first_seed(2)));
}

#[test]
fn policies_that_are_compared_meet_the_same_arrivals() {
    let plan = Plan::new(calm(10 * S));
    let calls = |contender: &Contender| {
        let seen = plan.run(contender, 5);
        seen.bins.iter().map(|bin| bin.calls).collect::<Vec<_>>()
    };
    let none = calls(&Contender::policy("none", |_| ()));
    assert_eq!(none, calls(&Contender::policy("retry", |_| RetryPolicy::new())));
}

/// An outcome after so many ms.
type Script = [(u64, bool)];

const SCRIPT: &Script = &[
    (5, true),
    (5, false),
    (20, false),
    (200, true),
    (1, false),
    (1, false),
    (1, false),
    (1, true),
    (300, true),
    (2, true),
    (2, false),
    (2, false),
    (2, false),
    (2, false),
    (2, false),
    (2, true),
    (9, true),
    (120, false),
    (3, true),
    (3, true),
    (3, false),
    (3, true),
];

/// Forty calls of one stack, fifty ms apart; `wait` is the runtime's.
async fn play<W: Future<Output = ()> + Send>(
    wait: impl Fn(Duration) -> W + Copy + Send + Sync + 'static,
) -> Vec<String> {
    let events = Recorder::new();
    let scope = events.enter();
    let breaker = CircuitBreaker::builder().failure_threshold(3).recovery_timeout(S / 4).build();
    // Whole ms: tokio's clock knows no others.
    let retry = RetryPolicy::builder().max_attempts(3).base_delay(40 * MS).jitter(Jitter::None);
    let stack = Pipeline::new((
        Timeout::new(400 * MS),
        RetryExecutor::new(retry.build()),
        breaker.named("b"),
        Timeout::new(100 * MS),
    ));
    let next = AtomicUsize::new(0);
    let mut told = Vec::new();
    for _ in 0..40 {
        let outcome = stack
            .run(|| async {
                let (after, works) = SCRIPT[next.fetch_add(1, SeqCst) % SCRIPT.len()];
                wait(Duration::from_millis(after)).await;
                if works { Ok(after) } else { Err(after) }
            })
            .await;
        told.push(format!("{outcome:?}"));
        wait(50 * MS).await;
    }
    drop(scope);
    // Times are since each clock's own beginning.
    let since = |text: String| match text.split_once("at: Tick(") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').unwrap().1),
        None => text,
    };
    told.extend(events.all().iter().map(|one| since(format!("{:?}", one.event()))));
    told
}

#[test]
fn one_script_gives_the_same_events_in_the_same_order_as_on_tokios_paused_clock() {
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    let tokio = tokio.enable_time().start_paused(true).build().unwrap();
    let there = tokio.block_on(play(tokio::time::sleep));

    let told = Arc::new(Mutex::new(Vec::new()));
    let mut scenario = calm(60 * S);
    scenario.load.arrivals = Arrivals::Recorded(vec![Duration::ZERO]);
    let contender = {
        let told = Arc::clone(&told);
        Contender::function("script", move || {
            let told = Arc::clone(&told);
            async move {
                let here = play(sleep).await;
                *told.lock().unwrap() = here;
                Ok(Answer::Full)
            }
        })
    };
    let seen = Plan::new(scenario).run(&contender, 1);
    assert_eq!(seen.total.good, 1);
    let here = told.lock().unwrap().clone();
    assert!(here.len() > 60, "too little happened: {}", here.len());
    for (n, (here, there)) in here.iter().zip(&there).enumerate() {
        assert_eq!(here, there, "the {n}th");
    }
    assert_eq!(here.len(), there.len());
}

#[retry(max_attempts = 4, base_delay = "10ms", jitter = "full")]
async fn fetch() -> Result<Answer, Error<Failure>> {
    Ok(request().await?)
}

#[test]
fn a_function_under_an_attribute_takes_part_as_it_is() {
    let mut scenario = calm(60 * S);
    scenario.faults = vec![Fault::new(FaultKind::Errors(0.5), Duration::ZERO, 60 * S)];
    let total = Plan::new(scenario).run(&Contender::function("fetch", fetch), 1).total;
    let attempts = total.attempts as f64 / total.calls as f64;
    assert!((1.85..1.9).contains(&attempts), "{attempts}");
    assert!(total.good as f64 / total.calls as f64 > 0.93);
}

#[test]
fn a_million_clients_run() {
    let mut scenario = calm(2 * S);
    scenario.load.clients = 1_000_000;
    scenario.load.arrivals = Arrivals::Rate(20_000.0);
    scenario.tiers[0].workers = 400;
    let total =
        Plan::new(scenario).run(&Contender::policy("retry", |_| RetryPolicy::new()), 1).total;
    assert!(total.good > 39_000, "{total:?}");
}

#[test]
fn memory_is_bounded_by_the_calls_in_flight_not_by_the_calls_made() {
    let most = |length: Duration| {
        let mut scenario = calm(length);
        scenario.load.arrivals = Arrivals::Share(0.5);
        let plan = Plan::new(scenario).bin(length / 10);
        let policy = Contender::policy("timeout", |_| Timeout::new(S));
        let mut calls = 0;
        let used = allocation_counter::measure(|| calls = plan.run(&policy, 1).total.calls);
        (used.bytes_max as f64, calls)
    };
    let ((short, few), (long, many)) = (most(20 * S), most(200 * S));
    assert!(many > 9 * few);
    assert!(long < 1.5 * short, "{short} and then {long} bytes");
}

#[test]
fn a_closed_loop_waits_for_each_outcome_before_the_next_call() {
    let mut scenario = calm(100 * S);
    scenario.load.clients = 8;
    scenario.load.arrivals = Arrivals::Users { think: Span::Constant(90 * MS) };
    scenario.network.delay = Span::Constant(Duration::ZERO);
    scenario.tiers[0].service = Span::Constant(10 * MS);
    let total = Plan::new(scenario).run(&Contender::policy("none", |_| ()), 1).total;
    // 8 users, a call each 100 ms.
    assert!((7_990..=8_000).contains(&total.calls), "{}", total.calls);
}

#[test]
fn what_is_lost_is_heard_of_by_nobody() {
    let mut scenario = calm(60 * S);
    scenario.faults = vec![Fault::new(FaultKind::Loss(0.2), Duration::ZERO, 60 * S)];
    let total = Plan::new(scenario).run(&Contender::policy("limit", |_| Timeout::new(S)), 1).total;
    let lost = total.timed_out as f64 / total.calls as f64;
    // On the way there, or back: 1 - 0.8^2; those of the last second have not ended.
    assert!((0.33..0.38).contains(&lost), "{lost}");
    assert!(total.served < total.attempts);
}

#[test]
fn a_restart_loses_what_waits_and_refuses_until_it_is_over() {
    let mut scenario = calm(30 * S);
    scenario.load.arrivals = Arrivals::Share(0.9);
    scenario.faults = vec![Fault::new(FaultKind::Restart, 10 * S, 2 * S)];
    let seen = Plan::new(scenario).run(&Contender::policy("none", |_| ()), 1);
    // A few answers were on their way when it died.
    assert!(seen.bins[10].good < 5, "{:?}", seen.bins[10]);
    assert_eq!(seen.bins[11].good, 0);
    assert_eq!(seen.bins[11].waiting, 0);
    assert!(seen.bins[13].good > 800);
    let total = seen.total;
    assert!(total.good + total.failed >= total.calls - 100, "{total:?}");
}

#[test]
fn requests_that_were_shed_before_a_restart_are_not_lost_in_it_again() {
    static LATE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    let mut scenario = calm(40 * S);
    scenario.tiers[0].service = Span::Constant(10 * MS);
    scenario.tiers[0].shed_after = Some(50 * MS);
    // Overload, with callers who leave before they are shed; then half of what can be served.
    scenario.load.arrivals = Arrivals::Rate(3000.0);
    scenario.load.steps = vec![(3 * S, 500.0 / 3000.0)];
    scenario.faults = vec![
        Fault::new(FaultKind::Restart, 5 * S, S),
        Fault::new(FaultKind::Latency(S), 8 * S, 4 * S),
    ];
    let epoch = Arc::new(OnceLock::new());
    let call = move || {
        let began = Tick::now();
        let is_late = began.since(*epoch.get_or_init(|| began)) > 7 * S;
        async move {
            let limit = Timeout::new(if is_late { 10 * S } else { 20 * MS });
            let outcome = seawall::Policy::run(&limit, request).await;
            if is_late {
                LATE[usize::from(outcome.is_err())].fetch_add(1, SeqCst);
            }
            outcome
        }
    };
    Plan::new(scenario).run(&Contender::function("late", call), 1);
    let [good, bad] = LATE.each_ref().map(|count| count.load(SeqCst));
    assert!(good > 15_000 && bad == 0, "{good} good and {bad} bad");
}

/// Futures that a run leaves behind are of that run alone, wherever they are dropped or polled.
#[test]
fn what_is_left_of_a_run_changes_nothing_in_the_next() {
    type Left = Pin<Box<dyn Future<Output = Result<Answer, Error<Failure>>> + Send>>;
    static LEFT: Mutex<Vec<Left>> = Mutex::new(Vec::new());
    fn polled_once(call: Left) -> impl Future<Output = ()> {
        let mut call = Some(call);
        poll_fn(move |cx| {
            if let Some(mut call) = call.take() {
                let _ = call.as_mut().poll(cx);
                LEFT.lock().unwrap().push(call);
            }
            Poll::Ready(())
        })
    }
    let leaving = || async {
        for made in 0..3 {
            let plain = async { Ok(request().await?) };
            let limited = seawall::Policy::run(&const { Timeout::new(S) }, request);
            let sleeping = async {
                sleep(S).await;
                Ok(Answer::Full)
            };
            match made {
                0 => polled_once(Box::pin(plain)).await,
                1 => polled_once(Box::pin(limited)).await,
                _ => polled_once(Box::pin(sleeping)).await,
            }
        }
        guarded().await
    };
    Plan::new(calm(2 * S)).run(&Contender::function("leaving", leaving), 1);
    assert!(LEFT.lock().unwrap().len() > 3000);
    let expected = storm_of(guarded);
    let touching = || async {
        let left = LEFT.lock().unwrap().pop();
        if let Some(mut left) = left {
            poll_fn(|cx| {
                assert!(left.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        guarded().await
    };
    assert_eq!(storm_of(touching), expected);
}

#[test]
fn load_that_falls_makes_a_service_that_gets_slower_with_its_queue_fast_again() {
    let served = |slowdown: f64| {
        let mut scenario = calm(60 * S);
        scenario.load.arrivals = Arrivals::Share(1.1);
        scenario.load.steps = vec![(30 * S, 0.5)];
        scenario.tiers[0].slowdown = slowdown;
        let seen = Plan::new(scenario).run(&Contender::policy("none", |_| ()), 1);
        seen.bins[20..30].iter().map(|bin| bin.served).sum::<u64>()
    };
    assert!(served(0.001) < served(0.0) * 3 / 4);
}

#[test]
fn a_run_that_is_stopped_gives_what_there_is() {
    let stop = AtomicBool::new(false);
    let study = Study::new(calm(20 * S)).contender(Contender::policy("none", |_| ()));
    let done = AtomicUsize::new(0);
    let found = study.seeds(4).threads(1).run_with(&stop, &|progress| {
        done.store(progress.done, SeqCst);
        stop.store(progress.done == 2, SeqCst);
    });
    assert!(!found.complete);
    assert_eq!(done.load(SeqCst), 2);
}

#[test]
#[should_panic(expected = "a policy's own panic")]
fn the_panic_of_a_policy_is_the_callers() {
    let contender = Contender::function("panics", || async { panic!("a policy's own panic") });
    Plan::new(calm(S)).run(&contender, 1);
}

/// A storm of calls under three policies, made by `call` from what is under them.
fn storm_of<Fut>(call: impl Fn() -> Fut + Send + Sync + Clone + 'static) -> Seen
where
    Fut: Future<Output = Result<Answer, Error<Failure>>> + Send + 'static,
{
    let mut scenario = calm(60 * S);
    scenario.faults = vec![Fault::new(FaultKind::Stall, 10 * S, 5 * S)];
    Plan::new(scenario).run(&Contender::function("storm", call), 1)
}

async fn guarded() -> Result<Answer, Error<Failure>> {
    static POLICIES: (RetryPolicy, Timeout) =
        (RetryPolicy::builder().base_delay(MS).jitter(Jitter::None).build(), Timeout::new(S));
    sleep(MS).await;
    seawall::Policy::run(&POLICIES, request).await
}

/// Polls with a waker of its own, which wakes the one outside: as a `select` does.
struct Between<F>(Pin<Box<F>>, Arc<Relay>);

struct Relay(Mutex<Option<Waker>>);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        let outside = self.0.lock().unwrap().take();
        outside.unwrap().wake();
    }
}

impl<F: Future> Future for Between<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        *self.1.0.lock().unwrap() = Some(cx.waker().clone());
        let waker = Waker::from(Arc::clone(&self.1));
        self.0.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

#[test]
fn calls_that_are_polled_with_a_waker_of_somebodys_own_go_as_all_others() {
    let relayed = || Between(Box::pin(guarded()), Arc::new(Relay(Mutex::new(None))));
    assert_eq!(storm_of(relayed), storm_of(guarded));
}

#[test]
fn calls_inside_a_scope_of_their_own_go_as_all_others() {
    struct Nothing;
    impl World for Nothing {}
    let scoped = || Scope::new(Nothing).attach(guarded());
    assert_eq!(storm_of(scoped), storm_of(guarded));
}

/// A future that is handed on, as out of a `select`, is polled by another waker than it began with.
#[test]
fn a_wait_wakes_whoever_polled_it_last() {
    let mut scenario = calm(S);
    scenario.load.arrivals = Arrivals::Recorded(vec![Duration::ZERO]);
    let handed_on = || async {
        let mut wait = Box::pin(sleep(10 * MS));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        wait.await;
        // And the other way: what began with the task's own.
        let mut wait = Box::pin(sleep(10 * MS));
        assert!(poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_pending())).await);
        Between(wait, Arc::new(Relay(Mutex::new(None)))).await;
        Ok(Answer::Full)
    };
    let seen = Plan::new(scenario).run(&Contender::function("handed on", handed_on), 1);
    assert_eq!((seen.total.calls, seen.total.good), (1, 1));
    let took = seen.total.latencies.quantile(0.5).unwrap();
    assert!((19 * MS..22 * MS).contains(&took), "{took:?}");
}

#[test]
fn a_waker_that_another_thread_uses_wakes_its_call() {
    let mut woken = false;
    let elsewhere = move || {
        poll_fn(move |cx| {
            if std::mem::replace(&mut woken, true) {
                return Poll::Ready(Ok(Answer::Full));
            }
            let waker = cx.waker().clone();
            thread::spawn(|| waker.wake()).join().unwrap();
            Poll::Pending
        })
    };
    let total = Plan::new(calm(2 * S)).run(&Contender::function("elsewhere", elsewhere), 1).total;
    assert!(total.calls > 1000 && total.good == total.calls, "{total:?}");
}

#[test]
fn a_policy_that_lets_no_time_pass_can_be_stopped() {
    async fn spin() -> Result<Answer, Error<Failure>> {
        let policy = RetryPolicy::builder().max_attempts(10_000_000).base_delay(Duration::ZERO);
        policy.build().run(async || Err(Failure::Failed)).await
    }
    let spinning = Contender::function("spins", spin);
    let seen = Plan::new(calm(S)).run_until(&spinning, 1, &|_| true);
    assert_eq!((seen.total.calls, seen.total.failed), (1, 0));
}

#[test]
fn a_run_after_one_that_panicked_is_as_any_other() {
    let panics = Contender::function("panics", || async { panic!("a policy's own panic") });
    let run = |contender: &Contender| Plan::new(calm(2 * S)).run(contender, 1);
    let none = Contender::policy("none", |_| ());
    let before = run(&none);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&panics)));
    std::panic::set_hook(hook);
    assert!(caught.is_err());
    assert_eq!(run(&none), before);
}

#[test]
fn a_run_that_ends_while_a_breaker_waits_is_called_too_short_and_not_an_outage_that_lasts() {
    let mut scenario = calm(30 * S);
    scenario.load.arrivals = Arrivals::Share(0.3);
    scenario.faults = vec![Fault::new(FaultKind::Refuse, 5 * S, S)];
    // It waits for longer than the run goes on.
    let breaker = Contender::policy("breaker", |_| {
        CircuitBreaker::builder().failure_threshold(1).recovery_timeout(40 * S).build()
    });
    let found = Study::new(scenario).contender(breaker).seeds(2).run();
    let verdict = &found.findings[0].verdict;
    assert_eq!(verdict.outlook, Outlook::Unsure, "{}", verdict.text);
    assert!(verdict.text.starts_with("Comes back later than 24 s after"), "{}", verdict.text);
}
