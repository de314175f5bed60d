//! What an entry has from those it extends: layer by layer, field by field, the nearest wins.

use super::{
    Place,
    fields::{LayerKind, one_of},
    problem::{Problem, ProblemKind, Problems},
    read::{Allow, Entry, File, Given, Order, WrittenLayer},
    syntax::{self, Format, POLICY_FILE},
    tree::{Node, Table, Value},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
};

pub(super) const PRESET_NAMES: [&str; 3] = ["standard", "aws", "grpc"];
pub(super) const PRESETS: &str = include_str!("presets.toml");

/// How many entries may extend one another in a row.
const DEEPEST: usize = 32;

/// An entry with all that it has from others.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) order: Option<Order>,
    pub(super) layers: BTreeMap<LayerKind, WrittenLayer>,
    pub(super) limits: Vec<Given>,
    pub(super) allow: Vec<Allow>,
}

impl Resolved {
    const NOTHING: Self =
        Self { order: None, layers: BTreeMap::new(), limits: Vec::new(), allow: Vec::new() };

    /// Takes over what `other` says.
    fn lay_over(&mut self, other: &Self) {
        if other.order.is_some() {
            self.order.clone_from(&other.order);
        }
        for (kind, layer) in &other.layers {
            match self.layers.get_mut(kind) {
                Some(below) => merge(below, layer),
                None => _ = self.layers.insert(*kind, layer.clone()),
            }
        }
        lay_over(&mut self.limits, &other.limits);
        for allow in &other.allow {
            self.allow.retain(|below| below.rule != allow.rule);
            self.allow.push(allow.clone());
        }
    }

    /// Takes over what an entry says itself, which must fit its order.
    fn say(&mut self, entry: &Entry, problems: &mut Problems) {
        let own = Self {
            order: entry.order.clone(),
            layers: entry.layers.iter().cloned().collect(),
            limits: entry.limits.clone(),
            allow: entry.allow.clone(),
        };
        self.lay_over(&own);
        let Some(order) = &self.order else { return };
        for (kind, layer) in &own.layers {
            if layer.fields.is_some() && !order.layers.contains(kind) {
                let message = format!("`{kind}` is set, but `order` leaves it out");
                problems.add(
                    Problem::new(ProblemKind::Conflict, &layer.place, message)
                        .field(&*layer.path)
                        .note(format!("the order at {}", order.place)),
                );
            }
        }
    }
}

fn merge(below: &mut WrittenLayer, above: &WrittenLayer) {
    match (&mut below.fields, &above.fields) {
        (Some(fields), Some(more)) => {
            lay_over(fields, more);
            below.place = above.place.clone();
            below.path = Arc::clone(&above.path);
        }
        // Off, or on again: from nothing.
        _ => *below = above.clone(),
    }
}

fn lay_over(fields: &mut Vec<Given>, more: &[Given]) {
    for given in more {
        let mut given = given.clone();
        if let Some(same) = fields.iter().find(|below| below.field.name == given.field.name) {
            if let Some(both) = tables_merged(&same.node, &given.node) {
                given.node = Arc::new(both);
            }
        }
        fields.retain(|below| {
            below.field.name != given.field.name && Some(below.field.name) != given.field.excludes
        });
        fields.push(given);
    }
}

/// A budget's `ratio` may be changed without its `floor`.
fn tables_merged(below: &Node, above: &Node) -> Option<Node> {
    match (&below.value, &above.value) {
        (Value::Table(below), Value::Table(more)) => {
            let mut members: Table = below
                .iter()
                .filter(|member| more.iter().all(|other| other.key != member.key))
                .cloned()
                .collect();
            members.extend(more.iter().cloned());
            Some(Node::holding(Value::Table(members), above.place.clone()))
        }
        _ => None,
    }
}

/// Every entry with what it inherits and what the environment says, in the order of the file.
pub(super) fn resolve(file: &File, overrides: &[Entry], problems: &mut Problems) -> Vec<Resolved> {
    let names: HashMap<&str, usize> =
        file.entries.iter().enumerate().map(|(at, entry)| (&*entry.name, at)).collect();
    let overrides = overrides.iter().map(|entry| (&*entry.name, entry)).collect();
    let mut family = Family {
        entries: &file.entries,
        names,
        overrides,
        known: vec![State::Unknown; file.entries.len()],
        problems,
    };
    (0..file.entries.len()).map(|at| family.resolved(at, 0)).collect()
}

