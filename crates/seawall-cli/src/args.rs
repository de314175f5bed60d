//! What can be asked for: subcommands, options, help.

use crate::{
    exit,
    words::{self, Exits},
};
use clap::{Arg, ArgAction, Command, builder::ValueParser, error::ErrorKind, value_parser};
use std::{ffi::OsString, path::PathBuf, process::ExitCode};

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
                 the outcome of a probe that lost its slot is dropped [default: the recovery timeout, \
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
