//! Stacks as their callers see them: order, text, choice at run time, and what `lint` finds.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Calls, Down, Log, Outcome, S};
use seawall::{
    BlockingPolicy, CircuitBreaker, Describe, DynBlockingPolicy, DynPolicy, Error, FallbackChain,
    Pipeline, Policy, RetryExecutor, RetryPolicy, SettingValue, Timeout,
};
use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

static BREAKER: CircuitBreaker = CircuitBreaker::new();

const RETRY: RetryPolicy = RetryPolicy::builder().base_delay(Duration::ZERO).build();

/// Notes when a call comes in and goes out.
struct Traced(&'static str, Log<String>);

impl Describe for Traced {}

impl<T: Send, E: Send + 'static> Policy<T, E> for Traced {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        async move {
            self.1.push(format!("into {}", self.0));
            let outcome = op().await;
            self.1.push(format!("out of {}", self.0));
            outcome
        }
    }
}

impl<T, E> BlockingPolicy<T, E> for Traced {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        self.1.push(format!("into {}", self.0));
        let outcome = op();
        self.1.push(format!("out of {}", self.0));
        outcome
    }
}

mod order {
    use super::*;

    #[tokio::test]
    async fn the_first_policy_is_the_outermost() {
        let log = Log::default();
        let traced = |name| Traced(name, log.clone());
        let expected = ["into a", "into b", "into c", "out of c", "out of b", "out of a"];
        let tuple = Pipeline::new((traced("a"), traced("b"), traced("c")));
        assert_eq!(tuple.run(async || Outcome::Ok(1)).await, Ok(1));
        assert_eq!(log.take(), expected);
        assert_eq!(tuple.run_blocking(|| Outcome::Ok(1)), Ok(1));
        assert_eq!(log.take(), expected);

        let built =
            Pipeline::builder().layer(traced("a")).layer(traced("b")).layer(traced("c")).build();
        assert_eq!(built.run(async || Outcome::Ok(1)).await, Ok(1));
        assert_eq!(log.take(), expected);

        let nested = Pipeline::new((traced("a"), Pipeline::new((traced("b"), (traced("c"),)))));
        assert_eq!(nested.run(async || Outcome::Ok(1)).await, Ok(1));
        assert_eq!(log.take(), expected);
    }

    #[tokio::test]
    async fn eight_policies_stack_in_order_and_nest_for_more() {
        let log = Log::default();
        let t = |name| Traced(name, log.clone());
        let eight = (t("1"), t("2"), t("3"), t("4"), t("5"), t("6"), t("7"), t("8"));
        let stack = Pipeline::new((t("0"), eight, t("9")));
        assert_eq!(stack.run(async || Outcome::Ok(1)).await, Ok(1));
        let into: String = log.take()[..10].iter().map(|line| &line[5..]).collect();
        assert_eq!(into, "0123456789");
        let built = Pipeline::builder()
            .layer(t("1"))
            .layer(t("2"))
            .layer(t("3"))
            .layer(t("4"))
            .layer(t("5"))
            .layer(t("6"))
            .layer(t("7"))
            .layer(t("8"))
            .build();
        assert_eq!(built.run_blocking(|| Outcome::Ok(1)), Ok(1));
        let into: String = log.take()[..8].iter().map(|line| &line[5..]).collect();
        assert_eq!(into, "12345678");
    }

    #[test]
    fn the_builder_makes_what_the_tuple_makes() {
        let built = Pipeline::builder().timeout(9 * S).retry(RetryPolicy::aws()).timeout(S).build();
        let tuple = Pipeline::new((Timeout::new(9 * S), RetryPolicy::aws(), Timeout::new(S)));
        assert_eq!(built, tuple);
        assert_eq!(built.stack(), tuple.stack());
        let built = Pipeline::builder()
            .fallback(FallbackChain::new().value(7))
            .circuit_breaker(&BREAKER)
            .retry(RetryPolicy::new())
            .layer(Timeout::new(S))
            .build();
        let tuple = Pipeline::new((
            FallbackChain::new().value(7),
            &BREAKER,
            RetryPolicy::new(),
            Timeout::new(S),
        ));
        assert_eq!(built.layers(), tuple.layers());
        assert_eq!(built.to_string(), tuple.to_string());
    }

