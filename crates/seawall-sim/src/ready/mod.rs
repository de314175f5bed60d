//! Scenarios that are ready to run, by name, each with the policies that it is about.

mod breakers;
mod layers;
mod row;
mod storms;

use crate::{stack::Contender, study::Study};
use std::time::Duration;

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
    pub const ALL: &'static [Self] = &[
        storms::RETRY_STORM,
        storms::BROWN_OUT,
        storms::REFUSED,
        storms::BOUNDED_QUEUE,
        storms::ERROR_RATE,
        layers::LAYERED_RETRIES,
        breakers::FLAPPING,
        breakers::THUNDERING_HERD,
        breakers::DEAD_SHARD,
        row::CONTENDED_ROW,
    ];

    /// The one of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|ready| ready.name == name)
    }

    /// Its world, without policies: give it your own.
    pub fn world(&self) -> Study {
        let mut study = (self.study)();
        study.describe(self.name, self.about);
        study
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

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_is_found_and_told_once() {
        let names: HashSet<&str> = Ready::ALL.iter().map(|ready| ready.name).collect();
        assert_eq!(names.len(), Ready::ALL.len());
        for ready in Ready::ALL {
            assert_eq!(Ready::find(ready.name).map(|found| found.about), Some(ready.about));
            assert_eq!(ready.world().plan.scenario().name, ready.name);
            assert!(!ready.contenders().is_empty(), "{}", ready.name);
        }
        assert!(Ready::find("calm").is_none());
    }
}
