use super::*;

/// Records this task's or thread's events, on a clock of its own.
fn recording() -> (Recorder, ManualClock, (Entered, Entered)) {
    let (events, clock) = (Recorder::new(), ManualClock::new());
    let scopes = (events.enter(), Scope::new(clock.clone()).enter());
    (events, clock, scopes)
}

fn exact() -> RetryPolicyBuilder {
    RetryPolicy::builder().jitter(Jitter::None)
}

fn down() -> Outcome {
    Err(Down(1))
}

fn lines(events: &Recorder) -> Vec<String> {
    events.all().iter().map(ToString::to_string).collect()
}

const DOWN: &str = "testing::common::Down";

#[test]
fn a_sequence_is_written_as_the_beginnings_of_its_lines() {
    let (events, _clock, _scopes) = recording();
    let breaker = CircuitBreaker::builder().failure_threshold(2).build();
    let pipeline =
        Pipeline::new((FallbackChain::new().value(0), exact().max_attempts(4).build(), breaker));
    assert_eq!(pipeline.run_blocking(down), Ok(0));
    events.assert_sequence([
        "retry scheduled 1/4",
        "breaker closed -> open by consecutive_failures for 60s",
        "retry scheduled 2/4 in 2s",
        "breaker rejected",
        "fallback used 1",
    ]);
    events.assert_sequence([
        "retry",
        "breaker",
        "retry scheduled",
        "breaker rejected for",
        "fallback",
    ]);
    events.assert_contains("breaker closed -> open");
    assert_eq!((events.count("retry scheduled"), events.count("breaker")), (2, 2));
    assert_eq!(events.take().len(), 5);
    events.assert_empty();
    events.assert_sequence([""; 0]);
}

#[test]
fn retries_print_attempt_delay_reason_and_error() {
    let (events, _clock, _scopes) = recording();
    let text = RetryExecutor::new(exact().max_attempts(2).build())
        .name("orders")
        .error_text(|error: &Down| format!("{error},\nor so"));
    assert!(text.run_blocking(down).is_err());
    let refused = exact().max_attempts(2).when_result(|_: &u32| true).build();
    assert_eq!(refused.run_blocking(|| Outcome::Ok(1)), Ok(1));
    assert_eq!(
        lines(&events),
        [
            format!("retry \"orders\" scheduled 1/2 in 1s ({DOWN}: down (1), or so)"),
            format!(
                "retry \"orders\" exhausted 2/2 by attempts after 1s ({DOWN}: down (1), or so)"
            ),
            "retry scheduled 1/2 in 1s (result refused)".into(),
            "retry exhausted 2/2 by attempts after 1s (result refused)".into(),
        ]
    );
}

