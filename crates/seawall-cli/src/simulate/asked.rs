//! What was asked for: options laid over a scenario.

use crate::run::policy::get;
use clap::ArgMatches;
use seawall::config::{
    ConfigError, Format, ProblemKind,
    door::{self, Told},
};
use seawall_sim::{Axis, Claim, Draft, Ready, Study, Sweep};
use std::path::Path;

/// Options that are a field of the scenario each.
const FIELDS: [(&str, &str); 8] = [
    ("rps", "load.rate"),
    ("load", "load"),
    ("clients", "load.clients"),
    ("latency", "service.time"),
    ("workers", "service.workers"),
    ("queue", "service.queue"),
    ("seeds", "seeds"),
    ("seed", "seed"),
];

pub(super) struct Asked {
    pub(super) study: Study,
    pub(super) sweep: Option<Sweep>,
    pub(super) claims: Vec<Claim>,
    pub(super) quiet: bool,
}

impl Asked {
    pub(super) fn from_args(given: &ArgMatches) -> Result<Self, ConfigError> {
        let mut draft = match get::<String>(given, "scenario") {
            Some(name) => scenario(&name)?,
            None => Draft::plain(),
        }
        .environment(std::env::vars_os());
        faults(given, &mut draft)?;
        for (option, path) in FIELDS.into_iter().chain([("length", "length")]) {
            if let Some(value) = get::<String>(given, option) {
                draft.set(path, &value, &format!("--{option} {value}"))?;
            }
        }
        for set in given.get_many::<String>("set").into_iter().flatten() {
            let option = format!("--set {set}");
            let Some((path, value)) = set.split_once('=') else {
                return Err(wrong(&option, "a value is laid over a field by FIELD=VALUE"));
            };
            draft.set(path.trim(), value.trim(), &option)?;
        }
        for name in given.get_many::<String>("policy").into_iter().flatten() {
            draft.policy(name, &format!("--policy {name}"));
        }
        let threads = get::<u16>(given, "threads").map(usize::from);
        let axes: Vec<Axis> =
            given.get_many::<Axis>("sweep").into_iter().flatten().cloned().collect();
        let mut sweep = None;
        let mut study = if axes.is_empty() {
            draft.study()?
        } else {
            let all = Sweep::new(&draft, axes)?;
            let all = threads.into_iter().fold(all, Sweep::threads);
            let first = all.first().cloned();
            sweep = Some(all);
            match first {
                Some(study) => study,
                None => draft.study()?,
            }
        };
        if let Some(threads) = threads {
            study = study.threads(threads);
        }
        if given.get_flag("no-search") {
            study = study.without_search();
        }
        let claims = given.get_many::<Claim>("assert").into_iter().flatten().cloned().collect();
        Ok(Self { study, sweep, claims, quiet: given.get_flag("quiet") })
    }

    /// A claim about a policy that does not take part would hold for ever.
    pub(super) fn unknown_policy(&self) -> Option<String> {
        let names: Vec<&str> = self.study.names().collect();
        let unknown = self.claims.iter().find_map(|claim| {
            claim.policy().filter(|policy| !names.contains(policy)).map(|policy| (claim, policy))
        });
        let (claim, policy) = unknown?;
        let near = door::nearest(policy, names.iter().copied());
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Some(format!(
            "--assert '{policy}: {claim}': no policy `{policy}` takes part: there is {}{near}",
            names.join(", ")
        ))
    }
}

fn wrong(option: &str, message: &str) -> ConfigError {
    Told::new(ProblemKind::InvalidValue, &door::option(option), message).into_error()
}

/// A ready-made scenario by its name, or a file.
fn scenario(name: &str) -> Result<Draft, ConfigError> {
    if let Some(ready) = Ready::find(name) {
        return Draft::ready(ready);
    }
    if Format::of(name).is_some() || Path::new(name).exists() {
        return Draft::file(name);
    }
    let known: Vec<&str> = Ready::ALL.iter().map(|ready| ready.name).collect();
    let message = format!(
        "there is no scenario `{name}`, and no such file: ready-made are {}",
        known.join(", ")
    );
    let told = Told::new(ProblemKind::UnknownName, &door::option(name), message);
    Err(told.nearest(name, known).into_error())
}

/// Faults that are asked for stand in place of the scenario's, and so does the length that they need.
fn faults(given: &ArgMatches, draft: &mut Draft) -> Result<(), ConfigError> {
    let outage = get::<String>(given, "outage");
    let faults: Vec<&String> = given.get_many::<String>("fault").into_iter().flatten().collect();
    if outage.is_none() && faults.is_empty() {
        return Ok(());
    }
    draft.remove("fault");
    draft.remove("length");
    if let Some(lasts) = outage {
        let option = format!("--outage {lasts}");
        draft.add_fault(&[("kind", "stall"), ("for", &lasts)], &option);
    }
    for fault in faults {
        let option = format!("--fault {fault}");
        let mut parts = fault.split(',').map(str::trim);
        let mut fields = vec![("kind", parts.next().unwrap_or_default())];
        for part in parts {
            let Some(pair) = part.split_once('=') else {
                let message = "a fault is written KIND,from=TIME,for=TIME, and its figure where it has one: errors,share=0.5,from=30s,for=10s";
                return Err(wrong(&option, message));
            };
            fields.push(pair);
        }
        draft.add_fault(&fields, &option);
    }
    Ok(())
}
