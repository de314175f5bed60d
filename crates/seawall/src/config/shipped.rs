//! What is made of the tables and lies in the repository: the schema, the guide's tables. Tests hold
//! them up to date; `SEAWALL_BLESS=1 cargo test --all-features config::shipped` writes them anew.

use super::{
    Policies,
    fields::{BREAKER, BUDGET, ENTRY, FALLBACK, Field, Kind, LIMITS, LayerKind, RETRY, TIMEOUT},
    rules::RULES,
};
use std::{env, fmt::Write as _, fs, path::PathBuf};

fn compare(path: &str, wanted: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), path].iter().collect();
    if env::var_os("SEAWALL_BLESS").is_some() {
        fs::write(&path, wanted).expect("the repository can be written to");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{} is behind: SEAWALL_BLESS=1 writes it anew", path.display());
}

#[test]
fn the_schema_in_the_repository_is_up_to_date() {
    compare("schema/policies.schema.json", &super::json_schema());
}

#[test]
fn the_guide_lists_every_field_and_every_rule() {
    let path = "src/guide/policy_files.md";
    let guide: PathBuf = [env!("CARGO_MANIFEST_DIR"), path].iter().collect();
    let mut guide = fs::read_to_string(guide).expect("the guide is there");
    for (name, table) in [("fields", fields()), ("rules", rules())] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
        let from = guide.find(&begin).expect("the table begins") + begin.len();
        let to = guide.find(&end).expect("the table ends");
        guide.replace_range(from..to, &table);
    }
    compare(path, &guide);
}

fn fields() -> String {
    let mut out = String::from("\n**a policy**\n\n| field | |\n|---|---|\n");
    let layers = LayerKind::USUAL_ORDER.map(|kind| (kind.as_str(), kind.doc()));
    for (name, doc) in layers.iter().chain(&ENTRY) {
        let _ = writeln!(out, "| `{name}` | {doc} |");
    }
    let mut list = |title: &str, fields: Vec<&Field>| {
        let _ = write!(out, "\n**{title}**\n\n| field | takes | default | |\n|---|---|---|---|\n");
        for field in fields {
            let alias = field.alias.map(|alias| format!(" or `{alias}`")).unwrap_or_default();
            let Field { name, kind, default, doc, .. } = field;
            let takes = match kind {
                Kind::Length { .. } => "a duration".to_owned(),
                kind => kind.wanted(),
            };
            let _ = writeln!(out, "| `{name}`{alias} | {takes} | {default} | {doc} |");
        }
    };
    list("retry", LayerKind::Retry.fields());
    list("circuit_breaker", LayerKind::CircuitBreaker.fields());
    list("timeout, total_timeout", TIMEOUT.iter().collect());
    list("fallback", FALLBACK.iter().collect());
    list("budgets, and budget of a retry", BUDGET.iter().collect());
    list("limits", LIMITS.iter().collect());
    out.push('\n');
    out
}

fn rules() -> String {
    let mut out = String::from(
        "\n| rule | level | what it finds | why, and what to do |\n|---|---|---|---|\n",
    );
    for rule in &RULES {
        let (id, level) = (rule.id, rule.level.as_str());
        let _ = writeln!(out, "| `{id}` | {level} | {} | {} |", rule.summary, rule.explanation);
    }
    out.push('\n');
    out
}

#[test]
fn rules_are_in_the_order_of_their_ids() {
    assert!(RULES.is_sorted_by_key(|rule| rule.id));
}

/// A policy with one field, and what that one needs to make sense.
fn file(layer: LayerKind, field: &str, value: &str) -> String {
    format!("p.{layer} = {{ {field} = {value}{} }}", beside(field))
}

