//! An event that is kept, and the line that it prints as.

use crate::{event::Event, setting::Name};
use std::{fmt, time::Duration};

/// An event as a [`Recorder`](super::Recorder) keeps it. It prints as the line that assertions are
/// written in.
#[derive(Clone, PartialEq)]
pub struct Recorded {
    /// All that an event does not borrow.
    event: Event<'static>,
    name: Option<Name>,
    error: Option<String>,
}

impl Recorded {
    /// The event, as observers get it.
    ///
    /// ```
    /// use seawall::{Event, RetryPolicy, testing::{ManualClock, Recorder, Scope}};
    /// use std::time::Duration;
    ///
    /// let events = Recorder::new();
    /// let _world = (Scope::new(ManualClock::new()).enter(), events.enter());
    /// let _ = RetryPolicy::new().run_blocking(|| Err::<(), _>("down"));
    ///
    /// let limit = Duration::from_secs(60);
    /// let in_time = events.all().iter().all(|event| match event.event() {
    ///     Event::RetryScheduled { delay, .. } => delay <= limit,
    ///     _ => true,
    /// });
    /// assert!(in_time);
    /// ```
    pub fn event(&self) -> Event<'_> {
        lent(&self.event, self.name.as_ref(), self.error.as_deref())
    }

    /// The name of the policy that it happened in.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// Whether it is `expected`: the beginning of its line in whole words, with the policy's name or
    /// without.
    pub fn is(&self, expected: &str) -> bool {
        let expected = expected.trim_end();
        let begins = |line: String| {
            let rest = line.strip_prefix(expected);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        begins(Line(&self.event, None, self.error.as_deref()).to_string())
            || begins(self.to_string())
    }
}

impl From<&Event<'_>> for Recorded {
    fn from(event: &Event<'_>) -> Self {
        let (name, error) = borrowed(event);
        Self {
            event: lent(event, None, None),
            name: name.cloned(),
            error: error.map(str::to_owned),
        }
    }
}

/// What `event` borrows: the policy's name and the error's text.
fn borrowed<'a>(event: &Event<'a>) -> (Option<&'a Name>, Option<&'a str>) {
    match *event {
        Event::RetryScheduled { name, error, .. }
        | Event::RetryExhausted { name, error, .. }
        | Event::PolicyFileRefused { name, error } => (name, error),
        Event::CircuitBreakerTransition { name, .. }
        | Event::CircuitBreakerRejected { name, .. }
        | Event::ProbeAbandoned { name }
        | Event::StaleOutcome { name }
        | Event::FallbackUsed { name, .. }
        | Event::FallbackExhausted { name, .. }
        | Event::PolicyFileReloaded { name, .. } => (name, None),
        Event::TimedOut { .. } | Event::FaultInjected { .. } => (None, None),
    }
}

/// The same event, with these in place of what it borrows.
fn lent<'a>(event: &Event<'_>, name: Option<&'a Name>, error: Option<&'a str>) -> Event<'a> {
    match *event {
        Event::RetryScheduled { attempt, max_attempts, delay, error_type, .. } => {
            Event::RetryScheduled { name, attempt, max_attempts, delay, error_type, error }
        }
        Event::RetryExhausted { attempts, max_attempts, elapsed, reason, error_type, .. } => {
            Event::RetryExhausted {
                name,
                attempts,
                max_attempts,
                elapsed,
                reason,
                error_type,
                error,
            }
        }
        Event::CircuitBreakerTransition { transition, .. } => {
            Event::CircuitBreakerTransition { name, transition }
        }
        Event::CircuitBreakerRejected { retry_after, dry_run, .. } => {
            Event::CircuitBreakerRejected { name, retry_after, dry_run }
        }
        Event::ProbeAbandoned { .. } => Event::ProbeAbandoned { name },
        Event::StaleOutcome { .. } => Event::StaleOutcome { name },
        Event::TimedOut { limit } => Event::TimedOut { limit },
        Event::FaultInjected { fault, call } => Event::FaultInjected { fault, call },
        Event::PolicyFileReloaded { policies, .. } => Event::PolicyFileReloaded { name, policies },
        Event::PolicyFileRefused { .. } => Event::PolicyFileRefused { name, error },
        Event::FallbackUsed { entry, error_type, .. } => {
            Event::FallbackUsed { name, entry, error_type }
        }
        Event::FallbackExhausted { tried, error_type, .. } => {
            Event::FallbackExhausted { name, tried, error_type }
        }
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line(&self.event, self.name.as_ref(), self.error.as_deref()).fmt(f)
    }
}

