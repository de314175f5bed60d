//! Load of every kind on a server that goes through its phases at random, and sums that must come
//! out: each call has one outcome, no slot is lost, no memory grows, no breaker stays shut.

use crate::quickstart::{Phase, server::Server};
use reqwest::{Client, StatusCode};
use seawall::{
    CircuitBreaker, CircuitState, Error, Event, Pipeline, Random, Rejection, RetryPolicy, Timeout,
    breaker::Transition,
};
use std::{
    error, fmt, fs,
    future::pending,
    panic::resume_unwind,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};

const WORKERS: u64 = 8;
const ITEMS: u64 = 512;
const PROBES: u32 = 3;
const RECOVERY: Duration = Duration::from_millis(200);
const LONGEST_RECOVERY: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_millis(700);
/// What connections, timers and the allocator may come to hold between a quarter and the end.
const MEMORY_SLACK_KB: u64 = 16 * 1024;

type Stack = Pipeline<(Arc<CircuitBreaker>, RetryPolicy, Timeout)>;

/// Puts `time` worth of load on it.
///
/// # Errors
/// No port to listen on, or no HTTP client.
pub async fn run(time: Duration, seed: u64) -> Result<Report, Box<dyn error::Error + Send + Sync>> {
    let mut server = Server::start()?;
    server.enter(Phase::Healthy).await?;
    let soak = Arc::new(Soak {
        stack: Pipeline::new((Arc::new(breaker()), retry(), Timeout::new(40 * MS))),
        http: Client::builder().no_proxy().build()?,
        url: format!("http://{}/guarded", server.address()),
        sums: Sums::default(),
        moves: Arc::default(),
        over: AtomicBool::new(false),
    });
    soak.listen();
    let mut load = JoinSet::new();
    for worker in 0..WORKERS {
        load.spawn(Arc::clone(&soak).work(Random::seeded(seed + worker)));
    }
    load.spawn(Arc::clone(&soak).watch());

    let started = Instant::now();
    let mut random = Random::seeded(seed);
    let mut settled = None;
    while started.elapsed() < time {
        // Well every other time, so that the breaker also closes now and then.
        let phase = match random.next_u64() % 12 {
            at @ 0..6 => Phase::ALL[usize::try_from(at).unwrap_or_default()],
            _ => Phase::Healthy,
        };
        server.enter(phase).await?;
        let left = time.saturating_sub(started.elapsed());
        sleep(left.min(Duration::from_millis(200 + random.next_u64() % 1000))).await;
        if started.elapsed() >= time / 4 {
            settled.get_or_insert_with(memory_kb);
        }
    }
    server.enter(Phase::Healthy).await?;
    soak.over.store(true, Relaxed);
    while let Some(ended) = load.join_next().await {
        ended?;
    }
    let memory = settled.flatten().zip(memory_kb());
    let closed_after = soak.closes().await;
    Ok(soak.report(memory, closed_after))
}

const MS: Duration = Duration::from_millis(1);

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder()
        .name("soak")
        .failure_threshold(8)
        .failure_rate(0.5)
        .over_time(Duration::from_secs(1))
        .recovery_timeout(RECOVERY)
        .recovery_multiplier(1.5)
        .max_recovery_timeout(LONGEST_RECOVERY)
        .recovery_jitter(0.2)
        .probes(PROBES)
        .successes_to_close(2)
        .probe_lease(LEASE)
        .build()
}

fn retry() -> RetryPolicy {
    RetryPolicy::builder().base_delay(2 * MS).max_delay(10 * MS).build()
}

#[derive(Debug)]
enum Failed {
    Status,
    Transport,
}

/// What became of the calls: each is counted once.
#[derive(Debug, Default)]
struct Sums {
    begun: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
    panicked: AtomicU64,
    cancelled: AtomicU64,
    /// Permits by hand, dropped.
    by_hand: AtomicU64,
    /// Operations under way.
    alive: Arc<AtomicU64>,
    most_probes: AtomicU64,
}

#[derive(Debug, Default)]
struct Moves {
    last: Option<Transition>,
    opened: u64,
    broken_chains: u64,
}

#[derive(Debug)]
struct Soak {
    stack: Stack,
    http: Client,
    url: String,
    sums: Sums,
    moves: Arc<Mutex<Moves>>,
    over: AtomicBool,
}

/// What a worker does with a call.
enum Fate {
    /// It runs to its end.
    Whole,
    /// It is dropped after a while.
    Cancelled(Duration),
    /// Its operation panics.
    Panics,
    /// Its operation never ends, and it is dropped when its lease is long over.
    Hangs,
    /// A permit by hand, dropped after a while.
    ByHand(Duration),
}

