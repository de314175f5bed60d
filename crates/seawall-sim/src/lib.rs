//! See what a policy does before production does.
//!
//! Runs Seawall's own policies, the very code that production runs, under virtual time against a
//! modelled service, and measures what they do to the service and to its callers.
//!
//! ```
//! use seawall::{RetryPolicy, Timeout};
//! use seawall_sim::{Contender, Fault, FaultKind, Plan, Scenario};
//! use std::time::Duration;
//!
//! let mut scenario = Scenario::default();
//! scenario.length = Duration::from_secs(60);
//! scenario.faults = vec![Fault::new(FaultKind::Stall, Duration::from_secs(10), Duration::from_secs(5))];
//!
//! let limit = Timeout::new(Duration::from_secs(1));
//! let plan = Plan::new(scenario);
//! let none = plan.run(&Contender::policy("none", move |_| limit), 1);
//! let retries = plan.run(&Contender::policy("retry", move |_| (RetryPolicy::new(), limit)), 1);
//! assert_eq!(none.total.calls, retries.total.calls);
//! assert!(retries.total.attempts > none.total.attempts);
//! ```

mod claim;
mod engine;
mod file;
mod measure;
mod model;
mod ready;
pub mod report;
mod run;
mod stack;
mod study;
mod sweep;
mod trace;

pub use claim::{Claim, Judgement, WrongClaim};
pub use engine::sleep;
pub use file::Draft;
pub use measure::{Bin, Latencies, Seen};
pub use model::{
    Answer, Failure,
    random::Span,
    request,
    scenario::{Arrivals, Fault, FaultKind, Load, Network, Scenario, Tier},
};
pub use ready::Ready;
pub use run::Plan;
pub use stack::{Client, Contender};
pub use study::{
    Estimate, Finding, Findings, Metric, Outlook, Point, Progress, Study, Summary, Unit,
    UnknownMetric, Verdict,
};
pub use sweep::{Axis, Row, Sweep, Swept, WrongAxis};
pub use trace::{
    Answered, Caught, Latency, Moved, NEAR, Recorded, Replay, Replayed, Trace, TraceError,
    TraceProblem, replay,
};
