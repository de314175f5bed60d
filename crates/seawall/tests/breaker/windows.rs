use super::*;

/// One call of a history.
#[derive(Debug, Clone, Copy)]
struct Call {
    after: u64,
    failed: bool,
    slow: bool,
}

fn any_history() -> impl Strategy<Value = Vec<Call>> {
    // Gaps of nothing, of a bit, and of more than a window.
    let gap = prop_oneof![5 => Just(0_u64), 4 => 0..700_u64, 1 => 0..15_000_u64];
    // Histories that are mostly well, and mostly ill.
    (0..=10_u32).prop_flat_map(move |ill| {
        let call = (gap.clone(), 0..10_u32, prop::bool::weighted(0.1))
            .prop_map(move |(after, draw, slow)| Call { after, failed: draw < ill, slow });
        prop::collection::vec(call, 1..200)
    })
}

/// Makes the call; the slow ones take 50 ms.
fn make(breaker: &CircuitBreaker, clock: &ManualClock, call: Call) {
    clock.advance(Duration::from_millis(call.after));
    let verdict = if call.failed { Verdict::TRANSIENT } else { Verdict::Success };
    let time = if call.slow { 50 * MS } else { Duration::ZERO };
    takes(breaker, clock, time, verdict);
}

/// (calls, failures, slow calls)
fn sums<'a>(calls: impl Iterator<Item = &'a Call>) -> (u64, u64, u64) {
    calls.fold((0, 0, 0), |(all, failed, slow), call| {
        (all + 1, failed + u64::from(call.failed), slow + u64::from(call.slow))
    })
}

fn figures(breaker: &CircuitBreaker) -> (u64, u64, u64) {
    let counters = breaker.counters();
    (counters.calls, counters.failures, counters.slow_calls)
}

fn reached((calls, failures, slow): (u64, u64, u64), minimum: u64, rates: (f64, f64)) -> bool {
    let share = |part: u64, limit: f64| part > 0 && part as f64 / calls as f64 >= limit;
    calls >= minimum && (share(failures, rates.0) || share(slow, rates.1))
}

proptest! {
    /// A count window is exactly the last N calls, and decides on every one of them.
    #[test]
    fn a_count_window_is_a_list_of_the_last_calls(
        history in any_history(),
        size in 1..70_u32,
        minimum in 1..70_u32,
        rates in (0.0..=1.0, 0.0..=1.0),
        timed: bool,
    ) {
        let (clock, _scope) = virtual_time();
        let minimum = minimum.min(size);
        let mut builder = CircuitBreaker::builder()
            .failure_rate(rates.0)
            .over_calls(size)
            .minimum_calls(minimum);
        // Where nothing is timed, a success on a full window without failures takes a short way.
        if timed {
            builder = builder.slow_call_rate(rates.1, 50 * MS);
        }
        let breaker = builder.build();
        let mut list = VecDeque::new();
        for call in history {
            let call = Call { slow: call.slow && timed, ..call };
            make(&breaker, &clock, call);
            if list.len() == size as usize {
                list.pop_front();
            }
            list.push_back(call);
            let expected = sums(list.iter());
            let opens = reached(expected, minimum.into(), rates);
            prop_assert_eq!(breaker.state().is_open(), opens, "{:?}", expected);
            if opens {
                breaker.close();
                list.clear();
            }
            prop_assert_eq!(figures(&breaker), sums(list.iter()));
        }
    }

    /// A time window is the calls of the last ten buckets, this one included. A failure or a
    /// slow call always decides; a success does if it meets the minimum, and opens for no less
    /// than the rate.
    #[test]
    fn a_time_window_is_a_list_of_the_calls_of_ten_buckets(
        history in any_history(),
        time in prop_oneof![Just(10_u64), Just(1000), 10..12_000_u64],
        minimum in 1..40_u32,
        rates in (0.01..=1.0, 0.01..=1.0),
    ) {
        let (clock, _scope) = virtual_time();
        let bucket = time.div_ceil(10);
        let number = || u64::try_from(clock.now().as_millis()).unwrap() / bucket;
        let breaker = CircuitBreaker::builder()
            .failure_rate(rates.0)
            .slow_call_rate(rates.1, 50 * MS)
            .over_time(Duration::from_millis(time))
            .minimum_calls(minimum)
            .build();
        let mut list: Vec<(u64, Call)> = Vec::new();
        for call in history {
            make(&breaker, &clock, call);
            list.push((number(), call));
            list.retain(|(then, _)| then + 10 > number());
            let expected = sums(list.iter().map(|(_, call)| call));
            let reached = reached(expected, minimum.into(), rates);
            let decides = call.failed || call.slow || expected.0 == u64::from(minimum);
            if breaker.state().is_open() {
                prop_assert!(reached, "opened at {:?}", expected);
                breaker.close();
                list.clear();
            } else {
                prop_assert!(!(reached && decides), "stayed closed at {:?}", expected);
            }
            prop_assert_eq!(figures(&breaker), sums(list.iter().map(|(_, call)| call)));
        }
    }
}

#[test]
fn reading_a_time_window_after_a_pause_sees_it_empty() {
    let (clock, _scope) = virtual_time();
    let breaker =
        CircuitBreaker::builder().failure_rate(1.0).over_time(10 * S).minimum_calls(9).build();
    fail(&breaker);
    succeed(&breaker);
    assert_eq!(figures(&breaker), (2, 1, 0));
    clock.advance(10 * S);
    assert_eq!((figures(&breaker), breaker.failure_rate()), ((0, 0, 0), None));
}

#[test]
fn ageing_alone_opens_nothing() {
    let (clock, _scope) = virtual_time();
    let breaker =
        CircuitBreaker::builder().failure_rate(0.5).over_time(10 * S).minimum_calls(2).build();
    for _ in 0..4 {
        succeed(&breaker);
    }
    clock.advance(5 * S);
    fail(&breaker);
    fail(&breaker);
    for _ in 0..100 {
        clock.advance(S / 10);
        let _ = (breaker.failure_rate(), breaker.counters(), breaker.state());
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Fault class 28.
#[test]
fn ten_thousand_successes_do_not_outweigh_the_last_ten_calls() {
    let breaker = CircuitBreaker::builder().failure_rate(0.9).over_calls(10).build();
    for _ in 0..10_000 {
        succeed(&breaker);
    }
    for _ in 0..9 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        fail(&breaker);
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}
