//! Running policies over a trace.

use super::{Script, Trace};
use crate::{
    engine,
    measure::{Bin, Latencies, Seen},
    model::{
        Model,
        scenario::{Arrivals, Scenario},
    },
    stack::{Callers, Contender},
};
use seawall::trace::Outcome;
use serde::{Serialize, Serializer};
use std::{sync::Arc, time::Duration};

/// How long calls may go on after the last recorded outcome.
const GRACE: Duration = Duration::from_secs(600);
/// How many bins a trace is cut into at most, and how long one may be, in seconds.
const MOST_BINS: u64 = 600;
const BINS: [u64; 10] = [1, 5, 10, 30, 60, 300, 600, 3600, 21_600, 86_400];

/// What policies would have made of a trace, beside what was recorded.
///
/// Times are in seconds as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Replay {
    /// What answers and jitter were drawn from.
    pub seed: u64,
    /// From the first call to the last recorded outcome.
    #[serde(serialize_with = "seconds")]
    pub length: Duration,
    /// How long a bin is.
    #[serde(serialize_with = "seconds")]
    pub bin: Duration,
    /// What was recorded.
    pub recorded: Recorded,
    /// In the order in which they were given.
    pub policies: Vec<Replayed>,
}

/// What was recorded, as far as attempts tell. A call is good if its last attempt was a success; an answer
/// of a fallback leaves no trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Recorded {
    /// All of it.
    pub total: Bin,
    /// From the first call on, one after the other.
    pub bins: Vec<Bin>,
    /// Of the good calls.
    #[serde(flatten)]
    pub latency: Latency,
    /// Callers who went away.
    pub left: u64,
}

/// What became of the trace under one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Replayed {
    /// The policy's name.
    pub name: String,
    /// Its layers.
    pub about: String,
    /// When a breaker of it first opened, since the first call; none if none did.
    #[serde(serialize_with = "maybe_seconds")]
    pub tripped: Option<Duration>,
    /// How often its breakers opened.
    pub opened: u64,
    /// How long they were open together, until they let a probe through.
    #[serde(serialize_with = "seconds")]
    pub open: Duration,
    /// Every change of a breaker's state, up to 10 000.
    pub transitions: Vec<Moved>,
    /// How many more there were.
    pub more_transitions: u64,
    /// What callers would have seen.
    pub total: Bin,
    /// From the first call on, one after the other.
    pub bins: Vec<Bin>,
    /// Of the good calls.
    #[serde(flatten)]
    pub latency: Latency,
    /// What its layers did.
    pub caught: Caught,
    /// Calls that had not ended ten minutes after the last recorded outcome: they wait for an answer that
    /// was never recorded, and no timeout ends them.
    pub unfinished: u64,
    /// Where its answers came from.
    pub answered: Answered,
}

/// How long good calls took, to 3 %. None where there were none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Half took at most so long.
    #[serde(serialize_with = "maybe_seconds")]
    pub p50: Option<Duration>,
    /// 99 in 100 took at most so long.
    #[serde(serialize_with = "maybe_seconds")]
    pub p99: Option<Duration>,
}

/// A change of a breaker's state.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Moved {
    /// Since the first call.
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
    /// By the trace's own clock, as in its column `at_ms`.
    pub at_ms: f64,
    /// The breaker's name.
    pub breaker: Option<String>,
    /// Whose breaker it is, where each key has a policy of its own.
    pub key: Option<String>,
    /// The state before: `closed`, `open`, `half_open`, `isolated`.
    pub from: &'static str,
    /// The state after.
    pub to: &'static str,
    /// Why: `consecutive_failures`, `failure_rate`, and so on.
    pub cause: &'static str,
    /// How long calls are rejected, where it has opened.
    #[serde(serialize_with = "maybe_seconds")]
    pub open_for: Option<Duration>,
    /// The breaker only tells, and rejects nothing.
    pub dry_run: bool,
}

/// What the layers of a policy did, whether or not a layer further out made up for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Caught {
    /// How often a breaker rejected.
    pub rejected: u64,
    /// How often one in a dry run would have.
    pub rejected_in_dry_run: u64,
    /// How often a timeout ended an attempt or a call.
    pub timed_out: u64,
    /// How often a retry gave up.
    pub retries_exhausted: u64,
    /// How often a fallback answered.
    pub fallbacks: u64,
    /// How many callers went away, as they did in the recording.
    pub left: u64,
}

/// Where the answers of a replay came from: the more of them are not their own, the more is guessed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Answered {
    /// From the same attempt of the same call.
    pub own: u64,
    /// Drawn from attempts that began within [`NEAR`](crate::NEAR).
    pub near: u64,
    /// From the nearest attempt, further off than that.
    pub far: u64,
    /// Of all these: attempts that never got an answer, since none was recorded.
    pub never: u64,
}

