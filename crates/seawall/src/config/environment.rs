//! The environment as a second file, laid over the first: `SEAWALL__PAYMENTS__RETRY__MAX_ATTEMPTS=5`.

use super::{
    Place,
    problem::{Problem, ProblemKind, Problems},
    tree::{Member, Node, Table, Value},
};
use std::{collections::BTreeMap, ffi::OsString, sync::Arc};

/// The tree that the variables make, and nothing of those that are not ours.
///
/// `names` are the entries of the file: a variable spells them in capitals, and `-` as `_`.
pub(super) fn tree(
    prefix: &str,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    names: &[Arc<str>],
    problems: &mut Problems,
) -> Table {
    let mut root = Table::new();
    let start = format!("{prefix}__");
    // Sorted, so that messages come in one order on every run.
    let ours: BTreeMap<String, OsString> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(&start))
        .collect();
    for (name, value) in ours {
        let place = Place::in_variable(&name);
        let refuse = |kind, message: String| Problem::new(kind, &place, message);
        let Ok(value) = value.into_string() else {
            problems.add(refuse(ProblemKind::InvalidValue, "the value is not UTF-8".into()));
            continue;
        };
        let parts: Vec<String> =
            name[start.len()..].split("__").map(|part| part.to_ascii_lowercase()).collect();
        let [entry, path @ ..] = parts.as_slice() else { continue };
        if path.is_empty() || parts.iter().any(String::is_empty) {
            let message = format!(
                "a variable is named {prefix}__POLICY__FIELD or {prefix}__POLICY__LAYER__FIELD"
            );
            problems.add(refuse(ProblemKind::UnknownName, message));
            continue;
        }
        let entry = match entry_named(entry, names) {
            Ok(entry) => entry,
            Err(problem) => {
                problems.add(problem(&place));
                continue;
            }
        };
        let path: Vec<Arc<str>> =
            [entry].into_iter().chain(path.iter().map(|part| part.as_str().into())).collect();
        if let Some(other) = insert(&mut root, &path, &value, &place) {
            let message =
                format!("it sets the whole of what {other} sets a part of, or the other way round");
            problems.add(refuse(ProblemKind::Conflict, message).field(path.join(".")));
        }
    }
    root
}

type MakeProblem<'a> = Box<dyn Fn(&Place) -> Problem + 'a>;

fn entry_named<'a>(word: &'a str, names: &'a [Arc<str>]) -> Result<Arc<str>, MakeProblem<'a>> {
    if word == super::read::BUDGETS {
        return Ok(word.into());
    }
    let same = |name: &str| name.to_lowercase().replace('-', "_") == word.replace('-', "_");
    let mut found = names.iter().filter(|name| same(name));
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(Arc::clone(name)),
        (Some(one), Some(other)) => Err(Box::new(move |place| {
            let message = format!("it could mean `{one}` or `{other}`: rename one of them");
            Problem::new(ProblemKind::Conflict, place, message)
        })),
        (None, _) => Err(Box::new(move |place| {
            Problem::new(ProblemKind::UnknownName, place, format!("there is no policy `{word}`"))
                .nearest(word, names.iter().map(|name| &**name))
        })),
    }
}

/// Puts a value at `path`. Where that is taken, the place of what is there.
fn insert(table: &mut Table, path: &[Arc<str>], value: &str, place: &Place) -> Option<Place> {
    let [key, rest @ ..] = path else { return None };
    let at = table.iter().position(|member| member.key == *key);
    let Some(at) = at else {
        let node = match rest {
            [] => Node::scalar(Value::Text(value.into()), place.clone(), value),
            _ => {
                let mut inner = Table::new();
                insert(&mut inner, rest, value, place);
                Node::holding(Value::Table(inner), place.clone())
            }
        };
        table.push(Member { key: Arc::clone(key), place: place.clone(), node });
        return None;
    };
    let member = &mut table[at];
    match (&mut member.node.value, rest) {
        (Value::Table(inner), [_, ..]) => insert(inner, rest, value, place),
        _ => Some(member.place.clone()),
    }
}

/// Puts a value at `path`, in place of what is there.
pub(super) fn lay(table: &mut Table, path: &[Arc<str>], value: &str, place: &Place) {
    let [key, rest @ ..] = path else { return };
    let inner = table.iter_mut().find(|member| member.key == *key);
    if let (Some(Value::Table(inner)), [_, ..]) = (inner.map(|member| &mut member.node.value), rest)
    {
        return lay(inner, rest, value, place);
    }
    table.retain(|member| member.key != *key);
    insert(table, path, value, place);
}
