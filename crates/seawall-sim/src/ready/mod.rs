//! Scenarios that are ready to run, by name, each with the policies that it is about.

mod storms;

use crate::{stack::Contender, study::Study};

/// A scenario that is ready to run.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// What it is called: `retry-storm`.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    study: fn() -> Study,
    contenders: fn() -> Vec<Contender>,
}

impl Ready {
    /// All of them, in the order of the documentation.
    pub const ALL: &'static [Self] = &[storms::RETRY_STORM];

    /// The one of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|ready| ready.name == name)
    }

    /// Its world, without policies: give it your own.
    pub fn world(&self) -> Study {
        (self.study)()
    }

    /// The policies that it is about.
    pub fn contenders(&self) -> Vec<Contender> {
        (self.contenders)()
    }

    /// Its world with the policies that it is about.
    pub fn study(&self) -> Study {
        self.world().contenders(self.contenders())
    }
}
