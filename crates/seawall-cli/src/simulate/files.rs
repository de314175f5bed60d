//! Where the numbers go.

use super::show;
use crate::{papers, run::policy::get, words::Refusal};
use clap::ArgMatches;
use seawall_sim::{Findings, Swept, report};
use std::{
    fs::{File, OpenOptions},
    io::{Seek, Write},
    path::{Path, PathBuf},
};

/// Files that were asked for, open before anything runs: a path that cannot be written is told at once.
pub(super) struct Files(Vec<(Kind, PathBuf, Option<File>)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Html,
    Svg,
    Json,
    Csv,
}

fn failed(path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::new(format!("{}: {error}", path.display()))
}

impl Files {
    pub(super) fn open(given: &ArgMatches) -> Result<Self, Refusal> {
        let kinds =
            [("html", Kind::Html), ("svg", Kind::Svg), ("json", Kind::Json), ("csv", Kind::Csv)];
        let mut files = Vec::new();
        for (option, kind) in kinds {
            let Some(path) = get::<PathBuf>(given, option) else { continue };
            let file = if path == Path::new("-") {
                None
            } else {
                // What is there stays until there is something to put in its place.
                let mut open = OpenOptions::new();
                let file = open.write(true).create(true).truncate(false).open(&path);
                Some(file.map_err(|error| failed(&path, &error))?)
            };
            files.push((kind, path, file));
        }
        Ok(Self(files))
    }

    /// Whether one of them is stdout, which is then all that goes there.
    pub(super) fn has_stdout(&self) -> bool {
        self.0.iter().any(|(.., file)| file.is_none())
    }

    pub(super) fn write(&self, found: &Findings) -> Result<(), Refusal> {
        self.each(|kind| match kind {
            Kind::Html => report::html(found),
            Kind::Svg => report::svg(found),
            Kind::Json => report::json(found),
            Kind::Csv => report::csv(found),
        })
    }

    pub(super) fn write_sweep(&self, swept: &Swept) -> Result<(), Refusal> {
        self.each(|kind| match kind {
            Kind::Csv => swept.csv(),
            // Options see to it that there is nothing else.
            _ => show::sweep_json(swept),
        })
    }

    fn each(&self, text: impl Fn(Kind) -> String) -> Result<(), Refusal> {
        for (kind, path, file) in &self.0 {
            let text = text(*kind);
            let Some(mut file) = file.as_ref() else {
                papers::print(text.as_bytes())?;
                continue;
            };
            let is_file = file.metadata().is_ok_and(|about| about.is_file());
            // A device or a pipe has no length to cut.
            let cut = if is_file { file.set_len(0).and_then(|()| file.rewind()) } else { Ok(()) };
            cut.and_then(|()| file.write_all(text.as_bytes()))
                .map_err(|error| failed(path, &error))?;
        }
        Ok(())
    }
}
