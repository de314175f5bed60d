//! What is measured: rows, and in each of them what the contenders have for it.

use crate::{
    functions::{attribute, written_out},
    harness::{Case, Ended, Promise, Runner, Shared, Tells, awaited, blocking, drive, inside},
    operation::{Twice, shaky, shaky_async, work, work_async},
    peers::{self, HOUR, Retries, WINDOW, leak},
};
use backon::{BlockingRetryable, ConstantBuilder, ExponentialBuilder, Retryable};
use failsafe::{CircuitBreaker as Failsafe, futures::CircuitBreaker as AsyncFailsafe};
use layered::Service as _;
use recloser::AsyncRecloser;
use std::{hint::black_box, iter::repeat_n, time::Duration};
use tokio_retry::{Retry, strategy::ExponentialBackoff};
use tower::{Layer, Service, ServiceExt, service_fn};

pub(crate) const SEAWALL: &str = "Seawall";
pub(crate) const BARE: &str = "bare";
const TOWER_RESILIENCE: &str = "tower-resilience";
const SEATBELT: &str = "seatbelt";
const FAILSAFE: &str = "failsafe";
const RECLOSER: &str = "recloser";
const BACKON: &str = "backon";
const TOKIO_RETRY: &str = "tokio-retry";
const TOWER: &str = "tower";

const SHORT: Duration = Duration::from_millis(50);

pub(crate) const ATTRIBUTE: &str = "attribute";
pub(crate) const WRITTEN_OUT: &str = "written out";

/// In the order of the tables.
pub(crate) const CONTENDERS: [&str; 9] =
    [BARE, SEAWALL, TOWER_RESILIENCE, SEATBELT, FAILSAFE, RECLOSER, BACKON, TOKIO_RETRY, TOWER];

pub(crate) struct Row {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) promise: Promise,
}

const fn row(key: &'static str, title: &'static str, starts: u32, ended: Ended) -> Row {
    Row { key, title, promise: Promise { starts, ended, opens_within: None } }
}

/// A closed breaker, which opens when calls fail.
const fn armed(key: &'static str, title: &'static str, within: u32) -> Row {
    let promise = Promise { starts: 1, ended: Answered, opens_within: Some(within) };
    Row { key, title, promise }
}

use Ended::{Answered, Rejected};

/// A window that still holds the thousand good calls has to be filled up with bad ones first.
const RATE: u32 = 1001;

pub(crate) const ROWS: [Row; 23] = [
    row("retry/blocking", "retry, first attempt succeeds, blocking", 1, Answered),
    row("retry/async", "retry, first attempt succeeds, async", 1, Answered),
    row("retry-twice/blocking", "retry, two failures, no delay, blocking", 3, Answered),
    row("retry-twice/async", "retry, two failures, no delay, async", 3, Answered),
    armed("consecutive/blocking", "breaker closed, failures in a row, blocking", 5),
    armed("consecutive/async", "breaker closed, failures in a row, async", 5),
    armed("count/blocking", "breaker closed, last 100 calls, blocking", RATE),
    armed("count/async", "breaker closed, last 100 calls, async", RATE),
    armed("time/blocking", "breaker closed, last 10 s, blocking", RATE),
    armed("time/async", "breaker closed, last 10 s, async", RATE),
    row(
        "failures/blocking",
        "breaker closed, failures among the last 100 000 calls, blocking",
        1,
        Answered,
    ),
    row(
        "failures/async",
        "breaker closed, failures among the last 100 000 calls, async",
        1,
        Answered,
    ),
    armed("shaky/blocking", "breaker closed, last 100 calls, one call in 20 fails, blocking", RATE),
    armed("shaky/async", "breaker closed, last 100 calls, one call in 20 fails, async", RATE),
    row("open/blocking", "breaker open, call rejected, blocking", 0, Rejected),
    row("open/async", "breaker open, call rejected, async", 0, Rejected),
    row("stack/blocking", "fallback > breaker > retry, blocking", 1, Answered),
    row("stack/async", "fallback > breaker > retry, async", 1, Answered),
    row("timeout/async", "timeout, ready at once, async", 1, Answered),
    row("held-1000/async", "breaker closed, 1 000 calls in the time window, async", 1, Answered),
    row("held-30000/async", "breaker closed, 30 000 calls in the time window, async", 1, Answered),
    row(
        "held-1000000/async",
        "breaker closed, 1 000 000 calls in the time window, async",
        1,
        Answered,
    ),
    row("bare", "the operation alone", 1, Answered),
];

