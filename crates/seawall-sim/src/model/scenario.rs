//! What is simulated, as plain data.

use super::random::Span;
use serde::Serialize;
use std::time::Duration;

/// A world: who calls how often, what serves them, what goes wrong and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// One sentence on what it shows.
    pub about: String,
    /// How long the simulated time is. Default: 340 s.
    pub length: Duration,
    /// Who calls.
    pub load: Load,
    /// The way between callers and service, and between the tiers of it.
    pub network: Network,
    /// What is called: the first is what clients call, each calls the next.
    pub tiers: Vec<Tier>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// Who calls, and how often.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Load {
    /// How calls come.
    pub arrivals: Arrivals,
    /// How many client processes there are: each has a policy of its own. Default: 20.
    pub clients: u32,
    /// From when on the load is another: share of the rate above, in the order of time.
    pub steps: Vec<(Duration, f64)>,
}

/// How calls come.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Arrivals {
    /// Open loop: so many calls a second, however the earlier ones fare (a Poisson process).
    Rate(f64),
    /// Open loop: as a share of what the first tier can serve.
    Share(f64),
    /// Closed loop: each client calls, waits for the outcome, thinks, and calls again.
    Users {
        /// How long one thinks.
        think: Span,
    },
    /// At these times.
    Recorded(Vec<Duration>),
}

/// The way there and back.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Network {
    /// One way. Default: 0.5 ms.
    pub delay: Span,
}

/// A service: servers behind one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tier {
    /// What it is called.
    pub name: String,
    /// How many servers there are, each with workers and a queue of its own. A call's key decides which
    /// one it goes to. Default: 1.
    pub shards: u32,
    /// How many requests a server works on at once. Default: 10.
    pub workers: u32,
    /// How long the work takes. Default: exponential, 10 ms.
    pub service: Span,
    /// How many requests may wait; one more is refused. None: any number. Default: none.
    pub queue: Option<u32>,
    /// A request that has waited longer is refused instead of served. Default: none.
    pub shed_after: Option<Duration>,
    /// How much slower the work gets for each request that waits, as a share. Default: 0.
    pub slowdown: f64,
    /// A row that all callers want to change: a request reads it and then writes it, which fails where
    /// another one was first (optimistic concurrency control). There are neither workers nor a queue.
    /// Default: false.
    pub contended: bool,
    /// A failure of the tier below goes up as one that is not to be tried again, once the policy there
    /// has tried again itself. Default: false.
    pub pushback: bool,
}

/// Something that goes wrong for a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When it begins.
    pub from: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// In which tier, counted from 0; none: in the last. For the network: ignored.
    pub tier: Option<usize>,
    /// In which shard; none: in all.
    pub shard: Option<u32>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// Workers stand still; requests come in and wait.
    Stall,
    /// Requests are refused at once.
    Refuse,
    /// Nobody answers: requests vanish.
    Dead,
    /// This share of requests gets an error at once, without work.
    Errors(f64),
    /// Only this share of workers takes new work.
    Capacity(f64),
    /// Work takes so many times as long.
    Slow(f64),
    /// Every way through the network takes so much longer.
    Latency(Duration),
    /// This share of requests and of answers is lost on the way.
    Loss(f64),
    /// The server starts anew when this ends: it refuses until then, and what waited or was worked on is
    /// lost.
    Restart,
}

impl FaultKind {
    /// Its name in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stall => "stall",
            Self::Refuse => "refuse",
            Self::Dead => "dead",
            Self::Errors(_) => "errors",
            Self::Capacity(_) => "capacity",
            Self::Slow(_) => "slow",
            Self::Latency(_) => "latency",
            Self::Loss(_) => "loss",
            Self::Restart => "restart",
        }
    }
}

impl Fault {
    /// A fault in all of the last tier.
    pub const fn new(kind: FaultKind, from: Duration, lasts: Duration) -> Self {
        Self { kind, from, lasts, tier: None, shard: None }
    }

    /// When it is over.
    pub fn ends(&self) -> Duration {
        self.from.saturating_add(self.lasts)
    }
}

impl Default for Load {
    fn default() -> Self {
        Self { arrivals: Arrivals::Share(0.8), clients: 20, steps: Vec::new() }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self { delay: Span::Constant(Duration::from_micros(500)) }
    }
}

impl Default for Tier {
    fn default() -> Self {
        Self {
            name: "service".into(),
            shards: 1,
            workers: 10,
            service: Span::Exponential(Duration::from_millis(10)),
            queue: None,
            shed_after: None,
            slowdown: 0.0,
            contended: false,
            pushback: false,
        }
    }
}

impl Tier {
    /// How many requests a second it can serve at most.
    pub fn capacity(&self) -> f64 {
        f64::from(self.shards) * f64::from(self.workers) / self.service.mean().as_secs_f64()
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "plain".into(),
            about: String::new(),
            length: Duration::from_secs(340),
            load: Load::default(),
            network: Network::default(),
            tiers: vec![Tier::default()],
            faults: Vec::new(),
        }
    }
}

impl Scenario {
    /// How many calls a second come, before any step; none in a closed loop or for recorded arrivals.
    pub fn rate(&self) -> Option<f64> {
        match &self.load.arrivals {
            Arrivals::Rate(rate) => Some(*rate),
            Arrivals::Share(share) => Some(share * self.tiers.first().map_or(0.0, Tier::capacity)),
            Arrivals::Users { .. } | Arrivals::Recorded(_) => None,
        }
    }

    /// When the first fault begins and the last one ends.
    pub fn trouble(&self) -> Option<(Duration, Duration)> {
        let from = self.faults.iter().map(|fault| fault.from).min()?;
        let to = self.faults.iter().map(Fault::ends).max()?;
        Some((from, to))
    }
}
