//! A call: fallback > breaker > total timeout > retry > timeout > the command.
//!
//! Who decides is the library; this waits, starts, and tells.

mod attempt;
mod input;
mod matcher;
mod output;
pub(crate) mod policy;
pub(crate) mod signals;
mod terminal;

use crate::{
    exit,
    state::{Admission, Shared},
    tell::{self, Teller, ms},
    words::{Refusal, show},
};
use attempt::{Ended, Ending, Plan, Stage};
use clap::ArgMatches;
use input::Stdin;
use nix::sys::signal::{Signal, killpg};
use output::{Ours, Route, Spool};
use policy::{Reading, get};
use seawall::{
    ExhaustedReason, Random, RetryPolicy, Verdict,
    config::{LayerKind, PolicySpec},
    foreign::Decisions,
    retry::Next,
};
use serde_json::json;
use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// Whose stdout is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Stream,
    Last,
    All,
}

/// One use of `seawall run`.
#[derive(Debug)]
pub(crate) struct Call {
    command: Vec<OsString>,
    fallbacks: Vec<OsString>,
    retry: RetryPolicy,
    reading: Reading,
    timeout: Option<Duration>,
    total_timeout: Option<Duration>,
    /// The breaker counts a call that the total timeout has ended.
    total_timeout_is_heard: bool,
    kill_after: Duration,
    breaker: Option<policy::Breaker>,
    budget: Option<policy::Budget>,
    state: Option<PathBuf>,
    output: Output,
    no_stdin: bool,
    stdin_limit: u64,
    seed: Option<u64>,
    dry_run: bool,
    exit_code_exhausted: Option<u8>,
    teller: Teller,
}

const KILL_AFTER: Duration = Duration::from_secs(5);
const STDIN_LIMIT: u64 = 16 << 20;

impl Call {
    pub(crate) fn from_args(given: &ArgMatches) -> Result<Self, Refusal> {
        let events = get::<OsString>(given, "events");
        let teller = Teller::new(given.get_flag("quiet"), events.as_deref());
        let output = match get::<String>(given, "output").as_deref() {
            Some("stream") => Output::Stream,
            Some("all") => Output::All,
            None if io::stdout().is_terminal() => Output::Stream,
            _ => Output::Last,
        };
        let all = |name| -> Vec<OsString> {
            given.get_many(name).into_iter().flatten().cloned().collect()
        };
        let spec =
            get::<OsString>(given, "policy").map(|place| policy::load(&place)).transpose()?;
        let spec = spec.as_ref();
        spec.map(policy::check_order).transpose()?;
        let mut fallbacks = all("fallback");
        if let Some(spec) = spec.filter(|_| fallbacks.is_empty()) {
            fallbacks.extend(policy::fallback(spec)?);
        }
        let limit = |limit: Option<seawall::Timeout>| limit.map(|timeout| timeout.limit());
        let mut order = spec.map(PolicySpec::order).into_iter().flatten();
        Ok(Self {
            command: all("command"),
            fallbacks,
            retry: policy::retry(given, spec)?,
            reading: Reading::new(given)?,
            timeout: get(given, "timeout").or_else(|| limit(spec?.timeout())),
            total_timeout: get(given, "total-timeout").or_else(|| limit(spec?.total_timeout())),
            // A limit outside the breaker ends a call before that has heard of its outcome.
            total_timeout_is_heard: order
                .find(|kind| matches!(kind, LayerKind::TotalTimeout | LayerKind::CircuitBreaker))
                != Some(LayerKind::TotalTimeout),
            kill_after: get(given, "kill-after").unwrap_or(KILL_AFTER),
            breaker: policy::breaker(given, spec)?,
            budget: policy::budget(given, spec)?,
            state: get(given, "state"),
            output,
            no_stdin: get::<String>(given, "stdin").as_deref() == Some("none"),
            stdin_limit: get(given, "stdin-limit").unwrap_or(STDIN_LIMIT),
            seed: get(given, "seed"),
            dry_run: given.get_flag("dry-run"),
            exit_code_exhausted: get(given, "exit-code-exhausted"),
            teller,
        })
    }

    /// Makes the call; gives its exit status.
    pub(crate) fn make(self) -> Result<u8, Refusal> {
        if self.dry_run {
            self.print_schedule();
            return Ok(0);
        }
        let started = Instant::now();
        let deadline = self.total_timeout.and_then(|limit| started.checked_add(limit));
        let stage = Stage::new(self.kill_after, deadline)?;
        let once = self.retry.max_attempts() == 1 && self.fallbacks.is_empty();
        let stdin = Stdin::new(self.no_stdin, once, self.stdin_limit)?;
        Running { call: self, stage, stdin, started, made: 0, last: None, fallback: None }.make()
    }

