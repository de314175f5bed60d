//! Tree to entries: which names there are, and which value stands under each. What the values mean
//! is for `settings.rs`, what is inherited for `inherit.rs`.

use super::{
    Place,
    fields::{BUDGET, ENTRY, Field, LIMITS, LayerKind, one_of},
    problem::{Problem, ProblemKind, Problems},
    rules,
    tree::{Node, Table, Value},
};
use std::sync::Arc;

/// A field that is set somewhere.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) field: &'static Field,
    /// The full path, as it is written: `payments.retry.backoff`.
    pub(super) path: Arc<str>,
    pub(super) node: Arc<Node>,
}

/// An entry as it is written, before anything is inherited.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) place: Place,
    pub(super) extends: Vec<(Arc<str>, Place)>,
    pub(super) order: Option<Order>,
    pub(super) layers: Vec<(LayerKind, WrittenLayer)>,
    pub(super) limits: Vec<Given>,
    pub(super) allow: Vec<Allow>,
}

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) layers: Vec<LayerKind>,
    pub(super) place: Place,
}

#[derive(Debug, Clone)]
pub(super) struct WrittenLayer {
    pub(super) place: Place,
    pub(super) path: Arc<str>,
    /// None where the layer is switched off: `retry = false`.
    pub(super) fields: Option<Vec<Given>>,
}

/// A finding that is meant to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allow {
    pub(super) rule: &'static str,
    pub(super) reason: Arc<str>,
    pub(super) place: Place,
}

/// A budget that entries share by its name.
#[derive(Debug, Clone)]
pub(super) struct NamedBudget {
    pub(super) name: Arc<str>,
    pub(super) place: Place,
    pub(super) fields: Vec<Given>,
}

#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) entries: Vec<Entry>,
    pub(super) budgets: Vec<NamedBudget>,
}

/// Names that are taken at the top of a file.
pub(super) const BUDGETS: &str = "budgets";
const SCHEMA: &str = "$schema";

pub(super) fn file(table: Table, problems: &mut Problems) -> File {
    let mut file = File::default();
    for member in table {
        match &*member.key {
            SCHEMA => {}
            BUDGETS => file.budgets = budgets(&member.node, problems),
            name => {
                let node = &member.node;
                if let Some(why) = refused_name(name) {
                    problems.add(
                        Problem::new(ProblemKind::InvalidValue, &member.place, why).field(name),
                    );
                } else if let Some(entry) = entry(&member.key, &member.place, node, problems) {
                    file.entries.push(entry);
                }
            }
        }
    }
    file
}

/// The presets, which alone may have their names.
pub(super) fn presets(table: Table, problems: &mut Problems) -> Vec<Entry> {
    let table = table.iter();
    table.filter_map(|member| entry(&member.key, &member.place, &member.node, problems)).collect()
}

fn refused_name(name: &str) -> Option<String> {
    const LONGEST: usize = 200;
    if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
        return Some(format!(
            "a policy's name must be text of 1 to {LONGEST} bytes without control characters"
        ));
    }
    let preset = super::inherit::PRESET_NAMES.contains(&name);
    preset.then(|| format!("`{name}` is the name of a preset: choose another one"))
}

fn entry(name: &Arc<str>, place: &Place, node: &Node, problems: &mut Problems) -> Option<Entry> {
    let Value::Table(members) = &node.value else {
        let message = format!("a policy is a table, but this is {}", described(node));
        problems.add(Problem::new(ProblemKind::WrongType, &node.place, message).field(&**name));
        return None;
    };
    let mut entry = Entry {
        name: Arc::clone(name),
        place: place.clone(),
        extends: Vec::new(),
        order: None,
        layers: Vec::new(),
        limits: Vec::new(),
        allow: Vec::new(),
    };
    for member in members {
        let (key, node) = (&*member.key, &member.node);
        let path: Arc<str> = format!("{name}.{key}").into();
        match key {
            "extends" => entry.extends = words(node, &path, problems),
            "order" => entry.order = order(node, &path, problems),
            "limits" => entry.limits = fields(node, &path, LIMITS.iter().collect(), problems),
            "allow" => entry.allow = allow(node, &path, problems),
            _ => match LayerKind::of(key) {
                Some(kind) => {
                    if let Some(fields) = layer(kind, node, &path, problems) {
                        let place = member.place.clone();
                        entry.layers.push((kind, WrittenLayer { place, path, fields }));
                    }
                }
                None => problems.add(unknown_in_entry(name, key, &member.place)),
            },
        }
    }
    Some(entry)
}

