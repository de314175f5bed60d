use super::*;

/// What a call that always fails tells, gives and takes.
fn trace<R: Debug>(call: impl Fn(&Calls) -> R) -> (Vec<String>, String, Duration, u32) {
    let (events, clock, _entered) = world();
    let (before, calls) = (clock.now(), Calls::new());
    let outcome = format!("{:?}", call(&calls));
    let lines = events.all().iter().map(ToString::to_string).collect();
    (lines, outcome, clock.now() - before, calls.get())
}

const fn new() -> RetryPolicyBuilder {
    RetryPolicy::builder()
}

const LIMIT: Duration = Duration::from_secs(7);
const ATTEMPTS: u32 = 4;

macro_rules! reach {
    ($($name:ident: ($($option:tt)*) == $policy:expr;)+) => {$(
        #[test]
        fn $name() {
            #[retry($($option)*)]
            fn protected(calls: &Calls) -> Rich<u32> {
                Ok(calls.fail()?)
            }
            let policy: RetryPolicyBuilder = $policy;
            let policy = policy.name("protected").build();
            let expected = trace(|calls| policy.run_blocking(|| calls.fail()));
            assert_eq!(trace(protected), expected);
            assert!(expected.3 > 1, "it has been retried");
        }
    )+};
}

reach! {
    without_options_it_has_the_defaults: () == new();
    max_attempts: (max_attempts = 5) == new().max_attempts(5);
    max_attempts_of_a_constant: (max_attempts = ATTEMPTS + 1,) == new().max_attempts(5);
    backoff_fixed: (backoff = "fixed") == new().backoff_strategy(BackoffStrategy::Fixed);
    backoff_linear: (backoff = "linear") == new().backoff_strategy(BackoffStrategy::Linear);
    backoff_exponential: (backoff = "exponential", max_attempts = 6) == new().max_attempts(6);
    backoff_fibonacci: (backoff = "fibonacci", max_attempts = 7)
        == new().backoff_strategy(BackoffStrategy::Fibonacci).max_attempts(7);
    backoff_decorrelated: (backoff = "decorrelated", max_attempts = 9)
        == new().backoff_strategy(BackoffStrategy::Decorrelated).max_attempts(9);
    backoff_strategy: (backoff_strategy = BackoffStrategy::Linear)
        == new().backoff_strategy(BackoffStrategy::Linear);
    multiplier: (multiplier = 3) == new().multiplier(3.0);
    multiplier_with_a_fraction: (multiplier = 1.5) == new().multiplier(1.5);
    base_delay: (base_delay = 2) == new().base_delay(2 * S);
    base_delay_with_a_fraction: (base_delay = 0.25) == new().base_delay(250 * MS);
    base_delay_with_a_unit: (base_delay = "500ms") == new().base_delay(500 * MS);
    base_delay_of_a_constant: (base_delay = LIMIT) == new().base_delay(LIMIT);
    max_delay: (max_delay = "1500ms", max_attempts = 9)
        == new().max_delay(1500 * MS).max_attempts(9);
    jitter_off: (jitter = false) == new().jitter(Jitter::None);
    jitter_on: (jitter = true) == new().jitter(Jitter::PlusMinus);
    jitter_none: (jitter = "none") == new().jitter(Jitter::None);
    jitter_full: (jitter = "full") == new().jitter(Jitter::Full);
    jitter_equal: (jitter = "equal") == new().jitter(Jitter::Equal);
    jitter_plus_minus: (jitter = "plus_minus") == new().jitter(Jitter::PlusMinus);
    jitter_decorrelated: (jitter = "decorrelated")
        == new().backoff_strategy(BackoffStrategy::Decorrelated);
    jitter_of_an_expression: (jitter = Jitter::PlusMinusPercent(50))
        == new().jitter(Jitter::PlusMinusPercent(50));
    total_timeout: (total_timeout = "10s", max_attempts = 99)
        == new().total_timeout(10 * S).max_attempts(99);
    keep_errors: (keep_errors = 2, max_attempts = 5) == new().keep_errors(2).max_attempts(5);
}

