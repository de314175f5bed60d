//! What can be asked for: subcommands, options, help.

use crate::{
    exit,
    words::{self, Exits},
};
use clap::{Arg, ArgAction, Command, builder::ValueParser, error::ErrorKind, value_parser};
use std::{env, ffi::OsString, path::PathBuf, process::ExitCode};

const ABOUT: &str = "\
Resilience for anything that can be started: retry, circuit breaker, fallback and timeout.";

const RUN_ABOUT: &str = "\
Runs COMMAND and, where that fails, runs it again as the options say.

Layers, outermost first: fallback > breaker > total timeout > retry > timeout > COMMAND.";

const RUN_AFTER: &str = "\
Times are written like 250ms, 1m30s, or 2.5 (seconds).

What is retried: every exit status but 0, 126 and 127, death by a signal, and a time-out.
  With --retry-on-exit or --retry-if-output only what these name, and time-outs.
  A call that was interrupted (Ctrl-C, SIGTERM) is never retried.

Exit status: the last attempt's own, 128 + n where signal n ended it, also when attempts ran out
  (--exit-code-exhausted changes that). And of Seawall's own:
  75  an open breaker rejected the call; try again later
  124 a time-out ended the last attempt
  125 Seawall itself failed, or an option makes no sense
  126 the command cannot be started    127 the command is not found

The command sees SEAWALL_ATTEMPT (from 1), SEAWALL_MAX_ATTEMPTS (unset where there is no limit) and
  SEAWALL_LAST_EXIT (unset in the first attempt).

It runs in a process group of its own. What is left of that group a second after the command has
  ended gets SIGTERM, and SIGKILL after --kill-after. If Seawall itself is killed by SIGKILL, nobody
  does this, and what the command has started may live on.

Examples:
  seawall run -- curl -fsS https://example.com/feed
  seawall run --max-attempts 5 --timeout 10s --retry-on-exit 75,111 -- ./deploy.sh
  seawall run --until-success --total-timeout 2m -- pg_isready -h db
  seawall run --breaker billing --failure-threshold 3 --fallback 'cat last.json' -- ./fetch.sh
  seawall run --dry-run --max-attempts 6 --seed 1 -- true
  while read -r host; do seawall run --stdin none -- ssh \"$host\" uptime; done < hosts";

/// Puts the value's kind into `--help` and the checks at one place.
fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn time() -> ValueParser {
    ValueParser::new(words::duration)
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "a number is written like 0.1".to_owned())
}

fn state() -> Arg {
    option("state", "PATH", "Database of breakers and budgets [default: see SEAWALL_STATE]")
        .value_parser(value_parser!(PathBuf))
        .long_help(
            "The database that holds the state of breakers and budgets for all invocations. Else \
             SEAWALL_STATE; else /var/lib/seawall/state.db for root, and for others \
             $XDG_STATE_HOME/seawall/state.db or ~/.local/state/seawall/state.db.",
        )
}

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("seawall")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .after_help(
            "Begin with `seawall run -- COMMAND`, or with `seawall init` for a policy file.",
        )
        .subcommand(run())
        .subcommand(breakers())
        .subcommand(check())
        .subcommand(explain())
        .subcommand(simulate())
        .subcommand(crate::replay::command())
        .subcommand(init())
        .subcommand(
            Command::new("schema").about("Prints the JSON Schema of policy files, for editors"),
        )
        .subcommand(completions())
        .subcommand(
            Command::new("man")
                .about("Prints the man page, or writes all of them to a folder")
                .arg(Arg::new("folder").value_name("FOLDER").value_parser(value_parser!(PathBuf))),
        )
}

