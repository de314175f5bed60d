//! A pipeline of layers that are known at run time only.

use super::{
    Data, PolicySpec,
    problem::{ConfigError, Problem, ProblemKind},
    spec::Part,
};
use crate::{
    erased::{DynBlockingPolicy, DynPolicy},
    fallback::FallbackChain,
    pipeline::Pipeline,
    policy::{BlockingPolicy, Policy},
    retry::RetryExecutor,
};
use std::{fmt, marker::PhantomData, sync::Arc};

/// Makes a [`Pipeline`] of a policy of a file, with what no file can say.
///
/// The file decides which layers there are and in which order. What is given here for a layer that
/// the file does not have is not used.
///
/// ```
/// use seawall::{
///     FallbackChain, RetryPolicy,
///     config::{Format, Policies},
/// };
///
/// #[derive(Debug)]
/// struct Busy;
///
/// let policies = Policies::from_str(
///     "[stock]\nretry = { max_attempts = 2, base_delay = 0 }\nfallback = true",
///     Format::Toml,
/// )?;
/// let stock = policies.get("stock").expect("it is above");
/// let stock = stock.stack::<u32, Busy>().fallback(FallbackChain::new().value(0)).build()?;
/// assert_eq!(stock.to_string(), "fallback > retry \"stock\"(2)");
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert!(matches!(stock.run(async || Err(Busy)).await, Ok(0)));
/// # });
/// # Ok::<_, seawall::config::ConfigError>(())
/// ```
#[must_use = "call `build` to get the pipeline"]
pub struct StackBuilder<'a, T, E, F = NoAnswer> {
    spec: &'a PolicySpec,
    fallback: F,
    seed: Option<u64>,
    of: PhantomData<fn() -> Result<T, E>>,
}

/// No fallback was given.
#[derive(Debug, Clone, Copy)]
pub struct NoAnswer;

impl<'a, T, E> StackBuilder<'a, T, E> {
    pub(super) const fn new(spec: &'a PolicySpec) -> Self {
        Self { spec, fallback: NoAnswer, seed: None, of: PhantomData }
    }

    /// Answers with `chain` where the file has a `fallback`.
    pub fn fallback<L>(self, chain: FallbackChain<L>) -> StackBuilder<'a, T, E, FallbackChain<L>> {
        let Self { spec, seed, of, .. } = self;
        StackBuilder { spec, fallback: chain, seed, of }
    }

    /// Answers with what `convert` makes of the file's `fallback.value`, where there is one.
    ///
    /// # Errors
    /// The value's place, with what `convert` says of it.
    pub fn fallback_value(
        self,
        convert: impl FnOnce(&Data) -> Result<T, String>,
    ) -> Result<StackBuilder<'a, T, E, FromFile<T>>, ConfigError> {
        let Self { spec, seed, of, .. } = self;
        let given =
            spec.fallback().and_then(|fallback| Some((fallback.value()?, fallback.value_place()?)));
        let answer = match given {
            None => None,
            Some((value, place)) => Some(convert(value).map_err(|why| {
                Problem::new(ProblemKind::WrongType, place, why)
                    .field(format!("{}.fallback.value", spec.name()))
            })?),
        };
        Ok(StackBuilder { spec, fallback: FromFile(answer), seed, of })
    }
}

/// The file's own answer, converted.
#[derive(Debug, Clone, Copy)]
pub struct FromFile<T>(Option<T>);

/// What stands where the file has a `fallback`.
pub trait GiveAnswer<T, E> {
    /// It, as a policy; none where nothing was given.
    fn into_policy(self) -> Option<Arc<dyn DynPolicy<T, E>>>;
}

/// [`GiveAnswer`] for blocking code.
pub trait GiveAnswerBlocking<T, E> {
    /// It, as a policy; none where nothing was given.
    fn into_policy(self) -> Option<Arc<dyn DynBlockingPolicy<T, E>>>;
}

impl<T, E> GiveAnswer<T, E> for NoAnswer {
    fn into_policy(self) -> Option<Arc<dyn DynPolicy<T, E>>> {
        None
    }
}

impl<T, E> GiveAnswerBlocking<T, E> for NoAnswer {
    fn into_policy(self) -> Option<Arc<dyn DynBlockingPolicy<T, E>>> {
        None
    }
}

impl<T, E, L> GiveAnswer<T, E> for FallbackChain<L>
where
    Self: Policy<T, E> + 'static,
{
    fn into_policy(self) -> Option<Arc<dyn DynPolicy<T, E>>> {
        Some(Arc::new(self))
    }
}

impl<T, E, L> GiveAnswerBlocking<T, E> for FallbackChain<L>
where
    Self: BlockingPolicy<T, E> + Send + Sync + 'static,
{
    fn into_policy(self) -> Option<Arc<dyn DynBlockingPolicy<T, E>>> {
        Some(Arc::new(self))
    }
}

