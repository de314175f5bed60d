use super::*;

/// Which of `calls` calls are hit.
fn hits<M>(chaos: &Chaos<M>, calls: u64) -> Vec<u64>
where
    Chaos<M>: Policy<u32, Down>,
{
    let mut hit = Vec::new();
    for call in 1..=calls {
        let Poll::Ready(outcome) = poll_once(pin!(chaos.run(seven))) else {
            panic!("nothing here waits");
        };
        if outcome != Ok(7) {
            hit.push(call);
        }
    }
    hit
}

fn all_fail() -> Chaos {
    Chaos::new().rejection(Calls::all())
}

#[test]
fn nothing_is_injected_before_it_is_switched_on_nor_after_it_is_switched_off() {
    let chaos = Chaos::new()
        .latency(Calls::all(), 3600 * S)
        .wrong_result(Calls::all(), |_: u32| 0)
        .panic(Calls::all());
    let switch = chaos.switch();
    assert!(!switch.is_on());
    for _ in 0..3 {
        assert_eq!(chaos.run_blocking(|| Outcome::Ok(7)), Ok(7));
        assert_eq!(poll_once(pin!(chaos.run(seven))), Poll::Ready(Ok(7)));
        assert_eq!((switch.calls(), switch.injected().total()), (0, 0));
        switch.turn_on();
        switch.turn_off();
    }
}

#[test]
fn every_handle_of_a_chaos_and_of_its_clones_is_the_same_switch() {
    let chaos = all_fail();
    let clone = chaos.clone();
    clone.switch().turn_on();
    assert!(chaos.run_blocking(|| Outcome::Ok(7)).is_err());
    assert!(clone.run_blocking(|| Outcome::Ok(7)).is_err());
    assert_eq!(chaos.switch().injected().rejections, 2);
    chaos.switch().turn_off();
    assert_eq!(clone.run_blocking(|| Outcome::Ok(7)), Ok(7));
}