fn run() -> Command {
    let words = |words: &'static [&'static str]| words.to_vec();
    let command = Command::new("run")
        .about("Runs a command, again if needed")
        .long_about(RUN_ABOUT)
        .after_help(RUN_AFTER)
        .override_usage("seawall run [OPTIONS] -- COMMAND [ARGS]...");
    let command = command.next_help_heading("Policy").arg(
        option("policy", "FILE#NAME", "Start from a policy of a file; options come last")
            .value_parser(value_parser!(OsString))
            .long_help(
                "Start from a policy of a file (TOML, YAML or JSON), with the environment laid over \
                 it (SEAWALL__NAME__RETRY__MAX_ATTEMPTS=5); options come last. #NAME may be left out \
                 where there is one policy. A breaker shares its state by its own name, else by the \
                 policy's; a budget by its name in the file.",
            ),
    );
    let command = command.next_help_heading("Retry").args([
        option("max-attempts", "N", "The most attempts, the first included [default: 3]")
            .value_parser(value_parser!(u32)),
        option("backoff", "WORD", "How delays grow [default: exponential]")
            .alias("backoff-strategy")
            .value_parser(words(&["fixed", "linear", "exponential", "fibonacci", "decorrelated"])),
        option("base-delay", "TIME", "The first delay [default: 1s]").value_parser(time()),
        option("max-delay", "TIME", "The longest delay [default: 60s]").value_parser(time()),
        option("multiplier", "X", "What the strategy multiplies by [default: by strategy]")
            .value_parser(share),
        option(
            "jitter",
            "WORD",
            "How delays are spread: none, plus_minus, plus_minus_20, full, equal [default: plus_minus]",
        ),
        option("retry-on-exit", "LIST", "Retry these exit statuses only: 75,111,130-140")
            .value_parser(Exits::parse),
        option("stop-on-exit", "LIST", "Never retry these exit statuses").value_parser(Exits::parse),
        option("retry-if-output", "REGEX", "Retry if stdout or stderr matches, whatever the status")
            .long_help(
                "Retry if stdout or stderr matches, whatever the exit status. The pattern is matched \
                 against bytes as they come, each stream by itself; `^` and `$` match at lines, \
                 classes and case are ASCII, and (?s-m) and the like change that.",
            ),
        flag("until-success", "Try until it succeeds; fixed delays unless --backoff is given")
            .conflicts_with("max-attempts"),
        option("seed", "N", "Draw the jitter from this seed, so that a run can be repeated")
            .value_parser(value_parser!(u64)),
        flag("dry-run", "Print the schedule and run nothing"),
    ]);
    let command = command.next_help_heading("Timeout").args([
        option("timeout", "TIME", "End an attempt after this time (SIGTERM, then SIGKILL)")
            .value_parser(time()),
        option("total-timeout", "TIME", "End the whole call after this time").value_parser(time()),
        option("kill-after", "TIME", "From SIGTERM to SIGKILL [default: 5s]").value_parser(time()),
    ]);
    let command = command.next_help_heading("Circuit breaker").args([
        option("breaker", "NAME", "Share the breaker of this name with other invocations"),
        option("failure-threshold", "N", "Failed calls in a row that open it [default: 5]")
            .value_parser(value_parser!(u32)),
        option("recovery-timeout", "TIME", "How long it stays open before a probe [default: 60s]")
            .value_parser(time()),
        option("probe-lease", "TIME", "How long a probe keeps its slot when others need it")
            .long_help(
                "How long a probe keeps its slot when others need it. Longer than the call can take: \
                 the outcome of a probe that lost its slot is dropped. A probe that is killed by SIGKILL \
                 keeps its slot until then [default: the recovery timeout, \
                 at least 60s, and not less than --total-timeout]",
            )
            .value_parser(time()),
    ]);
    let command = command.next_help_heading("Retry budget").args([
        option("budget", "NAME", "Pay retries from the budget of this name, shared by invocations"),
        option("budget-ratio", "X", "How many retries a success earns [default: 0.1]")
            .value_parser(share),
        option("budget-floor", "N", "How many retries it holds [default: 10]")
            .value_parser(value_parser!(u32)),
    ]);
    let command = command.next_help_heading("Fallback").arg(
        option("fallback", "CMD", "Run by `sh -c` where all else failed; may be repeated")
            .action(ArgAction::Append)
            .value_parser(value_parser!(OsString)),
    );
    let command = command.next_help_heading("Input and output").args([
        option("output", "WORD", "Whose stdout is passed on: stream, last or all")
            .value_parser(words(&["stream", "last", "all"]))
            .long_help(
                "Whose stdout is passed on. `stream`: everything, as it comes. `last`: that of the \
                 last attempt only, once it is known to be the last. `all`: every attempt's, each \
                 whole. stderr is always passed on as it comes [default: stream where stdout is a \
                 terminal, else last]",
            ),
        option("stdin", "WORD", "auto, or none to leave stdin unread")
            .value_parser(words(&["auto", "none"]))
            .default_value("auto")
            .hide_default_value(true)
            .long_help(
                "`auto`: a file is rewound for each attempt, a pipe is replayed up to --stdin-limit, \
                 a terminal is inherited. `none`: the command reads nothing, as is right inside \
                 `while read` loops [default: auto]",
            ),
        option("stdin-limit", "SIZE", "How much of a pipe is kept for replay [default: 16M]")
            .value_parser(words::size),
    ]);
    let command = command.next_help_heading("Telling").args([
        Arg::new("quiet")
            .long("quiet")
            .short('q')
            .action(ArgAction::SetTrue)
            .help("Say nothing but problems of Seawall's own"),
        option("events", "FILE|fd:N", "Append what happens to a file or descriptor, as JSON lines")
            .value_parser(value_parser!(OsString)),
        option("exit-code-exhausted", "N", "The exit status where retries gave up")
            .value_parser(value_parser!(u8)),
        state(),
    ]);
    command.arg(
        Arg::new("command")
            .value_name("COMMAND")
            .help("The command and its arguments")
            .required_unless_present("dry-run")
            .num_args(1..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true)
            .value_parser(value_parser!(OsString)),
    )
}

