//! What one gets from an entry of a policy file.

use super::{
    Data, Explanation, LayerKind, Place,
    check::{self, ConfigFinding},
    explain,
    inherit::Resolved,
    problem::{ConfigError, Problem, ProblemKind, Problems},
    read::{Allow, Entry, Given},
    settings::{self, Budgets},
    stack::StackBuilder,
};
use crate::{
    breaker::{CircuitBreaker, CircuitBreakerBuilder},
    describe::{Describe, Facts, Layer},
    erased::{DynBlockingPolicy, DynPolicy},
    pipeline::Pipeline,
    retry::{RetryBudget, RetryExecutor, RetryPolicy, SharedBudget},
    setting::Name,
    timeout::Timeout,
};
use std::{fmt, sync::Arc, time::Duration};

/// A policy of a file: its layers with their settings, and where each was written.
///
/// It holds its circuit breaker and its retry budget, each once: every pipeline and every clone that
/// comes from it shares them.
#[derive(Debug, Clone)]
pub struct PolicySpec {
    pub(super) name: Arc<str>,
    pub(super) place: Place,
    extends: Vec<Arc<str>>,
    /// Outermost first.
    pub(super) layers: Vec<SpecLayer>,
    pub(super) limits: Limits,
    pub(super) allow: Vec<Allow>,
    /// Those that this entry says itself, and does not inherit.
    pub(super) own_allow: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(super) struct SpecLayer {
    pub(super) kind: LayerKind,
    pub(super) place: Place,
    given: Vec<Given>,
    pub(super) part: Part,
}

#[derive(Debug, Clone)]
pub(super) enum Part {
    Fallback(Fallback),
    Breaker {
        builder: CircuitBreakerBuilder,
        breaker: Arc<CircuitBreaker>,
    },
    Retry {
        executor: Box<RetryExecutor>,
        budget: Option<SharedBudget>,
        /// Not one that others name too.
        own_budget: bool,
    },
    Timeout(Timeout),
}

impl Part {
    fn pay_from(&mut self, shared: SharedBudget) {
        if let Self::Retry { executor, budget, .. } = self {
            **executor = executor.as_ref().clone().budget(shared.clone());
            *budget = Some(shared);
        }
    }
}

/// What is still to be done when policies take over from those before: nothing of it can fail.
#[derive(Debug)]
pub(super) enum Change {
    /// The first hands over to the second.
    Breaker(Arc<CircuitBreaker>, Arc<CircuitBreaker>),
    /// The first is set like the second.
    Budget(SharedBudget, SharedBudget),
}

impl Change {
    pub(super) fn make(self) {
        match self {
            Self::Breaker(old, new) => old.hand_over(&new),
            Self::Budget(old, new) => old.set_like(&new),
        }
    }
}

/// What the worst case must stay within.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    pub(super) attempts: Option<(u32, Place)>,
    pub(super) time: Option<(Duration, Place)>,
}

/// What a file says of a fallback: its place in the order, and perhaps an answer.
///
/// Rust's answers have types that no file knows, so the program gives them, or converts `value`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fallback {
    value: Option<Data>,
    value_place: Option<Place>,
    command: Option<Arc<str>>,
}

impl Fallback {
    /// The answer, as data.
    pub const fn value(&self) -> Option<&Data> {
        self.value.as_ref()
    }

    /// What the command `seawall run` runs for an answer.
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    pub(super) const fn value_place(&self) -> Option<&Place> {
        self.value_place.as_ref()
    }
}

impl PolicySpec {
    /// The entry's name in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the entry begins.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The entries and presets that it extends.
    pub fn extends(&self) -> impl Iterator<Item = &str> {
        self.extends.iter().map(|name| &**name)
    }

