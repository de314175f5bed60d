//! `#[instrument]` above is a span for the call, below one for each attempt.
#![cfg(feature = "tracing")]

use crate::{
    Calls, Down, Outcome, Rich,
    common::{Log, hearing::hearing, pending_once},
};
use seawall::{circuit_breaker, fallback, retry, timeout};
use tracing::{Subscriber, instrument, span};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

/// Keeps each span's beginning, and each event as the message after the names of its spans.
struct Trace(Log<String>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn on_new_span(&self, _: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        self.0.push(path(context.span_scope(id)));
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let path = path(context.event_scope(event));
        self.0.push(format!("{path}! {}", event.metadata().target()));
    }
}

fn path<'a, S: LookupSpan<'a>>(
    scope: Option<tracing_subscriber::registry::Scope<'a, S>>,
) -> String {
    let names = scope.into_iter().flat_map(|scope| scope.from_root()).map(|span| span.name());
    names.collect::<Vec<_>>().join(" > ")
}

/// The trace of `call`, and what it gives.
fn traced<R>(call: impl Future<Output = R>) -> (R, Vec<String>) {
    let log = Log::default();
    let subscriber = Registry::default().with(Trace(log.clone()));
    (hearing(subscriber, call), log.all())
}

/// An event of ours.
const OURS: &str = "! seawall";

#[instrument(skip_all)]
#[retry(max_attempts = 2, base_delay = 0)]
async fn above(calls: &Calls) -> Rich<u32> {
    pending_once().await;
    Ok(calls.fail_first(1)?)
}

#[retry(max_attempts = 2, base_delay = 0)]
#[instrument(skip_all)]
async fn below(calls: &Calls) -> Rich<u32> {
    pending_once().await;
    Ok(calls.fail_first(1)?)
}

#[instrument(skip_all)]
#[retry(max_attempts = 2, base_delay = 0)]
fn blocking_above(calls: &Calls) -> Rich<u32> {
    if calls.count() == 2 {
        return Ok(2);
    }
    Err(Down(1))?
}

#[retry(max_attempts = 2, base_delay = 0)]
#[instrument(skip_all)]
fn blocking_below(calls: &Calls) -> Rich<u32> {
    if calls.count() == 2 {
        return Ok(2);
    }
    Err(Down(1))?
}

#[test]
fn instrument_above_a_retry_is_one_span_for_the_call() {
    let (outcome, trace) = traced(async { above(&Calls::new()).await });
    assert_eq!(outcome, Ok(2));
    assert_eq!(trace, ["above", &format!("above{OURS}")]);
    let (outcome, trace) = traced(async { blocking_above(&Calls::new()) });
    assert_eq!(outcome, Ok(2));
    assert_eq!(trace, ["blocking_above", &format!("blocking_above{OURS}")]);
}

#[test]
fn instrument_below_a_retry_is_a_span_for_each_attempt() {
    let (outcome, trace) = traced(async { below(&Calls::new()).await });
    assert_eq!(outcome, Ok(2));
    assert_eq!(trace, ["below", OURS, "below"]);
    let (outcome, trace) = traced(async { blocking_below(&Calls::new()) });
    assert_eq!(outcome, Ok(2));
    assert_eq!(trace, ["blocking_below", OURS, "blocking_below"]);
}

#[fallback([|| 9])]
#[retry(max_attempts = 2, base_delay = 0)]
#[instrument(skip_all, name = "attempt", err)]
#[timeout(1)]
async fn between(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[test]
fn instrument_between_two_attributes_is_between_them() {
    let (outcome, trace) = traced(async { between(&Calls::new()).await });
    assert_eq!(outcome, Ok(9));
    let failed = format!("attempt! {}", module_path!());
    let expected = ["attempt", &failed, OURS, "attempt", &failed, OURS, OURS];
    assert_eq!(trace, expected);
}

#[instrument(ret, err(Debug), skip(calls))]
#[circuit_breaker(failure_threshold = 9)]
#[retry(max_attempts = 2, base_delay = 0)]
async fn owned(calls: &Calls, request: String, seen: &mut Vec<u32>) -> Rich<usize> {
    seen.push(calls.get());
    calls.fail_first(1)?;
    Ok(request.len())
}

#[instrument(ret, err, skip(calls))]
#[retry(max_attempts = 2, base_delay = 0)]
fn blocking_owned(calls: &Calls, request: String, seen: &mut Vec<u32>) -> Rich<usize> {
    seen.push(calls.get());
    calls.fail_first(1)?;
    Ok(request.len())
}

#[test]
fn instrument_above_leaves_arguments_to_all_attempts() {
    let mut seen = Vec::new();
    let (outcome, trace) = traced(async { owned(&Calls::new(), "abc".into(), &mut seen).await });
    assert_eq!((outcome, &*seen), (Ok(3), &[0, 1][..]));
    assert_eq!(trace, ["owned", &format!("owned{OURS}"), &format!("owned! {}", module_path!())]);
    let (outcome, trace) = traced(async { blocking_owned(&Calls::new(), "abc".into(), &mut seen) });
    assert_eq!((outcome, &*seen), (Ok(3), &[0, 1, 0, 1][..]));
    assert_eq!(trace.len(), 3);
}

struct Service {
    made: u32,
}

#[async_trait::async_trait]
trait Fetch {
    async fn above(&mut self, id: String) -> Rich<u32>;
    async fn below(&self, id: &str, calls: &Calls) -> Outcome;
}

#[async_trait::async_trait]
impl Fetch for Service {
    #[instrument(skip(self))]
    #[retry(max_attempts = 2, base_delay = 0)]
    #[timeout(1)]
    async fn above(&mut self, id: String) -> Rich<u32> {
        self.made += id.len() as u32;
        if self.made > 3 { Ok(self.made) } else { Err(Down(1))? }
    }

    #[retry(max_attempts = 2, base_delay = 0)]
    #[instrument(skip_all)]
    async fn below(&self, id: &str, calls: &Calls) -> Outcome {
        assert!(!id.is_empty());
        calls.fail_first(1)
    }
}

impl Service {
    #[instrument(skip_all)]
    #[retry(max_attempts = 2, base_delay = 0)]
    fn future(&self, calls: &Calls) -> impl Future<Output = Outcome> {
        async move { calls.fail_first(self.made) }
    }
}

#[test]
fn instrument_keeps_its_place_on_methods_that_give_futures() {
    let mut service = Service { made: 1 };
    let (outcome, trace) = traced(async { service.above("abc".into()).await });
    assert_eq!(outcome, Ok(4));
    assert_eq!(trace, ["above"]);
    let (outcome, trace) = traced(async { service.below("abc", &Calls::new()).await });
    assert_eq!(outcome, Ok(2));
    assert_eq!(trace, ["below", OURS, "below"]);
    service.made = 1;
    let (outcome, trace) = traced(async { service.future(&Calls::new()).await });
    assert_eq!(outcome, Ok(2));
    assert_eq!(trace, ["future", &format!("future{OURS}")]);
}

#[retry(max_attempts = 3, base_delay = 0)]
async fn looks_like_it(calls: &Calls) -> Result<u32, Down> {
    let x = async move { Ok::<u32, Down>(1) };
    let got = x.await?;
    calls.count();
    tracing::event!(tracing::Level::INFO, got, "loaded");
    Err(Down(1))
}

#[tokio::test]
async fn a_body_that_only_looks_like_an_instrumented_one_is_retried_as_a_whole() {
    let calls = Calls::new();
    assert!(looks_like_it(&calls).await.is_err());
    assert_eq!(calls.get(), 3);
}