    fn random(&self) -> Random {
        self.seed.map_or_else(Random::new, Random::seeded)
    }

    #[expect(clippy::print_stdout, reason = "this is what was asked for")]
    fn print_schedule(&self) {
        const MOST: u32 = 20;
        let mut decisions = Decisions::new(&self.retry, self.random());
        let mut at = Duration::ZERO;
        println!("attempt 1 at 0 s");
        for attempt in 2.. {
            match decisions.next(Verdict::TRANSIENT, at) {
                Next::RetryAfter(delay) if attempt <= MOST => {
                    at += delay;
                    println!("attempt {attempt} at {}, after {}", show(at), show(delay));
                }
                Next::RetryAfter(_) => {
                    println!("and so on");
                    return;
                }
                Next::GiveUp(reason) => {
                    println!("then none: {reason}");
                    return;
                }
                Next::Done => return,
            }
        }
    }
}

/// How the retries of a call ended.
#[derive(Debug)]
struct Outcome {
    status: u8,
    verdict: Verdict,
    /// stdout of the last attempt, if it was put aside.
    spool: Option<Spool>,
    /// The total timeout ended it.
    is_cut_off: bool,
}

/// A call that is under way.
#[derive(Debug)]
struct Running {
    call: Call,
    stage: Stage,
    stdin: Stdin,
    started: Instant,
    made: u64,
    last: Option<u8>,
    /// Which of the fallbacks runs, counted from 1.
    fallback: Option<usize>,
}

impl Running {
    fn make(mut self) -> Result<u8, Refusal> {
        let mut shared = Shared::open(
            self.call.state.take(),
            self.call.breaker.take(),
            self.call.budget.take(),
            &mut self.call.teller,
        );
        let mut outcome = match shared.acquire(&mut self.call.teller) {
            Admission::Admitted => {
                let outcome = self.retries(&mut shared)?;
                let verdict = match self.stage.ended_by {
                    // Says nothing of the callee.
                    Some(_) => Verdict::Ignored,
                    None if outcome.is_cut_off && !self.call.total_timeout_is_heard => {
                        Verdict::Ignored
                    }
                    None => outcome.verdict,
                };
                shared.record(verdict, &mut self.call.teller);
                outcome
            }
            Admission::Rejected => Outcome {
                status: exit::REJECTED,
                verdict: Verdict::TRANSIENT,
                spool: None,
                is_cut_off: false,
            },
        };
        self.last = self.last.or(Some(outcome.status));
        if outcome.verdict != Verdict::Success && self.stage.ended_by.is_none() {
            self.fall_back(&mut outcome)?;
        }
        if let Some(spool) = outcome.spool.take() {
            self.pass_on(spool)?;
        }
        self.close(outcome.status)
    }

    /// The retry loop.
    fn retries(&mut self, shared: &mut Shared) -> Result<Outcome, Refusal> {
        let mut decisions = Decisions::new(&self.call.retry, self.call.random());
        let max_attempts = self.call.retry.max_attempts();
        loop {
            let is_last =
                self.made + 1 == u64::from(max_attempts) && self.call.fallbacks.is_empty();
            let mut ended = self.attempt(is_last)?;
            let status = ended.ending.status();
            let spool = ended.spool.take();
            let verdict = match self.stage.ended_by {
                Some(_) => Verdict::Ignored,
                None => self.call.reading.verdict(&ended),
            };
            shared.settle_attempt(verdict, self.made > 1, &mut self.call.teller);
            let next = match decisions.next(verdict, self.started.elapsed()) {
                Next::RetryAfter(_) if matches!(ended.ending, Ending::TimedOut { total: true }) => {
                    Next::GiveUp(ExhaustedReason::TotalTimeout)
                }
                Next::RetryAfter(_) if self.stdin.is_lost() => {
                    self.call.teller.line(
                        "no further attempt: stdin was longer than --stdin-limit, and cannot be replayed",
                    );
                    Next::GiveUp(ExhaustedReason::Permanent)
                }
                Next::RetryAfter(_) if !shared.try_retry(&mut self.call.teller) => {
                    Next::GiveUp(ExhaustedReason::Budget)
                }
                next => next,
            };
            match next {
                Next::Done => return Ok(Outcome { status, verdict, spool, is_cut_off: false }),
                Next::GiveUp(reason) => return Ok(self.give_up(reason, &ended, verdict, spool)),
                Next::RetryAfter(delay) => {
                    if let Some(spool) = spool.filter(|_| self.call.output == Output::All) {
                        self.pass_on(spool)?;
                    }
                    self.wait(&ended, delay, max_attempts);
                    if let Some(signal) = self.stage.ended_by {
                        // The attempt's output stays dropped: it was not to be the last.
                        let status =
                            128_u8.saturating_add(u8::try_from(signal as i32).unwrap_or(0));
                        return Ok(Outcome {
                            status,
                            verdict: Verdict::Ignored,
                            spool: None,
                            is_cut_off: false,
                        });
                    }
                }
            }
        }
    }

