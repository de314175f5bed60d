//! One call under a policy of a file, which Python and the command `seawall` read as well.

use super::{
    client::{ApiError, Price, PriceApi},
    phases::Phase,
    server::Server,
};
use seawall::{Error, Event, FallbackChain, config::Policies, event};
use std::{
    error,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

/// Calls a server that is gone, under the policy of `place` (`FILE#NAME`), and tells `out` each delay as
/// it is drawn, exactly; from the stream of `seed`, where there is one.
///
/// # Errors
/// What is wrong with the file, or no port.
pub async fn run_by_policy(
    place: &str,
    seed: Option<u64>,
    out: impl Write + Send + 'static,
) -> Result<(), Box<dyn error::Error + Send + Sync>> {
    let (file, name) = place.rsplit_once('#').ok_or("a policy is named by FILE#NAME")?;
    let policies = Policies::load(file)?;
    let spec = policies.get(name).ok_or_else(|| format!("{file}: there is no policy `{name}`"))?;
    let mut stack = spec
        .stack()
        // Asked only where the file has a fallback.
        .fallback(
            FallbackChain::new().call_with(|error: &Error<ApiError>| Price::last_known(error)),
        );
    if let Some(seed) = seed {
        stack = stack.seed(seed);
    }
    let pipeline = stack.build()?;

    let out = Arc::new(Mutex::new(out));
    let say = move |text: String| {
        // A reader that has gone away is no reason to stop.
        let _ = writeln!(out.lock().unwrap_or_else(PoisonError::into_inner), "{text}");
    };
    say(format!("{name}: {pipeline}"));
    event::observe_all({
        let say = say.clone();
        move |event: &Event<'_>| {
            if let Event::RetryScheduled { attempt, max_attempts, delay, .. } = event {
                say(format!("attempt {attempt} of {max_attempts} failed, next in {delay:?}"));
            }
        }
    });

    let mut server = Server::start()?;
    server.enter(Phase::Refused).await?;
    let api =
        PriceApi::new(super::client().build()?, format!("http://{}/guarded", server.address()));
    match pipeline.run(|| api.price(0)).await {
        Ok(price) => say(format!("the fallback answered: {}", price.amount)),
        Err(error) => say(format!("no answer: {error:#}")),
    }
    Ok(())
}
