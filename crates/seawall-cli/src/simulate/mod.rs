//! `seawall simulate`: policies under virtual time. What is asked for goes to a draft; what is found is
//! shown, written and judged.

mod asked;
mod files;
mod progress;
mod show;

use crate::{exit, papers, tell, words::Refusal};
use asked::Asked;
use clap::ArgMatches;
use files::Files;
use progress::Watch;
use seawall::config::ConfigError;
use seawall_sim::{Claim, Judgement, Ready, Summary};
use std::fmt::Write as _;

pub(crate) fn run(given: &ArgMatches) -> Result<u8, Refusal> {
    if given.get_flag("list") {
        return papers::print(list().as_bytes());
    }
    let asked = match Asked::from_args(given) {
        Ok(asked) => asked,
        Err(error) => return Ok(refused(&error)),
    };
    if given.get_flag("print") {
        return papers::print(asked.study.as_file().as_bytes());
    }
    if let Some(why) = asked.unknown_policy() {
        tell::problem(&why);
        return Ok(exit::USAGE);
    }
    let files = Files::open(given)?;
    let watch = Watch::begin(asked.quiet)?;
    let (text, judged, complete) = match &asked.sweep {
        None => {
            let found = watch.over(|stop, tell| asked.study.run_with(stop, tell));
            for note in show::notes(&found) {
                watch.line(&note);
            }
            let findings = found.findings.iter();
            let judged = findings
                .flat_map(|one| judge(&asked.claims, &one.name, &one.name, &one.summary))
                .collect();
            files.write(&found)?;
            (show::report(&found), judged, found.complete)
        }
        Some(sweep) => {
            let swept = watch.over(|stop, tell| sweep.run_with(stop, tell));
            let rows = swept.rows.iter();
            let judged: Vec<Judged> = rows
                .flat_map(|row| {
                    let pairs = swept.fields.iter().zip(&row.values);
                    let pairs: Vec<String> =
                        pairs.map(|(f, value)| format!("{f}={value}")).collect();
                    let shown = format!("{} at {}", row.policy, pairs.join(", "));
                    judge(&asked.claims, &row.policy, &shown, &row.summary)
                })
                .collect();
            files.write_sweep(&swept)?;
            (show::table(&swept), judged, swept.complete)
        }
    };
    let mut status = 0;
    let mut told = String::new();
    if complete {
        for one in &judged {
            if one.holds {
                let _ = writeln!(told, "holds: {}", one.text);
            } else {
                status = 1;
            }
        }
    }
    if !asked.quiet && !files.has_stdout() {
        papers::print(format!("{text}{told}").as_bytes())?;
    }
    for one in judged.iter().filter(|one| complete && !one.holds) {
        tell::problem(&format!("does not hold: {}", one.text));
    }
    if let Some(status) = watch.ended_by() {
        let claims = if asked.claims.is_empty() { "" } else { ", and no claim is judged" };
        tell::problem(&format!("stopped before the end: this is not complete{claims}"));
        return Ok(status);
    }
    Ok(status)
}

/// Tells of every problem in a line.
fn refused(error: &ConfigError) -> u8 {
    for problem in error.problems() {
        tell::problem(&problem.to_string());
    }
    exit::USAGE
}

fn list() -> String {
    let width = Ready::ALL.iter().map(|ready| ready.name.len()).max().unwrap_or_default();
    Ready::ALL.iter().fold(String::new(), |mut text, ready| {
        let _ = writeln!(text, "{:width$}  {}", ready.name, ready.about);
        text
    })
}

/// A claim that was judged.
struct Judged {
    holds: bool,
    text: String,
}

/// `name` is the policy's, `shown` says where it was tried as well.
fn judge(claims: &[Claim], name: &str, shown: &str, summary: &Summary) -> Vec<Judged> {
    let about = claims.iter().filter(|claim| claim.is_about(name));
    let judged = about.map(|claim| {
        let unit = claim.metric().unit();
        let (holds, figure) = match claim.judge(summary) {
            Judgement::Holds(figure) => (true, show::interval(unit, figure)),
            Judgement::Fails(figure) => (false, show::interval(unit, figure)),
            _ => (false, "no run has this figure".to_owned()),
        };
        Judged { holds, text: format!("{shown}: {claim}: {figure}") }
    });
    judged.collect()
}