    #[tokio::test]
    async fn a_pipeline_serves_async_and_blocking_code_from_one_value() {
        let breaker = CircuitBreaker::new();
        let stack = Pipeline::new((FallbackChain::new().value(7), &breaker, RETRY));
        let calls = Calls::new();
        assert_eq!(stack.run(async || calls.fail()).await, Ok(7));
        assert_eq!(stack.run_blocking(|| calls.fail()), Ok(7));
        assert_eq!((calls.get(), breaker.counters().consecutive_failures), (6, 2));
        assert_eq!(stack.run_blocking(|| calls.fail_first(7)), Ok(8));
        assert_eq!(breaker.counters().consecutive_failures, 0);
    }

    #[tokio::test]
    async fn call_takes_what_is_protected_already_and_wraps_nothing_twice() {
        let stack = Pipeline::new((&BREAKER, RETRY));
        let inner = async || RETRY.run(async || Outcome::Err(Down(1))).await;
        let Err(Error::RetryExhausted(exhausted)) = stack.call(inner).await else {
            panic!("it never succeeds");
        };
        assert_eq!(exhausted.last(), &Error::Operation(Down(1)));
        let blocking = stack.call_blocking(|| RETRY.run_blocking(|| Outcome::Err(Down(1))));
        assert!(matches!(blocking, Err(Error::RetryExhausted(_))));
    }

    #[tokio::test]
    async fn policies_are_taken_by_value_by_reference_by_arc_and_as_options() {
        let (breaker, retry) = (Arc::new(CircuitBreaker::new()), RETRY);
        let stack =
            Pipeline::new((&retry, Arc::clone(&breaker), Some(&retry), None::<RetryPolicy>));
        let calls = Calls::new();
        assert!(stack.run(async || calls.fail()).await.is_err());
        assert!(stack.run_blocking(|| calls.fail()).is_err());
        assert_eq!((calls.get(), breaker.counters().consecutive_failures), (6, 2));
    }

    #[tokio::test]
    async fn the_empty_stack_lets_everything_through() {
        let empty = Pipeline::builder().build();
        let calls = Calls::new();
        assert_eq!(empty.run(async || calls.fail()).await, Err(Error::Operation(Down(1))));
        assert_eq!(empty.run_blocking(|| calls.fail_first(0)), Ok(2));
        assert_eq!((empty.to_string().as_str(), empty.layers().len()), ("", 0));
    }

    #[tokio::test]
    async fn none_lets_everything_through() {
        let nothing = Pipeline::new((None::<RetryPolicy>, None::<CircuitBreaker>));
        let calls = Calls::new();
        assert_eq!(nothing.run(async || calls.fail()).await, Err(Error::Operation(Down(1))));
        assert_eq!(nothing.run_blocking(|| calls.fail()), Err(Error::Operation(Down(2))));
        assert_eq!(nothing.to_string(), "");
        assert_eq!(nothing.lint(), []);
    }
}

mod text {
    use super::*;

    #[test]
    fn a_pipeline_prints_its_policies_in_order_with_what_matters_of_each() {
        let by_rate =
            CircuitBreaker::builder().failure_rate(0.5).over_calls(100).recovery_timeout(5 * S);
        let both = by_rate.failure_threshold(9);
        let slow = CircuitBreaker::builder().slow_call_rate(0.5, S).over_time(60 * S);
        let stack = Pipeline::new((
            FallbackChain::new().value(1).call(|| 2),
            Timeout::new(Duration::from_millis(2500)),
            &BREAKER,
            RetryExecutor::new(RetryPolicy::aws()).name("s3"),
            (by_rate.build(), both.build(), slow.name("slow").build()),
        ));
        assert_eq!(
            stack.to_string(),
            "fallback > timeout(2.5s) > breaker(5, 60s) > retry \"s3\"(3) > \
             breaker(0.5, 5s) > breaker(0.5, 9, 5s) > breaker \"slow\"(60s)"
        );
    }

