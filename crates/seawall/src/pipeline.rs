//! How users run a stack of policies.

use crate::{
    describe::{Describe, Layer},
    erased::{DynBlockingPolicy, DynPolicy},
    lint::{self, Finding},
    policy::{BlockingPolicy, Policy, inherent_ways_to_run},
};
use std::{fmt, sync::Arc};

/// A stack of policies, outermost first, ready to run operations.
///
/// It prints itself, checks itself with [`lint`](Self::lint), and serves async and blocking code
/// from one value.
///
/// ```
/// use seawall::{CircuitBreaker, FallbackChain, Pipeline, RetryPolicy};
/// use std::time::Duration;
///
/// static BREAKER: CircuitBreaker = CircuitBreaker::new();
///
/// let pipeline = Pipeline::builder()
///     .fallback(FallbackChain::new().value("cached"))
///     .circuit_breaker(&BREAKER)
///     .retry(RetryPolicy::builder().base_delay(Duration::ZERO).build())
///     .build();
///
/// assert_eq!(pipeline.to_string(), "fallback > breaker(5, 60s) > retry(3)");
///
/// fn down() -> Result<&'static str, String> {
///     Err("down".to_owned())
/// }
///
/// assert_eq!(pipeline.run_blocking(down), Ok("cached"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pipeline<P> {
    stack: P,
}

impl<P> Pipeline<P> {
    /// Wraps a policy, or a tuple of up to eight, outermost first. Tuples nest for more.
    pub const fn new(stack: P) -> Self {
        Self { stack }
    }

    /// The policies.
    pub const fn stack(&self) -> &P {
        &self.stack
    }
}

impl Pipeline<()> {
    /// Starts a pipeline whose policies are added one by one, outermost first.
    pub const fn builder() -> PipelineBuilder<()> {
        PipelineBuilder { stack: () }
    }
}

impl<P: Describe> Pipeline<P> {
    /// What the pipeline is made of, outermost first: for tests, and for those who print it.
    ///
    /// ```
    /// use seawall::{CircuitBreaker, Pipeline, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// let pipeline = Pipeline::new((
    ///     CircuitBreaker::builder().name("payments").recovery_timeout(Duration::from_secs(9)).build(),
    ///     RetryPolicy::new(),
    /// ));
    ///
    /// let layers = pipeline.layers();
    /// assert_eq!((layers[0].kind(), layers[0].name()), ("breaker", Some(&"payments".into())));
    /// let recovery = Duration::from_secs(9);
    /// assert_eq!(layers[0].setting_value("recovery_timeout"), Some(&recovery.into()));
    /// assert_eq!(layers[1].setting_value("max_attempts"), Some(&3.into()));
    /// assert_eq!(layers[1].setting_value("jitter"), Some(&"plus_minus".into()));
    /// ```
    pub fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        self.stack.describe(&mut layers);
        layers
    }

    /// What in this stack cannot work as meant: each finding names the policies and says why.
    ///
    /// Empty for a stack in order. Made for tests and start-up:
    ///
    /// ```
    /// use seawall::{FallbackChain, Pipeline, RetryPolicy};
    ///
    /// let upside_down = Pipeline::new((RetryPolicy::new(), FallbackChain::new().value(0)));
    /// let findings = upside_down.lint();
    /// assert_eq!(findings[0].rule(), "fallback-inside-retry");
    /// assert!(findings[0].to_string().starts_with("retry(3) > fallback: "));
    /// ```
    pub fn lint(&self) -> Vec<Finding> {
        lint::check(&self.layers())
    }
}

impl<P> Pipeline<P> {
    /// Forgets the type of the stack, for pipelines that are chosen at run time.
    pub fn into_dyn<T, E>(self) -> Pipeline<Arc<dyn DynPolicy<T, E>>>
    where
        P: DynPolicy<T, E> + 'static,
    {
        Pipeline { stack: Arc::new(self.stack) }
    }

    /// [`into_dyn`](Self::into_dyn) for blocking code.
    pub fn into_dyn_blocking<T, E>(self) -> Pipeline<Arc<dyn DynBlockingPolicy<T, E>>>
    where
        P: DynBlockingPolicy<T, E> + 'static,
    {
        Pipeline { stack: Arc::new(self.stack) }
    }
}

