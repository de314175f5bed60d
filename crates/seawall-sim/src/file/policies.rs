//! Which policies take part: those of the file itself, of policy files, and the known ones.

use super::fields::{Fields, wrong};
use crate::stack::Contender;
use seawall::config::{
    Format, LayerKind, Loader, Place, Policies, ProblemKind,
    door::{self, Problems, Told, Value},
};
use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What is always known, and needs no file.
const NONE: &str = "none";
const PRESETS: [&str; 3] = ["standard", "aws", "grpc"];
const MOST: usize = 50;

/// A policy that is to take part, by what names it, and who says so.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) field: String,
    /// What files are relative to.
    pub(super) folder: PathBuf,
}

/// A value that is laid over policies: `retry.max_attempts`, or `payments.retry.max_attempts`.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) path: String,
    pub(super) value: String,
    pub(super) option: String,
}

/// Whence a policy comes.
enum Origin {
    None,
    /// The contender's name, and the one in its file.
    Spec(String, String, Source),
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Source {
    Inline,
    Preset(&'static str),
    File(PathBuf),
}

pub(super) struct Reader<'a> {
    inline: Option<Value<'a>>,
    environment: &'a [(OsString, OsString)],
    changes: &'a [Change],
    /// As read without any change.
    plain: HashMap<Source, Option<Policies>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        inline: Option<Value<'a>>,
        environment: &'a [(OsString, OsString)],
        changes: &'a [Change],
    ) -> Self {
        Self { inline, environment, changes, plain: HashMap::new() }
    }

    /// The policies that these names mean, in their order.
    pub(super) fn contenders(
        &mut self,
        names: &[Named],
        problems: &mut Problems,
    ) -> Vec<Contender> {
        let mut origins: Vec<Origin> = Vec::new();
        for named in names {
            self.origins(named, &mut origins, problems);
        }
        if origins.len() > MOST {
            if let Some(named) = names.first() {
                let message =
                    format!("at most {MOST} policies are compared, but here are {}", origins.len());
                let told = Told::new(ProblemKind::InvalidValue, &named.place, message);
                problems.add(told.field(&named.field));
            }
            return Vec::new();
        }
        let changes = self.assigned(&origins, problems);
        let mut changed: HashMap<Source, Option<Policies>> = HashMap::new();
        let mut contenders: Vec<Contender> = Vec::new();
        for origin in &origins {
            let contender = match origin {
                Origin::None => Contender::policy(NONE, |_| ()),
                Origin::Spec(name, key, source) => {
                    let changes: Vec<_> = changes.iter().filter(|(of, ..)| of == source).collect();
                    let policies = if changes.is_empty() {
                        self.plain(source, problems)
                    } else {
                        let policies = changed.entry(source.clone()).or_insert_with(|| {
                            let change = |loader: Loader,
                                          (_, key, path, change): &&(
                                _,
                                String,
                                String,
                                &Change,
                            )| {
                                loader.set(key, path, &change.value, &change.option)
                            };
                            let loader = changes.iter().fold(self.loader(source), change);
                            self.read(source, loader, problems)
                        });
                        policies.as_ref()
                    };
                    let Some(spec) = policies.and_then(|policies| policies.get(key)) else {
                        continue;
                    };
                    Contender::file(spec).named(name)
                }
            };
            contenders.push(contender);
        }
        contenders
    }

    /// All policies of the file itself.
    pub(super) fn inline_names(&mut self, problems: &mut Problems) -> Vec<String> {
        if self.inline.is_none() {
            return Vec::new();
        }
        let policies = self.plain(&Source::Inline, problems);
        policies.map(|all| all.names().map(str::to_owned).collect()).unwrap_or_default()
    }

    fn origins(&mut self, named: &Named, origins: &mut Vec<Origin>, problems: &mut Problems) {
        let name = &*named.name;
        let is_inline = self.inline.is_some()
            && self.plain(&Source::Inline, problems).is_some_and(|all| all.get(name).is_some());
        let mut found: Vec<(String, Source)> = Vec::new();
        if is_inline {
            found.push((name.to_owned(), Source::Inline));
        } else if name == NONE {
            if !origins.iter().any(|origin| matches!(origin, Origin::None)) {
                origins.push(Origin::None);
            }
            return;
        } else if let Some(preset) = PRESETS.into_iter().find(|preset| *preset == name) {
            found.push((entry_of(preset), Source::Preset(preset)));
        } else {
            found = self.of_file(named, problems);
        }
        for (key, source) in found {
            let mut shown = match &source {
                Source::Preset(preset) => (*preset).to_owned(),
                _ => key.clone(),
            };
            let same = |origin: &Origin, shown: &str| matches!(origin, Origin::Spec(name, ..) if name == shown);
            if let (true, Source::File(path)) =
                (origins.iter().any(|origin| same(origin, &shown)), &source)
            {
                shown = format!("{}#{key}", path.display());
            }
            if !origins.iter().any(|origin| same(origin, &shown)) {
                origins.push(Origin::Spec(shown, key, source));
            }
        }
    }

