//! What in a policy of a file cannot work as meant, or may do harm, and where that is written.

use super::{
    LayerKind, Place, PolicySpec,
    explain::{self, Explanation},
    rules::{self, Level, Rule},
    spec::Part,
};
use crate::{describe::Describe, lint, retry::BackoffStrategy};
use std::{fmt, sync::Arc};

/// Something in a policy of a file that cannot work as meant, or may do harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFinding {
    rule: &'static Rule,
    policy: Arc<str>,
    place: Place,
    policy_place: Place,
    why: String,
    allowed: Option<Arc<str>>,
}

impl ConfigFinding {
    /// The rule that it breaks.
    pub const fn rule(&self) -> &'static Rule {
        self.rule
    }

    /// How grave it is.
    pub const fn level(&self) -> Level {
        self.rule.level
    }

    /// The policy that it is in.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// What it is about: a field, a layer, or the policy; or the variable that set it.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Where the policy begins: a line of the file in any case.
    pub const fn policy_place(&self) -> &Place {
        &self.policy_place
    }

    /// Why it is a finding, with the figures of this policy, and what to do.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The reason by which the file allows it, if it does.
    pub fn allowed(&self) -> Option<&str> {
        self.allowed.as_deref()
    }
}

/// `policies.toml:7:1: warning: .. [retry-without-retries]`, in one line.
impl fmt::Display for ConfigFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { id, level, .. } = self.rule;
        write!(f, "{}: {}: {}: {} [{id}]", self.place, level.as_str(), self.policy, self.why)
    }
}

pub(super) fn check(spec: &PolicySpec) -> Vec<ConfigFinding> {
    let mut found = Found { spec, findings: Vec::new() };
    found.stack();
    found.retry();
    found.attempt_without_timeout();
    found.limits(&spec.explain());
    if spec.layers.is_empty() {
        found.add("empty-policy", None, "it has no layers, and lets every call through".into());
    }
    let mut findings = found.findings;
    // One cause, one finding: the first delay's end is the backoff's, too.
    if findings.iter().any(|one| one.rule.id.ends_with("-below-first-delay")) {
        findings.retain(|one| one.rule.id != "timeout-cuts-off-backoff");
    }
    for finding in &mut findings {
        let allow = spec.allow.iter().find(|allow| allow.rule == finding.rule.id);
        finding.allowed = allow.map(|allow| Arc::clone(&allow.reason));
    }
    unused(spec, &mut findings);
    findings.sort_by_cached_key(|finding| (finding.place.sort_key(), finding.rule.id));
    findings
}

struct Found<'a> {
    spec: &'a PolicySpec,
    findings: Vec<ConfigFinding>,
}