    fn give_up(
        &mut self,
        reason: ExhaustedReason,
        ended: &Ended,
        verdict: Verdict,
        spool: Option<Spool>,
    ) -> Outcome {
        let own = ended.ending.status();
        let timed_out = matches!(ended.ending, Ending::TimedOut { total: true });
        let status = match self.call.exit_code_exhausted {
            Some(status) if !timed_out => status,
            _ => own,
        };
        let fields = json!({
            "attempts": self.made,
            "max_attempts": self.call.retry.max_attempts(),
            "elapsed_ms": ms(self.started.elapsed()),
            "reason": reason.as_str(),
            "exit": own,
        });
        self.call.teller.event("retry_exhausted", fields);
        if matches!(reason, ExhaustedReason::Budget | ExhaustedReason::TotalTimeout) && !timed_out {
            self.call.teller.line(&format!("gave up: {reason}"));
        }
        Outcome { status, verdict, spool, is_cut_off: timed_out }
    }

    fn attempt(&mut self, is_last: bool) -> Result<Ended, Refusal> {
        self.made += 1;
        let mut command = Command::new(&self.call.command[0]);
        command.args(&self.call.command[1..]);
        self.start(command, is_last)
    }

    /// Starts `command` with what an attempt is given.
    fn start(&mut self, mut command: Command, is_last: bool) -> Result<Ended, Refusal> {
        command.env("SEAWALL_ATTEMPT", self.made.to_string());
        match self.call.retry.max_attempts() {
            u32::MAX => command.env_remove("SEAWALL_MAX_ATTEMPTS"),
            most => command.env("SEAWALL_MAX_ATTEMPTS", most.to_string()),
        };
        match self.last {
            Some(status) => command.env("SEAWALL_LAST_EXIT", status.to_string()),
            None => command.env_remove("SEAWALL_LAST_EXIT"),
        };
        let pattern = self.call.reading.pattern.as_ref();
        let stdout = match self.call.output {
            Output::Stream => None,
            Output::Last | Output::All if is_last => None,
            Output::Last | Output::All => Some(Route::Spool(Spool::new())),
        };
        // What is read has to come by us.
        let stdout = stdout.or_else(|| pattern.map(|_| Route::Through));
        let program = command.get_program().to_string_lossy().into_owned();
        let fields = json!({ "attempt": self.made, "fallback": self.fallback });
        self.call.teller.event("attempt_started", fields);
        let began = Instant::now();
        let ended = self.stage.run(Plan {
            command,
            stdin: &mut self.stdin,
            stdout,
            pattern,
            timeout: self.call.timeout,
        })?;
        let status = ended.ending.status();
        self.last = Some(status);
        let fields = json!({
            "attempt": self.made,
            "fallback": self.fallback,
            "exit": status,
            "outcome": word(&ended.ending),
            "matched": ended.matched,
            "elapsed_ms": ms(began.elapsed()),
        });
        self.call.teller.event("attempt_ended", fields);
        if let Ending::NotStarted(error) = &ended.ending {
            tell::problem(&format!("cannot start {program}: {error}"));
        }
        if let Some(error) = &ended.leaked {
            tell::problem(&format!(
                "output cannot be put aside ({error}): what this attempt wrote was passed on"
            ));
        }
        Ok(ended)
    }

    fn wait(&mut self, ended: &Ended, delay: Duration, max_attempts: u32) {
        let fields = json!({
            "attempt": self.made,
            "max_attempts": max_attempts,
            "delay_ms": ms(delay),
            "exit": ended.ending.status(),
        });
        self.call.teller.event("retry_scheduled", fields);
        let of = match max_attempts {
            u32::MAX => String::new(),
            most => format!(" of {most}"),
        };
        let what = format!("attempt {}{of} {}", self.made, said(ended));
        let teller = &self.call.teller;
        if !teller.is_live() {
            teller.line(&format!("{what}, next in {}", show(delay)));
        }
        self.stage.wait(delay, |left| {
            let seconds = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
            teller.show(&format!("{what}, next in {}", show(seconds)));
        });
        teller.erase();
    }