    /// `FILE#NAME`, or `FILE` for all that are in it.
    fn of_file(&mut self, named: &Named, problems: &mut Problems) -> Vec<(String, Source)> {
        let refuse = |message: String| {
            let told = Told::new(ProblemKind::UnknownName, &named.place, message);
            told.field(&named.field).value(format!("\"{}\"", named.name))
        };
        let (file, name) = match named.name.rsplit_once('#') {
            Some((file, name)) => (file, Some(name)),
            None => (&*named.name, None),
        };
        if Format::of(file).is_none() {
            let mut known = self.inline_names(problems);
            known.extend([NONE].iter().chain(&PRESETS).map(|known| (*known).to_owned()));
            let message = format!(
                "there is no policy `{}`: there is {}, or one of a file, FILE.toml#NAME",
                named.name,
                known.join(", ")
            );
            problems.add(refuse(message).nearest(&named.name, known.iter().map(|known| &**known)));
            return Vec::new();
        }
        let source = Source::File(named.folder.join(file));
        let Some(policies) = self.plain(&source, problems) else { return Vec::new() };
        match name {
            Some(name) if policies.get(name).is_some() => vec![(name.to_owned(), source)],
            Some(name) => {
                let known: Vec<&str> = policies.names().collect();
                let message =
                    format!("{file} has no policy `{name}`: there is {}", known.join(", "));
                problems.add(refuse(message).nearest(name, known));
                Vec::new()
            }
            None => {
                let all: Vec<_> =
                    policies.names().map(|name| (name.to_owned(), source.clone())).collect();
                if all.is_empty() {
                    problems.add(refuse(format!("there is no policy in {file}")));
                }
                all
            }
        }
    }

    /// What each change means: a policy of a source, and a path in it.
    fn assigned<'b>(
        &mut self,
        origins: &[Origin],
        problems: &mut Problems,
    ) -> Vec<(Source, String, String, &'b Change)>
    where
        'a: 'b,
    {
        let mut assigned = Vec::new();
        for change in self.changes {
            let (first, rest) = change.path.split_once('.').unwrap_or((&change.path, ""));
            let layer = LayerKind::USUAL_ORDER.into_iter().find(|kind| kind.as_str() == first);
            let mut found = false;
            for origin in origins {
                let Origin::Spec(name, key, source) = origin else { continue };
                let path = match layer {
                    Some(layer) => {
                        let spec = self.plain(source, problems).and_then(|all| all.get(key));
                        spec.is_some_and(|spec| spec.order().any(|kind| kind == layer))
                            .then_some(&*change.path)
                    }
                    None => {
                        change.path.strip_prefix(&**name).and_then(|rest| rest.strip_prefix('.'))
                    }
                };
                if let Some(path) = path {
                    found = true;
                    assigned.push((source.clone(), key.clone(), path.to_owned(), change));
                }
            }
            if found {
                continue;
            }
            let names: Vec<&str> = origins
                .iter()
                .filter_map(|origin| match origin {
                    Origin::Spec(name, ..) => Some(&**name),
                    Origin::None => None,
                })
                .collect();
            let message = match layer {
                Some(layer) if names.is_empty() => format!(
                    "no policy has `{layer}`: give one of a file or a preset to change, such as \
                     `standard`"
                ),
                Some(layer) => format!("no policy has `{layer}`: there is {}", names.join(", ")),
                None => format!(
                    "`{first}` is neither a field of the scenario, nor a layer of a policy, nor a \
                     policy{}",
                    if rest.is_empty() { ", nor is it a path" } else { "" }
                ),
            };
            let known = super::read::TOP.into_iter().chain(names.iter().copied());
            let known = known.chain(LayerKind::USUAL_ORDER.map(LayerKind::as_str));
            let told = Told::new(ProblemKind::UnknownName, &door::option(&change.option), message);
            let told = told.field(&change.path);
            problems.add(if layer.is_some() { told } else { told.nearest(first, known) });
        }
        assigned
    }

    fn plain(&mut self, source: &Source, problems: &mut Problems) -> Option<&Policies> {
        if !self.plain.contains_key(source) {
            let policies = self.read(source, self.loader(source), problems);
            self.plain.insert(source.clone(), policies);
        }
        self.plain.get(source)?.as_ref()
    }

    fn loader(&self, source: &Source) -> Loader {
        let loader = Policies::loader();
        match source {
            Source::File(_) => loader.environment(self.environment.iter().cloned()),
            Source::Inline | Source::Preset(_) => loader,
        }
    }

    fn read(&self, source: &Source, loader: Loader, problems: &mut Problems) -> Option<Policies> {
        let (read, prefix) = match source {
            Source::Inline => (self.inline?.policies(loader), "policies."),
            Source::Preset(preset) => {
                let text = format!("[\"{}\"]\nextends = \"{preset}\"", entry_of(preset));
                (loader.file_name(*preset).from_str(&text, Format::Toml), "")
            }
            Source::File(path) => (loader.load(path), ""),
        };
        read.map_err(|error| problems.take(&error, prefix)).ok()
    }
}

