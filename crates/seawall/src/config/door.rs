//! Files of other kinds, read as policy files are: places, nearest names, all problems in one run.
//! Nobody's API: for the simulator's scenario files.

use super::{
    Format, Place, Policies,
    policies::{self, Loader},
    problem::{self, ConfigError, Problem, ProblemKind},
    read, settings, syntax,
    tree::{self, Member, Node, Table},
};
use std::{path::Path, sync::Arc, time::Duration};

/// Reads a file, whose extension says its syntax. `what` it is called: `scenario file`.
///
/// # Errors
/// It cannot be read, is too large, or has no extension that is known.
pub fn read(path: &Path, what: &str) -> Result<(Vec<u8>, Format), ConfigError> {
    policies::read(path, &path.display().to_string().into(), what)
}

/// A file's values.
#[derive(Debug, Clone)]
pub struct Tree {
    table: Table,
    place: Place,
}

impl Tree {
    /// An empty one.
    pub fn new(name: &str) -> Self {
        Self { table: Table::new(), place: Place::file_as_a_whole(&name.into()) }
    }

    /// Text to values.
    ///
    /// # Errors
    /// All that is wrong with the syntax.
    pub fn parse(
        bytes: &[u8],
        format: Format,
        name: &str,
        what: &str,
    ) -> Result<Self, ConfigError> {
        let name: Arc<str> = name.into();
        let text = policies::text(bytes, &name, what)?;
        let mut problems = problem::Problems::default();
        let table = syntax::parse(text, format, &name, what, &mut problems);
        problems.into_result(())?;
        Ok(Self { table: table.unwrap_or_default(), place: Place::file_as_a_whole(&name) })
    }

    /// Its members.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Place, Value<'_>)> {
        members(&self.table)
    }

    /// The file as a whole.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Lays a value over what is there, as the environment does; `option` is what messages say it is
    /// from. In a list, a step of the path is a number from 0, or the `name` of a table in it.
    ///
    /// # Errors
    /// The path leads through a list that has no such member.
    pub fn set(&mut self, path: &str, value: &str, option: &str) -> Result<(), ConfigError> {
        let place = Place::in_option(option);
        let node = Node::scalar(tree::Value::Text(value.into()), place.clone(), value);
        self.put(path, node, &place)
    }

    /// As [`set`](Self::set), with a table.
    ///
    /// # Errors
    /// As there.
    pub fn set_table(
        &mut self,
        path: &str,
        members: &[(&str, &str)],
        option: &str,
    ) -> Result<(), ConfigError> {
        let place = Place::in_option(option);
        self.put(path, table_of(members, &place), &place)
    }

    /// Adds a table to a list, which is begun where there is none.
    pub fn push(&mut self, list: &str, members: &[(&str, &str)], option: &str) {
        let place = Place::in_option(option);
        let node = table_of(members, &place);
        let known = self.table.iter_mut().find(|member| &*member.key == list);
        match known.map(|member| &mut member.node.value) {
            Some(tree::Value::List(list)) => list.push(node),
            _ => {
                self.remove(list);
                let node = Node::holding(tree::Value::List(vec![node]), place.clone());
                self.table.push(Member { key: list.into(), place, node });
            }
        }
    }

    /// Takes out what is at a path; nothing where there is nothing.
    pub fn remove(&mut self, path: &str) {
        let Some((above, last)) = path.rsplit_once('.') else {
            return self.table.retain(|member| &*member.key != path);
        };
        let mut steps = above.split('.');
        let first = steps.next().unwrap_or_default();
        let first = self.table.iter_mut().find(|member| &*member.key == first);
        let at = steps.try_fold(first.map(|member| &mut member.node), |at, step| {
            let found = match &mut at?.value {
                tree::Value::Table(table) => table
                    .iter_mut()
                    .find(|member| &*member.key == step)
                    .map(|member| &mut member.node),
                tree::Value::List(list) => position(list, step).map(|at| &mut list[at]),
                _ => None,
            };
            Some(found)
        });
        if let Some(Some(Node { value: tree::Value::Table(table), .. })) = at {
            table.retain(|member| &*member.key != last);
        }
    }

    fn put(&mut self, path: &str, node: Node, place: &Place) -> Result<(), ConfigError> {
        let steps: Vec<&str> = path.split('.').collect();
        match steps.as_slice() {
            [step, rest @ ..] => {
                put(member(&mut self.table, step, place), rest, node, (path, place))
            }
            [] => Ok(()),
        }
    }
}

/// The member of this name; a new one, an empty table, where there is none.
fn member<'a>(table: &'a mut Table, key: &str, place: &Place) -> &'a mut Node {
    let at = table.iter().position(|member| &*member.key == key).unwrap_or_else(|| {
        let node = Node::holding(tree::Value::Table(Table::new()), place.clone());
        table.push(Member { key: key.into(), place: place.clone(), node });
        table.len() - 1
    });
    &mut table[at].node
}

fn put(at: &mut Node, steps: &[&str], node: Node, told: (&str, &Place)) -> Result<(), ConfigError> {
    let [step, rest @ ..] = steps else {
        *at = node;
        return Ok(());
    };
    if let tree::Value::List(list) = &mut at.value {
        return put(one_of(list, step, told.0, told.1)?, rest, node, told);
    }
    if !matches!(at.value, tree::Value::Table(_)) {
        // A short form gives way to the table that it is short for.
        *at = Node::holding(tree::Value::Table(Table::new()), told.1.clone());
    }
    match &mut at.value {
        tree::Value::Table(table) => put(member(table, step, told.1), rest, node, told),
        _ => Ok(()),
    }
}

