//! `seawall check`: what is wrong with policy files, and what in them cannot work as meant.

use crate::{papers, run::policy::get, words::Refusal};
use clap::ArgMatches;
use seawall::config::{ConfigFinding, Level, Place, Policies, Problem, Rule, rules};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// What was found in one file.
struct Report {
    file: PathBuf,
    problems: Vec<Problem>,
    findings: Vec<ConfigFinding>,
}

impl Report {
    fn of(file: &Path) -> Self {
        let loaded = Policies::loader().environment(std::env::vars_os()).load(file);
        let (problems, findings) = match loaded {
            Ok(policies) => {
                (Vec::new(), policies.iter().flat_map(|spec| spec.findings()).collect())
            }
            Err(error) => (error.problems().to_vec(), Vec::new()),
        };
        Self { file: file.to_owned(), problems, findings }
    }

    fn fails(&self, strict: bool) -> bool {
        let counts = |finding: &&ConfigFinding| {
            finding.allowed().is_none() && (strict || finding.level() > Level::Advice)
        };
        !self.problems.is_empty() || self.findings.iter().any(|finding| counts(&finding))
    }

    /// Those that the file does not allow.
    fn open(&self) -> impl Iterator<Item = &ConfigFinding> {
        self.findings.iter().filter(|finding| finding.allowed().is_none())
    }
}

pub(crate) fn run(given: &ArgMatches) -> Result<u8, Refusal> {
    if given.get_flag("rules") {
        return papers::print(list_rules().as_bytes());
    }
    let files = given.get_many::<PathBuf>("file").into_iter().flatten();
    let reports: Vec<Report> = files.map(|file| Report::of(file)).collect();
    let strict = given.get_flag("strict");
    let text = match get::<String>(given, "format").as_deref() {
        Some("github") => github(&reports),
        Some("sarif") => format!("{:#}\n", sarif(&reports)),
        Some("json") => format!("{:#}\n", as_json(&reports)),
        _ => as_text(&reports, given.get_flag("allowed")),
    };
    papers::print(text.as_bytes())?;
    Ok(u8::from(reports.iter().any(|report| report.fails(strict))))
}

fn list_rules() -> String {
    rules().iter().fold(String::new(), |mut text, rule| {
        let Rule { id, level, summary, explanation, .. } = rule;
        let _ = writeln!(text, "{id} ({}): {summary}\n    {explanation}\n", level.as_str());
        text
    })
}

fn as_text(reports: &[Report], allowed: bool) -> String {
    let mut text = String::new();
    let mut explained = BTreeSet::new();
    for report in reports {
        for problem in &report.problems {
            let _ = writeln!(text, "{problem}");
        }
        for finding in report.open() {
            let _ = writeln!(text, "{finding}");
            if explained.insert(finding.rule().id) {
                let _ = writeln!(text, "    {}", finding.rule().explanation);
            }
        }
        for finding in report.findings.iter().filter(|_| allowed) {
            if let Some(reason) = finding.allowed() {
                let _ = writeln!(text, "{finding}\n    allowed: {reason}");
            }
        }
        let (problems, open) = (report.problems.len(), report.open().count());
        let quiet = report.findings.len() - open;
        let file = report.file.display();
        let _ = match (problems, open, quiet) {
            (0, 0, 0) => writeln!(text, "{file}: in order"),
            (0, 0, quiet) => writeln!(text, "{file}: in order ({quiet} allowed)"),
            (0, open, quiet) => writeln!(text, "{file}: {open} found, {quiet} allowed"),
            (problems, ..) => writeln!(text, "{file}: not in order, {problems} to mend"),
        };
    }
    text
}

/// The file and the line that an annotation hangs on: that of the policy, where a variable or a preset
/// is the cause.
fn spot(finding: &ConfigFinding) -> &Place {
    if finding.place().file().is_some() { finding.place() } else { finding.policy_place() }
}

/// Annotations as GitHub's workflow commands.
fn github(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let own = report.file.display().to_string();
        let mut line = |kind: &str, place: &Place, title: &str, message: &str| {
            let file = property(place.file().unwrap_or(&own));
            let (row, column) = (place.line().unwrap_or(1), place.column().unwrap_or(1));
            let (title, message) = (property(title), data(message));
            let _ = writeln!(
                text,
                "::{kind} file={file},line={row},col={column},title={title}::{message}"
            );
        };
        for problem in &report.problems {
            line("error", problem.place(), problem.kind().as_str(), &problem.to_string());
        }
        for finding in report.open() {
            let kind = if finding.level() > Level::Advice { "warning" } else { "notice" };
            let message = format!("{}: {}", finding.policy(), finding.why());
            line(kind, spot(finding), finding.rule().id, &message);
        }
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn as_json(reports: &[Report]) -> Value {
    let place = |place: &Place| {
        json!({
            "file": place.file(),
            "line": place.line(),
            "column": place.column(),
            "variable": place.variable(),
            "preset": place.preset(),
        })
    };
    let problem = |problem: &Problem| {
        json!({
            "kind": problem.kind().as_str(),
            "place": place(problem.place()),
            "field": problem.field_path(),
            "value": problem.written(),
            "message": problem.message(),
            "suggestion": problem.suggestion(),
            "notes": problem.notes(),
        })
    };
    let finding = |finding: &ConfigFinding| {
        json!({
            "rule": finding.rule().id,
            "level": finding.level().as_str(),
            "policy": finding.policy(),
            "place": place(finding.place()),
            "why": finding.why(),
            "allowed": finding.allowed(),
        })
    };
    let report = |report: &Report| {
        json!({
            "file": report.file.display().to_string(),
            "problems": report.problems.iter().map(problem).collect::<Vec<_>>(),
            "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    };
    reports.iter().map(report).collect()
}

/// SARIF 2.1.0, for code scanning.
fn sarif(reports: &[Report]) -> Value {
    let level = |level: Level| if level > Level::Advice { "warning" } else { "note" };
    let listed = rules().iter().map(|rule| {
        json!({
            "id": rule.id,
            "shortDescription": { "text": rule.summary },
            "fullDescription": { "text": rule.explanation },
            "defaultConfiguration": { "level": level(rule.level) },
        })
    });
    let at = |place: &Place, own: &Path| {
        let file = place.file().map_or_else(|| own.display().to_string(), ToOwned::to_owned);
        let (row, column) = (place.line().unwrap_or(1), place.column().unwrap_or(1));
        json!([{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&file) },
            "region": { "startLine": row, "startColumn": column },
        } }])
    };
    let mut results = Vec::new();
    for report in reports {
        results.extend(report.problems.iter().map(|problem| {
            json!({
                "ruleId": problem.kind().as_str(),
                "level": "error",
                "message": { "text": problem.to_string() },
                "locations": at(problem.place(), &report.file),
            })
        }));
        results.extend(report.findings.iter().map(|finding| {
            let mut result = json!({
                "ruleId": finding.rule().id,
                "level": level(finding.level()),
                "message": { "text": format!("{}: {}", finding.policy(), finding.why()) },
                "locations": at(spot(finding), &report.file),
            });
            if let Some(reason) = finding.allowed() {
                result["suppressions"] = json!([{ "kind": "inSource", "justification": reason }]);
            }
            result
        }));
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "seawall",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": listed.collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A path as a relative reference.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into());
            }
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}