/// As it prints: that is what one looks for in a failed assertion.
impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// An event in words, what matters most first: an expectation may end early.
struct Line<'a>(&'a Event<'static>, Option<&'a Name>, Option<&'a str>);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(event, name, error) = *self;
        let kind = match event {
            Event::RetryScheduled { .. } | Event::RetryExhausted { .. } => "retry",
            Event::CircuitBreakerTransition { .. }
            | Event::CircuitBreakerRejected { .. }
            | Event::ProbeAbandoned { .. }
            | Event::StaleOutcome { .. } => "breaker",
            Event::TimedOut { .. } => "timed",
            Event::FallbackUsed { .. } | Event::FallbackExhausted { .. } => "fallback",
            Event::FaultInjected { .. } => "chaos",
            Event::PolicyFileReloaded { .. } | Event::PolicyFileRefused { .. } => "file",
        };
        f.write_str(kind)?;
        if let Some(name) = name {
            write!(f, " {name:?}")?;
        }
        match event {
            Event::RetryScheduled { attempt, max_attempts, delay, error_type, .. } => {
                write!(f, " scheduled {attempt}/{max_attempts} in {delay:?}")?;
                cause(f, *error_type, error)
            }
            Event::RetryExhausted {
                attempts, max_attempts, elapsed, reason, error_type, ..
            } => {
                let reason = reason.as_str();
                write!(f, " exhausted {attempts}/{max_attempts} by {reason} after {elapsed:?}")?;
                cause(f, *error_type, error)
            }
            Event::CircuitBreakerTransition { transition, .. } => {
                write!(f, " {} -> {} by {}", transition.from, transition.to, transition.cause)?;
                lasting(f, transition.open_for)?;
                if transition.dry_run { f.write_str(" (dry run)") } else { Ok(()) }
            }
            Event::CircuitBreakerRejected { retry_after, dry_run, .. } => {
                f.write_str(if *dry_run { " would reject" } else { " rejected" })?;
                lasting(f, *retry_after)
            }
            Event::ProbeAbandoned { .. } => f.write_str(" abandoned probe"),
            Event::StaleOutcome { .. } => f.write_str(" dropped stale outcome"),
            Event::TimedOut { limit } => write!(f, " out after {limit:?}"),
            Event::FallbackUsed { entry, error_type, .. } => {
                write!(f, " used {entry} ({error_type})")
            }
            Event::FallbackExhausted { tried, error_type, .. } => {
                write!(f, " exhausted {tried} ({error_type})")
            }
            Event::FaultInjected { fault, call } => {
                write!(f, " injected {fault} into call {call}")
            }
            Event::PolicyFileReloaded { policies, .. } => {
                write!(f, " reloaded with {policies} policies")
            }
            Event::PolicyFileRefused { .. } => {
                f.write_str(" refused")?;
                error.map_or(Ok(()), |error| {
                    write!(f, " ({})", error.lines().collect::<Vec<_>>().join("; "))
                })
            }
        }
    }
}

/// The error's type, and its text on the same line where the event carries it.
fn cause(f: &mut fmt::Formatter<'_>, error_type: Option<&str>, error: Option<&str>) -> fmt::Result {
    let Some(error_type) = error_type else {
        return f.write_str(" (result refused)");
    };
    write!(f, " ({error_type}")?;
    if let Some(error) = error {
        write!(f, ": {}", error.lines().collect::<Vec<_>>().join(" "))?;
    }
    f.write_str(")")
}

fn lasting(f: &mut fmt::Formatter<'_>, time: Option<Duration>) -> fmt::Result {
    time.map_or(Ok(()), |time| write!(f, " for {time:?}"))
}