/// Lets the calls of a trace come again, under each of these policies. The same seed gives the same
/// result, on every machine.
///
/// All calls go through one policy, as those of one process do; through one for each key where a contender
/// is [`per_shard`](Contender::per_shard).
///
/// # What the model assumes
/// - An attempt gets the answer of the recorded attempt of its own call with the same number, if that
///   one began within [`NEAR`](crate::NEAR) of it.
/// - Any other attempt (a retry at another time, a call that was rejected in the recording) gets the
///   answer of one of up to 16 recorded attempts with the same key that began within [`NEAR`](crate::NEAR) of it, 8
///   before and 8 after, drawn by chance; if there is none, of the one that began nearest.
/// - The service does not react: it is as well or as ill as it was recorded, whatever load a policy puts
///   on it. Whether retries keep an outage going is a question for a [`Scenario`].
/// - What timed out or was cancelled in the recording gives no answer at all: what would have come later
///   was never seen. A caller who went away does so after as long a time.
///
/// ```
/// use seawall::CircuitBreaker;
/// use seawall_sim::{Contender, Trace, replay};
/// use std::time::Duration;
///
/// let mut text = "at_ms,took_ms,outcome\n".to_owned();
/// for second in 0..60 {
///     let outcome = if (20..40).contains(&second) { "transient" } else { "success" };
///     text += &format!("{}000,5,{outcome}\n", second);
/// }
/// let trace = Trace::read(text.as_bytes())?;
/// let breaker = Contender::policy("breaker", |_| CircuitBreaker::new());
/// let replay = replay(&trace, &[breaker], 1);
/// // The fifth failure in a row.
/// assert_eq!(replay.policies[0].tripped, Some(Duration::from_millis(24_005)));
/// # Ok::<_, seawall_sim::TraceError>(())
/// ```
///
/// # Panics
/// If a policy does, or when called by a simulated policy.
pub fn replay(trace: &Trace, contenders: &[Contender], seed: u64) -> Replay {
    let length = trace.length();
    let bin = bin_for(length);
    Replay {
        seed,
        length,
        bin,
        recorded: recorded(trace, bin),
        policies: contenders.iter().map(|one| run(trace, one, seed, bin)).collect(),
    }
}

fn bin_for(length: Duration) -> Duration {
    let fits = |bin: &&u64| length.as_secs() / **bin < MOST_BINS;
    Duration::from_secs(*BINS.iter().find(fits).unwrap_or(&BINS[BINS.len() - 1]))
}

fn run(trace: &Trace, contender: &Contender, seed: u64, bin: Duration) -> Replayed {
    let end = trace.length().saturating_add(GRACE);
    let mut scenario = Scenario { length: end, ..Scenario::default() };
    scenario.load.clients = 1;
    // The times are asked of the script.
    scenario.load.arrivals = Arrivals::Recorded(Vec::new());
    scenario.tiers[0].shards = u32::try_from(trace.keys().len()).unwrap_or(u32::MAX);
    let scenario = Arc::new(scenario);
    let callers = Callers::new(&scenario, contender);
    let mut model = Model::new(&scenario, seed, bin, contender.is_per_shard());
    model.script = Some(Box::new(Script::new(trace, seed)));
    let mut model = engine::run(model, &callers, crate::model::nanos(end), &|_| false);
    let script = model.script.take().expect("it was put there above");
    let Seen { bins, total, opened, .. } = model.seen;
    let tripped = script.moves.iter().find(|moved| moved.to == "open").map(|moved| moved.at);
    let unfinished = (trace.calls() as u64).saturating_sub(script.ended + script.caught.left);
    Replayed {
        name: contender.name().to_owned(),
        about: contender.about().to_owned(),
        tripped,
        opened,
        open: time_open(&script.moves, trace.length()),
        latency: Latency::of(&total.latencies),
        total,
        bins: trimmed(bins, bin, trace.length()),
        caught: script.caught,
        unfinished,
        answered: script.answered,
        more_transitions: script.more_moves,
        transitions: script.moves,
    }
}

/// Without what follows the trace, if nothing happens there.
fn trimmed(mut bins: Vec<Bin>, bin: Duration, length: Duration) -> Vec<Bin> {
    let least = usize::try_from(length.as_nanos() / bin.as_nanos()).unwrap_or(0) + 1;
    while bins.len() > least {
        match bins.last() {
            Some(last) if last.good + last.degraded + last.failed + last.attempts == 0 => {
                bins.pop()
            }
            _ => break,
        };
    }
    bins
}

/// How long breakers were open, each from its opening to its next move.
fn time_open(moves: &[Moved], length: Duration) -> Duration {
    let mut all = Duration::ZERO;
    for (n, opened) in moves.iter().enumerate().filter(|(_, moved)| moved.to == "open") {
        let same = |later: &&Moved| (&later.breaker, &later.key) == (&opened.breaker, &opened.key);
        let until = moves[n + 1..].iter().find(same).map_or(length, |next| next.at);
        all += until.saturating_sub(opened.at);
    }
    all
}

/// Calls as their attempts tell of them.
fn recorded(trace: &Trace, bin: Duration) -> Recorded {
    let data = &trace.0;
    let wide = bin.as_nanos();
    let place = |at: u64| usize::try_from(u128::from(at) / wide).unwrap_or(usize::MAX);
    let mut bins = vec![Bin::default(); place(crate::model::nanos(trace.length())) + 1];
    let mut left = 0;
    for row in data.rows.iter().filter(|row| row.outcome != Outcome::Rejected) {
        let here = &mut bins[place(row.at)];
        here.attempts += 1;
        here.backend += 1;
    }
    for call in &data.calls {
        bins[place(call.at)].calls += 1;
        let rows = &data.rows[call.first as usize..call.last as usize];
        let Some(last) = rows.last() else { continue };
        let here = &mut bins[place(last.ends())];
        match last.outcome {
            Outcome::Success => {
                here.good += 1;
                here.latencies.add(last.ends() - call.at);
            }
            Outcome::Cancelled => left += 1,
            other => {
                here.failed += 1;
                here.rejected += u64::from(other == Outcome::Rejected);
                here.timed_out += u64::from(other == Outcome::TimedOut);
            }
        }
    }
    let mut total = Bin::default();
    bins.iter().for_each(|bin| total.add(bin));
    Recorded { latency: Latency::of(&total.latencies), total, bins, left }
}

impl Latency {
    fn of(latencies: &Latencies) -> Self {
        Self { p50: latencies.quantile(0.5), p99: latencies.quantile(0.99) }
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn maybe_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&time.as_secs_f64()),
        None => serializer.serialize_none(),
    }
}
