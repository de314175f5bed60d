//! A file's policies, and how they are loaded.

use super::{
    PolicyFile, PolicySpec,
    check::ConfigFinding,
    environment, inherit,
    problem::{ConfigError, Place, Problem, ProblemKind, Problems},
    read::{self, NamedBudget},
    settings::{self, Budgets},
    spec::{self, Change},
    syntax::{self, Format, POLICY_FILE},
    tree::Table,
};
use std::{
    collections::HashMap,
    env,
    ffi::OsString,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The policies of a file, by name.
///
/// Breakers and budgets are held here, each once: load a file once and share what it gives.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// In the order of the file.
    specs: Vec<PolicySpec>,
    budgets: Budgets,
}

impl Policies {
    /// Reads a file, with the variables `SEAWALL__..` of the environment laid over it.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or with a variable.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::loader().environment(env::vars_os()).load(path)
    }

    /// Reads text, without the environment.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_str(text: &str, format: Format) -> Result<Self, ConfigError> {
        Self::loader().from_str(text, format)
    }

    /// Starts from neither file nor environment, to choose both.
    pub fn loader() -> Loader {
        Loader { prefix: "SEAWALL".into(), variables: Vec::new(), sets: Vec::new(), name: None }
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.specs.iter().map(PolicySpec::name)
    }

    /// The policies, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &PolicySpec> {
        self.specs.iter()
    }

    /// The policy of this name.
    pub fn get(&self, name: &str) -> Option<&PolicySpec> {
        self.specs.iter().find(|spec| spec.name() == name)
    }

    /// The name that is nearest to one that is not there.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        super::problem::nearest(name, self.names())
    }

    /// Takes over the breakers and budgets of `old`, with all that they have on record, where a policy of
    /// the same name has them. For a file that is read again: where that fails, `old` stays as it is.
    ///
    /// A breaker with the same settings is the same one; one with other settings takes over as
    /// [`CircuitBreaker::keeping`](crate::CircuitBreaker::keeping) says. A budget stays, and takes the new
    /// terms: what is left of it keeps its share of a full one. `old` may be kept and used all the same:
    /// its breakers lead to those of these policies. Breakers that the program made of
    /// [`circuit_breaker_builder`](PolicySpec::circuit_breaker_builder) are its own to change.
    ///
    /// [`PolicyFile`](super::PolicyFile) does this, and has pipelines follow.
    ///
    /// ```
    /// use seawall::config::{Format, Policies};
    ///
    /// let read = |attempts: u32, threshold: u32| {
    ///     let text = format!(
    ///         "p: {{circuit_breaker: {{failure_threshold: {threshold}}}, retry: {{max_attempts: {attempts}}}}}"
    ///     );
    ///     Policies::from_str(&text, Format::Yaml)
    /// };
    /// let old = read(3, 5)?;
    /// old.get("p").unwrap().circuit_breaker().unwrap().isolate();
    ///
    /// let new = read(5, 9)?.keeping(&old);
    /// let policy = new.get("p").unwrap();
    /// assert_eq!(policy.retry().unwrap().max_attempts(), 5);
    /// assert_eq!(policy.circuit_breaker().unwrap().state().as_str(), "isolated");
    /// # Ok::<_, seawall::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn keeping(self, old: &Self) -> Self {
        let (new, changes) = self.ready_to_keep(old);
        changes.into_iter().for_each(Change::make);
        new
    }

    /// [`keeping`](Self::keeping), with what is still to be done: until then, `old` is as it was.
    pub(super) fn ready_to_keep(mut self, old: &Self) -> (Self, Vec<Change>) {
        let mut changes = Vec::new();
        for (name, budget) in &mut self.budgets {
            let before = old.budgets.get(name).and_then(Option::as_ref);
            if let (Some(new), Some(before)) = (budget, before) {
                for spec in &mut self.specs {
                    spec.share_budget(new, before);
                }
                let new = std::mem::replace(new, Arc::clone(before));
                changes.push(Change::Budget(Arc::clone(before).into(), new.into()));
            }
        }
        for spec in &mut self.specs {
            if let Some(before) = old.get(spec.name()) {
                spec.keep(before, &mut changes);
            }
        }
        (self, changes)
    }

    /// What in these policies cannot work as meant, or may do harm, and is not allowed by the file.
    pub fn lint(&self) -> Vec<ConfigFinding> {
        self.iter().flat_map(PolicySpec::lint).collect()
    }
}