/// Rows that are measured by two threads as well.
pub(crate) const SHARED_ROWS: [&str; 3] = ["consecutive/async", "count/async", "time/async"];

fn case(row: &'static str, contender: &'static str, fresh: Box<dyn Fn() -> Shared>) -> Case {
    let promise = ROWS.iter().find(|known| row.starts_with(known.key));
    let promise = promise.expect("a row of the table").promise;
    Case {
        row,
        contender,
        fresh,
        promise,
        holds: 0,
        fails_first: false,
        proof: None,
        longest: 1 << 24,
    }
}

impl Case {
    /// Its window holds failures throughout: one before each batch, and at most 20 batches a window.
    fn with_failures(self) -> Self {
        Self { fails_first: true, longest: 5000, ..self }
    }

    fn holding(self, calls: u64) -> Self {
        Self { holds: calls, ..self }
    }

    /// For an average that follows time, not calls: a window so short that it is soon over.
    fn proven_by(self, short: Box<dyn Fn() -> Shared>) -> Self {
        Self { proof: Some((short, SHORT * 3)), ..self }
    }

    /// For windows that keep each call: measuring must not add much to what they hold.
    fn at_most(self, calls: u64) -> Self {
        Self { longest: calls, ..self }
    }
}

/// A call through a tower service.
macro_rules! service {
    ($service:expr) => {
        awaited!($service, |s, x| s.ready().await.expect("always ready").call(x))
    };
}

/// A call through a service of seatbelt.
macro_rules! executed {
    ($service:expr) => {
        awaited!(leak($service), |s, x| s.execute(x))
    };
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    bare(&mut cases);
    retry(&mut cases);
    retry_twice(&mut cases);
    closed(&mut cases);
    with_failures(&mut cases);
    open(&mut cases);
    stack(&mut cases);
    timeout(&mut cases);
    held(&mut cases);
    functions(&mut cases);
    cases
}

/// What the other rows are compared with.
fn bare(cases: &mut Vec<Case>) {
    cases.extend([
        case("bare/blocking", BARE, blocking!((), |_s, x| work(x))),
        case("bare/async", BARE, awaited!((), |_s, x| work_async(x))),
        case("bare-shaky/blocking", BARE, blocking!((), |_s, x| shaky(x))),
        case("bare-shaky/async", BARE, awaited!((), |_s, x| shaky_async(x))),
    ]);
}

fn retry(cases: &mut Vec<Case>) {
    const ROW: &str = "retry/blocking";
    cases.extend([
        case(
            ROW,
            SEAWALL,
            blocking!(leak(peers::seawall::retry()), |s, x| s.run_blocking(|| work(x))),
        ),
        case(
            ROW,
            BACKON,
            blocking!(ExponentialBuilder::default(), |s, x| (|| work(x)).retry(*s).call()),
        ),
    ]);
    const ASYNC: &str = "retry/async";
    cases.extend([
        case(
            ASYNC,
            SEAWALL,
            awaited!(leak(peers::seawall::retry()), |s, x| s.run(|| work_async(x))),
        ),
        case(
            ASYNC,
            TOWER_RESILIENCE,
            service!(peers::tower_resilience::retry().layer(service_fn(work_async))),
        ),
        case(ASYNC, SEATBELT, executed!(peers::seatbelt::retry())),
        case(
            ASYNC,
            BACKON,
            awaited!(ExponentialBuilder::default(), |s, x| (move || work_async(x)).retry(*s)),
        ),
        case(
            ASYNC,
            TOKIO_RETRY,
            awaited!((), |_s, x| {
                Retry::start(ExponentialBackoff::from_millis(10).take(3), move || work_async(x))
            }),
        ),
        case(ASYNC, TOWER, service!(tower::retry::Retry::new(Retries(3), service_fn(work_async)))),
    ]);
}

