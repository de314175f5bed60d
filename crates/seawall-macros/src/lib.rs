//! The attribute macros of `seawall`, which re-exports and documents them. Depend on that crate.
//!
//! Attributes expand from the outside in, but a policy has to be wrapped from the inside out. So each
//! attribute first only moves itself, as a hidden one, behind those that still wait: `#[a] #[b] fn`
//! becomes `#[b] #[__a] fn`, then `#[__b] #[__a] fn`. The hidden ones then expand in that order, the
//! innermost first, and the order written is the order of nesting. What a policy expands to is in
//! `expand.rs`.

mod check;
mod expand;
mod instrument;
mod options;
mod parse;
mod shape;

use options::Policy;
use proc_macro::TokenStream;

macro_rules! attributes {
    ($($policy:ident: $name:ident $hidden:ident),+ $(,)?) => {$(
        // Documented where it is re-exported: there its examples can be compiled.
        #[allow(missing_docs, reason = "would be put behind the docs of the re-export")]
        #[proc_macro_attribute]
        pub fn $name(options: TokenStream, item: TokenStream) -> TokenStream {
            check::defer(Policy::$policy, options.into(), item.into()).into()
        }

        /// The other half of the attribute.
        #[doc(hidden)]
        #[proc_macro_attribute]
        pub fn $hidden(options: TokenStream, item: TokenStream) -> TokenStream {
            expand::expand(Policy::$policy, options.into(), item.into()).into()
        }
    )+};
}

attributes!(
    Retry: retry __seawall_retry,
    CircuitBreaker: circuit_breaker __seawall_circuit_breaker,
    Fallback: fallback __seawall_fallback,
    Timeout: timeout __seawall_timeout,
);
