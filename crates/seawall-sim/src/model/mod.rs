//! The modelled world: clients, network, servers, faults. It knows events and numbers, no futures.

pub(crate) mod random;
pub(crate) mod request;
mod requests;
pub(crate) mod scenario;
mod server;

use crate::{
    engine::{Call, Due, Place, Who, with},
    measure::Seen,
    stack::Finish,
    trace::{self, Script},
};
use random::{Purpose, Stream};
use requests::{Requests, What};
use scenario::{Arrivals, FaultKind, Scenario};
use seawall::Event;
use server::{Server, Spell};
use std::{sync::Arc, time::Duration};

pub(crate) use random::nanos;
pub use request::request;

/// What the operation fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// Nothing listens.
    Refused,
    /// The queue is full, or the request has waited too long.
    Overloaded,
    /// The service could not do it.
    Failed,
    /// The connection broke in the middle.
    Reset,
    /// Another one was first: the row has changed since it was read.
    Conflict,
    /// The service could not do it, and asks not to be tried again.
    Pushback,
    /// Recorded in a trace as permanent.
    Permanent,
    /// Recorded in a trace as one that says nothing of the service's health.
    Ignored,
}

impl Failure {
    /// Whether another attempt is welcome.
    pub const fn may_be_tried_again(&self) -> bool {
        !matches!(self, Self::Pushback | Self::Permanent | Self::Ignored)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Overloaded => "overloaded",
            Self::Failed => "failed",
            Self::Reset => "connection reset",
            Self::Conflict => "conflict",
            Self::Pushback => "failed, do not retry",
            Self::Permanent => "failed for good",
            Self::Ignored => "ignored",
        })
    }
}

impl std::error::Error for Failure {}

/// What a call ends with where it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Answer {
    /// The service's own.
    Full,
    /// A fallback's.
    Degraded,
}

/// A thing to come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happening {
    /// For the engine.
    Timer(Due),
    /// The next call of an open loop.
    Call,
    /// A user of a closed loop calls.
    User(u32),
    /// A request reaches its server.
    Arrive(u32),
    /// A worker has done its part; of this life of the server.
    Done { server: u32, request: u32, life: u32 },
    /// A reply reaches the caller.
    Reply(u32),
    /// A fault of this server begins or ends.
    Turn(u32),
    /// A bin of the measurement is full.
    Bin,
}

/// What the engine is to do next.
pub(crate) enum Step {
    Nothing,
    /// To wake whoever waited for it.
    Wake(Who),
    Begin(Call),
}

pub(crate) type Queue = crate::engine::Queue<Happening>;

/// The state of a run.
pub(crate) struct Model {
    scenario: Arc<Scenario>,
    /// Each process has a policy for each shard.
    per_shard: bool,
    servers: Vec<Server>,
    /// Where a tier's servers begin.
    first: Vec<u32>,
    requests: Requests,
    arrivals: Stream,
    clients: Stream,
    service: Stream,
    network: Stream,
    chance: Stream,
    policies: Stream,
    thinking: Stream,
    /// The way's constant length, in ns, if it has one.
    way: Option<u64>,
    /// Spells of the network: (from, to, more ns) and (from, to, share lost).
    slow_ways: Vec<(u64, u64, u64)>,
    lossy_ways: Vec<(u64, u64, f64)>,
    /// Rates from when on, in calls per ns.
    rates: Vec<(u64, f64)>,
    recorded: usize,
    end: u64,
    /// The trace that is replayed in place of servers.
    pub(crate) script: Option<Box<Script>>,
    pub(crate) seen: Seen,
}