fn retry_twice(cases: &mut Vec<Case>) {
    fn twice() -> &'static Twice {
        leak(Twice::default())
    }
    fn constant() -> ConstantBuilder {
        ConstantBuilder::default().with_delay(Duration::ZERO).with_max_times(3)
    }
    const ROW: &str = "retry-twice/blocking";
    cases.extend([
        case(
            ROW,
            SEAWALL,
            blocking!((leak(peers::seawall::eager_retry()), twice()), |s, x| s
                .0
                .run_blocking(|| s.1.call(x))),
        ),
        case(
            ROW,
            BACKON,
            blocking!((constant(), twice()), |s, x| (|| s.1.call(x)).retry(s.0).call()),
        ),
    ]);
    const ASYNC: &str = "retry-twice/async";
    cases.extend([
        case(
            ASYNC,
            SEAWALL,
            awaited!((leak(peers::seawall::eager_retry()), twice()), |s, x| s
                .0
                .run(|| s.1.call_async(x))),
        ),
        case(
            ASYNC,
            TOWER_RESILIENCE,
            service!({
                let twice = twice();
                peers::tower_resilience::retry().layer(service_fn(|x| twice.call_async(x)))
            }),
        ),
        case(
            ASYNC,
            SEATBELT,
            executed!({
                let twice = twice();
                peers::seatbelt::eager_retry(|x| twice.call_async(x))
            }),
        ),
        case(
            ASYNC,
            BACKON,
            awaited!((constant(), twice()), |s, x| (|| s.1.call_async(x)).retry(s.0)),
        ),
        case(
            ASYNC,
            TOKIO_RETRY,
            awaited!(twice(), |s, x| Retry::start(repeat_n(Duration::ZERO, 3), || s.call_async(x))),
        ),
        case(
            ASYNC,
            TOWER,
            service!({
                let twice = twice();
                tower::retry::Retry::new(Retries(3), service_fn(|x| twice.call_async(x)))
            }),
        ),
    ]);
}

fn closed(cases: &mut Vec<Case>) {
    const CONSECUTIVE: &str = "consecutive/blocking";
    const COUNT: &str = "count/blocking";
    const TIME: &str = "time/blocking";
    cases.extend([
        case(
            CONSECUTIVE,
            SEAWALL,
            blocking!(leak(peers::seawall::consecutive()), |s, x| s.run_blocking(|| work(x))),
        ),
        case(
            CONSECUTIVE,
            FAILSAFE,
            blocking!(leak(peers::failsafe::consecutive()), |s, x| Failsafe::call(*s, || work(x))),
        ),
        case(
            COUNT,
            SEAWALL,
            blocking!(leak(peers::seawall::count(100)), |s, x| s.run_blocking(|| work(x))),
        ),
        case(
            COUNT,
            RECLOSER,
            blocking!(leak(peers::recloser::count(100)), |s, x| s.call(|| work(x))),
        ),
        case(
            TIME,
            SEAWALL,
            blocking!(leak(peers::seawall::time(WINDOW)), |s, x| s.run_blocking(|| work(x))),
        ),
        case(
            TIME,
            FAILSAFE,
            blocking!(leak(peers::failsafe::time(WINDOW)), |s, x| Failsafe::call(*s, || work(x))),
        )
        .proven_by(blocking!(leak(peers::failsafe::time(SHORT)), |s, x| Failsafe::call(
            *s,
            || work(x)
        ))),
    ]);
    const CONSECUTIVE_ASYNC: &str = "consecutive/async";
    cases.extend([
        case(
            CONSECUTIVE_ASYNC,
            SEAWALL,
            awaited!(leak(peers::seawall::consecutive()), |s, x| s.run(|| work_async(x))),
        ),
        case(
            CONSECUTIVE_ASYNC,
            TOWER_RESILIENCE,
            service!(peers::tower_resilience::consecutive().layer_fn(service_fn(work_async))),
        ),
        case(
            CONSECUTIVE_ASYNC,
            FAILSAFE,
            awaited!(leak(peers::failsafe::consecutive()), |s, x| AsyncFailsafe::call(
                *s,
                work_async(x)
            )),
        ),
    ]);
    const COUNT_ASYNC: &str = "count/async";
    cases.extend([
        case(
            COUNT_ASYNC,
            SEAWALL,
            awaited!(leak(peers::seawall::count(100)), |s, x| s.run(|| work_async(x))),
        ),
        case(
            COUNT_ASYNC,
            TOWER_RESILIENCE,
            service!(peers::tower_resilience::count(100).layer_fn(service_fn(work_async))),
        ),
        case(
            COUNT_ASYNC,
            RECLOSER,
            awaited!(leak(AsyncRecloser::from(peers::recloser::count(100))), |s, x| s
                .call(work_async(x))),
        ),
    ]);
    const TIME_ASYNC: &str = "time/async";
    cases.extend([
        case(
            TIME_ASYNC,
            SEAWALL,
            awaited!(leak(peers::seawall::time(WINDOW)), |s, x| s.run(|| work_async(x))),
        ),
        // It keeps each call for the whole window, and walks them all on each call: few of them here.
        case(
            TIME_ASYNC,
            TOWER_RESILIENCE,
            service!(peers::tower_resilience::time(WINDOW).layer_fn(service_fn(work_async))),
        )
        .at_most(8),
        case(TIME_ASYNC, SEATBELT, executed!(peers::seatbelt::time(WINDOW))),
        case(
            TIME_ASYNC,
            FAILSAFE,
            awaited!(leak(peers::failsafe::time(WINDOW)), |s, x| AsyncFailsafe::call(
                *s,
                work_async(x)
            )),
        )
        .proven_by(awaited!(leak(peers::failsafe::time(SHORT)), |s, x| {
            AsyncFailsafe::call(*s, work_async(x))
        })),
    ]);
}