struct Family<'a> {
    entries: &'a [Entry],
    names: HashMap<&'a str, usize>,
    overrides: HashMap<&'a str, &'a Entry>,
    known: Vec<State>,
    problems: &'a mut Problems,
}

#[derive(Clone)]
enum State {
    Unknown,
    Underway,
    Known(Arc<Resolved>),
}

impl Family<'_> {
    fn resolved(&mut self, at: usize, depth: usize) -> Resolved {
        if let State::Known(resolved) = &self.known[at] {
            return (**resolved).clone();
        }
        self.known[at] = State::Underway;
        let entry = &self.entries[at];
        let above = self.overrides.get(&*entry.name).copied();
        let extends = match above {
            Some(above) if !above.extends.is_empty() => &above.extends,
            _ => &entry.extends,
        };
        let mut resolved = Resolved::NOTHING;
        for (name, place) in extends {
            if let Some(parent) = self.parent(at, name, place, depth) {
                resolved.lay_over(&parent);
            }
        }
        resolved.say(entry, self.problems);
        if let Some(above) = above {
            resolved.say(above, self.problems);
        }
        self.known[at] = State::Known(Arc::new(resolved.clone()));
        resolved
    }

    fn parent(&mut self, of: usize, name: &str, place: &Place, depth: usize) -> Option<Resolved> {
        let path = format!("{}.extends", self.entries[of].name);
        let problem = |kind, message| Problem::new(kind, place, message).field(path).value(name);
        let Some(&at) = self.names.get(name) else {
            if let Some(preset) = presets().get(name) {
                return Some(preset.clone());
            }
            let message = format!(
                "there is no policy `{name}` in this file, and no such preset: it is {}",
                one_of(&PRESET_NAMES)
            );
            let known = self.names.keys().copied().chain(PRESET_NAMES);
            let mut known: Vec<&str> = known.collect();
            known.sort_unstable();
            self.problems.add(problem(ProblemKind::UnknownName, message).nearest(name, known));
            return None;
        };
        if let State::Underway = self.known[at] {
            let message = match at == of {
                true => format!("`{name}` extends itself"),
                false => format!("`{name}` extends this policy in turn: a circle has no beginning"),
            };
            self.problems.add(problem(ProblemKind::CircularExtends, message));
            return None;
        }
        if depth >= DEEPEST {
            let message = format!("more than {DEEPEST} policies extend one another in a row");
            self.problems.add(problem(ProblemKind::InvalidValue, message));
            return None;
        }
        Some(self.resolved(at, depth + 1))
    }
}

/// The presets, written as a policy file and read as one.
fn presets() -> &'static HashMap<&'static str, Resolved> {
    static KNOWN: OnceLock<HashMap<&str, Resolved>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut problems = Problems::default();
        let file: Arc<str> = "presets.toml".into();
        let mut table = syntax::parse(PRESETS, Format::Toml, &file, POLICY_FILE, &mut problems)
            .unwrap_or_default();
        for member in &mut table {
            let name = PRESET_NAMES.into_iter().find(|name| *name == &*member.key);
            attribute(&mut member.node, &Place::in_preset(name.unwrap_or_default()));
        }
        let presets = super::read::presets(table, &mut problems);
        debug_assert!(problems.is_empty(), "{problems:?}");
        PRESET_NAMES
            .into_iter()
            .zip(PRESET_NAMES.map(|name| {
                let mut resolved = Resolved::NOTHING;
                if let Some(entry) = presets.iter().find(|entry| &*entry.name == name) {
                    resolved.say(entry, &mut problems);
                }
                resolved
            }))
            .collect()
    })
}

/// Values of a preset come from the preset, not from a line of a file that nobody has.
fn attribute(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::Table(members) => {
            for member in members {
                member.place = place.clone();
                attribute(&mut member.node, place);
            }
        }
        Value::List(list) => list.iter_mut().for_each(|node| attribute(node, place)),
        _ => {}
    }
}
