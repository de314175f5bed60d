//! What happens, as it happens, for a person to read: the first of each kind, then counts.

use super::{
    client::{ApiError, Price, RECOVERY_TIMEOUT, Source},
    phases::{Phase, Plan},
    report::{PhaseReport, Report, median, time},
};
use seawall::{CircuitState, Error, Event, Retrying, breaker::Transition};
use std::{
    env, fmt,
    future::Future,
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many calls of a phase are told of in full.
const FOLLOWED: usize = 2;

tokio::task_local! {
    /// The call that the running task makes. Observers run in the task of the call, so this tells
    /// them which one it is.
    static CALL: u64;
}

/// Runs `call` as the call with this number.
pub(super) async fn in_call<F: Future>(number: u64, call: F) -> F::Output {
    CALL.scope(number, call).await
}

fn this_call() -> u64 {
    CALL.try_with(|call| *call).unwrap_or_default()
}

/// Writes lines to whoever watches.
pub struct Live {
    started: Instant,
    coloured: bool,
    page: Mutex<Page>,
}

struct Page {
    out: Box<dyn Write + Send>,
    phase: Told,
}

/// What was told of a phase so far, and what was only counted.
#[derive(Default)]
struct Told {
    followed: Vec<u64>,
    /// How long each took; since the breaker's last transition.
    rejections: Vec<Duration>,
    timeouts: u64,
    untold_retries: u64,
    told_fallback: bool,
    untold_fallbacks: u64,
}

#[derive(Clone, Copy)]
enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

impl Live {
    /// To the standard output; in colours if it is a terminal and `NO_COLOR` is not set.
    pub fn stdout() -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { coloured: wanted && io::stdout().is_terminal(), ..Self::to(io::stdout()) }
    }

    /// To `out`, without colours.
    pub fn to(out: impl Write + Send + 'static) -> Self {
        let page = Mutex::new(Page { out: Box::new(out), phase: Told::default() });
        Self { started: Instant::now(), coloured: false, page }
    }

    pub(super) fn begins(&self, plan: &Plan) {
        let Plan { pace, plain_timeout, .. } = plan;
        let mut page = self.page();
        page.say(format_args!(
            "A call every {pace:?} to a real server, with Seawall; beside it the same calls without, under a client timeout of {plain_timeout:?}."
        ));
        page.say(format_args!(
            "What guards a call stands above `guarded_price` in client.rs: fallback > circuit breaker > retry > timeout."
        ));
    }

    pub(super) fn phase_begins(&self, phase: Phase, calls: u64) {
        let mut page = self.page();
        page.phase = Told::default();
        let name = phase.to_string();
        let name = if self.coloured { format!("\x1b[1m{name}\x1b[0m") } else { name };
        page.say(format_args!("\n{name}: {} ({calls} calls)", phase.story()));
    }

    /// For `on_retry`.
    pub(super) fn retry(&self, retry: &Retrying<'_, ApiError>) {
        let (mut page, call) = (self.page(), this_call());
        if !page.phase.follows(call) {
            page.phase.untold_retries += 1;
            return;
        }
        let Retrying { attempt, max_attempts, delay, .. } = *retry;
        let why = retry.error.map(ToString::to_string).unwrap_or_default();
        let delay = time(delay);
        let text = format!(
            "call {call}: attempt {attempt} of {max_attempts} failed ({why}), next in {delay}"
        );
        self.tell(&mut page, Colour::Yellow, "retry", &text);
    }

    /// For `CircuitBreaker::observe`.
    pub(super) fn breaker(&self, event: &Event<'_>) {
        let Event::CircuitBreakerTransition { transition, .. } = event else { return };
        let Transition { from, to, cause, .. } = transition;
        let (colour, mut text) = match to {
            CircuitState::Open => {
                let again = if *from == CircuitState::HalfOpen { "again " } else { "" };
                let text =
                    format!("opened {again}({cause}): calls are rejected for {RECOVERY_TIMEOUT:?}");
                (Colour::Red, text)
            }
            CircuitState::HalfOpen => {
                (Colour::Yellow, format!("half-open ({cause}): one call passes, as a probe"))
            }
            CircuitState::Closed => (Colour::Green, format!("closed ({cause}): calls pass")),
            CircuitState::Isolated => (Colour::Red, "isolated by hand".to_owned()),
        };
        let mut page = self.page();
        if let Some(rejections) = page.phase.rejections_since() {
            text = format!("{text} (meanwhile {rejections})");
        }
        self.tell(&mut page, colour, "breaker", &text);
    }

    /// For `event::observe_all`. It hears of retries and breakers too, which are told of above.
    pub(super) fn any_policy(&self, event: &Event<'_>) {
        if let Event::TimedOut { .. } = event {
            self.page().phase.timeouts += 1;
        }
    }

    /// A guarded call has ended.
    pub(super) fn call_ended(&self, price: &Result<Price, Error<ApiError>>, elapsed: Duration) {
        let (mut page, call) = (self.page(), this_call());
        match price.as_ref().map(|price| &price.source) {
            Ok(Source::Server) if page.phase.followed.contains(&call) => {
                let text = format!("call {call}: answered by the server after {}", time(elapsed));
                self.tell(&mut page, Colour::Green, "call", &text);
            }
            Ok(Source::Server) => {}
            Ok(Source::LastKnownRejected) => page.phase.rejections.push(elapsed),
            Ok(Source::LastKnownFailed(why)) => {
                if page.phase.tells_fallback(call) {
                    let text = format!("call {call}: last known price, since {why}");
                    self.tell(&mut page, Colour::Cyan, "fallback", &text);
                } else {
                    page.phase.untold_fallbacks += 1;
                }
            }
            Err(error) => {
                let text = format!("call {call}: no answer: {error:#}");
                self.tell(&mut page, Colour::Red, "call", &text);
            }
        }
    }

    pub(super) fn phase_ends(&self, PhaseReport { guarded, plain, .. }: &PhaseReport) {
        let mut page = self.page();
        let mut more: Vec<String> = page.phase.rejections_since().into_iter().collect();
        let Told { untold_retries, untold_fallbacks, timeouts, .. } = page.phase;
        let counts = [
            (untold_retries, "more retries"),
            (untold_fallbacks, "more fallbacks"),
            (timeouts, "attempts timed out in all"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        more.extend(counts.map(|(count, what)| format!("{count} {what}")));
        if !more.is_empty() {
            self.tell(&mut page, Colour::Yellow, "...", &more.join(", "));
        }
        let text = format!(
            "of {} calls the server answered {}, the fallback {}; without Seawall {} failed",
            guarded.calls, guarded.succeeded, guarded.fallback, plain.failed
        );
        self.tell(&mut page, Colour::Green, "result", &text);
    }

    pub(super) fn report(&self, report: &Report) {
        self.page().say(format_args!("\n{report}"));
    }

    fn tell(&self, page: &mut Page, colour: Colour, who: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        let who = if self.coloured {
            format!("\x1b[{}m{who:<8}\x1b[0m", colour as u8)
        } else {
            format!("{who:<8}")
        };
        page.say(format_args!("{seconds:7.3}s  {who}  {text}"));
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    /// A reader that has gone away (`| head`) is no reason to stop.
    fn say(&mut self, text: fmt::Arguments<'_>) {
        let _ = writeln!(self.out, "{text}");
    }
}

impl Told {
    /// Whether `call` is told of in full: the first ones that need help are.
    fn follows(&mut self, call: u64) -> bool {
        if self.followed.len() < FOLLOWED && !self.followed.contains(&call) {
            self.followed.push(call);
        }
        self.followed.contains(&call)
    }

    /// The first fallback is told of even if it ends a call that nobody followed.
    fn tells_fallback(&mut self, call: u64) -> bool {
        let first = !std::mem::replace(&mut self.told_fallback, true);
        first || self.followed.contains(&call)
    }

    fn rejections_since(&mut self) -> Option<String> {
        let rejections = std::mem::take(&mut self.rejections);
        let calls = match rejections.len() {
            0 => return None,
            1 => "1 call".to_owned(),
            n => format!("{n} calls"),
        };
        Some(format!("{calls} rejected fast, about {} each", time(median(rejections))))
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("coloured", &self.coloured).finish_non_exhaustive()
    }
}