fn with_failures(cases: &mut Vec<Case>) {
    const CALLS: u32 = 100_000;
    const ROW: &str = "failures/blocking";
    const ASYNC: &str = "failures/async";
    cases.extend(
        [
            case(
                ROW,
                SEAWALL,
                blocking!(leak(peers::seawall::count(CALLS)), |s, x| s.run_blocking(|| work(x))),
            ),
            case(
                ROW,
                RECLOSER,
                blocking!(leak(peers::recloser::count(CALLS as usize)), |s, x| s.call(|| work(x))),
            ),
            case(
                ASYNC,
                SEAWALL,
                awaited!(leak(peers::seawall::count(CALLS)), |s, x| s.run(|| work_async(x))),
            ),
            case(
                ASYNC,
                TOWER_RESILIENCE,
                service!(
                    peers::tower_resilience::count(CALLS as usize).layer_fn(service_fn(work_async))
                ),
            ),
            case(
                ASYNC,
                RECLOSER,
                awaited!(
                    leak(AsyncRecloser::from(peers::recloser::count(CALLS as usize))),
                    |s, x| s.call(work_async(x))
                ),
            ),
        ]
        .map(Case::with_failures),
    );
    const SHAKY: &str = "shaky/blocking";
    const SHAKY_ASYNC: &str = "shaky/async";
    cases.extend([
        case(
            SHAKY,
            SEAWALL,
            blocking!(leak(peers::seawall::count(100)), |s, x| s.run_blocking(|| shaky(x))),
        ),
        case(
            SHAKY,
            RECLOSER,
            blocking!(leak(peers::recloser::count(100)), |s, x| s.call(|| shaky(x))),
        ),
        case(
            SHAKY_ASYNC,
            SEAWALL,
            awaited!(leak(peers::seawall::count(100)), |s, x| s.run(|| shaky_async(x))),
        ),
        case(
            SHAKY_ASYNC,
            TOWER_RESILIENCE,
            service!(peers::tower_resilience::count(100).layer_fn(service_fn(shaky_async))),
        ),
        case(
            SHAKY_ASYNC,
            RECLOSER,
            awaited!(leak(AsyncRecloser::from(peers::recloser::count(100))), |s, x| s
                .call(shaky_async(x))),
        ),
    ]);
}

fn open(cases: &mut Vec<Case>) {
    const ROW: &str = "open/blocking";
    const ASYNC: &str = "open/async";
    cases.extend([
        case(
            ROW,
            SEAWALL,
            blocking!(leak(peers::seawall::open()), |s, x| s.run_blocking(|| work(x))),
        ),
        case(
            ROW,
            FAILSAFE,
            blocking!(leak(peers::failsafe::open()), |s, x| Failsafe::call(*s, || work(x))),
        ),
        case(ROW, RECLOSER, blocking!(leak(peers::recloser::open()), |s, x| s.call(|| work(x)))),
        case(
            ASYNC,
            SEAWALL,
            awaited!(leak(peers::seawall::open()), |s, x| s.run(|| work_async(x))),
        ),
        case(ASYNC, TOWER_RESILIENCE, service!(peers::tower_resilience::open())),
        case(ASYNC, SEATBELT, executed!(peers::seatbelt::open())),
        case(
            ASYNC,
            FAILSAFE,
            awaited!(leak(peers::failsafe::open()), |s, x| AsyncFailsafe::call(*s, work_async(x))),
        ),
        case(
            ASYNC,
            RECLOSER,
            awaited!(leak(AsyncRecloser::from(peers::recloser::open())), |s, x| s
                .call(work_async(x))),
        ),
    ]);
}