impl Model {
    pub(crate) fn new(scenario: &Arc<Scenario>, seed: u64, bin: Duration, per_shard: bool) -> Self {
        let stream = |purpose| Stream::new(seed, purpose);
        let last = scenario.tiers.len().saturating_sub(1);
        let mut servers = Vec::new();
        let mut first = Vec::new();
        for (number, tier) in scenario.tiers.iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            first.push(u32::try_from(servers.len()).unwrap_or(u32::MAX));
            for shard in 0..tier.shards.max(1) {
                let spells = scenario.faults.iter().filter(|fault| {
                    fault.tier.unwrap_or(last) == number as usize
                        && fault.shard.is_none_or(|only| only == shard)
                });
                servers.push(Server::new(number, tier, spells.map(Spell::new).collect()));
            }
        }
        let faults = |of: fn(FaultKind) -> Option<f64>| {
            scenario
                .faults
                .iter()
                .filter_map(move |fault| {
                    Some((nanos(fault.from), nanos(fault.ends()), of(fault.kind)?))
                })
                .collect::<Vec<_>>()
        };
        let lossy_ways = faults(|kind| match kind {
            FaultKind::Loss(share) => Some(share),
            _ => None,
        });
        let slow_ways = scenario
            .faults
            .iter()
            .filter_map(|fault| match fault.kind {
                FaultKind::Latency(more) => {
                    Some((nanos(fault.from), nanos(fault.ends()), nanos(more)))
                }
                _ => None,
            })
            .collect();
        let rate = scenario.rate().unwrap_or(0.0) / 1e9;
        let mut rates = vec![(0, rate)];
        rates.extend(scenario.load.steps.iter().map(|(from, share)| (nanos(*from), rate * share)));
        Self {
            scenario: Arc::clone(scenario),
            per_shard,
            servers,
            first,
            requests: Requests::new(),
            arrivals: stream(Purpose::Arrivals),
            clients: stream(Purpose::Clients),
            service: stream(Purpose::Service),
            network: stream(Purpose::Network),
            chance: stream(Purpose::Faults),
            policies: stream(Purpose::Policies),
            thinking: stream(Purpose::Thinking),
            way: scenario.network.delay.constant(),
            slow_ways,
            lossy_ways,
            rates,
            recorded: 0,
            end: 0,
            script: None,
            seen: Seen::new(bin, scenario.length),
        }
    }

    pub(crate) fn next_seed(&mut self) -> u64 {
        self.policies.next()
    }

    pub(crate) fn hear(&mut self, now: u64, place: Place, event: &Event<'_>) {
        if let Event::CircuitBreakerTransition { transition, .. } = event {
            self.seen.hear(transition);
        }
        if let Some(script) = &mut self.script {
            script.hear(now, self.per_shard.then_some(place.key), event);
        }
    }

    pub(crate) fn begin(&mut self, now: u64, end: u64, queue: &mut Queue) {
        self.end = end;
        queue.at(self.seen.bin_ends(), Happening::Bin);
        for (number, server) in (0..).zip(&self.servers) {
            for at in server.turns() {
                queue.at(at, Happening::Turn(number));
            }
        }
        match &self.scenario.load.arrivals {
            Arrivals::Rate(_) | Arrivals::Share(_) | Arrivals::Recorded(_) => {
                self.next_call(now, queue);
            }
            Arrivals::Users { think } => {
                for user in 0..self.scenario.load.clients {
                    queue.at(now + think.draw(&mut self.thinking), Happening::User(user));
                }
            }
        }
    }

    /// Plans the next call of an open loop.
    fn next_call(&mut self, now: u64, queue: &mut Queue) {
        if let Some(script) = &self.script {
            if let Some(at) = script.arrival(self.recorded) {
                self.recorded += 1;
                queue.at(at.max(now), Happening::Call);
            }
            return;
        }
        if let Arrivals::Recorded(times) = &self.scenario.load.arrivals {
            if let Some(at) = times.get(self.recorded) {
                self.recorded += 1;
                queue.at(nanos(*at).max(now), Happening::Call);
            }
            return;
        }
        // A Poisson process whose rate changes in steps: what is left of the draw goes on at the next.
        let mut left = self.arrivals.exponential();
        let mut from = now;
        let mut steps = self.rates.iter().copied().peekable();
        while let Some((_, rate)) = steps.next() {
            let to = steps.peek().map_or(u64::MAX, |(to, _)| *to);
            if to <= from {
                continue;
            }
            let room = (to - from) as f64 * rate;
            if left < room || to == u64::MAX && rate > 0.0 {
                return queue
                    .at(from.saturating_add(random::rounded(left / rate)), Happening::Call);
            }
            left -= room;
            from = to;
        }
    }

    pub(crate) fn step(&mut self, now: u64, what: Happening, queue: &mut Queue) -> Step {
        match what {
            Happening::Timer(_) => {}
            Happening::Call => {
                let client = match &self.script {
                    // Which call it is: all of a trace are of one process.
                    Some(_) => u32::try_from(self.recorded - 1).unwrap_or(u32::MAX),
                    None => self.clients.one_of(self.scenario.load.clients),
                };
                self.next_call(now, queue);
                return self.call(now, client);
            }
            Happening::User(client) => return self.call(now, client),
            Happening::Arrive(request) => self.arrive(now, request, queue),
            Happening::Done { server, request, life } => {
                return self.done(now, server, request, life, queue);
            }
            Happening::Reply(request) => return Step::Wake(self.replied(request)),
            Happening::Turn(server) => self.turn(now, server, queue),
            Happening::Bin => {
                let waiting = self.servers.iter().map(Server::waiting).sum();
                self.seen.close_bin(waiting);
                queue.at(self.seen.bin_ends(), Happening::Bin);
            }
        }
        Step::Nothing
    }

    /// A client calls.
    fn call(&mut self, now: u64, client: u32) -> Step {
        let key = match &self.script {
            Some(script) => script.key(client),
            None => self.clients.one_of(self.scenario.tiers[0].shards.max(1)),
        };
        let place = Place { tier: 0, process: client, key };
        self.seen.called();
        self.begin_call(place, Finish::Call { started: now, client })
    }

    fn begin_call(&self, place: Place, finish: Finish) -> Step {
        let shards = match self.per_shard {
            true => self.scenario.tiers[place.tier as usize].shards.max(1),
            false => 1,
        };
        // All of a trace are of one process, and the place tells which call it is.
        let (process, patience) = match &self.script {
            Some(script) => (0, script.patience(place.process)),
            None => (place.process, None),
        };
        let caller = process * shards + place.key % shards;
        Step::Begin(Call { place, caller, finish, patience })
    }

    /// What is to be told of a call of a client.
    pub(crate) fn ended(
        &mut self,
        now: u64,
        (started, client): (u64, u32),
        outcome: &Result<Answer, seawall::Error<Failure>>,
        queue: &mut Queue,
    ) {
        if let Some(script) = &mut self.script {
            script.ended();
            let told = trace::true_outcome(outcome);
            return self.seen.ended(now, started, told.as_ref().unwrap_or(outcome));
        }
        self.seen.ended(now, started, outcome);
        if let Arrivals::Users { think } = &self.scenario.load.arrivals {
            queue.at(now.saturating_add(think.draw(&mut self.thinking)), Happening::User(client));
        }
    }

    /// A request sets out from where a task stands.
    fn send(&mut self, now: u64, place: Place, what: What, who: Who, queue: &mut Queue) -> u32 {
        let tier = place.tier as usize;
        let server = self.first[tier] + place.key % self.scenario.tiers[tier].shards.max(1);
        let request = self.requests.insert(server, place.key, what, who);
        if !matches!(what, What::Read(_)) {
            self.seen.sent(tier == 0, tier + 1 == self.scenario.tiers.len());
        }
        if let Some(script) = &mut self.script {
            match script.answer(place.process, now) {
                Some((took, reply)) => {
                    self.requests.get_mut(request).reply = reply;
                    queue.at(now.saturating_add(took), Happening::Reply(request));
                }
                None => self.forget(request),
            }
            return request;
        }
        if self.is_lost(now) {
            self.forget(request);
        } else {
            self.travel(now, Happening::Arrive(request), queue);
        }
        request
    }

    fn is_lost(&mut self, now: u64) -> bool {
        let here = self.lossy_ways.iter().find(|(from, to, _)| (*from..*to).contains(&now));
        here.copied().is_some_and(|(_, _, share)| self.chance.chance(share))
    }

    // Inlined, as is what puts `what` in its place: see the queue.
    #[inline(always)]
    fn travel(&mut self, now: u64, what: Happening, queue: &mut Queue) {
        let here = self.slow_ways.iter().filter(|(from, to, _)| (*from..*to).contains(&now));
        let more: u64 = here.map(|(_, _, more)| *more).fold(0, u64::saturating_add);
        match self.way {
            Some(way) => queue.after(now, way.saturating_add(more), what),
            None => {
                let way = self.scenario.network.delay.draw(&mut self.network);
                queue.at(now.saturating_add(way).saturating_add(more), what);
            }
        }
    }

    /// There will be no reply.
    fn forget(&mut self, at: u32) {
        if self.requests.end(at, false) {
            self.requests.remove(at);
        }
    }

    fn reply(&mut self, now: u64, at: u32, reply: Result<Answer, Failure>, queue: &mut Queue) {
        let lost = self.is_lost(now);
        if self.requests.is_gone(at) || lost {
            return self.forget(at);
        }
        self.requests.get_mut(at).reply = reply;
        self.travel(now, Happening::Reply(at), queue);
    }

    /// The reply is there: who waits for it.
    fn replied(&mut self, at: u32) -> Who {
        if self.requests.end(at, true) {
            self.requests.remove(at);
            return Who::NOBODY;
        }
        std::mem::replace(&mut self.requests.get_mut(at).who, Who::NOBODY)
    }

    /// The measurement is over.
    pub(crate) fn close(&mut self, now: u64) {
        let waiting = self.servers.iter().map(Server::waiting).sum();
        self.seen.close(now, waiting);
    }

    fn arrive(&mut self, now: u64, at: u32, queue: &mut Queue) {
        let request = self.requests.get_mut(at);
        let number = request.server;
        let server = &mut self.servers[number as usize];
        if !server.is_quiet(now) {
            match meets_trouble(server, now, &mut self.chance) {
                Ok(()) => {}
                Err(None) => return self.forget(at),
                Err(Some(failure)) => return self.reply(now, at, Err(failure), queue),
            }
        }
        match request.what {
            What::Read(_) => {
                request.what = What::Read(server.version);
                return self.reply(now, at, Ok(Answer::Full), queue);
            }
            What::Write(version) => {
                let is_first = version == server.version;
                server.version += u32::from(is_first);
                let reply = if is_first { Ok(Answer::Full) } else { Err(Failure::Conflict) };
                self.seen.served(false);
                return self.reply(now, at, reply, queue);
            }
            What::Work => {}
        }
        if !server.enqueue(now, at) {
            return self.reply(now, at, Err(Failure::Overloaded), queue);
        }
        self.dispatch(now, number, queue);
    }

    /// Gives free workers what waits.
    fn dispatch(&mut self, now: u64, number: u32, queue: &mut Queue) {
        loop {
            let server = &mut self.servers[number as usize];
            let Some((at, came)) = server.next(now) else { return };
            let tier = &self.scenario.tiers[server.tier as usize];
            if tier.shed_after.is_some_and(|most| now - came > nanos(most)) {
                server.busy -= 1;
                server.hold(at, false);
                self.reply(now, at, Err(Failure::Overloaded), queue);
                continue;
            }
            let mut work = tier.service.draw(&mut self.service);
            if tier.slowdown > 0.0 {
                let factor = 1.0 + tier.slowdown * server.waiting() as f64;
                work = random::rounded(work as f64 * factor);
            }
            let done = server.done_at(now, work);
            let life = server.life;
            queue.at(done, Happening::Done { server: number, request: at, life });
        }
    }

    fn done(&mut self, now: u64, server: u32, at: u32, life: u32, queue: &mut Queue) -> Step {
        if self.servers[server as usize].life != life {
            return Step::Nothing;
        }
        let below = self.servers[server as usize].tier + 1;
        if (below as usize) < self.scenario.tiers.len() {
            let key = self.requests.get(at).key;
            let key = key % self.scenario.tiers[below as usize].shards.max(1);
            let process = server - self.first[below as usize - 1];
            let place = Place { tier: below, process, key };
            return self.begin_call(place, Finish::Request { server, request: at, life });
        }
        self.answer(now, (server, at, life), Ok(Answer::Full), queue);
        Step::Nothing
    }

    /// A worker is done with a request, and free.
    pub(crate) fn answer(
        &mut self,
        now: u64,
        (server, at, life): (u32, u32, u32),
        mut reply: Result<Answer, Failure>,
        queue: &mut Queue,
    ) {
        let here = &mut self.servers[server as usize];
        if here.life != life {
            return;
        }
        here.busy -= 1;
        here.hold(at, false);
        let tier = here.tier as usize;
        if reply.is_err() && self.scenario.tiers[tier].pushback {
            reply = Err(Failure::Pushback);
        }
        if tier + 1 == self.scenario.tiers.len() {
            let wasted = self.requests.is_gone(at);
            self.seen.served(wasted);
        }
        self.reply(now, at, reply, queue);
        self.dispatch(now, server, queue);
    }

    /// A fault begins or ends.
    fn turn(&mut self, now: u64, number: u32, queue: &mut Queue) {
        let server = &mut self.servers[number as usize];
        server.turn(now);
        let lost = if server.dies(now) { server.die() } else { Vec::new() };
        for at in lost {
            self.reply(now, at, Err(Failure::Reset), queue);
        }
        self.dispatch(now, number, queue);
    }
}