fn unknown_in_entry(entry: &str, key: &str, place: &Place) -> Problem {
    let names = || {
        let layers = LayerKind::USUAL_ORDER.iter().map(|kind| kind.as_str());
        layers.chain(ENTRY.iter().map(|(name, _)| *name))
    };
    let problem = Problem::new(
        ProblemKind::UnknownName,
        place,
        format!("a policy has no `{key}`: it has {}", names().collect::<Vec<_>>().join(", ")),
    )
    .field(format!("{entry}.{key}"))
    .nearest(key, names());
    let layer = LayerKind::USUAL_ORDER
        .into_iter()
        .rev()
        .find(|kind| kind.fields().iter().any(|field| field.is(key)));
    match layer {
        Some(layer) => problem.note(format!("`{key}` is of a layer: {entry}.{layer}.{key}")),
        None => problem,
    }
}

/// None where it is nonsense, `Some(None)` where it is switched off.
#[expect(clippy::option_option, reason = "nonsense, off, or on")]
fn layer(
    kind: LayerKind,
    node: &Node,
    path: &Arc<str>,
    problems: &mut Problems,
) -> Option<Option<Vec<Given>>> {
    let flag = match (&node.value, node.text()) {
        (Value::Flag(on), _) => Some(*on),
        (_, Some("true")) if node.place.is_loose() => Some(true),
        (_, Some("false")) if node.place.is_loose() => Some(false),
        _ => None,
    };
    let is_timeout = matches!(kind, LayerKind::Timeout | LayerKind::TotalTimeout);
    match (flag, &node.value) {
        (Some(false), _) => Some(None),
        (Some(true), _) if !is_timeout => Some(Some(Vec::new())),
        (None, Value::Table(_)) => Some(Some(fields(node, path, kind.fields(), problems))),
        // `timeout = "2s"` is short for its limit.
        (None, Value::Text(_) | Value::Integer(_) | Value::Number(_)) if is_timeout => {
            let field = &super::fields::TIMEOUT[0];
            let node = Arc::new(node.clone());
            Some(Some(vec![Given { field, path: Arc::clone(path), node }]))
        }
        _ => {
            let wanted = match is_timeout {
                true => "a duration, a table or false",
                false => "a table, true or false",
            };
            let message = format!("`{kind}` must be {wanted}, but is {}", described(node));
            problems.add(
                Problem::new(ProblemKind::WrongType, &node.place, message)
                    .field(&**path)
                    .value(node.shown()),
            );
            None
        }
    }
}

/// The members of a table whose names are known, each field once.
pub(super) fn fields(
    node: &Node,
    path: &str,
    known: Vec<&'static Field>,
    problems: &mut Problems,
) -> Vec<Given> {
    let Value::Table(members) = &node.value else {
        let message = format!("this must be a table, but is {}", described(node));
        problems.add(Problem::new(ProblemKind::WrongType, &node.place, message).field(path));
        return Vec::new();
    };
    let mut given: Vec<Given> = Vec::new();
    for member in members {
        let key = &*member.key;
        let full = format!("{path}.{key}");
        let Some(field) = known.iter().find(|field| field.is(key)) else {
            let names = || known.iter().flat_map(|field| [Some(field.name), field.alias]).flatten();
            let message = match names().count() {
                few @ 0..=4 => {
                    let all: Vec<&str> = names().take(few).collect();
                    format!("unknown field `{key}`: there is {}", all.join(", "))
                }
                _ => format!("unknown field `{key}`"),
            };
            problems.add(
                Problem::new(ProblemKind::UnknownName, &member.place, message)
                    .field(full)
                    .nearest(key, names()),
            );
            continue;
        };
        let clash = given.iter().find(|other| {
            other.field.name == field.name || field.excludes == Some(other.field.name)
        });
        if let Some(other) = clash {
            let other_key = other.path.rsplit('.').next().unwrap_or_default();
            let message = match other.field.name == field.name {
                true => format!("`{key}` and `{other_key}` are the same: give one of them"),
                false => format!("`{key}` stands in place of `{other_key}`: give one of them"),
            };
            problems.add(
                Problem::new(ProblemKind::Conflict, &member.place, message)
                    .field(full)
                    .note(format!("the other at {}", other.node.place)),
            );
            continue;
        }
        given.push(Given { field, path: full.into(), node: Arc::new(member.node.clone()) });
    }
    given
}

