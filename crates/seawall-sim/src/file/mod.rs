//! Scenario files, and what is laid over them.

mod fields;
mod policies;
mod read;
mod span;
mod write;

use crate::{ready::Ready, stack::Contender, study::Study};
use policies::{Change, Named, Reader};
use read::World;
use seawall::config::{
    ConfigError, Format,
    door::{self, Problems, Tree},
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// An experiment in the making: a scenario file, a ready-made scenario, or neither, with values that
/// are laid over it. Nothing is checked before [`study`](Self::study).
///
/// ```
/// use seawall_sim::Draft;
/// use seawall::config::Format;
///
/// let mut draft = Draft::text(
///     r#"
///     length = "20s"
///     compare = ["none", "payments"]
///
///     [load]
///     rate = 100
///
///     [[fault]]
///     kind = "stall"
///     from = "5s"
///     for = "2s"
///
///     [policies.payments]
///     timeout = "1s"
///     retry = { max_attempts = 3, base_delay = "100ms" }
///     "#,
///     Format::Toml,
/// )?;
/// draft.set("policies.payments.retry.max_attempts", "5", "--set")?;
/// let found = draft.study()?.seeds(1).run();
/// assert_eq!(found.findings[1].about, "retry \"payments\"(5) > timeout(1s)");
/// # Ok::<_, seawall::config::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Draft {
    tree: Tree,
    name: String,
    /// What policy files are relative to.
    folder: PathBuf,
    ready: Option<&'static Ready>,
    /// Nothing is laid over the ready-made scenario.
    untouched: bool,
    named: Option<Vec<Named>>,
    changes: Vec<Change>,
    environment: Vec<(OsString, OsString)>,
}

impl Draft {
    /// The usual world: one service of ten workers at 80 % load, and nothing that goes wrong.
    pub fn plain() -> Self {
        Self::of(Tree::new("the scenario"), "plain", PathBuf::new())
    }