/// What a file itself says of who takes part; none where it says nothing.
pub(super) fn named(
    top: &Fields<'_>,
    folder: &Path,
    reader: &mut Reader<'_>,
    problems: &mut Problems,
) -> Option<Vec<Named>> {
    let named = |field: &str, place: &Place, name: &str| Named {
        name: name.to_owned(),
        place: place.clone(),
        field: field.to_owned(),
        folder: folder.to_owned(),
    };
    let list = top.get("policies").filter(|value| value.members().is_none());
    if list.is_some() {
        top.only_one(&["policies", "compare"], problems);
    }
    let (field, value) = match (list, top.get("compare")) {
        (Some(list), _) => ("policies", list),
        (None, Some(value)) => ("compare", value),
        (None, None) => {
            let place = top.place("policies");
            let all = reader.inline_names(problems);
            let all: Vec<Named> = all.iter().map(|name| named("policies", place, name)).collect();
            return (!all.is_empty()).then_some(all);
        }
    };
    let wanted = "a list of policies: of this file, of others (\"prod.toml#payments\"), or known ones (\"none\", \"standard\", \"aws\", \"grpc\")";
    let Some(values) = value.list() else {
        wrong(value, field, field, wanted, problems);
        return Some(Vec::new());
    };
    let mut all = Vec::new();
    for value in values {
        match value.text() {
            Some(name) if !name.is_empty() => all.push(named(field, value.place(), name)),
            _ => wrong(value, field, field, wanted, problems),
        }
    }
    if all.is_empty() {
        top.refuse(field, format!("`{field}` must name a policy at least"), problems);
    }
    Some(all)
}

/// Which of them have a policy for each shard: all, none, or those of these names.
pub(super) fn per_shard(
    top: &Fields<'_>,
    mut contenders: Vec<Contender>,
    problems: &mut Problems,
) -> Vec<Contender> {
    let Some(value) = top.get("per_shard") else { return contenders };
    let Some(names) = value.list() else {
        if top.flag("per_shard", problems) == Some(true) {
            contenders = contenders.into_iter().map(Contender::per_shard).collect();
        }
        return contenders;
    };
    for value in names {
        let name = value.text().unwrap_or_default();
        match contenders.iter_mut().find(|contender| contender.name() == name) {
            Some(contender) => *contender = contender.clone().per_shard(),
            None => {
                let known: Vec<&str> = contenders.iter().map(Contender::name).collect();
                let message =
                    format!("no policy `{name}` takes part: there is {}", known.join(", "));
                let told = Told::new(ProblemKind::UnknownName, value.place(), message);
                problems.add(told.field("per_shard").nearest(name, known));
            }
        }
    }
    contenders
}

/// The name of a policy as an option gives it.
pub(super) fn of_option(name: &str, option: &str) -> Named {
    Named {
        name: name.to_owned(),
        place: door::option(option),
        field: String::new(),
        folder: PathBuf::new(),
    }
}

/// What an entry of a preset is called in the text that is made for it: its own name is taken.
fn entry_of(preset: &str) -> String {
    format!("preset {preset}")
}

/// What is compared where nobody says: nothing, and what most would take.
pub(super) fn usual() -> Vec<Named> {
    [NONE, "standard"].into_iter().map(|name| of_option(name, "")).collect()
}