impl Found<'_> {
    /// A finding at the first of `places` that the file has.
    fn add(&mut self, id: &'static str, place: Option<&Place>, why: String) {
        let Some(rule) = rules::rule(id) else {
            debug_assert!(false, "`{id}` is not in the table of rules");
            return;
        };
        let in_reach = |place: &&Place| place.preset().is_none();
        self.findings.push(ConfigFinding {
            rule,
            policy: Arc::clone(&self.spec.name),
            place: place.filter(in_reach).unwrap_or(&self.spec.place).clone(),
            policy_place: self.spec.place.clone(),
            why,
            allowed: None,
        });
    }

    /// What any stack is checked for.
    fn stack(&mut self) {
        let mut layers = Vec::new();
        self.spec.describe(&mut layers);
        for finding in lint::check(&layers) {
            // It is about the inner of two: that is where the outer one's meaning is lost.
            let at = finding.positions().last().copied().unwrap_or_default();
            let place = self.spec.layers.get(at).map(|layer| match finding.rule() {
                "retry-without-retries" => layer.place_of("max_attempts").unwrap_or(&layer.place),
                "total-timeout-below-first-delay" => {
                    layer.place_of("total_timeout").unwrap_or(&layer.place)
                }
                _ => &layer.place,
            });
            self.add(finding.rule(), place, finding.to_string());
        }
    }

    fn retry(&mut self) {
        let Some(retry) = self.spec.retry() else { return };
        let Some(layer) = self.spec.layer(LayerKind::Retry) else { return };
        let backoff = retry.settings.backoff;
        let attempts = retry.max_attempts();
        if attempts == 1 {
            return;
        }
        let at = |field| Some(layer.place_of(field).unwrap_or(&layer.place));
        if self.spec.retry_budget().is_none() {
            let why = format!(
                "when everything fails, each call makes {attempts} attempts: set a `budget`, such as {{ ratio = 0.1, floor = 10 }}"
            );
            self.add("retry-without-budget", Some(&layer.place), why);
        }
        let drawn = backoff.strategy == BackoffStrategy::Decorrelated;
        let (from, to) = backoff.interval(1, None);
        if to.is_zero() && backoff.base.is_zero() {
            let why = "each attempt follows at once: set `base_delay`".into();
            self.add("retry-without-delay", at("base_delay"), why);
        } else if from == to && !drawn {
            let why = "callers who fail together come back together: set `jitter`".into();
            self.add("retry-without-jitter", at("jitter"), why);
        }
        self.cut_off(attempts);
    }

    /// Attempts that no call can come to.
    fn cut_off(&mut self, attempts: u32) {
        let Some(retry) = self.spec.retry() else { return };
        let outer = self.spec.layers.iter().take_while(|layer| layer.kind != LayerKind::Retry);
        let around = outer.filter_map(|layer| match &layer.part {
            Part::Timeout(timeout) => Some((timeout.limit(), &layer.place, layer.kind.as_str())),
            _ => None,
        });
        let total = retry.settings.total_timeout.and_then(|limit| {
            let layer = self.spec.layer(LayerKind::Retry)?;
            let place = layer.place_of("total_timeout").unwrap_or(&layer.place);
            Some((limit, place, "retry.total_timeout"))
        });
        let Some((limit, place, name)) = around.chain(total).min_by_key(|(limit, ..)| *limit)
        else {
            return;
        };
        let made = explain::within(&retry, limit);
        if made < u64::from(attempts) {
            let why = format!(
                "the delays alone outlast `{name}` of {limit:?}: even if each attempt fails at once, a call comes to {made} of its {attempts} attempts"
            );
            let place = place.clone();
            self.add("timeout-cuts-off-backoff", Some(&place), why);
        }
    }

    /// A retry or a breaker with nothing inside that ends what hangs.
    fn attempt_without_timeout(&mut self) {
        let layers = &self.spec.layers;
        let waits = |kind| matches!(kind, LayerKind::Retry | LayerKind::CircuitBreaker);
        let Some(innermost) = layers.iter().rposition(|layer| waits(layer.kind)) else { return };
        let limited = |part: &Part| matches!(part, Part::Timeout(_));
        if layers[innermost..].iter().any(|layer| limited(&layer.part)) {
            return;
        }
        let layer = &layers[innermost];
        // A breaker with a limit outside has a rule of its own.
        let outside = layers[..innermost].iter().any(|layer| limited(&layer.part));
        let breaker = layers.iter().any(|layer| layer.kind == LayerKind::CircuitBreaker);
        if outside && breaker {
            return;
        }
        let why = format!(
            "an attempt that hangs is not ended by anything inside `{}`: set `timeout`",
            layer.kind
        );
        self.add("attempt-without-timeout", Some(&layer.place), why);
    }

    fn limits(&mut self, worst: &Explanation) {
        let limits = &self.spec.limits;
        if let Some((most, place)) = &limits.attempts {
            let attempts = worst.worst_attempts;
            if attempts > u64::from(*most) {
                let why =
                    format!("a call may make {attempts} attempts, and `limits.attempts` is {most}");
                self.add("worst-case-over-limit", Some(place), why);
            }
        }
        if let Some((most, place)) = &limits.time {
            match worst.worst_time {
                Some(time) if time > *most => {
                    let why = format!("a call may take {time:?}, and `limits.time` is {most:?}");
                    self.add("worst-case-over-limit", Some(place), why);
                }
                Some(_) => {}
                None => {
                    let why = format!(
                        "nothing limits an attempt, so a call may take for ever, and `limits.time` is {most:?}: set `timeout`"
                    );
                    self.add("worst-case-endless", Some(place), why);
                }
            }
        }
    }
}

/// What the entry itself allows and nobody finds. What it inherits may be of use elsewhere.
fn unused(spec: &PolicySpec, findings: &mut Vec<ConfigFinding>) {
    let Some(rule) = rules::rule("unused-allow") else { return };
    for allow in &spec.allow {
        let own = spec.own_allow.contains(&allow.rule);
        if !own || allow.rule == rule.id || findings.iter().any(|one| one.rule.id == allow.rule) {
            continue;
        }
        let allowed = spec.allow.iter().find(|other| other.rule == rule.id);
        findings.push(ConfigFinding {
            rule,
            policy: Arc::clone(&spec.name),
            place: allow.place.clone(),
            policy_place: spec.place.clone(),
            why: format!("`{}` is allowed and not found: remove it", allow.rule),
            allowed: allowed.map(|allow| Arc::clone(&allow.reason)),
        });
    }
}