/// The stack in order, outermost first: `fallback > breaker(5, 60s) > retry(3)`. As `{:#}` with every
/// setting, a layer a line.
impl<P: Describe> fmt::Display for Pipeline<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = if f.alternate() { "\n> " } else { " > " };
        for (n, layer) in self.layers().iter().enumerate() {
            f.write_str(if n == 0 { "" } else { between })?;
            layer.fmt(f)?;
        }
        Ok(())
    }
}

impl<P: Describe> Describe for Pipeline<P> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        self.stack.describe(layers);
    }
}

/// A pipeline can be a layer of another one.
impl<T, E, P: Policy<T, E>> Policy<T, E> for Pipeline<P> {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, crate::Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, crate::Error<E>>> + Send,
    {
        self.stack.call(op)
    }
}

impl<T, E, P: BlockingPolicy<T, E>> BlockingPolicy<T, E> for Pipeline<P> {
    fn call_blocking<F>(&self, op: F) -> Result<T, crate::Error<E>>
    where
        F: Fn() -> Result<T, crate::Error<E>>,
    {
        self.stack.call_blocking(op)
    }
}

/// Collects the policies of a [`Pipeline`], outermost first.
///
/// The methods differ in name only: a reader sees what stands where, whatever the values are called.
#[derive(Debug, Clone, Copy)]
#[must_use = "call `build` to get the pipeline"]
pub struct PipelineBuilder<S> {
    stack: S,
}

impl<S: Append> PipelineBuilder<S> {
    /// Adds a [`FallbackChain`](crate::FallbackChain) inside what is there.
    pub fn fallback<P>(self, fallback: P) -> PipelineBuilder<S::With<P>> {
        self.layer(fallback)
    }

    /// Adds a [`CircuitBreaker`](crate::CircuitBreaker), or a reference to one, inside what is
    /// there.
    pub fn circuit_breaker<P>(self, breaker: P) -> PipelineBuilder<S::With<P>> {
        self.layer(breaker)
    }

    /// Adds a [`RetryPolicy`](crate::RetryPolicy) or [`RetryExecutor`](crate::RetryExecutor)
    /// inside what is there.
    pub fn retry<P>(self, retry: P) -> PipelineBuilder<S::With<P>> {
        self.layer(retry)
    }

    /// Adds a timeout inside what is there: total before a retry, per attempt behind it.
    #[cfg(feature = "tokio")]
    pub fn timeout(
        self,
        limit: std::time::Duration,
    ) -> PipelineBuilder<S::With<crate::timeout::Timeout>> {
        self.layer(crate::timeout::Timeout::new(limit))
    }

    /// Adds any policy inside what is there.
    pub fn layer<P>(self, policy: P) -> PipelineBuilder<S::With<P>> {
        PipelineBuilder { stack: self.stack.append(policy) }
    }
}

impl<S> PipelineBuilder<S> {
    /// The pipeline.
    pub fn build(self) -> Pipeline<S> {
        Pipeline { stack: self.stack }
    }
}

/// A tuple that can grow by one policy, innermost.
pub trait Append {
    /// The tuple with a `P` at its end.
    type With<P>;

    /// Puts `policy` at the end.
    fn append<P>(self, policy: P) -> Self::With<P>;
}

macro_rules! append {
    ($($policy:ident)*) => {
        impl<$($policy),*> Append for ($($policy,)*) {
            type With<Next> = ($($policy,)* Next,);

            #[allow(non_snake_case, reason = "the type parameters name the values too")]
            fn append<Next>(self, next: Next) -> Self::With<Next> {
                let ($($policy,)*) = self;
                ($($policy,)* next,)
            }
        }
    };
}

append!();
append!(A);
append!(A B);
append!(A B C);
append!(A B C D);
append!(A B C D E);
append!(A B C D E F);
append!(A B C D E F G);

inherent_ways_to_run!([] run call run_blocking call_blocking, impl [P] Pipeline<P>);
