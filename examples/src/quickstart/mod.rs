//! Seawall at work: a real server that fails in every common way, and a real client that goes on.
//!
//! [`run`] plays it all; `client.rs` is the part to copy. [`run_by_policy`] makes one call by a policy file.

mod by_policy;
#[cfg(all(test, feature = "testing"))]
mod chaos_tests;
mod client;
mod live;
mod phases;
mod report;
pub(crate) mod server;

pub use by_policy::run_by_policy;
pub use live::Live;
pub use phases::{Phase, Plan};
pub use report::{PhaseReport, Report, Side};
pub use server::Seen;

use client::{BREAKER, PriceApi};
use report::Ended;
use seawall::{Event, event};
use server::{Caller, Server};
use std::{
    error::Error,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// Plays `plan`, telling `live` what happens, and gives the figures.
///
/// Once a process: the breaker is a `static`, and who observes it stays.
///
/// # Errors
/// No port to listen on, or no HTTP client.
pub async fn run(plan: &Plan, live: Live) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let live = Arc::new(live);
    BREAKER.observe({
        let live = Arc::clone(&live);
        move |event: &Event<'_>| live.breaker(event)
    });
    event::observe_all({
        let live = Arc::clone(&live);
        move |event: &Event<'_>| live.any_policy(event)
    });

    let mut server = Server::start()?;
    let url = |path| format!("http://{}/{path}", server.address());
    // Guarded calls have a timeout of their own; without it, the client's has to do.
    let guarded = PriceApi::new(client().build()?, url("guarded"));
    let plain = PriceApi::new(client().timeout(plan.plain_timeout).build()?, url("plain"));

    live.begins(plan);
    let mut phases = Vec::new();
    let mut first = 0;
    for (phase, calls) in plan.calls {
        server.enter(phase).await?;
        live.phase_begins(phase, calls);
        let items = first..first + calls;
        first = items.end;

        let (with, without) = tokio::join!(
            call_all(plan.pace, items.clone(), |item| {
                call_guarded(guarded.clone(), Arc::clone(&live), item)
            }),
            call_all(plan.pace, items, |item| call_plain(plain.clone(), item)),
        );
        let report = PhaseReport {
            phase,
            guarded: Side::new(&with, server.seen(Caller::Guarded)),
            plain: Side::new(&without, server.seen(Caller::Plain)),
        };
        live.phase_ends(&report);
        phases.push(report);
    }
    let report = Report {
        phases,
        plain_timeout: plan.plain_timeout,
        opened: BREAKER.counters().opened,
        state: BREAKER.state(),
    };
    live.report(&report);
    Ok(report)
}

/// No proxy: whatever the environment says, the server is here.
fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy()
}

async fn call_guarded(api: PriceApi, live: Arc<Live>, item: u64) -> Ended {
    live::in_call(item, async {
        let started = Instant::now();
        let price = api.guarded_price(item, &live).await;
        let elapsed = started.elapsed();
        live.call_ended(&price, elapsed);
        Ended { source: price.ok().map(|price| price.source), elapsed }
    })
    .await
}

async fn call_plain(api: PriceApi, item: u64) -> Ended {
    let started = Instant::now();
    let price = api.price(item).await;
    Ended { source: price.ok().map(|price| price.source), elapsed: started.elapsed() }
}

/// Starts a call at each beat, whether or not those before have ended, and waits for all of them.
async fn call_all<F, Fut>(pace: Duration, items: Range<u64>, call: F) -> Vec<Ended>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Ended> + Send + 'static,
{
    let mut beat = interval(pace);
    // A machine that lags is not to be caught up with by a burst.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = JoinSet::new();
    for item in items {
        beat.tick().await;
        calls.spawn(call(item));
    }
    calls.join_all().await
}