#[retry(name = "orders", base_delay = 0)]
fn named(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[test]
fn name() {
    let Err(Error::RetryExhausted(error)) = named(&Calls::new()) else { panic!() };
    assert_eq!(error.name().unwrap(), "orders");
}

impl Down {
    fn is_even(&self) -> bool {
        self.0 % 2 == 0
    }

    fn wait(&self) -> Option<Duration> {
        Some(self.0 * HOUR)
    }
}

#[retry(when = |down| down.0 < 2, base_delay = 0, max_attempts = 9)]
fn by_closure(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[retry(when = Down::is_even, base_delay = 0)]
async fn by_path(calls: &Calls) -> Outcome {
    calls.fail()
}

#[retry(when = |down: &Down| down.0 < limit, base_delay = 0, max_attempts = 9)]
async fn by_argument(calls: &Calls, limit: u32) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[tokio::test]
async fn when() {
    assert_eq!(by_closure(&Calls::new()), Err(Error::Operation(Down(2))));
    assert_eq!(by_path(&Calls::new()).await, Err(Down(1)));
    assert_eq!(by_argument(&Calls::new(), 4).await, Err(Error::Operation(Down(4))));
}

#[retry(when_result = |n| *n < 3, base_delay = 0)]
fn result_by_closure(calls: &Calls) -> Rich<u32> {
    Ok(calls.count())
}

#[retry(when_result = Vec::is_empty, when = Down::is_even, base_delay = 0)]
async fn result_by_path(calls: &Calls) -> Result<Vec<u32>, Down> {
    Ok(vec![0; calls.count() as usize - 1])
}

#[tokio::test]
async fn when_result() {
    assert_eq!(result_by_closure(&Calls::new()), Ok(3));
    assert_eq!(result_by_path(&Calls::new()).await, Ok(vec![0]));
}

#[retry(retry_after = Down::wait, max_retry_after = "3h")]
fn told_when(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[retry(retry_after = |down| (down.0 == 2).then_some(HOUR), max_retry_after = 7200)]
async fn told_when_async(calls: &Calls) -> Outcome {
    calls.fail_first(2)
}

#[tokio::test(start_paused = true)]
async fn retry_after_and_max_retry_after() {
    let mock = MockRetryExecutor::new();
    assert!(told_when(&Calls::new()).is_err());
    let delays = mock.delays();
    assert!(delays[0] >= HOUR && delays[1] >= 2 * HOUR && delays.len() == 2, "{delays:?}");
    assert_eq!(told_when_async(&Calls::new()).await, Ok(3));
    assert!(mock.delays()[3] >= HOUR);
}

#[retry(max_attempts = 3, base_delay = 0)]
#[circuit_breaker(failure_threshold = 1)]
fn ends_at_open(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[retry(max_attempts = 3, base_delay = 0, retry_on_open)]
#[circuit_breaker(failure_threshold = 1)]
fn goes_on_at_open(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail_first(1)?)
}

#[retry(max_attempts = 3, base_delay = 0, retry_on_open = false)]
#[circuit_breaker(failure_threshold = 1)]
fn ends_at_open_as_said(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[test]
fn retry_on_open() {
    let (_, clock, _entered) = world();
    let before = clock.now();
    assert!(matches!(ends_at_open(&Calls::new()), Err(Error::Rejected(_))));
    assert!(matches!(ends_at_open_as_said(&Calls::new()), Err(Error::Rejected(_))));
    assert_eq!(clock.now(), before);
    assert_eq!(goes_on_at_open(&Calls::new()), Ok(2));
    assert!(clock.now() >= before + 60 * S, "it has waited as long as the breaker says");
}

#[retry(max_attempts = 2, base_delay = 0, retry_on_exhausted = true)]
#[retry(max_attempts = 2, base_delay = 0, retry_on_exhausted)]
#[retry(max_attempts = 2, base_delay = 0)]
fn multiplies(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[test]
fn retry_on_exhausted() {
    let calls = Calls::new();
    assert!(multiplies(&calls).is_err());
    assert_eq!(calls.get(), 8);
}

static HEARD: Calls = Calls::new();

fn hears(retrying: Retrying<'_, Down>) {
    assert_eq!((retrying.max_attempts, retrying.error.unwrap().operation()), (2, Some(&Down(1))));
    HEARD.count();
}

#[retry(on_retry = hears, max_attempts = 2, base_delay = 0)]
async fn heard_by_path(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[retry(on_retry = |retry| log.push((retry.attempt, retry.delay)), base_delay = 0)]
fn heard_by_closure(calls: &Calls, log: &Log<(u64, Duration)>) -> Outcome {
    calls.fail()
}

#[tokio::test]
async fn on_retry() {
    assert!(heard_by_path(&Calls::new()).await.is_err());
    assert_eq!(HEARD.get(), 1);
    let log = Log::default();
    assert!(heard_by_closure(&Calls::new(), &log).is_err());
    assert_eq!(log.all(), [(1, Duration::ZERO), (2, Duration::ZERO)]);
}

static SHARED: RetryBudget = RetryBudget::new(0.1, 3);
static LAZY: LazyLock<Arc<RetryBudget>> = LazyLock::new(|| Arc::new(RetryBudget::new(0.1, 1)));

#[retry(budget = SHARED, max_attempts = 9, base_delay = 0)]
fn one_of_two(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[retry(budget = SHARED, max_attempts = 3, base_delay = 0)]
async fn other_of_two(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[tokio::test]
async fn budget() {
    let calls = Calls::new();
    assert!(other_of_two(&calls).await.is_err());
    assert!(one_of_two(&calls).is_err());
    assert!(other_of_two(&calls).await.is_err());
    assert_eq!(calls.get(), 3 + 3, "three first attempts, and what the budget pays");
    assert!(LAZY.try_retry());
}

const CONST: RetryPolicy =
    RetryPolicy::builder().max_attempts(5).base_delay(Duration::ZERO).build();
type OnDown = fn(&Down) -> bool;

static STATIC: RetryPolicy<When<OnDown>> =
    RetryPolicy::builder().base_delay(Duration::ZERO).when(Down::is_even as OnDown).build();
static EXECUTOR: LazyLock<RetryExecutor> =
    LazyLock::new(|| RetryExecutor::new(CONST).name("executor").budget(RetryBudget::new(0.1, 2)));

#[retry(policy = CONST)]
fn by_const(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[retry(policy = STATIC)]
async fn by_static(calls: &Calls) -> Outcome {
    calls.fail()
}

#[retry(policy = EXECUTOR)]
fn by_lazy(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[retry(policy = policy, budget = SHARED_TOO, on_retry = |_| { HEARD_TOO.count(); })]
async fn by_argument_with_attachments(calls: &Calls, policy: RetryPolicy) -> Outcome {
    calls.fail()
}

static SHARED_TOO: RetryBudget = RetryBudget::new(0.1, 3);
static HEARD_TOO: Calls = Calls::new();

struct Client {
    retry: RetryPolicy,
}

impl Client {
    #[retry(policy = self.retry)]
    async fn call(&self, calls: &Calls) -> Outcome {
        calls.fail()
    }
}

#[tokio::test]
async fn policy() {
    let calls = Calls::new();
    assert!(by_const(&calls).is_err());
    assert_eq!(calls.get(), 5);
    assert_eq!(by_static(&Calls::new()).await, Err(Down(1)));
    let Err(Error::RetryExhausted(error)) = by_lazy(&Calls::new()) else { panic!() };
    assert_eq!((error.name().unwrap().as_str(), error.attempts()), ("executor", 3));
    let calls = Calls::new();
    assert_eq!(by_argument_with_attachments(&calls, CONST).await, Err(Down(4)));
    assert_eq!(HEARD_TOO.get(), 3);
    assert_eq!(Client { retry: CONST }.call(&Calls::new()).await, Err(Down(5)));
}