    /// What answers where all else failed.
    fn fall_back(&mut self, outcome: &mut Outcome) -> Result<(), Refusal> {
        let fallbacks = std::mem::take(&mut self.call.fallbacks);
        if fallbacks.is_empty() {
            return Ok(());
        }
        self.stage.lift_deadline();
        let last = fallbacks.len();
        for (at, fallback) in fallbacks.iter().enumerate() {
            // In place of what the command wrote; with `all`, after it.
            if let Some(spool) = outcome.spool.take().filter(|_| self.call.output == Output::All) {
                self.pass_on(spool)?;
            }
            if self.stdin.is_lost() {
                self.stdin = Stdin::Nothing;
            }
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(fallback);
            self.fallback = Some(at + 1);
            let mut ended = self.start(command, at + 1 == last)?;
            outcome.status = ended.ending.status();
            outcome.spool = ended.spool.take();
            if outcome.status == 0 {
                outcome.verdict = Verdict::Success;
                self.call.teller.event("fallback_used", json!({ "entry": at + 1 }));
                self.call.teller.line("the fallback answered");
                return Ok(());
            }
            if self.stage.ended_by.is_some() {
                return Ok(());
            }
        }
        self.call.teller.event("fallback_exhausted", json!({ "tried": last }));
        self.call.teller.line("the fallback failed as well");
        Ok(())
    }

    fn pass_on(&mut self, spool: Spool) -> Result<(), Refusal> {
        let signals = &mut self.stage.signals;
        let ended_by = &mut self.stage.ended_by;
        let is_over = || {
            for told in signals.take() {
                if let signals::Told::End(signal) = told {
                    *ended_by = Some(signal);
                }
            }
            ended_by.is_some()
        };
        output::flush(spool, Ours::Stdout, is_over)
            .map(drop)
            .map_err(|error| Refusal::new(format!("stdout: {error}")))
    }

    /// The last words, and the exit status.
    fn close(mut self, status: u8) -> Result<u8, Refusal> {
        let elapsed = self.started.elapsed();
        let fields = json!({
            "attempts": self.made,
            "elapsed_ms": ms(elapsed),
            "exit": status,
            "signal": self.stage.ended_by.map(Signal::as_str),
        });
        self.call.teller.event("call_ended", fields);
        if self.made > 1 || (self.made > 0 && status != 0) {
            let made = tell::attempts(self.made, elapsed);
            self.call.teller.line(&format!("{made}, last exit {status}"));
        }
        if let Some(signal) = self.stage.ended_by {
            if self.stage.by_terminal {
                // Ctrl-C is meant for all that would have got it had the command not had a group of
                // its own.
                let _ = killpg(nix::unistd::getpgrp(), signal);
            }
            let is_ctrl_c = matches!(signal, Signal::SIGINT | Signal::SIGQUIT);
            if is_ctrl_c && status == of_signal(signal) && std::process::id() != 1 {
                // A shell's loop ends only if what it waits for has died of the signal.
                let _ = signal_hook::low_level::emulate_default_handler(signal as i32);
            }
        }
        Ok(status)
    }
}

/// The exit status of what a signal has ended.
fn of_signal(signal: Signal) -> u8 {
    128_u8.saturating_add(u8::try_from(signal as i32).unwrap_or(0))
}

/// How an attempt ended, for events.
const fn word(ending: &Ending) -> &'static str {
    match ending {
        Ending::Exited(0) => "success",
        Ending::Exited(_) => "failed",
        Ending::Killed(_) => "killed",
        Ending::TimedOut { .. } => "timed_out",
        Ending::NotStarted(_) => "not_started",
    }
}

/// How an attempt ended, for people.
fn said(ended: &Ended) -> String {
    match &ended.ending {
        Ending::Exited(status) if ended.matched => {
            format!("gave output to retry on (exit {status})")
        }
        Ending::Exited(status) => format!("failed (exit {status})"),
        Ending::Killed(signal) => {
            let name = Signal::try_from(*signal).map_or("signal", Signal::as_str);
            format!("was killed ({name}, exit {})", ended.ending.status())
        }
        Ending::TimedOut { .. } => "timed out".to_owned(),
        Ending::NotStarted(error) => format!("could not start ({error})"),
    }
}
