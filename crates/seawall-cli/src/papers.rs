//! What others read: a file to start from, its schema, completions, man pages.

use crate::{args, run::policy::get, words::Refusal};
use clap::ArgMatches;
use clap_complete::Shell;
use clap_mangen::Man;
use seawall::config::{STARTING_FILE, json_schema};
use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// A reader that has seen enough is no failure.
pub(crate) fn print(text: &[u8]) -> Result<u8, Refusal> {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Refusal::new(format!("stdout: {error}")))
        }
        _ => Ok(0),
    }
}

pub(crate) fn init(given: &ArgMatches) -> Result<u8, Refusal> {
    let path: PathBuf = get(given, "file").unwrap_or_default();
    if path == Path::new("-") {
        return print(STARTING_FILE.as_bytes());
    }
    if path.extension().is_none_or(|extension| extension != "toml") {
        return Err(Refusal::new(format!(
            "{}: the starting file is TOML: NAME.toml",
            path.display()
        )));
    }
    let mut open = OpenOptions::new();
    open.write(true);
    if given.get_flag("force") {
        open.create(true).truncate(true)
    } else {
        open.create_new(true)
    };
    let written = open.open(&path).and_then(|mut file| file.write_all(STARTING_FILE.as_bytes()));
    match written {
        Ok(()) => {
            let path = path.display();
            print(format!("{path} is written: see `seawall explain {path}#payments`\n").as_bytes())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Refusal::new(format!("{} is there already; --force overwrites it", path.display())))
        }
        Err(error) => Err(Refusal::new(format!("{}: {error}", path.display()))),
    }
}

pub(crate) fn schema() -> Result<u8, Refusal> {
    let schema = json_schema();
    print(format!("{}\n", schema.trim_end()).as_bytes())
}

pub(crate) fn completions(given: &ArgMatches) -> Result<u8, Refusal> {
    let Some(shell) = get::<Shell>(given, "shell") else {
        return Err(Refusal::new("say which shell"));
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "seawall", &mut text);
    print(&text)
}

pub(crate) fn man(given: &ArgMatches) -> Result<u8, Refusal> {
    let refused = |error: io::Error| Refusal::new(format!("man pages: {error}"));
    if let Some(folder) = get::<PathBuf>(given, "folder") {
        clap_mangen::generate_to(args::command(), folder).map_err(refused)?;
        return Ok(0);
    }
    let mut text = Vec::new();
    Man::new(args::command()).render(&mut text).map_err(refused)?;
    print(&text)
}
