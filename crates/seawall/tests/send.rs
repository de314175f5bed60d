//! Stacks are `Send` and their calls need no type written out: first of all, this file is to compile.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use seawall::{
    BackoffStrategy, CircuitBreaker, DynPolicy, Error, FallbackChain, Jitter, Pipeline, Policy,
    Rejection, RetryBudget, RetryExecutor, RetryPolicy, Retrying, Timeout, When,
};
use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(600);
const TOTAL: Timeout = Timeout::new(LIMIT);

#[derive(Debug, Clone, PartialEq)]
enum ApiError {
    Busy,
    NotFound,
    Unavailable(Rejection),
}

impl ApiError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Busy)
    }

    fn wait(&self) -> Option<Duration> {
        self.is_busy().then_some(Duration::ZERO)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        Self::Unavailable(rejection)
    }
}

/// Answers `Busy` a number of times, then with the number of the call.
struct Client {
    busy: u32,
    calls: AtomicU32,
}

impl Client {
    fn busy(times: u32) -> Self {
        Self { busy: times, calls: AtomicU32::new(0) }
    }

    fn answer(&self, path: &str) -> Result<u32, ApiError> {
        let call = self.calls.fetch_add(1, SeqCst) + 1;
        match path {
            "/missing" => Err(ApiError::NotFound),
            _ if call > self.busy => Ok(call),
            _ => Err(ApiError::Busy),
        }
    }

    async fn fetch(&self, path: &str) -> Result<u32, ApiError> {
        tokio::task::yield_now().await;
        self.answer(path)
    }
}

// Policies are constants until they hold state; stacks of them are statics.
const RETRY: RetryPolicy = RetryPolicy::builder()
    .max_attempts(4)
    .backoff_strategy(BackoffStrategy::Fixed)
    .base_delay(Duration::ZERO)
    .jitter(Jitter::None)
    .build();

type OnApiError = fn(&ApiError) -> bool;

const BUSY_ONLY: RetryPolicy<When<OnApiError>> =
    RetryPolicy::builder().base_delay(Duration::ZERO).when(ApiError::is_busy as OnApiError).build();

static BREAKER: CircuitBreaker = CircuitBreaker::builder().failure_threshold(1000).build();

static PICKY: CircuitBreaker<seawall::Expect<OnApiError>> = CircuitBreaker::builder()
    .failure_threshold(1000)
    .expected_exception(ApiError::is_busy as OnApiError)
    .build();

static BUDGET: RetryBudget = RetryBudget::new(0.5, 1000);

static STACK: Pipeline<(Timeout, &CircuitBreaker, RetryPolicy, Timeout)> =
    Pipeline::new((Timeout::new(LIMIT), &BREAKER, RETRY, Timeout::new(LIMIT)));

/// Spawns a call of the stack that `$stack` makes, with an operation that borrows what is local.
macro_rules! spawns {
    ($($name:ident: $stack:expr;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let task = tokio::spawn(async {
                let client = Client::busy(2);
                let path = String::from("/a");
                let pipeline = Pipeline::new($stack);
                let by_function = pipeline.run(|| client.fetch(&path)).await;
                let by_closure = pipeline.run(async || client.fetch(&path).await).await;
                let protected = async || client.fetch(&path).await.map_err(Error::Operation);
                (by_function, by_closure, pipeline.call(protected).await)
            });
            assert_eq!(task.await.unwrap(), (Ok(3), Ok(4), Ok(5)));
        }
    )+};
}