#[test]
fn a_call_is_hit_or_spared_when_it_is_first_polled() {
    let chaos = all_fail();
    let (before, spared) = (
        chaos.run(seven),
        chaos.run(async || {
            pending_once().await;
            seven().await
        }),
    );
    let (mut before, mut spared) = (pin!(before), pin!(spared));
    assert!(poll_once(spared.as_mut()).is_pending());
    chaos.switch().turn_on();
    assert_eq!(poll_once(spared.as_mut()), Poll::Ready(Ok(7)));
    let injected = Err(Error::Rejected(Rejection::Injected));
    assert_eq!(poll_once(before.as_mut()), Poll::Ready(injected));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_hit_takes_its_course_when_chaos_is_switched_off() {
    let chaos = Chaos::new().latency(Calls::all(), S).rejection(Calls::all());
    let switch = chaos.switch();
    switch.turn_on();
    let mut call = pin!(chaos.run(seven));
    assert!(poll_once(call.as_mut()).is_pending());
    switch.turn_off();
    assert!(call.await.is_err());
    assert_eq!(chaos.run(seven).await, Ok(7));
}

#[tokio::test]
async fn an_error_has_the_operations_own_type_and_its_operation_is_not_called() {
    let chaos = Chaos::new().error(Calls::every(2), || Down(9));
    chaos.switch().turn_on();
    let calls = Count::new();
    for outcome in [Ok(1), Err(Error::Operation(Down(9))), Ok(2), Err(Error::Operation(Down(9)))] {
        assert_eq!(chaos.run(async || Outcome::Ok(calls.count())).await, outcome);
    }
    assert_eq!((chaos.switch().calls(), chaos.switch().injected().errors), (4, 2));
}

#[test]
fn several_errors_come_from_their_own_makers() {
    let chaos = Chaos::new()
        .error(Calls::only([1]), || Down(1))
        .rejection(Calls::only([2]))
        .error(Calls::only([1, 3]), || Down(3))
        .wrong_result(Calls::only([4]), |_| 4)
        .wrong_result(Calls::only([4, 5]), |value: u32| value + 1);
    chaos.switch().turn_on();
    let outcomes: Vec<_> = (0..6).map(|_| chaos.run_blocking(|| Outcome::Ok(7))).collect();
    assert_eq!(
        outcomes,
        [
            Err(Error::Operation(Down(1))),
            Err(Error::Rejected(Rejection::Injected)),
            Err(Error::Operation(Down(3))),
            Ok(4),
            Ok(8),
            Ok(7),
        ]
    );
    let injected = chaos.switch().injected();
    assert_eq!((injected.errors, injected.rejections, injected.wrong_results), (2, 1, 2));
    assert_eq!(injected.total(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_latency_is_waited_for_before_the_operation_starts() {
    let chaos = Chaos::new().latency(Calls::all(), 3 * S).latency(Calls::every(2), 2 * S);
    chaos.switch().turn_on();
    for waits in [3 * S, 5 * S] {
        let before = Instant::now();
        let started = async || Ok::<_, Down>(before.elapsed());
        assert_eq!(chaos.run(started).await, Ok(waits));
    }
    assert_eq!(chaos.switch().injected().latencies, 3);
}

#[test]
fn blocking_latencies_wait_by_the_scopes_clock() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let chaos = Chaos::new().latency(Calls::all(), 3600 * S).error(Calls::all(), || Down(1));
    chaos.switch().turn_on();
    let before = clock.now();
    assert_eq!(chaos.run_blocking(|| Outcome::Ok(7)), Err(Error::Operation(Down(1))));
    assert_eq!(clock.now() - before, 3600 * S);
}

#[test]
fn a_latency_of_zero_needs_no_timer_and_no_runtime() {
    let chaos = Chaos::new().latency(Calls::all(), Duration::ZERO);
    chaos.switch().turn_on();
    assert_eq!(poll_once(pin!(chaos.run(seven))), Poll::Ready(Ok(7)));
    assert_eq!(chaos.switch().injected().latencies, 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_ends_a_latency_that_is_too_long() {
    let chaos = Chaos::new().latency(Calls::all(), 10 * S).error(Calls::all(), || Down(1));
    let switch = chaos.switch();
    switch.turn_on();
    let outcome = Pipeline::new((Timeout::new(S), chaos)).run(seven).await;
    assert_eq!(outcome, Err(Error::Rejected(Rejection::TimedOut { limit: S })));
    let injected = switch.injected();
    assert_eq!((injected.latencies, injected.errors), (1, 0), "the error never came");
}

/// An operation that captured a guard, as one that holds a connection does.
fn holding(guard: AliveGuard) -> impl Fn() -> std::future::Ready<Outcome> {
    move || {
        let _held = &guard;
        std::future::ready(Ok(7))
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_is_ended_by_a_timeout_outside_it_and_leaves_nothing_alive() {
    let alive = Alive::default();
    let hangs = Chaos::new().hang(Calls::all());
    hangs.switch().turn_on();
    let pipeline = Pipeline::new((Timeout::new(S), &hangs));
    let before = Instant::now();
    let mut call = pin!(pipeline.run(holding(alive.guard())));
    assert_eq!(alive.count(), 1);
    let outcome = call.as_mut().await;
    assert_eq!(outcome, Err(Error::Rejected(Rejection::TimedOut { limit: S })));
    assert_eq!((before.elapsed(), alive.count()), (S, 0));
    assert_eq!(hangs.switch().injected().hangs, 1);
}

#[test]
fn nothing_of_an_operation_lives_after_an_error_in_its_place() {
    let alive = Alive::default();
    let chaos = all_fail();
    chaos.switch().turn_on();
    let mut call = pin!(chaos.run(holding(alive.guard())));
    assert!(poll_once(call.as_mut()).is_ready());
    // The future itself is still there: what it held is not.
    assert_eq!(alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_at_any_point_leaves_nothing_alive() {
    let chaos = Chaos::new().latency(Calls::only([1]), S).hang(Calls::only([2]));
    chaos.switch().turn_on();
    for _ in 0..3 {
        let alive = Alive::default();
        let operation = {
            let alive = alive.clone();
            move || {
                let guard = alive.guard();
                async move {
                    let _guard = guard;
                    std::future::pending::<Outcome>().await
                }
            }
        };
        {
            let mut call = pin!(chaos.run(operation));
            assert!(poll_once(call.as_mut()).is_pending());
        }
        assert_eq!(alive.count(), 0);
    }
    assert_eq!(chaos.switch().calls(), 3);
}

#[test]
fn a_hang_goes_on_after_chaos_is_switched_off() {
    let chaos = Chaos::new().hang(Calls::all());
    chaos.switch().turn_on();
    let mut call = pin!(chaos.run(seven));
    assert!(poll_once(call.as_mut()).is_pending());
    chaos.switch().turn_off();
    assert!(poll_once(call.as_mut()).is_pending());
}

#[tokio::test]
async fn an_injected_panic_says_so_and_counts_as_a_failure_of_a_breaker_outside_it() {
    let breaker = CircuitBreaker::builder().failure_threshold(2).build();
    let chaos = Chaos::new().panic(Calls::all());
    let switch = chaos.switch();
    switch.turn_on();
    let pipeline = Arc::new(Pipeline::new((breaker, chaos)));
    let text = panic_text(|| drop(pipeline.run_blocking(|| Outcome::Ok(7))));
    assert_eq!(text, "injected by chaos into call 1");
    let task = tokio::spawn({
        let pipeline = Arc::clone(&pipeline);
        async move { pipeline.run(seven).await }
    });
    let panic = task.await.unwrap_err().into_panic();
    assert_eq!(text_of(&*panic), "injected by chaos into call 2");
    assert_eq!(pipeline.stack().0.state(), CircuitState::Open);
    assert_eq!(switch.injected().panics, 2);
    assert!(pipeline.run(seven).await.unwrap_err().rejection().is_some());
    assert_eq!(switch.calls(), 2, "an open breaker lets none through");
}

#[tokio::test]
async fn an_injected_error_is_retried_by_a_retry_outside_it() {
    let chaos = Chaos::new().error(Calls::only([1]), || Down(1)).rejection(Calls::only([2]));
    let switch = chaos.switch();
    let pipeline = Pipeline::builder().retry(at_once().build()).layer(chaos).build();
    switch.turn_on();
    assert_eq!(pipeline.run(seven).await, Ok(7));
    assert_eq!((switch.calls(), switch.injected().total()), (3, 2));
}

#[tokio::test]
async fn errors_that_a_retry_does_not_expect_end_it() {
    let chaos = Chaos::new().error(Calls::all(), || Down(404));
    chaos.switch().turn_on();
    let retry = at_once().when(|error: &Down| error.0 >= 500).build();
    let outcome = Pipeline::new((retry, &chaos)).run(seven).await;
    assert_eq!(outcome, Err(Error::Operation(Down(404))));
    assert_eq!(chaos.switch().calls(), 1);
}

#[tokio::test]
async fn a_wrong_result_is_seen_by_when_result() {
    let chaos = Chaos::new().wrong_result(Calls::first(2), |value: u32| value - 7);
    chaos.switch().turn_on();
    let calls = Count::new();
    let retry = at_once().when_result(|value: &u32| *value == 0).build();
    let operation = async || {
        calls.count();
        seven().await
    };
    assert_eq!(Pipeline::new((retry, &chaos)).run(operation).await, Ok(7));
    assert_eq!((calls.get(), chaos.switch().injected().wrong_results), (3, 2));
}

#[test]
fn an_error_is_not_made_a_wrong_result() {
    let chaos = Chaos::new().wrong_result(Calls::all(), |_: u32| 0);
    chaos.switch().turn_on();
    assert_eq!(chaos.run_blocking(|| Outcome::Err(Down(1))), Err(Error::Operation(Down(1))));
    assert_eq!(chaos.switch().injected().wrong_results, 0);
}

#[tokio::test]
async fn a_fallback_outside_it_covers_what_it_injects() {
    let chaos = all_fail();
    chaos.switch().turn_on();
    let pipeline = Pipeline::new((FallbackChain::new().value(1), chaos)).into_dyn();
    assert_eq!(pipeline.run(seven).await, Ok(1));
}

#[tokio::test]
async fn what_is_protected_already_is_not_wrapped_twice() {
    let chaos = Chaos::new();
    chaos.switch().turn_on();
    let inner = at_once().max_attempts(1).build();
    let outcome = chaos.call(|| inner.run(async || Outcome::Err(Down(1)))).await;
    assert!(matches!(outcome, Err(Error::RetryExhausted(_))));
    let outcome = chaos.call_blocking(|| inner.run_blocking(|| Outcome::Err(Down(1))));
    assert!(matches!(outcome, Err(Error::RetryExhausted(_))));
}

#[test]
fn a_rate_of_zero_hits_none_and_a_rate_of_one_hits_all() {
    for (rate, hit) in [(0.0, 0), (-0.0, 0), (1.0, 1000)] {
        let chaos = Chaos::new().rejection(Calls::rate(rate));
        chaos.switch().turn_on();
        assert_eq!(hits(&chaos, 1000).len(), hit);
    }
}

#[test]
fn a_rate_outside_zero_to_one_is_refused_by_name_and_value() {
    for rate in [-1.0, -f64::MIN_POSITIVE, 1.0 + f64::EPSILON, 2.0, f64::INFINITY, f64::NAN] {
        let invalid = Calls::try_rate(rate).unwrap_err();
        assert_eq!(invalid.field(), "rate");
        match invalid.value() {
            SettingValue::Number(value) => assert_eq!(value.to_bits(), rate.to_bits()),
            value => panic!("{value:?}"),
        }
    }
    assert_eq!(
        Calls::try_rate(-1.0).unwrap_err().to_string(),
        "`rate` must be within 0..=1, but is -1"
    );
    let text = panic_text(|| drop(Calls::rate(f64::NAN)));
    assert_eq!(text, "`rate` must be within 0..=1, but is NaN");
    assert!(Calls::try_rate(1.0).is_ok());
}

#[test]
fn every_zeroth_call_is_refused() {
    let invalid = Calls::try_every(0).unwrap_err();
    assert_eq!(invalid.to_string(), "`every` must be 1 or more, but is 0");
    assert_eq!(panic_text(|| drop(Calls::every(0))), invalid.to_string());
    assert!(Calls::try_every(1).is_ok());
}

/// The count is binomial: for these seeds within four standard deviations, and it stays so.
#[test]
fn the_share_of_calls_that_a_rate_hits_is_the_rate() {
    for seed in [0, 1, 7, u64::MAX] {
        for rate in [0.01, 0.1, 0.5, 0.9] {
            let chaos = Chaos::new().seed(seed).rejection(Calls::rate(rate));
            chaos.switch().turn_on();
            let calls = 10_000;
            let hit = hits(&chaos, calls).len() as f64;
            let (mean, deviation) = (rate * 1e4, (rate * (1.0 - rate) * 1e4).sqrt());
            assert!((hit - mean).abs() < 4.0 * deviation, "seed {seed}, rate {rate}: {hit}");
        }
    }
}

#[test]
fn the_same_seed_hits_the_same_calls_and_another_one_others() {
    let chaos = |seed| {
        let chaos = Chaos::new().seed(seed).error(Calls::rate(0.3), || Down(1));
        chaos.switch().turn_on();
        hits(&chaos, 200)
    };
    assert_eq!(chaos(7), chaos(7));
    assert_eq!(chaos(7)[..5], [1, 4, 8, 11, 13]);
    assert_ne!(chaos(7), chaos(8));
    let unseeded = Chaos::new().error(Calls::rate(0.3), || Down(1));
    unseeded.switch().turn_on();
    assert_eq!(hits(&unseeded, 200), chaos(0), "the default is a seed as well");
}

#[test]
fn sixty_four_threads_together_meet_the_faults_of_one_thread() {
    let chaos = || {
        let chaos = Chaos::new()
            .seed(7)
            .latency(Calls::rate(0.2), Duration::ZERO)
            .error(Calls::rate(0.3), || Down(1))
            .wrong_result(Calls::every(5), |_: u32| 0);
        chaos.switch().turn_on();
        chaos
    };
    let (alone, shared) = (chaos(), chaos());
    let run = |chaos: &dyn Fn() -> Result<u32, Error<Down>>, calls: usize| {
        (0..calls).filter(|_| chaos().is_err()).count()
    };
    let failed_alone = run(&|| alone.run_blocking(|| Outcome::Ok(7)), 64 * 200);
    let failed = together(64, |_| run(&|| shared.run_blocking(|| Outcome::Ok(7)), 200));
    assert_eq!(failed.iter().sum::<usize>(), failed_alone);
    assert_eq!(shared.switch().injected(), alone.switch().injected());
    assert_eq!(shared.switch().calls(), 64 * 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_share_a_stack_with_chaos_on_many_threads() {
    let chaos = Chaos::new()
        .seed(7)
        .error(Calls::rate(0.2), || Down(1))
        .rejection(Calls::rate(0.1))
        .wrong_result(Calls::rate(0.1), |_: u32| 0)
        .hang(Calls::only([]));
    let switch = chaos.switch();
    switch.turn_on();
    let retry = at_once().max_attempts(50).when_result(|value: &u32| *value == 0).build();
    let pipeline =
        Arc::new(Pipeline::builder().timeout(PATIENCE).retry(retry).layer(chaos).build());
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let pipeline = Arc::clone(&pipeline);
            tokio::spawn(async move {
                for _ in 0..20 {
                    let local = String::from("seven");
                    let operation = async || {
                        tokio::task::yield_now().await;
                        Ok::<_, Down>(u32::try_from(local.len()).unwrap())
                    };
                    assert_eq!(pipeline.run(operation).await, Ok(5));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(switch.calls() - switch.injected().total(), 64 * 20, "each ends in a call spared");
}

#[test]
fn threads_that_switch_it_disturb_no_call_that_runs() {
    let chaos = all_fail();
    let outcomes = together(8, |thread| {
        let switch = chaos.switch();
        let mut failed = 0;
        for round in 0..500 {
            if (round + thread) % 2 == 0 {
                switch.turn_on()
            } else {
                switch.turn_off()
            }
            match chaos.run_blocking(|| Outcome::Ok(7)) {
                Ok(7) => {}
                Err(Error::Rejected(Rejection::Injected)) => failed += 1,
                outcome => panic!("{outcome:?}"),
            }
        }
        failed
    });
    assert_eq!(outcomes.iter().sum::<u64>(), chaos.switch().injected().rejections);
    assert_eq!(chaos.switch().calls(), chaos.switch().injected().rejections);
}

#[test]
fn a_stack_says_whether_its_chaos_is_on_and_which_calls_it_hits() {
    let chaos = Chaos::new()
        .seed(7)
        .latency(Calls::rate(0.5), 200 * MS)
        .error(Calls::every(3), || Down(1))
        .hang(Calls::first(1));
    let switch = chaos.switch();
    let pipeline = Pipeline::new((at_once().build(), chaos));
    assert_eq!(pipeline.to_string(), "retry(3) > chaos(off)");
    switch.turn_on();
    assert_eq!(pipeline.to_string(), "retry(3) > chaos(on)");
    let layer = pipeline.layers().remove(1);
    let settings: Vec<_> =
        layer.settings().iter().map(|(name, value)| format!("{name} {value}")).collect();
    assert_eq!(
        settings,
        ["switch on", "seed 7", "latency 200ms on rate 0.5", "error every 3", "hang first 1"]
    );
    assert!(pipeline.lint().is_empty());
}

#[test]
fn a_chaos_is_send_sync_debug_and_the_same_behind_a_pointer() {
    fn is_all<P: Send + Sync + std::fmt::Debug + Clone>(_: &P) {}
    let chaos = Chaos::new().error(Calls::all(), || Down(1));
    is_all(&chaos);
    is_all(&chaos.switch());
    chaos.switch().turn_on();
    assert!(format!("{chaos:?}").contains("Calls(all), Error"), "{chaos:?}");
    let behind: Arc<dyn DynPolicy<u32, Down>> = Arc::new(chaos);
    let outcome = poll_once(pin!(Pipeline::new(behind).run(seven)));
    assert_eq!(outcome, Poll::Ready(Err(Error::Operation(Down(1)))));
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_told_when_it_takes_effect() {
    let events = Recorder::new();
    let _listening = events.enter();
    let chaos = Chaos::new()
        .latency(Calls::only([1, 2]), S)
        .latency(Calls::only([1]), S)
        .rejection(Calls::only([1]))
        .hang(Calls::only([2]))
        .wrong_result(Calls::only([3]), |_: u32| 0)
        .error(Calls::only([4]), || Down(1));
    chaos.switch().turn_on();
    let retry = at_once().max_attempts(4).when_result(|value: &u32| *value == 0).build();
    let pipeline = Pipeline::new((retry, Timeout::new(5 * S), chaos));
    assert!(pipeline.run(seven).await.is_err());
    events.assert_sequence([
        "chaos injected latency into call 1",
        "chaos injected latency into call 1",
        "chaos injected rejection into call 1",
        "retry scheduled 1/4",
        "chaos injected latency into call 2",
        "chaos injected hang into call 2",
        "timed out after 5s",
        "retry scheduled 2/4",
        "chaos injected wrong_result into call 3",
        "retry scheduled 3/4",
        "chaos injected error into call 4",
        "retry exhausted 4/4",
    ]);
}

#[test]
fn a_chaos_that_is_off_allocates_nothing_and_adds_little_to_a_call() {
    let chaos = Chaos::new().latency(Calls::all(), S).error(Calls::all(), || Down(1));
    let allocated = allocation_counter::measure(|| {
        assert_eq!(poll_once(pin!(chaos.run(seven))), Poll::Ready(Ok(7)));
        assert_eq!(chaos.run_blocking(|| Outcome::Ok(7)), Ok(7));
    });
    assert_eq!(allocated.count_total, 0);
    let alone = size_of_val(&Pipeline::new(()).run(seven));
    assert!(size_of_val(&chaos.run(seven)) <= alone + 32);
}
