//! Policy files, through the public API.
#![cfg(feature = "config")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod checking;
mod inheriting;
mod pipelines;
mod reading;
mod reloading;
mod shipped;
mod variables;

use seawall::config::{ConfigError, Format, Policies, PolicySpec};

fn toml(text: &str) -> Result<Policies, ConfigError> {
    Policies::loader().file_name("p.toml").from_str(text, Format::Toml)
}

fn yaml(text: &str) -> Result<Policies, ConfigError> {
    Policies::loader().file_name("p.yaml").from_str(text, Format::Yaml)
}

fn json(text: &str) -> Result<Policies, ConfigError> {
    Policies::loader().file_name("p.json").from_str(text, Format::Json)
}

/// The policy `p` of a file that is in order.
fn policy(text: &str) -> PolicySpec {
    match toml(text) {
        Ok(policies) => policies.get("p").expect("the policy p").clone(),
        Err(error) => panic!("{error}"),
    }
}

/// The problems, one a line.
fn wrong(read: Result<Policies, ConfigError>) -> Vec<String> {
    let error = read.expect_err("something is wrong with it");
    error.problems().iter().map(ToString::to_string).collect()
}
