//! What a stack is made of: names, settings, and the facts that [`lint`](crate::lint) reads.
//!
//! Nothing here is generic, so stacks of any type are printed, compared and checked alike.

use crate::setting::{Name, SettingValue};
use std::{any, fmt, sync::Arc, time::Duration};

/// Says what a policy, or a stack of them, is made of.
///
/// A policy of your own may leave the method out: it is then listed by its type's name.
pub trait Describe {
    /// Adds this policy's layers to `layers`, outermost first.
    fn describe(&self, layers: &mut Vec<Layer>) {
        let path = any::type_name::<Self>();
        let generics = path.find('<').unwrap_or(path.len());
        let start = path[..generics].rfind("::").map_or(0, |at| at + 2);
        layers.push(Layer::new(path[start..generics].to_owned(), Facts::Other));
    }
}

/// One policy of a stack: what it is called and how it is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    kind: String,
    name: Option<Name>,
    gist: Vec<SettingValue>,
    settings: Vec<(&'static str, SettingValue)>,
    pub(crate) facts: Facts,
}

impl Layer {
    pub(crate) fn new(kind: impl Into<String>, facts: Facts) -> Self {
        Self { kind: kind.into(), name: None, gist: Vec::new(), settings: Vec::new(), facts }
    }

    pub(crate) fn named(mut self, name: Option<Name>) -> Self {
        self.name = name;
        self
    }

    /// A setting that also stands in the short form: `retry(3)`.
    pub(crate) fn gist(mut self, field: &'static str, value: SettingValue) -> Self {
        self.gist.push(value.clone());
        self.setting(field, value)
    }

    pub(crate) fn setting(mut self, field: &'static str, value: SettingValue) -> Self {
        self.settings.push((field, value));
        self
    }

    pub(crate) fn maybe(self, field: &'static str, value: Option<SettingValue>) -> Self {
        match value {
            Some(value) => self.setting(field, value),
            None => self,
        }
    }

    /// What kind of policy this is: `retry`, `breaker`, `fallback`, `timeout`, or a type's name.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The policy's name, if it has one.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The settings, named as their setters are.
    pub fn settings(&self) -> &[(&'static str, SettingValue)] {
        &self.settings
    }

    /// One setting's value.
    pub fn setting_value(&self, field: &str) -> Option<&SettingValue> {
        self.settings.iter().find_map(|(name, value)| (*name == field).then_some(value))
    }
}

/// The short form: `retry(3)`, or `breaker "payments"(5, 60s)` where it has a name. As `{:#}` the long
/// one, with every setting: `timeout(limit = 2s)`.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        let values: Vec<String> = if f.alternate() {
            self.settings.iter().map(|(field, value)| format!("{field} = {value}")).collect()
        } else {
            self.gist.iter().map(SettingValue::to_string).collect()
        };
        if values.is_empty() { Ok(()) } else { write!(f, "({})", values.join(", ")) }
    }
}

/// What the checks of a stack have to know of a layer.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "timeouts need a timer"))]
pub(crate) enum Facts {
    Retry {
        max_attempts: u32,
        /// The shortest first delay that the settings allow.
        first_delay: Duration,
        total_timeout: Option<Duration>,
        retries_open: bool,
        retries_exhausted: bool,
        max_retry_after: Duration,
    },
    Breaker {
        /// Consecutive failures that open it, where that rule is on.
        threshold: Option<u32>,
        recovery: Duration,
        lease: Duration,
        slow_call: Option<Duration>,
    },
    Fallback {
        /// Some entry serves every error.
        catches_all: bool,
        /// Such an entry cannot fail, so that nothing but success comes out.
        never_fails: bool,
        /// The first entry that no call can reach, counted from 1.
        unreachable: Option<usize>,
        empty: bool,
    },
    Timeout {
        limit: Duration,
    },
    Other,
}

impl<P: Describe + ?Sized> Describe for &P {
    fn describe(&self, layers: &mut Vec<Layer>) {
        (**self).describe(layers);
    }
}

impl<P: Describe + ?Sized> Describe for Arc<P> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        (**self).describe(layers);
    }
}

impl<P: Describe> Describe for Option<P> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        if let Some(policy) = self {
            policy.describe(layers);
        }
    }
}

macro_rules! stack {
    ($($policy:ident)*) => {
        impl<$($policy: Describe),*> Describe for ($($policy,)*) {
            #[allow(non_snake_case, reason = "the type parameters name the values too")]
            fn describe(&self, layers: &mut Vec<Layer>) {
                let ($($policy,)*) = self;
                $($policy.describe(layers);)*
                // The empty stack has nothing to say.
                let _ = layers;
            }
        }
    };
}

stack!();
stack!(A);
stack!(A B);
stack!(A B C);
stack!(A B C D);
stack!(A B C D E);
stack!(A B C D E F);
stack!(A B C D E F G);
stack!(A B C D E F G H);