fn breakers() -> Command {
    let one = |name: &'static str, about: &'static str| {
        Command::new(name)
            .about(about)
            .arg(Arg::new("name").value_name("NAME").required(true).help("The breaker's name"))
            .arg(state())
    };
    Command::new("breakers")
        .about("Lists the shared breakers, or moves one by hand")
        .after_help(
            "PROBES are calls that a half-open breaker has let through, to see whether all is well again. One \
             that is killed (SIGKILL, a crash of the machine) cannot give its slot back: the slot counts as \
             taken until the probe's lease ends, which NEXT PROBE has at the latest (run --probe-lease). To \
             let calls through before that, close the breaker.",
        )
        .args([state(), flag("json", "As JSON")])
        .disable_help_subcommand(true)
        .subcommand(one("reset", "Makes it as new: closed, nothing on record"))
        .subcommand(one("isolate", "Holds it open until it is closed or reset"))
        .subcommand(one("close", "Lets calls through"))
}

fn check() -> Command {
    let formats = ["text", "github", "sarif", "json"];
    Command::new("check")
        .about("Checks a policy file, and what in it cannot work as meant")
        .after_help(
            "Exit status: 0 if nothing was found but advice (--strict counts that too), 1 if something \
             was, or the file is not in order, 125 if the check itself failed.\n\
             A finding that is meant to be so is allowed in the file, with its reason:\n\n  \
             [payments.allow]\n  retry-without-budget = \"called once a day\"",
        )
        .args([
            Arg::new("file")
                .value_name("FILE")
                .required_unless_present("rules")
                .num_args(1..)
                .value_parser(value_parser!(PathBuf))
                .help("Policy files (.toml, .yaml, .yml, .json)"),
            option("format", "WORD", "text, github (annotations), sarif or json [default: text]")
                .value_parser(formats.to_vec()),
            flag("strict", "Advice counts as well"),
            flag("allowed", "Show what the file allows, with its reasons"),
            flag("rules", "List every rule, with why it is one"),
        ])
}

fn explain() -> Command {
    Command::new("explain").about("Shows what a policy comes to: layers, delays, worst case").args(
        [
            Arg::new("policy")
                .value_name("FILE#NAME")
                .required(true)
                .value_parser(value_parser!(OsString))
                .help("A policy of a file; #NAME may be left out where there is one"),
            flag("json", "As JSON"),
            flag("mermaid", "As a Mermaid diagram").conflicts_with("json"),
            option("seed", "N", "Also the delays that this seed draws")
                .value_parser(value_parser!(u64)),
        ],
    )
}

const SIMULATE_ABOUT: &str = "\
Runs policies, the very code that `seawall run` and programs run, under virtual time against a modelled
service, and shows what they do to it and to its callers.

SCENARIO is a ready-made one (--list) or a scenario file (.toml, .yaml, .json). Without it the world is
one service of 10 workers, 10 ms a request, at 80 % load. Options are laid over either.";

const SIMULATE_AFTER: &str = "\
Claims: `--assert 'FIGURE <= VALUE'`, with <=, <, >= or >; `--assert 'POLICY: FIGURE <= VALUE'` for one
  policy. Each is judged by the worse end of the figure's 95 % interval over the seeds.
  Figures: amplification, peak_amplification (times), peak_load, success, availability, rejected, wasted
  (shares: 95% or 0.95), goodput (calls a second), recovery, p50, p99, p999, makespan (durations), opened.

Sweeps: `--sweep FIELD=FROM..TO[:STEP]` or `--sweep FIELD=A,B,C`; several are combined. A field is a path
  of a scenario file (load.rate, service.workers, fault.0.for; load is short for load.share) or of a
  policy file (retry.max_attempts of all policies that have it, payments.retry.max_attempts of one).

Distributions: 10ms (always), exponential=10ms, uniform=5ms..15ms, normal=10ms/2ms, p50=20ms,p99=200ms.

Faults: stall, refuse, dead, restart; errors, capacity and loss with share=0.5; slow with factor=3;
  latency with delay=100ms. from= is when (default 30s), for= how long; tier= and shard= where.

Exit status: 0; 1 if a claim does not hold; 2 if something asked for makes no sense; 125 if Seawall itself
  failed; 130 after Ctrl-C, which ends with what there is (again: at once). Same options, same bytes.

Examples:
  seawall simulate retry-storm
  seawall simulate retry-storm --policy none --policy prod.toml#payments --html storm.html
  seawall simulate --policy prod.toml#payments --rps 1500 --latency p50=20ms,p99=200ms --workers 64 \
    --outage 30s --assert 'recovery <= 30s'
  seawall simulate retry-storm --policy aws --sweep retry.max_attempts=1..6 --sweep load=0.5..0.9
  seawall simulate retry-storm --print > mine.toml";