fn executor() -> RetryExecutor<seawall::AnyError, impl Fn(Retrying<'_, ApiError>) + Clone> {
    RetryExecutor::new(RETRY)
        .on_retry(|retry: Retrying<'_, ApiError>| assert!(retry.attempt < 4))
        .budget(&BUDGET)
        .seed(7)
}

spawns! {
    a_stack_of_one_spawns: (RETRY,);

    a_stack_of_two_spawns: (&BREAKER, RETRY);

    a_stack_of_three_spawns: (
        FallbackChain::new().value(77),
        Arc::new(CircuitBreaker::new()),
        executor(),
    );

    a_stack_of_four_spawns: (
        FallbackChain::new().call_with(|error: &Error<ApiError>| error.operation().map_or(1, |_| 2)),
        Timeout::new(LIMIT),
        CircuitBreaker::new(),
        RETRY,
    );

    a_stack_of_five_spawns: (
        Timeout::new(LIMIT),
        FallbackChain::new().call_async(async || Err(ApiError::NotFound)).value(77),
        Arc::new(CircuitBreaker::new()),
        BUSY_ONLY,
        None::<Timeout>,
    );

    a_stack_of_six_spawns: (
        FallbackChain::new()
            .call_async_with(|error: &Error<ApiError>| {
                let busy = error.operation().is_some_and(ApiError::is_busy);
                async move { if busy { Ok(77) } else { Err(ApiError::NotFound) } }
            })
            .only_if(|error: &Error<ApiError>| error.rejection().is_none()),
        Some(Timeout::new(LIMIT)),
        &PICKY,
        Pipeline::new((Timeout::new(LIMIT), RETRY)),
        Arc::new(executor()),
        &TOTAL,
    );

    a_stack_of_dyn_layers_spawns: (
        Timeout::new(LIMIT),
        Arc::new((&BREAKER, RETRY)) as Arc<dyn DynPolicy<u32, ApiError>>,
        Pipeline::new((FallbackChain::new().value(77), RETRY)).into_dyn(),
    );

    nested_tuples_spawn: ((Timeout::new(LIMIT), (&BREAKER, (RETRY, Timeout::new(LIMIT)))),);

    a_policy_of_ones_own_spawns: (Own, RETRY, Own);
}

/// A policy as a user writes it.
struct Own;

impl seawall::Describe for Own {}

impl<T: Send, E: Send + 'static> Policy<T, E> for Own {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        op()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_policy_runs_by_itself_in_a_spawned_task() {
    let task = tokio::spawn(async {
        let (client, path) = (Client::busy(2), String::from("/a"));
        let fetch = || client.fetch(&path);
        let chain = FallbackChain::new().value(77);
        (
            RETRY.run(fetch).await,
            executor().run(fetch).await,
            BREAKER.run(fetch).await,
            chain.run(fetch).await,
            Timeout::new(LIMIT).run(fetch).await,
            STACK.run(fetch).await,
        )
    });
    assert_eq!(task.await.unwrap(), (Ok(3), Ok(4), Ok(5), Ok(6), Ok(7), Ok(8)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_pipeline_is_shared_by_many_tasks() {
    let pipeline =
        Arc::new(Pipeline::new((FallbackChain::new().value(0), CircuitBreaker::new(), executor())));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let pipeline = Arc::clone(&pipeline);
            tokio::spawn(async move {
                let client = Client::busy(1);
                pipeline.run(|| client.fetch("/a")).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_of_ones_own_spawns_with_an_operation_that_borrows_mutably() {
    let task = tokio::spawn(async {
        let mut calls = 0;
        let mut attempts = RETRY.attempts();
        loop {
            let operation = async {
                calls += 1;
                tokio::task::yield_now().await;
                if calls > 2 { Ok(calls) } else { Err(ApiError::Busy) }
            };
            match operation.await {
                Ok(value) => return Ok(value),
                Err(error) => attempts.backoff(error).await?,
            }
        }
    });
    let outcome: Result<u32, Error<ApiError>> = task.await.unwrap();
    assert_eq!(outcome, Ok(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permit_is_held_over_an_await_in_a_spawned_task() {
    let task = tokio::spawn(async {
        let permit = BREAKER.try_acquire().unwrap();
        tokio::task::yield_now().await;
        permit.record(seawall::Verdict::Success);
    });
    task.await.unwrap();
}

/// A caller that is generic itself can promise `Send`, which `AsyncFn` bounds cannot.
fn guarded<F, Fut, T, E>(op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
where
    T: Send,
    E: Send + 'static,
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, E>> + Send,
{
    STACK.run(op)
}

/// The same over any policy.
fn guarded_by<P, F, Fut, T, E>(
    policy: &P,
    op: F,
) -> impl Future<Output = Result<T, Error<E>>> + Send
where
    P: Policy<T, E>,
    T: Send,
    E: Send + 'static,
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, E>> + Send,
{
    policy.run(op)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generic_callers_can_promise_send() {
    let task = tokio::spawn(async {
        let client = Client::busy(1);
        let stack = (&BREAKER, RETRY);
        let one = guarded(|| client.fetch("/a")).await;
        (one, guarded_by(&stack, || client.fetch("/a")).await)
    });
    assert_eq!(task.await.unwrap(), (Ok(2), Ok(3)));
}

#[tokio::test]
async fn predicates_of_constants_and_statics_are_asked() {
    let client = Client::busy(9);
    assert_eq!(
        BUSY_ONLY.run(|| client.fetch("/missing")).await,
        Err(Error::Operation(ApiError::NotFound))
    );
    assert_eq!(client.calls.load(SeqCst), 1);
    for _ in 0..3 {
        assert!(PICKY.run(|| client.fetch("/missing")).await.is_err());
    }
    assert_eq!(PICKY.counters().consecutive_failures, 0);
}

#[tokio::test]
async fn predicates_are_closures_function_paths_and_closures_that_capture() {
    let wanted = ApiError::Busy;
    let by_closure = RETRY.to_builder().when(|error: &ApiError| error.is_busy()).build();
    let by_path = RETRY.to_builder().when(ApiError::is_busy).retry_after(ApiError::wait).build();
    let by_capture = RETRY.to_builder().when(|error: &ApiError| *error == wanted).build();
    let by_result = RETRY.to_builder().when_result(|value: &u32| *value < 5).build();
    let client = Client::busy(1);
    assert_eq!(by_closure.run(|| client.fetch("/a")).await, Ok(2));
    assert_eq!(by_path.run(|| client.fetch("/a")).await, Ok(3));
    assert_eq!(by_capture.run(|| client.fetch("/a")).await, Ok(4));
    assert_eq!(by_result.run(|| client.fetch("/a")).await, Ok(5));
}

#[tokio::test]
async fn callers_keep_their_own_error_type() {
    async fn load(client: &Client) -> Result<u32, ApiError> {
        let page = STACK.run(|| client.fetch("/a")).await.map_err(Error::flatten)?;
        Ok(page)
    }
    assert_eq!(load(&Client::busy(1)).await, Ok(2));
    assert_eq!(load(&Client::busy(9)).await, Err(ApiError::Busy));
}

mod auto_traits {
    //! What every public type promises, whatever it is made of.

    use super::{ApiError, Own};
    use seawall::{breaker::*, event::*, fallback::*, retry::*, *};
    use std::{fmt::Debug, hash::Hash, sync::Arc};

    type Predicate = fn(&ApiError) -> bool;
    type Wait = fn(&ApiError) -> Option<std::time::Duration>;
    type Answer = fn() -> u32;
    type Seen = fn(&Error<ApiError>) -> u32;
    type Chain<X> = FallbackChain<Then<FallbackChain, X>>;
    type Executor = RetryExecutor<AnyError, NoListener, DefaultSleeper>;

    fn send_sync_debug<T: Send + Sync + Debug>() {}
    fn clone<T: Send + Sync + Debug + Clone>() {}
    fn copy<T: Send + Sync + Debug + Copy>() {}
    fn word<T: Send + Sync + Debug + Copy + Eq + Hash>() {}
    fn dyn_send_sync<T: Send + Sync + ?Sized>() {}

    macro_rules! hold {
        ($($promise:ident: $($type:ty),+;)+) => { $($($promise::<$type>();)+)+ };
    }

    #[test]
    fn every_public_type_is_send_sync_and_debug_and_clone_where_a_copy_means_something() {
        hold! {
            // Policies and their settings: plain data.
            copy: RetryPolicy, RetryPolicy<When<Predicate>>, RetryPolicyBuilder, Timeout,
                CircuitBreakerBuilder, FallbackChain, Chain<Value<u32>>, Chain<Call<Answer>>,
                Chain<CallWith<Seen>>, Chain<CallAsync<Answer>>, Chain<CallAsyncWith<Seen>>,
                Chain<OnlyIf<Value<u32>, Predicate>>, Pipeline<(RetryPolicy, Timeout)>,
                PipelineBuilder<(RetryPolicy, Timeout)>;
            // Classifiers.
            copy: AnyError, When<Predicate>, WhenResult<fn(&u32) -> bool>, RetryAfter<Wait>,
                Expect<Predicate>, Ignore<Predicate>, NoListener, DefaultSleeper;
            // Shared state: clones share it, or there are none.
            clone: Executor, SharedBudget, Delays;
            send_sync_debug: CircuitBreaker, CircuitBreaker<Expect<Predicate>>, RetryBudget,
                Permit<'static>, Attempts<'static>, Arc<CircuitBreaker>;
            // Words.
            word: CircuitState, TransitionCause, Mode, Jitter, ExhaustedReason, Verdict, Tick;
            copy: BackoffStrategy, Transition, Counters, Next;
            // Errors and what they are made of.
            clone: Error<ApiError>, RetryExhaustedError<ApiError>, FallbackExhaustedError<ApiError>,
                Rejection, CircuitBreakerOpenError, InvalidSetting, SettingValue, Name, Finding, Layer;
            // Events.
            clone: Event<'static>;
            send_sync_debug: Retrying<'static, ApiError>;
            dyn_send_sync: dyn Observe, dyn DynPolicy<u32, ApiError>, dyn DynBlockingPolicy<u32, ApiError>;
            // The rest.
            clone: Random;
        }
        #[cfg(feature = "tracing")]
        copy::<telemetry::tracing::Levels>();
        #[cfg(feature = "testing")]
        {
            use seawall::testing::*;
            hold! {
                clone: ManualClock, Scope;
                send_sync_debug: Seed, Entered, Attached<()>;
                dyn_send_sync: dyn World;
            }
        }
        let _ = Own;
    }

    /// Which of the two is meant can be told only if the second does not apply.
    trait NotClone<Which> {
        fn holds() {}
    }
    struct Cloned;
    impl<T> NotClone<()> for T {}
    impl<T: Clone> NotClone<Cloned> for T {}

    #[test]
    fn what_shares_no_state_with_its_clones_has_none() {
        <CircuitBreaker as NotClone<_>>::holds();
        <RetryBudget as NotClone<_>>::holds();
        <Permit<'_> as NotClone<_>>::holds();
    }
}