/// Whether a request gets through to a server that is not itself; else what it meets there, which may
/// be nothing at all.
#[cold]
fn meets_trouble(server: &Server, now: u64, chance: &mut Stream) -> Result<(), Option<Failure>> {
    let (mut is_dead, mut failure) = (false, None);
    for kind in server.trouble(now) {
        match kind {
            FaultKind::Dead => is_dead = true,
            FaultKind::Refuse | FaultKind::Restart => failure = Some(Failure::Refused),
            FaultKind::Errors(share) if chance.chance(share) => failure = Some(Failure::Failed),
            _ => {}
        }
    }
    match (is_dead, failure) {
        (true, _) => Err(None),
        (false, Some(failure)) => Err(Some(failure)),
        (false, None) => Ok(()),
    }
}

/// What a task tells when it ends.
pub(crate) fn finish(finish: Finish, outcome: &Result<Answer, seawall::Error<Failure>>) {
    with(|inside| match finish {
        Finish::Call { started, client } => {
            inside.model.ended(inside.now, (started, client), outcome, &mut inside.queue);
        }
        Finish::Request { server, request, life } => {
            let reply = outcome
                .as_ref()
                .map(|answer| *answer)
                .map_err(|error| error.operation().copied().unwrap_or(Failure::Failed));
            let which = (server, request, life);
            inside.model.answer(inside.now, which, reply, &mut inside.queue);
        }
    });
}