    #[test]
    fn a_policy_of_ones_own_prints_by_the_name_of_its_type() {
        #[allow(dead_code, reason = "it only has to be there")]
        struct Generic<T>(T);
        impl<T> Describe for Generic<T> {}
        let stack = Pipeline::new((Traced("a", Log::default()), Generic(vec![String::new()])));
        assert_eq!(stack.to_string(), "Traced > Generic");
    }

    #[test]
    fn layers_say_what_a_stack_is_made_of() {
        let breaker = CircuitBreaker::builder().name("payments").build();
        let stack =
            Pipeline::new((&breaker, RetryPolicy::builder().name("twice").max_attempts(2).build()));
        let layers = stack.layers();
        let kinds: Vec<_> = layers.iter().map(seawall::Layer::kind).collect();
        let names: Vec<_> = layers.iter().map(|layer| layer.name().unwrap().as_str()).collect();
        assert_eq!((kinds, names), (vec!["breaker", "retry"], vec!["payments", "twice"]));
        assert_eq!(layers[1].setting_value("max_attempts"), Some(&SettingValue::Integer(2)));
        assert_eq!(layers[1].setting_value("no_such"), None);
    }
}

mod at_run_time {
    use super::*;

    fn chosen(
        careful: bool,
        breaker: Arc<CircuitBreaker>,
    ) -> Pipeline<Arc<dyn DynPolicy<u32, Down>>> {
        if careful {
            Pipeline::new((Timeout::new(S), breaker, RETRY)).into_dyn()
        } else {
            Pipeline::new(RETRY).into_dyn()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stack_can_be_chosen_at_run_time() {
        let breaker = Arc::new(CircuitBreaker::new());
        for careful in [true, false] {
            let stack = chosen(careful, Arc::clone(&breaker));
            let calls = Calls::new();
            assert_eq!(stack.run(async || calls.fail_first(2)).await, Ok(3));
            assert!(stack.run(async || Outcome::Err(Down(1))).await.is_err());
        }
        assert_eq!(breaker.counters().consecutive_failures, 1);
        assert_eq!(chosen(true, breaker).to_string(), "timeout(1s) > breaker(5, 60s) > retry(3)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stack_can_be_put_together_from_a_list() {
        let layers: Vec<Arc<dyn DynPolicy<u32, Down>>> = vec![
            Arc::new(FallbackChain::new().value(7)),
            Arc::new(Timeout::new(S)),
            Arc::new(RETRY),
        ];
        let stack = layers
            .into_iter()
            .rev()
            .reduce(|inner, outer| Arc::new((outer, inner)))
            .map(Pipeline::new)
            .unwrap();
        assert_eq!(stack.to_string(), "fallback > timeout(1s) > retry(3)");
        let calls = Calls::new();
        assert_eq!(stack.run(async || calls.fail()).await, Ok(7));
        assert_eq!(calls.get(), 3);
        assert_eq!(stack.run(std::future::pending::<Outcome>).await, Ok(7));
    }

    #[test]
    fn a_blocking_stack_can_be_chosen_at_run_time() {
        let stack: Pipeline<Arc<dyn DynBlockingPolicy<u32, Down>>> =
            Pipeline::new((FallbackChain::new().value(7), RETRY)).into_dyn_blocking();
        let calls = Calls::new();
        assert_eq!(stack.run_blocking(|| calls.fail()), Ok(7));
        assert_eq!((calls.get(), stack.to_string().as_str()), (3, "fallback > retry(3)"));
    }

    #[tokio::test]
    async fn a_dyn_stack_can_be_a_layer_of_another_one() {
        let inner: Pipeline<Arc<dyn DynPolicy<u32, Down>>> = Pipeline::new(RETRY).into_dyn();
        let outer = Pipeline::new((FallbackChain::new().value(7), inner.clone()));
        assert_eq!(outer.run(async || Outcome::Err(Down(1))).await, Ok(7));
        assert_eq!(outer.to_string(), "fallback > retry(3)");
    }
}

mod lint {
    use super::*;

    fn rules(stack: &impl Describe) -> Vec<&'static str> {
        Pipeline::new(stack).lint().iter().map(seawall::Finding::rule).collect()
    }

    fn breaker() -> seawall::breaker::CircuitBreakerBuilder {
        CircuitBreaker::builder()
    }

    /// A stack for every rule, out of order by that rule alone.
    fn out_of_order() -> Vec<(&'static str, Box<dyn Describe>)> {
        let retry = RetryPolicy::builder;
        let chain = FallbackChain::new;
        let multiplies = retry().retry_on_exhausted().build();
        let knocks = retry().retry_on_open().max_retry_after(S).build();
        let limit = |seconds| Timeout::new(seconds * S);
        vec![
            ("retry-without-retries", Box::new(retry().max_attempts(1).build())),
            (
                "total-timeout-below-first-delay",
                Box::new(retry().base_delay(9 * S).total_timeout(S).build()),
            ),
            ("unreachable-fallback", Box::new(chain().value(1).call(|| 2))),
            ("empty-fallback", Box::new(chain())),
            ("fallback-inside-retry", Box::new((RetryPolicy::new(), chain().value(1)))),
            ("fallback-inside-breaker", Box::new((breaker().build(), chain().value(1)))),
            ("retries-multiply", Box::new((multiplies, RetryPolicy::new()))),
            ("retry-inside-retry", Box::new((RetryPolicy::new(), RetryPolicy::new()))),
            ("retry-outside-breaker", Box::new((RetryPolicy::new(), breaker().build()))),
            ("retry-outside-open-breaker", Box::new((knocks, breaker().build()))),
            ("timeout-below-first-delay", Box::new((Timeout::new(S / 2), RetryPolicy::new()))),
            ("fallback-inside-fallback", Box::new((chain().value(1), chain().value(2)))),
            ("fallback-inside-retry", Box::new((RetryPolicy::new(), chain().call(|| 2)))),
            ("fallback-inside-breaker", Box::new((breaker().build(), chain().call(|| 2)))),
            ("timeout-outside-breaker", Box::new((limit(1), breaker().build()))),
            (
                "timeout-beyond-probe-lease",
                Box::new((breaker().build(), RetryPolicy::new(), limit(30))),
            ),
            ("timeout-inside-shorter-timeout", Box::new((limit(1), limit(2)))),
            ("timeout-beyond-probe-lease", Box::new((breaker().build(), limit(61)))),
            (
                "slow-call-beyond-timeout",
                Box::new((breaker().slow_call_rate(0.5, 2 * S).over_calls(10).build(), limit(1))),
            ),
        ]
    }

    #[test]
    fn each_rule_finds_the_stack_that_breaks_it_and_nothing_else_there() {
        for (rule, stack) in out_of_order() {
            let mut layers = Vec::new();
            stack.describe(&mut layers);
            assert_eq!(rules(&Boxed(stack)), [rule]);
        }
    }

    /// Any rule that is added has to be added above as well.
    #[test]
    fn the_rules_tried_here_are_all_there_are() {
        let source = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lint.rs"));
        let is_rule = |text: &&str| {
            text.contains('-') && text.chars().all(|c| c == '-' || c.is_ascii_lowercase())
        };
        let written: BTreeSet<&str> = source.split('"').filter(is_rule).collect();
        let tried: BTreeSet<&str> = out_of_order().iter().map(|(rule, _)| *rule).collect();
        assert_eq!(written, tried);
    }

    struct Boxed(Box<dyn Describe>);

    impl Describe for Boxed {
        fn describe(&self, layers: &mut Vec<seawall::Layer>) {
            self.0.describe(layers);
        }
    }

    #[test]
    fn stacks_in_order_have_no_findings() {
        let slow = breaker().slow_call_rate(0.5, S).over_calls(10).build();
        let only_rejections = |error: &Error<Down>| error.rejection().is_some();
        assert_eq!(rules(&RetryPolicy::new()), [""; 0]);
        assert_eq!(rules(&(&BREAKER, RetryPolicy::new())), [""; 0]);
        assert_eq!(
            rules(&(
                Timeout::new(30 * S),
                FallbackChain::new().call(|| 1).value(2),
                &BREAKER,
                RetryPolicy::aws(),
                Timeout::new(2 * S),
            )),
            [""; 0]
        );
        assert_eq!(rules(&(slow, Timeout::new(S))), [""; 0]);
        let picky = FallbackChain::new().value(1).only_if(only_rejections).value(2);
        assert_eq!(rules(&picky), [""; 0]);
        let inside = FallbackChain::new().value(1).only_if(only_rejections);
        assert_eq!(rules(&(RetryPolicy::new(), inside)), [""; 0], "the retry sees the rest");
    }

    #[test]
    fn edges_of_the_rules_are_no_findings() {
        let exact = RetryPolicy::builder().jitter(seawall::Jitter::None);
        assert_eq!(rules(&exact.total_timeout(S).build()), [""; 0], "a delay may end at the limit");
        assert_eq!(rules(&(&BREAKER, Timeout::new(60 * S))), [""; 0], "as long as the lease");
        assert_eq!(rules(&(Timeout::new(S + S / 2), exact.build())), [""; 0]);
        let slow = breaker().slow_call_rate(0.5, S).over_calls(10).build();
        assert_eq!(rules(&(slow, Timeout::new(S))), [""; 0], "a call that times out is as long");
    }

    #[test]
    fn edges_of_the_rules_are_findings_from_there_on() {
        let exact = RetryPolicy::builder().jitter(seawall::Jitter::None);
        let shorter = exact.total_timeout(S - Duration::from_nanos(1)).build();
        assert_eq!(rules(&shorter), ["total-timeout-below-first-delay"]);
        assert_eq!(rules(&(Timeout::new(S), exact.build())), ["timeout-below-first-delay"]);
        let equal = (Timeout::new(S), Timeout::new(S));
        assert_eq!(rules(&equal), ["timeout-inside-shorter-timeout"]);
        let longer = Timeout::new(60 * S + Duration::from_nanos(1));
        assert_eq!(rules(&(&BREAKER, longer)), ["timeout-beyond-probe-lease"]);
    }

    #[test]
    fn findings_look_through_the_layers_between() {
        let stack = (RetryPolicy::new(), Timeout::new(30 * S), Some(FallbackChain::new().value(1)));
        assert_eq!(rules(&Pipeline::new(Arc::new(stack))), ["fallback-inside-retry"]);
    }

    #[test]
    fn a_finding_names_the_policies_and_says_why() {
        let outer =
            RetryPolicy::builder().name("outer").max_attempts(4).retry_on_exhausted().build();
        let stack = Pipeline::new((outer, RetryPolicy::builder().max_attempts(5).build()));
        let findings = stack.lint();
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(finding.layers(), ["retry \"outer\"(4)", "retry(5)"]);
        assert!(finding.why().contains("20 attempts"), "{finding}");
        assert_eq!(
            finding.to_string(),
            format!("retry \"outer\"(4) > retry(5): {}", finding.why())
        );
    }

    #[test]
    fn every_finding_of_a_stack_is_listed() {
        let stack = (
            RetryPolicy::builder().max_attempts(1).build(),
            FallbackChain::new().value(1).value(2),
            FallbackChain::new(),
        );
        let found = rules(&stack);
        let expected = [
            "retry-without-retries",
            "unreachable-fallback",
            "empty-fallback",
            "fallback-inside-retry",
        ];
        assert_eq!(found, expected);
    }

    /// What lint says of a retry outside a breaker is what happens.
    #[test]
    fn a_retry_outside_a_breaker_opens_it_by_a_single_call_as_lint_says() {
        let breaker = breaker().failure_threshold(3).build();
        let stack = Pipeline::new((RETRY, &breaker));
        assert_eq!(rules(&stack), ["retry-outside-breaker"]);
        assert!(stack.lint()[0].why().contains("a single call with 3 attempts can open it"));
        assert!(stack.run_blocking(|| Outcome::Err(Down(1))).is_err());
        assert!(breaker.state().is_open());
    }
}