    /// Its layers, outermost first.
    pub fn order(&self) -> impl Iterator<Item = LayerKind> + '_ {
        self.layers.iter().map(|layer| layer.kind)
    }

    /// Where a layer or a field was written: `retry`, `retry.max_attempts`.
    pub fn place_of(&self, path: &str) -> Option<&Place> {
        let (layer, field) = match path.split_once('.') {
            Some((layer, field)) => (layer, Some(field)),
            None => (path, None),
        };
        let layer = self.layers.iter().find(|known| known.kind.as_str() == layer)?;
        match field {
            Some(field) => layer.place_of(field),
            None => Some(&layer.place),
        }
    }

    /// The retry's settings: to run by themselves, or to add predicates to, by
    /// [`to_builder`](RetryPolicy::to_builder).
    pub fn retry(&self) -> Option<RetryPolicy> {
        self.parts().find_map(|part| match part {
            Part::Retry { executor, .. } => Some(*executor.policy()),
            _ => None,
        })
    }

    /// The retry with its name and its budget. Clones share the budget.
    pub fn retry_executor(&self) -> Option<&RetryExecutor> {
        self.parts().find_map(|part| match part {
            Part::Retry { executor, .. } => Some(&**executor),
            _ => None,
        })
    }

    /// The retry's budget.
    pub fn retry_budget(&self) -> Option<&SharedBudget> {
        self.parts().find_map(|part| match part {
            Part::Retry { budget, .. } => budget.as_ref(),
            _ => None,
        })
    }

    /// The name of the retry's budget, where it has one: a budget of the file, or a preset.
    pub fn retry_budget_name(&self) -> Option<&str> {
        let given = &self.layer(LayerKind::Retry)?.given;
        given.iter().find(|given| given.field.is("budget"))?.node.text()
    }

    /// The circuit breaker: one and the same each time.
    pub fn circuit_breaker(&self) -> Option<&Arc<CircuitBreaker>> {
        self.parts().find_map(|part| match part {
            Part::Breaker { breaker, .. } => Some(breaker),
            _ => None,
        })
    }

    /// The breaker's settings, for one of its own: to add predicates to, or for one per key.
    pub fn circuit_breaker_builder(&self) -> Option<CircuitBreakerBuilder> {
        self.parts().find_map(|part| match part {
            Part::Breaker { builder, .. } => Some(*builder),
            _ => None,
        })
    }

    /// The limit of each attempt.
    pub fn timeout(&self) -> Option<Timeout> {
        self.limit_of(LayerKind::Timeout)
    }

    /// The limit of the call in total.
    pub fn total_timeout(&self) -> Option<Timeout> {
        self.limit_of(LayerKind::TotalTimeout)
    }

    /// What the file says of a fallback, if there is one in the order.
    pub fn fallback(&self) -> Option<&Fallback> {
        self.parts().find_map(|part| match part {
            Part::Fallback(fallback) => Some(fallback),
            _ => None,
        })
    }

    /// Starts a pipeline, to give it what no file can say: a fallback, predicates, a seed.
    pub fn stack<T, E>(&self) -> StackBuilder<'_, T, E> {
        StackBuilder::new(self)
    }

    /// The pipeline, where the file says all that there is to say.
    ///
    /// # Errors
    /// The file has a `fallback` in it, which the program must give: see [`stack`](Self::stack).
    pub fn pipeline<T, E>(&self) -> Result<Pipeline<Arc<dyn DynPolicy<T, E>>>, ConfigError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.stack().build()
    }

    /// [`pipeline`](Self::pipeline) for blocking code.
    ///
    /// # Errors
    /// The file has a `fallback` in it, or a timeout, which cannot end blocking code.
    pub fn pipeline_blocking<T, E>(
        &self,
    ) -> Result<Pipeline<Arc<dyn DynBlockingPolicy<T, E>>>, ConfigError>
    where
        T: 'static,
        E: 'static,
    {
        self.stack().build_blocking()
    }

    /// The same settings with a breaker and a budget of its own, which have nothing on record: for one
    /// more process in a simulation, or one test more.
    #[must_use]
    pub fn anew(&self) -> Self {
        let mut new = self.clone();
        for layer in &mut new.layers {
            match &mut layer.part {
                Part::Breaker { builder, breaker } => {
                    let name = breaker.name().cloned();
                    let fresh = builder.build();
                    *breaker = Arc::new(match name {
                        Some(name) => fresh.named(name),
                        None => fresh,
                    });
                }
                Part::Retry { budget: Some(budget), .. } => {
                    let budget = SharedBudget::Counted(Arc::new(budget.anew()));
                    layer.part.pay_from(budget);
                }
                _ => {}
            }
        }
        new
    }

    /// What in this policy cannot work as meant, or may do harm, and is not allowed by the file.
    pub fn lint(&self) -> Vec<ConfigFinding> {
        let mut findings = self.findings();
        findings.retain(|finding| finding.allowed().is_none());
        findings
    }

    /// As [`lint`](Self::lint), with those that the file allows, each with its reason.
    pub fn findings(&self) -> Vec<ConfigFinding> {
        check::check(self)
    }

    /// What the policy comes to: delays, and the worst case.
    pub fn explain(&self) -> Explanation {
        explain::explain(self)
    }

    /// Pays from `before` in place of the budget `new`, if it is that one.
    pub(super) fn share_budget(&mut self, new: &Arc<RetryBudget>, before: &Arc<RetryBudget>) {
        for layer in &mut self.layers {
            if let Part::Retry { budget: Some(SharedBudget::Counted(budget)), .. } = &layer.part {
                if Arc::ptr_eq(budget, new) {
                    layer.part.pay_from(SharedBudget::Counted(Arc::clone(before)));
                }
            }
        }
    }

    /// Gets ready to take over what `before` has: its breaker, and a budget of its own.
    pub(super) fn keep(&mut self, before: &Self, changes: &mut Vec<Change>) {
        for layer in &mut self.layers {
            let Some(old) = before.layer(layer.kind) else { continue };
            match (&mut layer.part, &old.part) {
                (
                    Part::Breaker { builder, breaker },
                    Part::Breaker { builder: old_builder, breaker: old },
                ) => {
                    let alike = builder.is_set_like(old_builder) && breaker.name() == old.name();
                    if alike && !old.is_retired() {
                        *breaker = Arc::clone(old);
                    } else if let (Ok(new), Some(name)) = (builder.try_build(), breaker.name()) {
                        *breaker = new.named(name.clone()).heir_of(old);
                        changes.push(Change::Breaker(Arc::clone(old), Arc::clone(breaker)));
                    }
                }
                (
                    part @ Part::Retry { own_budget: true, .. },
                    Part::Retry { own_budget: true, budget: Some(old), .. },
                ) => {
                    if let Part::Retry { budget: Some(new), .. } = part {
                        changes.push(Change::Budget(old.clone(), new.clone()));
                        part.pay_from(old.clone());
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.layers.iter().map(|layer| &layer.part)
    }

    pub(super) fn layer(&self, kind: LayerKind) -> Option<&SpecLayer> {
        self.layers.iter().find(|layer| layer.kind == kind)
    }

    fn limit_of(&self, kind: LayerKind) -> Option<Timeout> {
        match self.layer(kind)?.part {
            Part::Timeout(timeout) => Some(timeout),
            _ => None,
        }
    }
}

impl SpecLayer {
    pub(super) fn place_of(&self, field: &str) -> Option<&Place> {
        let given = self.given.iter().find(|given| given.field.is(field))?;
        Some(&given.node.place)
    }
}

impl Describe for PolicySpec {
    fn describe(&self, layers: &mut Vec<Layer>) {
        for part in self.parts() {
            match part {
                Part::Fallback(fallback) => {
                    let facts = Facts::Fallback {
                        catches_all: true,
                        never_fails: fallback.value.is_some(),
                        unreachable: None,
                        empty: false,
                    };
                    layers.push(Layer::new("fallback", facts));
                }
                Part::Breaker { breaker, .. } => breaker.describe(layers),
                Part::Retry { executor, .. } => executor.describe(layers),
                Part::Timeout(timeout) => timeout.describe(layers),
            }
        }
    }
}

/// The layers in order, outermost first, as a [`Pipeline`] prints itself.
impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Pipeline::new(self), f)
    }
}