impl<T: Clone + Send + Sync + 'static, E: Send + Sync + 'static> GiveAnswer<T, E> for FromFile<T> {
    fn into_policy(self) -> Option<Arc<dyn DynPolicy<T, E>>> {
        Some(Arc::new(FallbackChain::new().value(self.0?)))
    }
}

impl<T: Clone + Send + Sync + 'static, E: 'static> GiveAnswerBlocking<T, E> for FromFile<T> {
    fn into_policy(self) -> Option<Arc<dyn DynBlockingPolicy<T, E>>> {
        Some(Arc::new(FallbackChain::new().value(self.0?)))
    }
}

impl<T, E, F> StackBuilder<'_, T, E, F> {
    /// Draws the retry's jitter from the stream of `seed`, so that a run can be repeated.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    fn executor(&self, executor: &RetryExecutor) -> RetryExecutor {
        match self.seed {
            Some(seed) => executor.clone().seed(seed),
            None => executor.clone(),
        }
    }

    /// The pipeline.
    ///
    /// # Errors
    /// The file has a `fallback`, and there is no answer for it.
    pub fn build(self) -> Result<Pipeline<Arc<dyn DynPolicy<T, E>>>, ConfigError>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: GiveAnswer<T, E>,
    {
        let spec = self.spec;
        let executor = spec.retry_executor().map(|executor| self.executor(executor));
        let mut answer = self.fallback.into_policy().filter(|_| spec.fallback().is_some());
        if spec.fallback().is_some() && answer.is_none() {
            return Err(no_answer(spec));
        }
        if spec.order().is_sorted() {
            // The usual order is one policy with gaps: each pointer less is two boxes less a call.
            let breaker = spec.circuit_breaker().cloned();
            let stack = (answer, spec.total_timeout(), breaker, executor, spec.timeout());
            return Ok(Pipeline::new(Arc::new(stack)));
        }
        let mut stack: Arc<dyn DynPolicy<T, E>> = Arc::new(());
        for part in spec.parts().collect::<Vec<_>>().into_iter().rev() {
            stack = match part {
                Part::Fallback(_) => Arc::new((answer.take(), stack)),
                Part::Breaker { breaker, .. } => Arc::new((Arc::clone(breaker), stack)),
                Part::Retry { .. } => Arc::new((executor.clone(), stack)),
                Part::Timeout(timeout) => Arc::new((*timeout, stack)),
            };
        }
        Ok(Pipeline::new(stack))
    }

    /// The pipeline, for blocking code.
    ///
    /// # Errors
    /// The file has a `fallback`, and there is no answer for it; or a timeout, which cannot end
    /// blocking code.
    pub fn build_blocking(self) -> Result<Pipeline<Arc<dyn DynBlockingPolicy<T, E>>>, ConfigError>
    where
        T: 'static,
        E: 'static,
        F: GiveAnswerBlocking<T, E>,
    {
        let executor = self.spec.retry_executor().map(|executor| self.executor(executor));
        let mut answer = self.fallback.into_policy();
        let mut stack: Arc<dyn DynBlockingPolicy<T, E>> = Arc::new(());
        for layer in self.spec.layers.iter().rev() {
            stack = match &layer.part {
                Part::Fallback(_) => match answer.take() {
                    Some(answer) => Arc::new((answer, stack)),
                    None => return Err(no_answer(self.spec)),
                },
                Part::Breaker { breaker, .. } => Arc::new((Arc::clone(breaker), stack)),
                Part::Retry { .. } => Arc::new((executor.clone(), stack)),
                Part::Timeout(_) => {
                    let kind = layer.kind;
                    let message = format!(
                        "`{kind}` cannot end blocking code, which cannot be dropped: switch it off, {kind} = false, or run this policy in async code"
                    );
                    return Err(Problem::new(ProblemKind::Conflict, &layer.place, message)
                        .field(format!("{}.{kind}", self.spec.name()))
                        .into());
                }
            };
        }
        Ok(Pipeline::new(stack))
    }
}

fn no_answer(spec: &PolicySpec) -> ConfigError {
    let place = spec.place_of("fallback").unwrap_or(spec.place());
    let message = "the program gives no answer for this fallback: `spec.stack().fallback(..)` does, or `fallback_value(..)` where the file has a `value`; `fallback = false` leaves it out";
    Problem::new(ProblemKind::Missing, place, message)
        .field(format!("{}.fallback", spec.name()))
        .into()
}

impl<T, E, F> fmt::Debug for StackBuilder<'_, T, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackBuilder")
            .field("policy", &self.spec.name())
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
