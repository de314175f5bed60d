//! Who takes part: policies, and functions under policies.

use crate::{
    engine::{Call, Task},
    model::{self, Answer, Failure, scenario::Scenario},
    trace,
};
use seawall::{Error, Policy, config::PolicySpec};
use std::{fmt, rc::Rc, sync::Arc};

/// Begins a call, and tells the world how it ended.
pub(crate) type Calls = Box<dyn Fn(Finish) -> Task>;

/// All who call in a run: for each tier what calls it.
pub(crate) struct Callers(Vec<Vec<Calls>>);

impl Callers {
    /// Each process that calls a tier has a policy of its own, or one for each shard.
    pub(crate) fn new(scenario: &Scenario, contender: &Contender) -> Self {
        let fleet = contender.make();
        let mut processes = scenario.load.clients.max(1);
        let mut all = Vec::new();
        for (tier, number) in scenario.tiers.iter().zip(0..) {
            let each = if contender.per_shard { tier.shards.max(1) } else { 1 };
            let of_tier = (0..processes)
                .flat_map(|process| (0..each).map(move |shard| (process, shard)))
                .map(|(process, shard)| fleet(Client { tier: number, process, shard }))
                .collect();
            all.push(of_tier);
            processes = tier.shards.max(1);
        }
        Self(all)
    }

    pub(crate) fn begin(&self, call: &Call) -> Task {
        let task = self.0[call.place.tier as usize][call.caller as usize](call.finish);
        match call.patience {
            Some(patience) => trace::leaving(task, patience),
            None => task,
        }
    }
}

/// Whom to tell.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Finish {
    Call { started: u64, client: u32 },
    Request { server: u32, request: u32, life: u32 },
}

/// Where a policy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// The tier that it calls, counted from 0.
    pub tier: u32,
    /// The process that it is part of, counted from 0.
    pub process: u32,
    /// The shard that it calls, where each has a policy of its own; else 0.
    pub shard: u32,
}

/// Makes what makes the policies of one run.
type Make = dyn Fn() -> Fleet + Send + Sync;
/// Makes the policy of one process.
pub(crate) type Fleet = Box<dyn Fn(Client) -> Calls>;

/// A policy that takes part in a simulation, under a name. Each client process gets one of its own, as
/// in production.
#[derive(Clone)]
pub struct Contender {
    name: Arc<str>,
    /// In a line, as a pipeline prints itself.
    about: Arc<str>,
    per_shard: bool,
    make: Arc<Make>,
}

impl Contender {
    /// A policy, or a stack of them: `make` makes one for each process that calls.
    ///
    /// ```
    /// use seawall::{CircuitBreaker, Pipeline, RetryPolicy};
    /// use seawall_sim::Contender;
    ///
    /// let stack = Contender::policy("breaker and retry", |_| {
    ///     Pipeline::new((CircuitBreaker::new(), RetryPolicy::new()))
    /// });
    /// assert_eq!(stack.name(), "breaker and retry");
    /// ```
    pub fn policy<P>(
        name: impl Into<String>,
        make: impl Fn(Client) -> P + Send + Sync + 'static,
    ) -> Self
    where
        P: Policy<Answer, Failure> + 'static,
    {
        let make = Arc::new(make);
        Self::fleet(name, move || {
            let make = Arc::clone(&make);
            move |client| make(client)
        })
    }

    /// Policies that share something among all processes, such as a budget: `make` is called once for
    /// each run, so that no run changes another, and what it gives makes the policy of each process.
    ///
    /// ```
    /// use seawall::{RetryBudget, RetryExecutor, RetryPolicy};
    /// use seawall_sim::Contender;
    /// use std::sync::Arc;
    ///
    /// let shared = Contender::fleet("one budget for all", || {
    ///     let budget = Arc::new(RetryBudget::new(0.1, 10));
    ///     move |_| RetryExecutor::new(RetryPolicy::new()).budget(Arc::clone(&budget))
    /// });
    /// assert_eq!(shared.about(), "retry(3)");
    /// ```
    pub fn fleet<P, M>(
        name: impl Into<String>,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self
    where
        P: Policy<Answer, Failure> + 'static,
        M: Fn(Client) -> P + 'static,
    {
        let first = Client { tier: 0, process: 0, shard: 0 };
        let about = seawall::Pipeline::new(make()(first)).to_string();
        let make = move || {
            let make = make();
            Box::new(move |client| {
                let policy = Rc::new(make(client));
                let calls = move |finish| -> Task {
                    let policy = Rc::clone(&policy);
                    Box::pin(
                        async move { model::finish(finish, &policy.call(trace::operation).await) },
                    )
                };
                Box::new(calls) as Calls
            }) as Fleet
        };
        Self::new(name, about, make)
    }

    /// An async function that is protected by itself, such as one under `#[seawall::retry]`. It calls
    /// [`request`](crate::request) where in production it would call the service. All processes share it.
    pub fn function<F, Fut>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<Answer, Error<Failure>>> + Send + 'static,
    {
        let make = move || {
            let function = function.clone();
            Box::new(move |_| {
                let function = function.clone();
                let calls = move |finish| -> Task {
                    let call = function();
                    Box::pin(async move { model::finish(finish, &call.await) })
                };
                Box::new(calls) as Calls
            }) as Fleet
        };
        Self::new(name, "a function", make)
    }

    /// A policy of a file. A `fallback` of it answers with [`Answer::Degraded`].
    pub fn file(spec: &PolicySpec) -> Self {
        let name = spec.name().to_owned();
        let spec = spec.clone();
        Self::policy(name, move |_| {
            let chain = seawall::FallbackChain::new().value(Answer::Degraded);
            let stack = spec.anew().stack::<Answer, Failure>().fallback(chain).build();
            stack.expect("its fallback is given")
        })
    }

    fn new(
        name: impl Into<String>,
        about: impl Into<String>,
        make: impl Fn() -> Fleet + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into().into(),
            about: about.into().into(),
            per_shard: false,
            make: Arc::new(make),
        }
    }

    /// Each process has a policy for each shard of a service, instead of one for all.
    #[must_use]
    pub fn per_shard(mut self) -> Self {
        self.per_shard = true;
        self
    }

    /// Under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into().into();
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its layers, outermost first: `breaker(5, 60s) > retry(3)`.
    pub fn about(&self) -> &str {
        &self.about
    }

    pub(crate) const fn is_per_shard(&self) -> bool {
        self.per_shard
    }

    /// The policies of a run.
    pub(crate) fn make(&self) -> Fleet {
        (self.make)()
    }
}

impl fmt::Debug for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contender").field("name", &self.name).field("about", &self.about).finish()
    }
}