/// The entry as it is written and as it is resolved, to what it holds.
pub(super) fn build(
    entry: &Entry,
    above: Option<&Entry>,
    resolved: &Resolved,
    budgets: &Budgets,
    problems: &mut Problems,
) -> Option<PolicySpec> {
    let named = |kind: &LayerKind| resolved.layers.get(kind);
    let order: Vec<LayerKind> = match &resolved.order {
        Some(order) => order.layers.clone(),
        None => LayerKind::USUAL_ORDER.into_iter().filter(|kind| named(kind).is_some()).collect(),
    };
    let mut whole = true;
    let mut layers = Vec::new();
    for kind in order {
        // A layer that only the order names has the defaults.
        let order_place = resolved.order.as_ref().map_or(&entry.place, |order| &order.place);
        let (given, place, path) = match named(&kind) {
            Some(layer) => match &layer.fields {
                Some(given) => (given.clone(), &layer.place, Arc::clone(&layer.path)),
                None => continue,
            },
            None => (Vec::new(), order_place, format!("{}.{kind}", entry.name).into()),
        };
        match part(kind, &given, (&path, place), &entry.name, budgets, problems) {
            Some(part) => layers.push(SpecLayer { kind, place: place.clone(), given, part }),
            None => whole = false,
        }
    }
    let mut limits = Limits::default();
    for one in &resolved.limits {
        let place = one.node.place.clone();
        match one.field.name {
            "attempts" => {
                limits.attempts = settings::least_one(one, problems).map(|most| (most, place));
            }
            _ => limits.time = settings::limit(one, problems).map(|limit| (limit, place)),
        }
    }
    let own = entry.allow.iter().chain(above.iter().flat_map(|above| &above.allow));
    let extends = match above {
        Some(above) if !above.extends.is_empty() => &above.extends,
        _ => &entry.extends,
    };
    whole.then(|| PolicySpec {
        name: Arc::clone(&entry.name),
        place: entry.place.clone(),
        extends: extends.iter().map(|(name, _)| Arc::clone(name)).collect(),
        layers,
        limits,
        allow: resolved.allow.clone(),
        own_allow: own.map(|allow| allow.rule).collect(),
    })
}

