//! DRIVE: calls the operation, and the chain if it failed.

use super::{
    FallbackChain,
    entries::{Answer, AnswerBlocking, Count, Tries},
};
use crate::{
    error::{Error, FallbackExhaustedError},
    event::{self, Event},
    policy::{BlockingPolicy, Policy},
    setting::Name,
};

impl<L> FallbackChain<L> {
    /// The call's end: what the chain answered, or all that failed.
    fn end<T, E>(&self, answer: Result<(T, Tries<E>), Tries<E>>) -> Result<T, Error<E>> {
        let name = self.name.map(Name::literal);
        let name = name.as_ref();
        match answer {
            Ok((value, Tries { primary, entry, .. })) => {
                let error_type = event::error_type(&primary);
                event::tell(&Event::FallbackUsed { name, entry, error_type }, &[]);
                Ok(value)
            }
            // No entry served this error: the chain has nothing to add.
            Err(Tries { primary, failed, .. }) if failed.is_empty() => Err(primary),
            Err(Tries { primary, failed, .. }) => {
                let (tried, error_type) = (failed.len(), event::error_type(&primary));
                event::tell(&Event::FallbackExhausted { name, tried, error_type }, &[]);
                Err(Error::FallbackExhausted(FallbackExhaustedError::new(primary, failed)))
            }
        }
    }

    #[cold]
    async fn answer<T, E>(&self, primary: Error<E>) -> Result<T, Error<E>>
    where
        T: Send,
        E: Send,
        L: Answer<T, E>,
    {
        self.end(self.entries.answer(Tries::new(primary)).await)
    }
}

impl<T, E, L> Policy<T, E> for FallbackChain<L>
where
    T: Send,
    E: Send + 'static,
    L: Answer<T, E> + Count,
{
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        async move {
            match op().await {
                Ok(value) => Ok(value),
                // Boxed, so that the hot future stays small.
                Err(primary) => Box::pin(self.answer(primary)).await,
            }
        }
    }
}

impl<T, E, L> BlockingPolicy<T, E> for FallbackChain<L>
where
    E: 'static,
    L: AnswerBlocking<T, E> + Count,
{
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        op().or_else(|primary| self.end(self.entries.answer_blocking(Tries::new(primary))))
    }
}