/// Loads [`Policies`] with an environment of one's choice.
///
/// ```
/// use seawall::config::{Format, Policies};
///
/// let policies = Policies::loader()
///     .environment([("SEAWALL__STOCK__RETRY__MAX_ATTEMPTS", "7")])
///     .from_str("stock: { extends: aws }", Format::Yaml)?;
/// assert_eq!(policies.get("stock").unwrap().retry().unwrap().max_attempts(), 7);
/// # Ok::<_, seawall::config::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "call `load` or `from_str`"]
pub struct Loader {
    prefix: String,
    variables: Vec<(OsString, OsString)>,
    sets: Vec<(Vec<Arc<str>>, String, Place)>,
    name: Option<Arc<str>>,
}

impl Loader {
    /// The largest file that is read: more is not a policy file.
    pub const LARGEST: usize = 1 << 20;

    /// Lays these variables over the file, in place of those given before. Those that do not begin
    /// with the prefix and two underscores are not looked at.
    pub fn environment<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        self.variables =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// What variables begin with, in place of `SEAWALL`: for a program that reads several files.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What messages call the file, in place of its path.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Reads a file, whose extension says its syntax.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or with a variable.
    pub fn load(mut self, path: impl AsRef<Path>) -> Result<Policies, ConfigError> {
        let path = path.as_ref();
        let name = self.name_of(path);
        let (bytes, format) = read(path, &name, POLICY_FILE)?;
        self.name = Some(name);
        self.from_bytes(&bytes, format)
    }

    /// The syntax that a file's extension says.
    pub(super) fn format_of(path: &Path) -> Result<Format, String> {
        format_of(path, POLICY_FILE)
    }

    /// Reads a file, and keeps an eye on it: see [`PolicyFile`].
    ///
    /// # Errors
    /// Everything that is wrong with the file, or with a variable.
    pub fn open(self, path: impl Into<PathBuf>) -> Result<PolicyFile, ConfigError> {
        PolicyFile::read(self, path.into())
    }

    /// What messages call the file at `path`.
    pub(super) fn name_of(&self, path: &Path) -> Arc<str> {
        self.name.clone().unwrap_or_else(|| path.display().to_string().into())
    }

    /// Reads text that is not known to be UTF-8.
    ///
    /// # Errors
    /// Everything that is wrong with it, or with a variable.
    pub fn from_bytes(self, bytes: &[u8], format: Format) -> Result<Policies, ConfigError> {
        let name = self.file();
        let text = text(bytes, &name, POLICY_FILE)?;
        let mut problems = Problems::default();
        match syntax::parse(text, format, &name, POLICY_FILE, &mut problems) {
            Some(table) => self.made_of(table, problems),
            None => problems.into_result(Policies::default()),
        }
    }

    /// Reads text.
    ///
    /// # Errors
    /// Everything that is wrong with it, or with a variable.
    pub fn from_str(self, text: &str, format: Format) -> Result<Policies, ConfigError> {
        self.from_bytes(text.as_bytes(), format)
    }

    /// Lays a value over the file and over the environment: of the policy with exactly this name, at
    /// `path` in it. `option` is what messages say it is from.
    #[cfg(feature = "foreign")]
    #[doc(hidden)]
    pub fn set(mut self, policy: &str, path: &str, value: &str, option: &str) -> Self {
        let path = [policy].into_iter().chain(path.split('.')).map(Arc::from).collect();
        self.sets.push((path, value.into(), Place::in_option(option)));
        self
    }