/// A number from 0, or the `name` of a table.
fn position(list: &[Node], step: &str) -> Option<usize> {
    let named = |node: &Node| match &node.value {
        tree::Value::Table(table) => {
            table.iter().any(|member| &*member.key == "name" && member.node.text() == Some(step))
        }
        _ => false,
    };
    let at = step.parse().ok().or_else(|| list.iter().position(named));
    at.filter(|at| *at < list.len())
}

fn one_of<'a>(
    list: &'a mut [Node],
    step: &str,
    path: &str,
    place: &Place,
) -> Result<&'a mut Node, ConfigError> {
    match position(list, step) {
        Some(at) => Ok(&mut list[at]),
        None => {
            let message = format!(
                "there is no `{step}` in this list of {}: a number from 0 or a name",
                list.len()
            );
            Err(Problem::new(ProblemKind::UnknownName, place, message).field(path).into())
        }
    }
}

fn table_of(members: &[(&str, &str)], place: &Place) -> Node {
    let member = |(key, value): &(&str, &str)| Member {
        key: (*key).into(),
        place: place.clone(),
        node: Node::scalar(tree::Value::Text((*value).into()), place.clone(), value),
    };
    Node::holding(tree::Value::Table(members.iter().map(member).collect()), place.clone())
}

fn members(table: &Table) -> impl Iterator<Item = (&str, &Place, Value<'_>)> {
    table.iter().map(|member| (&*member.key, &member.place, Value(&member.node)))
}

/// A value of a file. What comes from an option or a variable is text, and read for what it should be.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(&'a Node);

impl<'a> Value<'a> {
    /// Where it stands.
    pub fn place(self) -> &'a Place {
        &self.0.place
    }

    /// As it was written, for a message.
    pub fn shown(self) -> String {
        self.0.shown()
    }

    /// What it is, for a message about its type.
    pub fn described(self) -> String {
        read::described(self.0)
    }

    /// Text.
    pub fn text(self) -> Option<&'a str> {
        self.0.text()
    }

    /// A whole number that is not negative.
    pub fn whole(self) -> Option<u64> {
        match &self.0.value {
            tree::Value::Integer(whole) => u64::try_from(*whole).ok(),
            tree::Value::Text(text) if self.is_loose() => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A number; it may be NaN.
    pub fn number(self) -> Option<f64> {
        settings::number(self.0, self.is_loose())
    }

    /// True or false.
    pub fn flag(self) -> Option<bool> {
        settings::flag(self.0, self.is_loose())
    }

    /// A length of time, as people write it or in seconds.
    pub fn length(self) -> Option<Duration> {
        settings::length(self.0, self.is_loose())
    }

    /// The members of a table.
    pub fn members(self) -> Option<impl Iterator<Item = (&'a str, &'a Place, Self)>> {
        match &self.0.value {
            tree::Value::Table(table) => {
                let member = |member: &'a Member| (&*member.key, &member.place, Self(&member.node));
                Some(table.iter().map(member))
            }
            _ => None,
        }
    }

    /// The values of a list.
    pub fn list(self) -> Option<impl Iterator<Item = Self>> {
        match &self.0.value {
            tree::Value::List(list) => Some(list.iter().map(Self)),
            _ => None,
        }
    }

    /// Whether it is from an option or a variable.
    pub fn is_loose(self) -> bool {
        self.0.place.is_loose()
    }

    /// The policies of this table, read as a policy file.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn policies(self, loader: Loader) -> Result<Policies, ConfigError> {
        let tree::Value::Table(table) = &self.0.value else { return Ok(Policies::default()) };
        loader.made_of(table.clone(), problem::Problems::default())
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub struct Problems(problem::Problems);

impl Problems {
    /// One more.
    pub fn add(&mut self, told: Told) {
        self.0.add(told.0);
    }

    /// All of them; fields get `prefix` before them.
    pub fn take(&mut self, error: &ConfigError, prefix: &str) {
        for problem in error.problems() {
            let mut problem = problem.clone();
            if let Some(field) = &mut problem.field {
                field.insert_str(0, prefix);
            }
            self.0.add(problem);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value`, if there is none.
    ///
    /// # Errors
    /// All of them.
    pub fn into_result<T>(self, value: T) -> Result<T, ConfigError> {
        self.0.into_result(value)
    }
}

/// A problem in the making.
#[derive(Debug)]
#[must_use = "add it"]
pub struct Told(Problem);

impl Told {
    /// Of this kind, here.
    pub fn new(kind: ProblemKind, place: &Place, message: impl Into<String>) -> Self {
        Self(Problem::new(kind, place, message))
    }

    /// The field's full path.
    pub fn field(self, path: impl Into<String>) -> Self {
        Self(self.0.field(path))
    }

    /// The value, as it was written.
    pub fn value(self, value: impl Into<String>) -> Self {
        Self(self.0.value(value))
    }

    /// With the nearest of these names, if one is near.
    pub fn nearest<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        Self(self.0.nearest(name, known))
    }

    /// What else there is to know.
    pub fn note(self, note: impl Into<String>) -> Self {
        Self(self.0.note(note))
    }

    /// The one that there is.
    pub fn into_error(self) -> ConfigError {
        self.0.into()
    }
}

/// The known name that is nearest to `name`, if it is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    problem::nearest(name, known)
}

/// A length of time as people write it: `250ms`, `1m30s`; or a number of seconds.
pub fn length(text: &str) -> Option<Duration> {
    let node = Node::scalar(tree::Value::Text(text.into()), Place::in_option(text), text);
    settings::length(&node, true)
}

/// The place of what an option of a command line says.
pub fn option(text: &str) -> Place {
    Place::in_option(text)
}