impl Fate {
    fn drawn(random: &mut Random) -> Self {
        let after = Duration::from_micros(random.next_u64() % 30_000);
        match random.next_u64() % 200 {
            0..20 => Self::Cancelled(after),
            20..26 => Self::Panics,
            26 => Self::Hangs,
            27..32 => Self::ByHand(after),
            _ => Self::Whole,
        }
    }
}

impl Soak {
    fn breaker(&self) -> &CircuitBreaker {
        &self.stack.stack().0
    }

    fn listen(&self) {
        let moves = Arc::clone(&self.moves);
        self.breaker().observe(move |event: &Event<'_>| {
            if let Event::CircuitBreakerTransition { transition, .. } = event {
                let mut moves = moves.lock().unwrap_or_else(PoisonError::into_inner);
                let before = moves.last.map_or(CircuitState::Closed, |last| last.to);
                moves.broken_chains += u64::from(transition.from != before);
                moves.opened += u64::from(transition.to == CircuitState::Open);
                moves.last = Some(*transition);
            }
        });
    }

    async fn work(self: Arc<Self>, mut random: Random) {
        let mut hung = JoinSet::new();
        while !self.over.load(Relaxed) {
            let item = random.next_u64() % ITEMS;
            match Fate::drawn(&mut random) {
                Fate::Hangs if hung.len() < 2 => {
                    hung.spawn(Arc::clone(&self).cancelled(Op::Hangs, 2 * LEASE));
                }
                Fate::Hangs | Fate::Whole => self.whole(item).await,
                Fate::Cancelled(after) => {
                    Arc::clone(&self).cancelled(Op::Asks(item), after).await;
                }
                Fate::Panics => Arc::clone(&self).panics().await,
                Fate::ByHand(after) => self.by_hand(after).await,
            }
            while hung.try_join_next().is_some() {}
            sleep(Duration::from_micros(random.next_u64() % 4000)).await;
        }
        hung.join_all().await;
    }

    async fn whole(&self, item: u64) {
        self.sums.begun.fetch_add(1, Relaxed);
        let outcome = self.stack.run(|| self.operation(Op::Asks(item))).await;
        self.count(&outcome);
    }

    async fn cancelled(self: Arc<Self>, op: Op, after: Duration) {
        self.sums.begun.fetch_add(1, Relaxed);
        // Through the breaker alone: a timeout would end what hangs.
        let call = self.breaker().run(|| self.operation(op));
        match timeout(after, call).await {
            Ok(outcome) => self.count(&outcome),
            Err(_) => _ = self.sums.cancelled.fetch_add(1, Relaxed),
        }
    }

    async fn panics(self: Arc<Self>) {
        self.sums.begun.fetch_add(1, Relaxed);
        let soak = Arc::clone(&self);
        let call = async move { soak.stack.run(|| soak.operation(Op::Panics)).await };
        match tokio::spawn(call).await {
            Ok(outcome) => self.count(&outcome),
            Err(_) => _ = self.sums.panicked.fetch_add(1, Relaxed),
        }
    }

    async fn by_hand(&self, after: Duration) {
        self.sums.begun.fetch_add(1, Relaxed);
        match self.breaker().try_acquire() {
            Ok(permit) => {
                sleep(after).await;
                drop(permit);
                self.sums.by_hand.fetch_add(1, Relaxed);
            }
            Err(_) => _ = self.sums.rejected.fetch_add(1, Relaxed),
        }
    }

    async fn operation(&self, op: Op) -> Result<(), Failed> {
        let _alive = Alive::new(&self.sums.alive);
        let item = match op {
            Op::Asks(item) => item,
            Op::Hangs => return pending().await,
            Op::Panics => {
                yield_now().await;
                // Without the hook's lines: it is on purpose.
                resume_unwind(Box::new("a panic on purpose"))
            }
        };
        let answer = self.http.get(format!("{}/{item}", self.url)).send().await;
        let answer = answer.map_err(|_| Failed::Transport)?;
        match answer.status() {
            StatusCode::OK => answer.bytes().await.map(drop).map_err(|_| Failed::Transport),
            _ => Err(Failed::Status),
        }
    }

    fn count(&self, outcome: &Result<(), Error<Failed>>) {
        let sum = match outcome {
            Ok(()) => &self.sums.succeeded,
            Err(Error::Rejected(Rejection::CircuitBreakerOpen(_))) => &self.sums.rejected,
            Err(_) => &self.sums.failed,
        };
        sum.fetch_add(1, Relaxed);
    }

    /// Looks at the slots all the time.
    async fn watch(self: Arc<Self>) {
        while !self.over.load(Relaxed) {
            let probes = self.breaker().counters().probes_in_flight;
            self.sums.most_probes.fetch_max(probes, Relaxed);
            sleep(MS).await;
        }
    }

    /// Calls until it is closed, as callers of a server that is well again would; how long that took.
    async fn closes(&self) -> Option<Duration> {
        let started = Instant::now();
        // An open time, a round of probes, and one more where a first probe met an old connection.
        let patience = 3 * LONGEST_RECOVERY.mul_f64(1.2) + LEASE;
        while started.elapsed() < patience {
            if self.breaker().state().is_closed() {
                return Some(started.elapsed());
            }
            self.whole(0).await;
            sleep(5 * MS).await;
        }
        None
    }

    fn report(&self, memory: Option<(u64, u64)>, closed_after: Option<Duration>) -> Report {
        let sums = &self.sums;
        let of = |sum: &AtomicU64| sum.load(Relaxed);
        let moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = self.breaker().counters();
        let ended = [
            &sums.succeeded,
            &sums.failed,
            &sums.rejected,
            &sums.panicked,
            &sums.cancelled,
            &sums.by_hand,
        ];
        let mut broken = Vec::new();
        let mut hold = |holds: bool, promise: &'static str| {
            if !holds {
                broken.push(promise);
            }
        };
        hold(of(&sums.begun) == ended.map(of).iter().sum(), "each call has exactly one outcome");
        hold(counters.rejected == of(&sums.rejected), "each rejection is counted once");
        hold(of(&sums.most_probes) <= PROBES.into(), "probes keep to their slots");
        hold(counters.probes_in_flight == 0, "every slot is given back");
        hold(of(&sums.alive) == 0, "no operation outlives its call");
        hold(moves.broken_chains == 0 && counters.untold == 0, "transitions are told in order");
        hold(moves.opened == counters.opened, "each transition is told once");
        hold(closed_after.is_some(), "the breaker closes when the server is well");
        hold(
            memory.is_none_or(|(quarter, end)| end <= quarter + MEMORY_SLACK_KB),
            "memory does not grow",
        );
        Report {
            calls: of(&sums.begun),
            succeeded: of(&sums.succeeded),
            failed: of(&sums.failed),
            rejected: of(&sums.rejected),
            panicked: of(&sums.panicked),
            cancelled: of(&sums.cancelled),
            most_probes: of(&sums.most_probes),
            opened: counters.opened,
            memory,
            closed_after,
            broken,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Asks(u64),
    Hangs,
    Panics,
}