    pub(super) fn made_of(
        self,
        table: Table,
        mut problems: Problems,
    ) -> Result<Policies, ConfigError> {
        let file = read::file(table, &mut problems);
        let names: Vec<Arc<str>> =
            file.entries.iter().map(|entry| Arc::clone(&entry.name)).collect();
        let mut over = environment::tree(&self.prefix, self.variables, &names, &mut problems);
        for (path, value, place) in &self.sets {
            environment::lay(&mut over, path, value, place);
        }
        let over = read::file(over, &mut problems);
        let resolved = inherit::resolve(&file, &over.entries, &mut problems);
        let budgets = budgets(&file.budgets, &over.budgets, &mut problems);
        let overrides: HashMap<&str, &read::Entry> =
            over.entries.iter().map(|entry| (&*entry.name, entry)).collect();
        let specs = file.entries.iter().zip(&resolved).filter_map(|(entry, resolved)| {
            let above = overrides.get(&*entry.name).copied();
            spec::build(entry, above, resolved, &budgets, &mut problems)
        });
        let specs = specs.collect();
        problems.into_result(Policies { specs, budgets })
    }

    fn file(&self) -> Arc<str> {
        self.name.clone().unwrap_or_else(|| "<text>".into())
    }
}

/// The syntax that a file's extension says.
fn format_of(path: &Path, what: &str) -> Result<Format, String> {
    Format::of(path).ok_or_else(|| format!("a {what} ends in .toml, .yaml, .yml or .json"))
}

/// What a file holds, up to where it is too large; or why it cannot be read.
pub(super) fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells that there is more; a pipe has no length to ask for.
    let most = Loader::LARGEST as u64 + 1;
    match File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// The bytes of a file, and the syntax that its extension says.
pub(super) fn read(
    path: &Path,
    name: &Arc<str>,
    what: &str,
) -> Result<(Vec<u8>, Format), ConfigError> {
    let whole = Place::file_as_a_whole(name);
    let unreadable = |why: String| Problem::new(ProblemKind::Unreadable, &whole, why);
    let format = format_of(path, what).map_err(unreadable)?;
    let bytes = contents(path).map_err(unreadable)?;
    Ok((bytes, format))
}

/// The text of bytes that are not known to be UTF-8, and not too many of them.
pub(super) fn text<'a>(
    bytes: &'a [u8],
    name: &Arc<str>,
    what: &str,
) -> Result<&'a str, ConfigError> {
    // Cut in the middle of a letter or not, it is too large.
    if bytes.len() > Loader::LARGEST {
        let why = format!("a {what} is at most {} bytes long", Loader::LARGEST);
        return Err(
            Problem::new(ProblemKind::Unreadable, &Place::file_as_a_whole(name), why).into()
        );
    }
    match std::str::from_utf8(bytes) {
        // Editors of some systems begin a file with a byte order mark.
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
            let place = Place::in_file(name, line, column);
            let why = format!("a {what} is UTF-8 text, and this byte is not");
            Err(Problem::new(ProblemKind::Syntax, &place, why).into())
        }
    }
}

/// The budgets under `budgets`, each once, with what the environment says of them.
fn budgets(file: &[NamedBudget], over: &[NamedBudget], problems: &mut Problems) -> Budgets {
    let mut made = Budgets::new();
    let names = || file.iter().map(|budget| &*budget.name);
    for named in over {
        let known =
            |name: &str| name.replace('-', "_").eq_ignore_ascii_case(&named.name.replace('-', "_"));
        if !names().any(known) {
            let message = format!("there is no budget `{}`", named.name);
            let problem = Problem::new(ProblemKind::UnknownName, &named.place, message);
            problems.add(problem.nearest(&named.name, names()));
        }
    }
    for named in file {
        let spelt = named.name.replace('-', "_").to_lowercase();
        let more = over.iter().find(|over| over.name.replace('-', "_") == spelt);
        let mut given = named.fields.clone();
        for one in more.iter().flat_map(|more| &more.fields) {
            given.retain(|below| below.field.name != one.field.name);
            given.push(one.clone());
        }
        let path = format!("{}.{}", read::BUDGETS, named.name);
        let budget = settings::own_budget(&given, (&path, &named.place), problems);
        made.insert(Arc::clone(&named.name), budget.map(Arc::new));
    }
    made
}