fn stack(cases: &mut Vec<Case>) {
    const ROW: &str = "stack/blocking";
    cases.extend([
        case(
            ROW,
            SEAWALL,
            blocking!(leak(peers::seawall::stack()), |s, x| s.run_blocking(|| work(x))),
        ),
        case(
            ROW,
            FAILSAFE,
            blocking!(
                (leak(peers::failsafe::consecutive()), ExponentialBuilder::default()),
                |s, x| Failsafe::call(s.0, || (|| work(x)).retry(s.1).call()).unwrap_or(0)
            ),
        ),
        case(
            ROW,
            RECLOSER,
            blocking!(
                (leak(peers::recloser::count(100)), ExponentialBuilder::default()),
                |s, x| s.0.call(|| (|| work(x)).retry(s.1).call()).unwrap_or(0)
            ),
        ),
    ]);
    const ASYNC: &str = "stack/async";
    cases.extend([
        case(
            ASYNC,
            SEAWALL,
            awaited!(leak(peers::seawall::stack()), |s, x| s.run(|| work_async(x))),
        ),
        case(ASYNC, TOWER_RESILIENCE, service!(peers::tower_resilience::stack())),
        case(ASYNC, SEATBELT, executed!(peers::seatbelt::stack())),
        case(
            ASYNC,
            FAILSAFE,
            awaited!(
                (leak(peers::failsafe::consecutive()), ExponentialBuilder::default()),
                |s, x| async {
                    AsyncFailsafe::call(s.0, (move || work_async(x)).retry(s.1)).await.unwrap_or(0)
                }
            ),
        ),
        case(
            ASYNC,
            RECLOSER,
            awaited!(
                (
                    leak(AsyncRecloser::from(peers::recloser::count(100))),
                    ExponentialBuilder::default()
                ),
                |s, x| async {
                    let retry = (move || work_async(x)).retry(s.1);
                    s.0.call(retry).await.unwrap_or(0)
                }
            ),
        ),
    ]);
}

fn timeout(cases: &mut Vec<Case>) {
    const ROW: &str = "timeout/async";
    cases.extend([
        case(
            ROW,
            SEAWALL,
            awaited!(leak(seawall::Timeout::new(HOUR)), |s, x| s.run(|| work_async(x))),
        ),
        case(
            ROW,
            TOWER_RESILIENCE,
            service!(peers::tower_resilience::timeout().layer(service_fn(work_async))),
        ),
        case(ROW, SEATBELT, executed!(peers::seatbelt::timeout())),
        case(ROW, TOWER, service!(tower::timeout::Timeout::new(service_fn(work_async), HOUR))),
    ]);
}

/// What an attribute costs beside the same function written out.
fn functions(cases: &mut Vec<Case>) {
    macro_rules! both {
        ($row:literal, $kind:ident, $set_up:expr, |$s:ident, $x:ident| $function:ident $arguments:tt) => {
            cases.extend([
                case($row, ATTRIBUTE, $kind!($set_up, |$s, $x| attribute::$function $arguments)),
                case($row, WRITTEN_OUT, $kind!($set_up, |$s, $x| written_out::$function $arguments)),
            ]);
        };
    }
    fn breaker() -> &'static seawall::CircuitBreaker {
        leak(peers::seawall::consecutive())
    }
    both!("retry/blocking", blocking, (), |_s, x| retry(x));
    both!("retry/async", awaited, (), |_s, x| retry_async(x));
    both!("consecutive/blocking", blocking, breaker(), |s, x| breaker(s, x));
    both!("consecutive/async", awaited, breaker(), |s, x| breaker_async(s, x));
    both!("stack/blocking", blocking, breaker(), |s, x| stack(s, x));
    both!("stack/async", awaited, breaker(), |s, x| stack_async(s, x));
    both!("timeout/async", awaited, (), |_s, x| timeout_async(x));
}

/// Whether what a window holds makes a call dearer.
fn held(cases: &mut Vec<Case>) {
    for (row, calls) in
        [("held-1000/async", 1000), ("held-30000/async", 30_000), ("held-1000000/async", 1_000_000)]
    {
        cases.extend([
            case(
                row,
                SEAWALL,
                awaited!(leak(peers::seawall::time(HOUR)), |s, x| s.run(|| work_async(x))),
            )
            .holding(calls),
            case(row, SEATBELT, executed!(peers::seatbelt::time(HOUR))).holding(calls),
        ]);
        // To fill it takes time by the square: minutes for a million.
        if calls < 1_000_000 {
            cases.push(
                case(
                    row,
                    TOWER_RESILIENCE,
                    service!(peers::tower_resilience::time(HOUR).layer_fn(service_fn(work_async))),
                )
                .holding(calls)
                .at_most(calls / 1000),
            );
        }
    }
}