fn part(
    kind: LayerKind,
    given: &[Given],
    (path, place): (&Arc<str>, &Place),
    entry: &Arc<str>,
    budgets: &Budgets,
    problems: &mut Problems,
) -> Option<Part> {
    let field = |name: &str| given.iter().find(|one| one.field.name == name);
    // All are read, also where one of them is refused already: one run tells of each.
    let mut name = || match field("name") {
        Some(one) => settings::text(one, problems).map(|name| Name::from(name.to_string())),
        None => Some(Name::from(Arc::clone(entry))),
    };
    match kind {
        LayerKind::Fallback => fallback(given, problems).map(Part::Fallback),
        LayerKind::Timeout | LayerKind::TotalTimeout => match field("limit") {
            Some(one) => settings::limit(one, problems).map(Timeout::new).map(Part::Timeout),
            None => {
                let message = format!("`{kind}` needs its limit: {kind} = \"10s\"");
                problems.add(Problem::new(ProblemKind::Missing, place, message).field(&**path));
                None
            }
        },
        LayerKind::CircuitBreaker => {
            let name = name();
            let builder = settings::breaker(given, problems)?;
            let breaker = Arc::new(builder.try_build().ok()?.named(name?));
            Some(Part::Breaker { builder, breaker })
        }
        LayerKind::Retry => {
            let name = name();
            let budget = field("budget").map(|one| settings::budget(one, budgets, problems));
            let policy = settings::retry(given, problems)?;
            let mut executor = RetryExecutor::new(policy).name(name?);
            let budget = match budget {
                // Asked for and refused.
                Some(None) => return None,
                Some(Some(budget)) => {
                    executor = executor.budget(budget.clone());
                    Some(budget)
                }
                None => None,
            };
            let named = field("budget").and_then(|one| one.node.text());
            let own_budget = named.is_none_or(|name| !budgets.contains_key(name));
            Some(Part::Retry { executor: Box::new(executor), budget, own_budget })
        }
    }
}

fn fallback(given: &[Given], problems: &mut Problems) -> Option<Fallback> {
    let mut fallback = Fallback::default();
    let mut whole = true;
    for one in given {
        match one.field.name {
            "value" => match Data::of(&one.node) {
                Ok(value) => {
                    fallback.value = Some(value);
                    fallback.value_place = Some(one.node.place.clone());
                }
                Err((node, why)) => {
                    let message = format!("{} is {why}", node.shown());
                    problems.add(
                        Problem::new(ProblemKind::WrongType, &node.place, message)
                            .field(&*one.path),
                    );
                    whole = false;
                }
            },
            _ => {
                fallback.command = settings::text(one, problems);
                whole &= fallback.command.is_some();
            }
        }
    }
    whole.then_some(fallback)
}