fn simulate() -> Command {
    let file = |name, help| option(name, "FILE", help).value_parser(value_parser!(PathBuf));
    let many = |arg: Arg| arg.action(ArgAction::Append);
    let command = Command::new("simulate")
        .about("Shows what policies do to a service and its callers, before production does")
        .long_about(SIMULATE_ABOUT)
        .after_help(SIMULATE_AFTER)
        .arg_required_else_help(true)
        .arg(
            Arg::new("scenario")
                .value_name("SCENARIO")
                .help("A ready-made scenario, or a scenario file"),
        )
        .args([
            flag("list", "List the ready-made scenarios"),
            flag("print", "Print the scenario as a file to start from, and run nothing"),
        ]);
    let command = command.next_help_heading("Policies").arg(
        many(option("policy", "POLICY", "Try this one: FILE#NAME, FILE, a preset, or none")).long_help(
            "Try this policy, in place of those of the scenario; may be repeated. FILE#NAME is one of a \
             policy file, with the environment laid over it, and FILE all that are in it; `standard`, \
             `aws` and `grpc` are presets; `none` is no policy at all; a name alone is one of the \
             scenario file [default: the scenario's, else none and standard]",
        ),
    );
    let command = command.next_help_heading("World").args([
        option("rps", "X", "Calls a second, however the earlier ones fare"),
        option("load", "SHARE", "Calls as a share of what the service can serve [default: 0.8]")
            .conflicts_with("rps"),
        option("clients", "N", "Client processes, each with a policy of its own [default: 20]"),
        option("latency", "DIST", "How long the work takes, such as p50=20ms,p99=200ms"),
        option("workers", "N", "How many requests the service works on at once [default: 10]"),
        option("queue", "N", "How many may wait [default: any number]"),
        option("outage", "TIME", "The service stands still for so long, 30 s after the start"),
        many(option("fault", "KIND,..", "Something that goes wrong: errors,share=0.5,for=10s"))
            .long_help(
                "Something that goes wrong, such as errors,share=0.5,from=30s,for=10s; may be repeated. \
                 This and --outage take the place of the scenario's own faults, and of its length.",
            ),
        option("length", "TIME", "The simulated time [default: 100 s after the last fault]"),
        many(option("set", "FIELD=VALUE", "Lay a value over any field of the scenario or its policies")),
    ]);
    let command = command.next_help_heading("Runs").args([
        option(
            "seeds",
            "N",
            "How often each policy runs, each with a seed of its own [default: 5]",
        ),
        option("seed", "N", "The first seed [default: 1]"),
        option("threads", "N", "Threads; nothing found depends on it [default: one a core]")
            .value_parser(value_parser!(u16).range(1..=1024)),
        flag(
            "no-search",
            "Leave out the search for the load at which it tips, which takes most time",
        ),
        many(option("assert", "CLAIM", "Fail unless this holds, such as 'amplification <= 1.3'"))
            .value_parser(str::parse::<seawall_sim::Claim>),
        many(option("sweep", "FIELD=..", "Run at each of these values: retry.max_attempts=1..6"))
            .value_parser(str::parse::<seawall_sim::Axis>),
    ]);
    command.next_help_heading("Output").args([
        file("html", "Write the report as one HTML file that works offline")
            .conflicts_with("sweep"),
        file("svg", "Write the picture of the report").conflicts_with("sweep"),
        file("json", "Write the numbers as JSON; - for stdout, in place of the report"),
        file("csv", "Write the numbers as CSV; - for stdout, in place of the report"),
        Arg::new("quiet")
            .long("quiet")
            .short('q')
            .action(ArgAction::SetTrue)
            .help("Say nothing but problems, and claims that do not hold"),
    ])
}

fn init() -> Command {
    Command::new("init").about("Writes a commented policy file to start from").args([
        Arg::new("file")
            .value_name("FILE")
            .default_value("seawall.toml")
            .value_parser(value_parser!(PathBuf))
            .help("Where to; - for stdout"),
        flag("force", "Overwrite what is there"),
    ])
}

fn completions() -> Command {
    Command::new("completions").about("Prints completions for a shell").arg(
        Arg::new("shell")
            .value_name("SHELL")
            .required(true)
            .value_parser(value_parser!(clap_complete::Shell)),
    )
}

/// Prints help, or what is wrong with the options.
pub(crate) fn refused(problem: &clap::Error) -> ExitCode {
    // Nobody is left to tell if that fails.
    let _ = problem.print();
    match problem.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ if env::args_os().nth(1).is_some_and(|name| name == "simulate") => {
            ExitCode::from(exit::USAGE)
        }
        _ => ExitCode::from(exit::OURS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