    /// A scenario file, whose extension says its syntax: `.toml`, `.yaml`, `.yml` or `.json`.
    ///
    /// # Errors
    /// It cannot be read, or its syntax is wrong.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let (bytes, format) = door::read(path, WHAT)?;
        let tree = Tree::parse(&bytes, format, &path.display().to_string(), WHAT)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self::of(tree, &name, folder))
    }

    /// The text of a scenario file. Policy files that it names are relative to where the program runs.
    ///
    /// # Errors
    /// Its syntax is wrong.
    pub fn text(text: &str, format: Format) -> Result<Self, ConfigError> {
        let tree = Tree::parse(text.as_bytes(), format, "<text>", WHAT)?;
        Ok(Self::of(tree, "plain", PathBuf::new()))
    }

    /// A ready-made scenario.
    ///
    /// # Errors
    /// It is one that no file can say.
    pub fn ready(ready: &'static Ready) -> Result<Self, ConfigError> {
        let text = ready.world().as_file();
        let tree = Tree::parse(text.as_bytes(), Format::Toml, ready.name, WHAT)?;
        let ready = Some(ready);
        Ok(Self { ready, ..Self::of(tree, "plain", PathBuf::new()) })
    }

    fn of(tree: Tree, name: &str, folder: PathBuf) -> Self {
        Self {
            tree,
            name: name.to_owned(),
            folder,
            ready: None,
            untouched: true,
            named: None,
            changes: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Lays these variables over policy files, as [`seawall::config::Loader::environment`] does.
    #[must_use]
    pub fn environment<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let variables = variables.into_iter();
        self.environment = variables.map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// Lays a value over the scenario, by a path of the file (`load.rate`, `service.workers`,
    /// `fault.0.for`; `load` is short for `load.share`), or over its policies: `retry.max_attempts` is
    /// of all that have a `retry`, `policies.payments.retry.max_attempts` of one. What says how calls
    /// come, or how long something takes, takes the place of whatever said so. `option` is what
    /// messages say the value is from.
    ///
    /// # Errors
    /// The path leads through a list that has no such member. Everything else is told by
    /// [`study`](Self::study).
    pub fn set(&mut self, path: &str, value: &str, option: &str) -> Result<(), ConfigError> {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        if first == "policies" || !read::TOP.contains(&first) {
            let path = if first == "policies" { rest } else { path };
            self.changes.push(Change {
                path: path.to_owned(),
                value: value.to_owned(),
                option: option.to_owned(),
            });
            return Ok(());
        }
        self.untouched = false;
        let path = self.whole_path(path);
        self.make_room(&path);
        self.tree.set(&path, value, option)
    }

    /// Adds a fault: `kind`, `from`, `for` and so on.
    pub fn add_fault(&mut self, fields: &[(&str, &str)], option: &str) {
        self.untouched = false;
        self.tree.push("fault", fields, option);
    }

    /// Takes out what is set at a path, such as `fault` or `length`.
    pub fn remove(&mut self, path: &str) {
        self.untouched = false;
        self.tree.remove(&self.whole_path(path));
    }

    /// Lets this policy take part, and none of those that the scenario names: `none`, a preset
    /// (`standard`, `aws`, `grpc`), one of the scenario file, `FILE#NAME`, or `FILE` for all that are in
    /// it.
    pub fn policy(&mut self, name: &str, option: &str) {
        self.named.get_or_insert_default().push(policies::of_option(name, option));
    }

    /// The experiment.
    ///
    /// # Errors
    /// Everything that is wrong with the scenario, with its policies, or with what is laid over them.
    pub fn study(&self) -> Result<Study, ConfigError> {
        let mut problems = Problems::default();
        let top = read::top(&self.tree, &mut problems);
        let world = read::world(&top, &self.name, &mut problems);
        let inline = top.get("policies").filter(|value| value.members().is_some());
        let mut reader = Reader::new(inline, &self.environment, &self.changes);
        let named = self
            .named
            .clone()
            .or_else(|| policies::named(&top, &self.folder, &mut reader, &mut problems));
        let contenders = match (named, self.ready) {
            (Some(named), _) => reader.contenders(&named, &mut problems),
            (None, Some(ready)) => {
                // They are code, which nothing can be laid over: each change is refused.
                reader.contenders(&[], &mut problems);
                ready.contenders()
            }
            (None, None) => reader.contenders(&policies::usual(), &mut problems),
        };
        let contenders = policies::per_shard(&top, contenders, &mut problems);
        if problems.is_empty() {
            let per_shard = contenders.iter().any(Contender::is_per_shard);
            read::kept(&top, &world, (contenders.len(), per_shard), &mut problems);
        }
        problems.into_result(())?;
        Ok(match self.ready.filter(|_| self.untouched) {
            Some(ready) => ready.world(),
            None => study_of(world),
        }
        .contenders(contenders))
    }

    /// `service` and `tier` are two ways to say the same: the one that the file has.
    fn whole_path(&self, path: &str) -> String {
        let has = |name| self.tree.members().any(|(key, ..)| key == name);
        let tiers = self.tree.members().find(|(key, ..)| *key == "tier");
        let count = tiers.and_then(|(.., value)| Some(value.list()?.count())).unwrap_or(0);
        if path == "load" {
            return "load.share".to_owned();
        }
        match path.strip_prefix("service.") {
            Some(rest) if count > 0 => format!("tier.{}.{rest}", count - 1),
            _ => match path.strip_prefix("tier.").and_then(|rest| rest.split_once('.')) {
                Some(("0", rest)) if !has("tier") => format!("service.{rest}"),
                _ => path.to_owned(),
            },
        }
    }

    /// Takes out what a value stands in place of.
    fn make_room(&mut self, path: &str) {
        let Some((above, last)) = path.rsplit_once('.') else { return };
        if above == "load" && read::ARRIVALS.contains(&last) {
            let others = read::ARRIVALS.into_iter().filter(|other| *other != last);
            others.for_each(|other| self.tree.remove(&format!("load.{other}")));
            self.tree.remove(if last == "users" { "load.clients" } else { "load.think" });
        }
        let is_span = |name: &str| matches!(name, "time" | "delay" | "think");
        if is_span(above.rsplit('.').next().unwrap_or_default()) {
            for other in span::replaces(last).iter().filter(|other| **other != last) {
                self.tree.remove(&format!("{above}.{other}"));
            }
        }
    }
}

/// What messages call a file.
const WHAT: &str = "scenario file";

fn study_of(world: World) -> Study {
    Study::new(world.scenario).bin(world.bin).seeds(world.seeds).first_seed(world.seed)
}

impl Study {
    /// Its world as the text of a scenario file, TOML, without the policies.
    pub fn as_file(&self) -> String {
        write::world(&World {
            scenario: self.plan.scenario().clone(),
            seeds: self.seeds,
            seed: self.first_seed,
            bin: self.plan.bin_length(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ready_made_world_reads_back_from_its_file() {
        for ready in Ready::ALL {
            let world = ready.world();
            let text = world.as_file();
            let read = Draft::text(&text, Format::Toml).and_then(|draft| draft.study());
            let read = read.unwrap_or_else(|error| unreachable!("{}: {error}\n{text}", ready.name));
            assert_eq!(read.plan.scenario(), world.plan.scenario(), "{text}");
            assert_eq!(read.plan.bin_length(), world.plan.bin_length());
            assert_eq!((read.seeds, read.first_seed), (world.seeds, world.first_seed));
        }
    }
}