/// Counts an operation for as long as its future lives.
struct Alive(Arc<AtomicU64>);

impl Alive {
    fn new(alive: &Arc<AtomicU64>) -> Self {
        alive.fetch_add(1, Relaxed);
        Self(Arc::clone(alive))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What it came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// Calls begun.
    pub calls: u64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls whose last error was the operation's, or a timeout.
    pub failed: u64,
    /// Calls that the breaker did not let through.
    pub rejected: u64,
    /// Calls that panicked.
    pub panicked: u64,
    /// Calls that were dropped.
    pub cancelled: u64,
    /// The most probes in flight that were seen.
    pub most_probes: u64,
    /// How often the breaker opened.
    pub opened: u64,
    /// Resident memory after a quarter of the time and at its end, in kB, where the system tells.
    pub memory: Option<(u64, u64)>,
    /// How long after the end the breaker was closed.
    pub closed_after: Option<Duration>,
    /// The promises that did not hold.
    pub broken: Vec<&'static str>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, succeeded, failed, rejected, panicked, cancelled, .. } = self;
        writeln!(f, "{calls} calls: {succeeded} succeeded, {failed} failed, {rejected} rejected,")?;
        writeln!(f, "  {cancelled} cancelled, {panicked} panicked, the others dropped by hand")?;
        let (opened, most) = (self.opened, self.most_probes);
        writeln!(f, "the breaker opened {opened} times, with {most} probes in flight at most")?;
        match self.closed_after {
            Some(after) => writeln!(f, "and was closed {after:.0?} after the end")?,
            None => writeln!(f, "and did not close after the end")?,
        }
        if let Some((quarter, end)) = self.memory {
            writeln!(f, "memory: {quarter} kB after a quarter, {end} kB at the end")?;
        }
        match &self.broken[..] {
            [] => f.write_str("every promise holds"),
            broken => write!(f, "broken: {}", broken.join("; ")),
        }
    }
}

/// Resident memory, where the system tells.
fn memory_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