fn beside(field: &str) -> &'static str {
    match field {
        "failure_rate" => ", over_calls = 100",
        "over_calls" | "over_time" => ", failure_rate = 0.5",
        "minimum_calls" => ", failure_rate = 0.5, over_time = 30",
        "slow_call_rate" => ", slow_call_duration = 1, over_calls = 100",
        "slow_call_duration" => ", slow_call_rate = 0.5, over_calls = 100",
        "max_delay" => ", base_delay = 0",
        "max_recovery_timeout" => ", recovery_timeout = 0",
        _ => "",
    }
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_builders() {
    let retry = RETRY.iter().map(|row| (LayerKind::Retry, &row.field));
    let breaker = BREAKER.iter().map(|row| (LayerKind::CircuitBreaker, &row.field));
    let mut compared = 0;
    for (layer, field) in retry.chain(breaker) {
        // `60s, or base_delay if that is longer`: the first word is what holds by itself.
        let word = field.default.split([',', ' ']).next().unwrap_or_default();
        let value = match field.kind {
            Kind::Count { .. } | Kind::Number { .. } | Kind::Flag => word.to_owned(),
            _ => format!("'{word}'"),
        };
        // Where the base is set, so is what its cap follows.
        let beside = if field.name == "max_delay" { "" } else { beside(field.name) };
        let beside = beside.strip_prefix(", ").unwrap_or_default();
        let read = |text: String| Policies::from_str(&text, super::Format::Toml);
        let without = read(format!("p.{layer} = {{ {beside} }}"));
        let comma = if beside.is_empty() { "" } else { ", " };
        let with = read(format!("p.{layer} = {{ {} = {value}{comma}{beside} }}", field.name));
        // Not every default is a value: `none`, `max_delay`.
        if let (Ok(with), Ok(without)) = (with, without) {
            compared += 1;
            let told =
                |policies: Policies| policies.iter().map(|p| format!("{p:#}")).collect::<String>();
            assert_eq!(told(with), told(without), "{layer}.{} is {value}", field.name);
        }
    }
    assert!(compared > 12, "{compared} of them are values");
}

fn is_taken(layer: LayerKind, field: &str, value: &str) -> bool {
    let file = file(layer, field, value);
    let read = Policies::from_str(&file, super::Format::Toml);
    if let Err(error) = &read {
        let wanted = format!("p.{layer}.{field}");
        for problem in error.problems() {
            assert_eq!(problem.field_path(), Some(&*wanted), "{file}: {error}");
        }
    }
    read.is_ok()
}

#[test]
fn the_ranges_of_the_table_are_those_of_the_builders() {
    let retry = RETRY.iter().map(|row| (LayerKind::Retry, &row.field));
    let breaker = BREAKER.iter().map(|row| (LayerKind::CircuitBreaker, &row.field));
    for (layer, field) in retry.chain(breaker) {
        let taken = |value: &str| is_taken(layer, field.name, value);
        let (inside, outside): (Vec<String>, Vec<String>) = match field.kind {
            Kind::Count { least, most } => {
                let below = i64::from(least) - 1;
                (
                    vec![least.to_string(), most.to_string()],
                    vec![below.to_string(), (i64::from(most) + 1).to_string(), "1.5".into()],
                )
            }
            Kind::Number { least, most } => {
                let above = if most < f64::MAX { most + 0.001 } else { f64::INFINITY };
                (
                    vec![format!("{least:?}"), format!("{most:?}")],
                    vec![format!("{:?}", least - 0.001), format!("{above:?}"), "nan".into()],
                )
            }
            Kind::Length { least, most } => {
                let least = least.as_secs_f64();
                let mut inside = vec![format!("{least:?}")];
                let mut outside = vec![format!("{:?}", least - 0.001), "nan".into(), "inf".into()];
                if most.as_secs() < u64::MAX {
                    inside.push(format!("{:?}", most.as_secs_f64()));
                    outside.push(format!("{:?}", most.as_secs_f64() + 0.001));
                }
                (inside, outside)
            }
            Kind::Flag => (vec!["true".into(), "false".into()], vec!["'yes'".into(), "1".into()]),
            Kind::Word(words) => {
                (words.iter().map(|word| format!("'{word}'")).collect(), vec!["'other'".into()])
            }
            Kind::Jitter => {
                let words = field.kind.words().iter().map(|word| format!("'{word}'"));
                (words.chain(["true".into()]).collect(), vec!["'plus_minus_101'".into()])
            }
            Kind::Text | Kind::Budget | Kind::Anything => continue,
        };
        for value in &inside {
            assert!(taken(value), "{layer}.{} refuses {value}", field.name);
        }
        for value in &outside {
            assert!(!taken(value), "{layer}.{} takes {value}", field.name);
        }
    }
}