/// A word or a list of words; from the environment, separated by commas.
fn words(node: &Node, path: &str, problems: &mut Problems) -> Vec<(Arc<str>, Place)> {
    let single = std::slice::from_ref(node);
    let nodes = match &node.value {
        Value::List(list) => list.as_slice(),
        _ => single,
    };
    let mut words = Vec::new();
    for node in nodes {
        match &node.value {
            Value::Text(text) if node.place.is_loose() => {
                let parts = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                words.extend(parts.map(|word| (Arc::from(word), node.place.clone())));
            }
            Value::Text(text) => words.push((Arc::clone(text), node.place.clone())),
            _ => {
                let message =
                    format!("this must be a name or a list of names, but is {}", described(node));
                problems
                    .add(Problem::new(ProblemKind::WrongType, &node.place, message).field(path));
            }
        }
    }
    words
}

fn order(node: &Node, path: &str, problems: &mut Problems) -> Option<Order> {
    let mut layers = Vec::new();
    let named = words(node, path, problems);
    let mut whole =
        !named.is_empty() || matches!(&node.value, Value::List(list) if list.is_empty());
    for (word, place) in named {
        match LayerKind::of(&word) {
            Some(kind) if layers.contains(&kind) => {
                whole = false;
                let message = format!("`{word}` is named twice: a pipeline has one of each layer");
                problems.add(Problem::new(ProblemKind::Conflict, &place, message).field(path));
            }
            Some(kind) => layers.push(kind),
            None => {
                whole = false;
                let known = LayerKind::USUAL_ORDER.map(LayerKind::as_str);
                let message = format!("there is no layer `{word}`: it is {}", one_of(&known));
                problems.add(
                    Problem::new(ProblemKind::UnknownName, &place, message)
                        .field(path)
                        .value(&*word)
                        .nearest(&word, known),
                );
            }
        }
    }
    // One with a mistake in it says nothing of what it leaves out.
    whole.then(|| Order { layers, place: node.place.clone() })
}

fn allow(node: &Node, path: &str, problems: &mut Problems) -> Vec<Allow> {
    let Value::Table(members) = &node.value else {
        let message = format!(
            "this must be a table of rule ids, each with a reason, but is {}",
            described(node)
        );
        problems.add(Problem::new(ProblemKind::WrongType, &node.place, message).field(path));
        return Vec::new();
    };
    let mut allowed: Vec<Allow> = Vec::new();
    for member in members {
        // Variables cannot be spelt with a minus.
        let key = match member.place.is_loose() {
            true => member.key.replace('_', "-"),
            false => member.key.to_string(),
        };
        let full = format!("{path}.{key}");
        let Some(rule) = rules::rule(&key) else {
            problems.add(
                Problem::new(
                    ProblemKind::UnknownName,
                    &member.place,
                    format!("there is no rule `{key}`"),
                )
                .field(full)
                .nearest(&key, rules::RULES.iter().map(|rule| rule.id)),
            );
            continue;
        };
        match member.node.text() {
            Some(reason) if !reason.trim().is_empty() => allowed.push(Allow {
                rule: rule.id,
                reason: reason.trim().into(),
                place: member.place.clone(),
            }),
            _ => {
                let message = format!("`{key}` needs its reason, as text");
                problems.add(
                    Problem::new(ProblemKind::Missing, &member.node.place, message).field(full),
                );
            }
        }
    }
    allowed
}

fn budgets(node: &Node, problems: &mut Problems) -> Vec<NamedBudget> {
    let Value::Table(members) = &node.value else {
        let message =
            format!("`{BUDGETS}` is a table of retry budgets, but this is {}", described(node));
        problems.add(Problem::new(ProblemKind::WrongType, &node.place, message).field(BUDGETS));
        return Vec::new();
    };
    let mut budgets = Vec::new();
    for member in members {
        let name = &member.key;
        let path = format!("{BUDGETS}.{name}");
        if super::fields::BUDGET_PRESETS.contains(&&**name) {
            let message = format!("`{name}` is the name of a preset: choose another one");
            problems
                .add(Problem::new(ProblemKind::InvalidValue, &member.place, message).field(path));
            continue;
        }
        let fields = fields(&member.node, &path, BUDGET.iter().collect(), problems);
        budgets.push(NamedBudget { name: Arc::clone(name), place: member.place.clone(), fields });
    }
    budgets
}

/// What a value is, for a message about its type.
pub(super) fn described(node: &Node) -> String {
    match &node.value {
        Value::Table(_) | Value::List(_) | Value::Null => node.kind().to_owned(),
        Value::Doubtful(why) => format!("{}, {why}", node.shown()),
        _ => format!("{}, {}", node.shown(), node.kind()),
    }
}