#[test]
fn breakers_print_what_changed_and_why() {
    let (events, clock, _scopes) = recording();
    let breaker = CircuitBreaker::builder().failure_threshold(1).name("payments").build();
    let stale = breaker.try_acquire().unwrap();
    fail(&breaker);
    stale.record(Verdict::Success);
    assert!(breaker.run_blocking(down).is_err());
    clock.advance(60 * S);
    drop(breaker.try_acquire().unwrap());
    succeed(&breaker);
    breaker.isolate();
    assert!(breaker.run_blocking(down).is_err());
    breaker.set_mode(Mode::DryRun);
    assert!(breaker.run_blocking(down).is_err());
    breaker.close();
    assert_eq!(
        lines(&events),
        [
            "breaker \"payments\" closed -> open by consecutive_failures for 60s",
            "breaker \"payments\" dropped stale outcome",
            "breaker \"payments\" rejected for 60.001s",
            "breaker \"payments\" open -> half_open by recovery_timeout",
            "breaker \"payments\" abandoned probe",
            "breaker \"payments\" half_open -> closed by probe_succeeded",
            "breaker \"payments\" closed -> isolated by manual",
            "breaker \"payments\" rejected",
            "breaker \"payments\" would reject",
            "breaker \"payments\" isolated -> closed by manual (dry run)",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn timeouts_and_fallbacks_print_their_figures() {
    let events = Recorder::new();
    let _listening = events.enter();
    let hangs = std::future::pending::<Outcome>;
    assert!(Timeout::new(1500 * MS).run(hangs).await.is_err());
    let chain = FallbackChain::new().call(down).call(down);
    assert!(chain.run(async || down()).await.is_err());
    assert_eq!(chain.name("prices").value(7).run(async || down()).await, Ok(7));
    assert_eq!(
        lines(&events),
        [
            "timed out after 1.5s".to_owned(),
            format!("fallback exhausted 2 ({DOWN})"),
            format!("fallback \"prices\" used 3 ({DOWN})"),
        ]
    );
}

/// The lines of the table in the documentation.
fn documented() -> Vec<String> {
    let source = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testing/recorder/mod.rs"));
    let rows = source.lines().filter_map(|line| line.strip_prefix("/// | `"));
    rows.map(|row| row.trim_end_matches("` |").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_documented_lines_are_real() {
    let events = Recorder::new();
    let _listening = events.enter();
    let retry = RetryExecutor::new(exact().build()).name("orders");
    assert!(retry.run(async || down()).await.is_err());
    assert!(Timeout::new(5 * S).run(std::future::pending::<Outcome>).await.is_err());
    assert!(FallbackChain::new().call(down).call(down).run(async || down()).await.is_err());
    assert_eq!(FallbackChain::new().value(1).run(async || down()).await, Ok(1));
    let breaker = CircuitBreaker::builder().failure_threshold(5).name("payments").build();
    let stale = breaker.try_acquire().unwrap();
    for _ in 0..6 {
        assert!(breaker.run(async || down()).await.is_err());
    }
    breaker.set_mode(Mode::DryRun);
    assert!(breaker.run(async || down()).await.is_err());
    breaker.set_mode(Mode::Enforce);
    stale.record(Verdict::Success);
    tokio::time::advance(60 * S).await;
    drop(breaker.try_acquire().unwrap());
    let chaos = Chaos::new().error(Calls::only([3]), || Down(3));
    chaos.switch().turn_on();
    for _ in 0..3 {
        let _ = chaos.run(async || Outcome::Ok(1)).await;
    }

    assert!(documented().len() >= 12, "the table has moved: {:?}", documented());
    for line in documented() {
        events.assert_contains(line.trim_end_matches("(api::Busy)"));
    }
}

#[test]
fn a_name_may_be_left_out_of_an_expectation_and_tells_two_policies_apart() {
    let events = Recorder::new();
    let _listening = events.enter();
    for name in ["payments", "search"] {
        fail(&CircuitBreaker::builder().failure_threshold(1).name(name).build());
    }
    assert_eq!(events.count("breaker closed -> open"), 2);
    assert_eq!(events.count("breaker \"search\" closed -> open"), 1);
    let names: Vec<_> = events.all().iter().map(|event| event.name().cloned().unwrap()).collect();
    assert_eq!(names, ["payments", "search"]);
}

#[test]
fn an_expectation_ends_with_a_word() {
    let (events, _clock, _scopes) = recording();
    assert!(exact().max_attempts(12).build().run_blocking(down).is_err());
    for (expected, count) in [
        ("retry scheduled 1/12", 1),
        ("retry scheduled 1", 0),
        ("retry sched", 0),
        ("retry scheduled ", 11),
        ("scheduled", 0),
        ("", 0),
        ("retry scheduled 1/12 in 1s (nobody)", 0),
    ] {
        assert_eq!(events.count(expected), count, "{expected}");
    }
}

#[test]
fn a_failed_assertion_shows_both_sides_where_they_differ() {
    let (events, _clock, _scopes) = recording();
    let pipeline = Pipeline::new((exact().build(), Chaos::new()));
    assert!(pipeline.run_blocking(down).is_err());
    let text = panic_text(|| {
        events.assert_sequence(["retry scheduled 1/3", "breaker closed -> open"]);
    });
    assert_eq!(
        text,
        format!(
            "\
event 2 is not the expected one
      expected               | got
    1 retry scheduled 1/3    | retry scheduled 1/3 in 1s ({DOWN})
--> 2 breaker closed -> open | retry scheduled 2/3 in 2s ({DOWN})
    3 (nothing)              | retry exhausted 3/3 by attempts after 3s ({DOWN})
expected 2, got 3: 1 more"
        )
    );
    let text = panic_text(|| events.assert_contains("breaker rejected"));
    assert_eq!(
        text,
        format!(
            "\
no event is `breaker rejected`; got 3
    1 retry scheduled 1/3 in 1s ({DOWN})
    2 retry scheduled 2/3 in 2s ({DOWN})
    3 retry exhausted 3/3 by attempts after 3s ({DOWN})"
        )
    );
    let text = panic_text(|| events.assert_empty());
    assert!(text.starts_with("no event was expected; got 3\n    1 retry scheduled"), "{text}");
    events.assert_contains("retry exhausted");
}

#[test]
fn an_assertion_that_failed_harms_no_later_one() {
    let events = Recorder::new();
    let _listening = events.enter();
    fail(&CircuitBreaker::builder().failure_threshold(1).build());
    panic_text(|| events.assert_empty());
    events.assert_sequence(["breaker closed -> open"]);
    let expected: Vec<String> = vec!["breaker".into()];
    events.assert_sequence(&expected);
}

#[test]
fn a_recorded_event_is_the_event_that_observers_got() {
    let (events, _clock, _scopes) = recording();
    let as_text: Log<String> = Log::default();
    let breaker = CircuitBreaker::builder().failure_threshold(2).name("payments").build();
    let observer = {
        let as_text = as_text.clone();
        move |event: &Event<'_>| as_text.push(format!("{event:?}"))
    };
    breaker.observe(observer.clone());
    let retry = RetryExecutor::new(exact().build()).name("orders").observe(observer);
    let retry = retry.error_text(|error: &Down| error.to_string());
    assert!(Pipeline::new((retry, breaker)).run_blocking(down).is_err());
    let recorded: Vec<_> =
        events.all().iter().map(|event| format!("{:?}", event.event())).collect();
    assert_eq!(recorded, as_text.all());
    assert_eq!(recorded.len(), 4);
    assert_eq!(events.all(), events.clone().all());
}

#[test]
fn a_recorder_hears_a_single_policy_on_whatever_thread_it_runs() {
    let events = Recorder::new();
    let breaker = CircuitBreaker::builder().failure_threshold(64).build();
    breaker.observe(events.clone());
    together(64, |_| fail(&breaker));
    events.assert_sequence(["breaker closed -> open"]);
    let retry = RetryExecutor::new(at_once().max_attempts(2).build()).observe(events.clone());
    assert!(retry.run_blocking(down).is_err());
    events.assert_sequence(["breaker", "retry scheduled 1/2", "retry exhausted 2/2"]);
}

#[test]
fn a_recorder_can_listen_to_the_whole_process() {
    fn everywhere(_: impl Observe + 'static) {}
    everywhere(Recorder::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_are_attached_are_heard_and_others_are_not() {
    let events = Recorder::new();
    let scope = Scope::new(events.clone());
    let _listening = scope.enter();
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let call = async move { at_once().build().run(async || down()).await };
            if task % 2 == 0 { tokio::spawn(scope.attach(call)) } else { tokio::spawn(call) }
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().is_err());
    }
    assert_eq!(events.count("retry exhausted"), 32);
    assert_eq!(events.all().len(), 96);
}

#[test]
fn a_recorder_hears_nothing_after_its_guard_is_dropped() {
    let events = Recorder::new();
    let listening = events.enter();
    fail(&CircuitBreaker::builder().failure_threshold(1).build());
    drop(listening);
    fail(&CircuitBreaker::builder().failure_threshold(1).build());
    assert_eq!(
        format!("{events:?}"),
        "Recorder([`breaker closed -> open by consecutive_failures for 60s`])"
    );
}
