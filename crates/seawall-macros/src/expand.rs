//! What an attribute becomes: the body in a loop over decisions.

use crate::{
    check::crate_path,
    instrument,
    options::{Options, Policy, duration, number, word},
    parse::Function,
    shape::Shape,
};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Error, Expr, FnArg, Pat, Result, spanned::Spanned};

/// Tokens whose variables and labels neither the body nor an option can see. Their underscores keep
/// them apart from constants and statics, which patterns would match against wherever they stand.
macro_rules! hidden {
    ($($tokens:tt)*) => { hidden_at!(Span::mixed_site()=> $($tokens)*) };
}

/// The same, for what the compiler may have to say of one option or of the return type.
macro_rules! hidden_at {
    ($span:expr=> $($tokens:tt)*) => {
        quote_spanned!($span.resolved_at(Span::mixed_site())=> $($tokens)*)
    };
}

/// Wraps the body of `item`. The options were checked when the attribute was first seen.
pub(crate) fn expand(policy: Policy, options: TokenStream, item: TokenStream) -> TokenStream {
    match expanded(policy, options, item.clone()) {
        Ok(function) => function.to_token_stream(),
        Err(error) => {
            let message = error.to_compile_error();
            quote!(#message #item)
        }
    }
}

fn expanded(policy: Policy, options: TokenStream, item: TokenStream) -> Result<Function> {
    let (inside, options) = without_mark(options);
    let options = Options::parse(policy, options)?;
    let mut function: Function = syn::parse2(item)?;
    let inside = inside.then(|| instrument::inside(&function.body)).flatten();
    let mut shape = Shape::of(policy, &function, inside)?;
    let clones = clones(&crate_path(&options), &options, &mut function, &mut shape)?;
    let context = Context {
        krate: &crate_path(&options),
        options: &options,
        function: &function,
        shape: &shape,
        clones,
    };
    let wrapped = match policy {
        Policy::Retry => context.retry()?,
        Policy::CircuitBreaker => context.circuit_breaker()?,
        Policy::Fallback => context.fallback()?,
        Policy::Timeout => context.timeout()?,
    };
    function.body = shape.with_body(&function.body, wrapped);
    Ok(function)
}

/// An `@` in front says that `#[instrument]` stood above.
fn without_mark(options: TokenStream) -> (bool, TokenStream) {
    let mut rest = options.clone().into_iter();
    match rest.next() {
        Some(TokenTree::Punct(mark)) if mark.as_char() == '@' => (true, rest.collect()),
        _ => (false, options),
    }
}

/// `let request = request.clone();` for each argument that is to be cloned. Where it was `mut`, the
/// clone is.
fn clones(
    krate: &TokenStream,
    options: &Options,
    function: &mut Function,
    shape: &mut Shape,
) -> Result<TokenStream> {
    let mut clones = TokenStream::new();
    for name in options.clones()? {
        let is_mut = take_mut(function, name) | shape.take_mut(name);
        let keyword = is_mut.then(|| hidden!(mut));
        let clone = hidden_at!(name.span()=> #krate::Clone::clone(&#name));
        clones.extend(hidden!(let #keyword #name = #clone;));
    }
    Ok(clones)
}

/// Takes the `mut` from the argument called `name`; says whether there was one.
fn take_mut(function: &mut Function, name: &Ident) -> bool {
    let is_named = |argument: &mut FnArg| match argument {
        FnArg::Typed(typed) => match &mut *typed.pat {
            Pat::Ident(pat) if pat.ident == *name => pat.mutability.take(),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    };
    function.sig.inputs.iter_mut().find_map(is_named).is_some()
}

struct Context<'a> {
    /// The path of what expansions use.
    krate: &'a TokenStream,
    options: &'a Options,
    function: &'a Function,
    shape: &'a Shape,
    /// What comes first in each attempt.
    clones: TokenStream,
}

impl Context<'_> {
    /// Rich or plain: what the error type can say.
    fn kind(&self) -> TokenStream {
        let (krate, returns) = (self.krate, self.shape.named_type());
        hidden! {
            #[allow(unused_imports)]
            use #krate::Plain as _;
            let __kind = {
                #[allow(unused_imports)]
                use #krate::{ViaDeref as _, ViaError as _, ViaNone as _};
                #krate::Kind::of::<#returns>((&&&#krate::Find::of::<#returns>()).find())
            };
        }
    }

    /// `let __outcome = ..`: the only attempt.
    fn only_attempt(&self) -> TokenStream {
        let returns = self.shape.annotated_type();
        let attempt = self.shape.attempt(self.krate, &self.clones);
        hidden!(let __outcome: #returns = #attempt;)
    }

    /// The only attempt, as a future of the engine's outcome.
    fn lifted_future(&self) -> TokenStream {
        let krate = self.krate;
        let future = self.shape.started(krate, &TokenStream::new());
        hidden!(#krate::lifted(#future, move |__outcome| __kind.lift(__outcome)))
    }

    /// What messages and events call the policy: the name given, else the function's.
    fn name(&self) -> TokenStream {
        match self.options.get("name") {
            Some(name) => name.to_token_stream(),
            None => self.function.sig.ident.to_string().to_token_stream(),
        }
    }

    /// `.setter(value)` for each option that is set, by what its value may be.
    fn setters(
        &self,
        integers: &[&str],
        numbers: &[&str],
        durations: &[&str],
    ) -> Result<TokenStream> {
        let mut setters = TokenStream::new();
        for named in &self.options.named {
            let (name, word) = (&named.name, named.name.to_string());
            let Some(value) = &named.value else { continue };
            let value = match word.as_str() {
                word if integers.contains(&word) => value.to_token_stream(),
                word if numbers.contains(&word) => number(value),
                word if durations.contains(&word) => duration(self.krate, word, value)?,
                _ => continue,
            };
            setters.extend(hidden!(.#name(#value)));
        }
        Ok(setters)
    }

    /// `then` with a variable for each option that is a hook: what it is, and its role.
    fn with_hooks(&self, roles: &[(&str, &str)], then: TokenStream) -> TokenStream {
        let krate = self.krate;
        let hooks =
            roles.iter().filter_map(|(name, role)| Some((name, role, self.options.get(name)?)));
        hooks.fold(then, |then, (name, role, hook)| {
            let (role, variable) = (Ident::new(role, hook.span()), hook_variable(name));
            let of = match *name {
                "when_result" => {
                    let returns = self.shape.named_type();
                    hidden!(#krate::values::<#returns>())
                }
                _ => hidden!(__kind.errors()),
            };
            let hook = hidden_at!(hook.span()=> #of.#role(&(#hook)));
            // A `match`, as its scrutinee lives until its end.
            hidden!(match #hook { #variable => { #then } })
        })
    }

    /// What reads the outcomes, by those of the hooks `names` that are set; the last one has the
    /// first word.
    fn classifier(&self, names: &[&str]) -> TokenStream {
        let krate = self.krate;
        let is_set = names.iter().filter(|name| self.options.get(name).is_some());
        is_set.fold(hidden!(#krate::AnyError), |inside, name| {
            let (function, variable) = (Ident::new(name, Span::call_site()), hook_variable(name));
            hidden!(#krate::#function(#variable, #inside))
        })
    }

    fn retry(&self) -> Result<TokenStream> {
        let (krate, kind) = (self.krate, self.kind());
        let returns = self.shape.annotated_type();
        let attempt = self.shape.attempt(krate, &self.clones);
        let source = self.retry_source()?;
        let wait = match self.shape.is_async() {
            true => hidden!(#krate::Pause::wait(__pause).await),
            false => hidden!(#krate::Pause::wait_blocking(__pause)),
        };
        let attempts = hidden! {
            #source
            let mut __call = #krate::RetryCall::new(__retry);
            loop {
                let __step = match #krate::RetryCall::injected(&__call) {
                    ::core::option::Option::Some(__error) => {
                        let __outcome = ::core::result::Result::Err(__error);
                        #krate::RetryCall::settle(__call, __outcome, __kind.finder())
                    }
                    ::core::option::Option::None => {
                        #[allow(clippy::redundant_closure_call)]
                        let __outcome: #returns = #attempt;
                        match __outcome {
                            ::core::result::Result::Ok(__value) => {
                                match #krate::RetryCall::unless_ended_by(__call, &__value) {
                                    ::core::option::Option::None => {
                                        break ::core::result::Result::Ok(__value);
                                    }
                                    ::core::option::Option::Some(__call) => {
                                        let __outcome = ::core::result::Result::Ok(__value);
                                        #krate::RetryCall::settle(__call, __outcome, __kind.finder())
                                    }
                                }
                            }
                            ::core::result::Result::Err(__error) => {
                                let __outcome =
                                    ::core::result::Result::Err(__kind.lift_error(__error));
                                #krate::RetryCall::settle(__call, __outcome, __kind.finder())
                            }
                        }
                    }
                };
                __call = match __step {
                    #krate::Break(__outcome) => break __kind.lower(__outcome),
                    #krate::Continue(__pause) => #wait,
                };
            }
        };
        let hooked = self.with_hooks(
            &[
                ("when", "predicate"),
                ("retry_after", "wait"),
                ("when_result", "predicate"),
                ("on_retry", "listener"),
            ],
            attempts,
        );
        Ok(hidden!(#kind #hooked))
    }

    /// Statements that end in `let __retry = ..`.
    fn retry_source(&self) -> Result<TokenStream> {
        let krate = self.krate;
        let listener = match self.options.get("on_retry") {
            Some(_) => hook_variable("on_retry").to_token_stream(),
            None => hidden!(#krate::NoListener),
        };
        let extras = match self.options.get("budget") {
            Some(budget) => hidden!({
                static __SEAWALL_EXTRAS: #krate::Extras = #krate::Extras::of_budget(&(#budget));
                &__SEAWALL_EXTRAS
            }),
            None => hidden!(&#krate::NOTHING_ATTACHED),
        };
        if let Some(policy) = self.options.get("policy") {
            let attached = ["on_retry", "budget"];
            return Ok(match attached.iter().any(|name| self.options.get(name).is_some()) {
                true => hidden! {
                    let __policy = &(#policy);
                    let __inline = #krate::InlineRetry::of(__policy, #extras, #listener);
                    let __retry = || &__inline;
                },
                false => hidden_at! { policy.span()=>
                    let __policy = &(#policy);
                    let __retry = || #krate::named(__policy);
                },
            });
        }
        let name = self.name();
        let mut setters = self.setters(
            &["max_attempts", "keep_errors"],
            &["multiplier"],
            &["base_delay", "max_delay", "total_timeout", "max_retry_after"],
        )?;
        for name in ["backoff", "backoff_strategy"] {
            if let Some(strategy) = self.options.get(name) {
                let strategy = word(krate, name, "BackoffStrategy", STRATEGIES, strategy)?;
                setters.extend(hidden!(.backoff_strategy(#strategy)));
            }
        }
        if let Some(jitter) = self.options.get("jitter") {
            setters.extend(self.jitter(jitter)?);
        }
        for flag in ["retry_on_open", "retry_on_exhausted"] {
            if self.options.flag(flag)? {
                let flag = Ident::new(flag, Span::call_site());
                setters.extend(hidden!(.#flag()));
            }
        }
        let classifier = self.classifier(&["when", "retry_after", "when_result"]);
        let policy = hidden! {
            const { &#krate::RetryPolicy::builder().name(#name)#setters.build() }
        };
        let is_hooked = ["when", "retry_after", "when_result", "on_retry"]
            .iter()
            .any(|hook| self.options.get(hook).is_some());
        Ok(match is_hooked {
            true => hidden! {
                let __inline = #krate::InlineRetry::new(#policy, #classifier, #extras, #listener);
                let __retry = || &__inline;
            },
            false => hidden! {
                let __retry =
                    || const { &#krate::InlineRetry::new(#policy, #classifier, #extras, #listener) };
            },
        })
    }

    fn jitter(&self, jitter: &Expr) -> Result<TokenStream> {
        let krate = self.krate;
        if let Expr::Lit(lit) = jitter {
            match &lit.lit {
                syn::Lit::Bool(on) if on.value => {
                    return Ok(hidden!(.jitter(#krate::Jitter::PlusMinus)));
                }
                syn::Lit::Bool(_) => return Ok(hidden!(.jitter(#krate::Jitter::None))),
                syn::Lit::Str(text) if text.value() == "decorrelated" => {
                    if let Some(span) =
                        self.options.span("backoff").or(self.options.span("backoff_strategy"))
                    {
                        let message = "decorrelated jitter is a backoff strategy of its own: leave \
                                       one of the two out";
                        return Err(Error::new(span, message));
                    }
                    return Ok(hidden!(.backoff_strategy(#krate::BackoffStrategy::Decorrelated)));
                }
                _ => {}
            }
        }
        let jitter = word(krate, "jitter", "Jitter", JITTERS, jitter)?;
        Ok(hidden!(.jitter(#jitter)))
    }

    fn circuit_breaker(&self) -> Result<TokenStream> {
        let (kind, attempt, future) = (self.kind(), self.only_attempt(), self.lifted_future());
        let breaker = self.breaker()?;
        let guarded = match self.shape.is_async() {
            true => hidden!(__breaker.guard(#future).await),
            false => hidden!(__breaker.guard_blocking(|| {
                #attempt
                __kind.lift(__outcome)
            })),
        };
        let says = self.at_return_type("says_open");
        let hooked = self.with_hooks(
            &[("expected_exception", "predicate"), ("ignore", "predicate")],
            hidden! {
                #breaker
                match #guarded {
                    ::core::result::Result::Ok(__value) => ::core::result::Result::Ok(__value),
                    ::core::result::Result::Err(__error) => {
                        ::core::result::Result::Err(__kind.lower_open(__error, #says))
                    }
                }
            },
        );
        Ok(hidden!(#kind #hooked))
    }

    /// Statements that end in `let __breaker = ..`.
    fn breaker(&self) -> Result<TokenStream> {
        let krate = self.krate;
        if let Some(policy) = self.options.get("policy") {
            return Ok(match self.options.get("key") {
                Some(key) => hidden! {
                    let __keyed = (#policy).get(&(#key));
                    let __breaker = #krate::InlineBreaker::of(&__keyed, __kind.finder());
                },
                None => hidden_at! { policy.span()=>
                    let __named = &(#policy);
                    let __breaker = #krate::InlineBreaker::of(__named, __kind.finder());
                },
            });
        }
        let name = self.name();
        let mut setters = self.setters(
            &["failure_threshold", "over_calls", "minimum_calls", "probes", "successes_to_close"],
            &["failure_rate", "recovery_multiplier", "recovery_jitter"],
            &["over_time", "recovery_timeout", "max_recovery_timeout", "probe_lease"],
        )?;
        if let (Some(rate), Some(at_least)) =
            (self.options.get("slow_call_rate"), self.options.get("slow_call_duration"))
        {
            let (rate, at_least) = (number(rate), duration(krate, "slow_call_duration", at_least)?);
            setters.extend(hidden!(.slow_call_rate(#rate, #at_least)));
        }
        let settings = hidden!(#krate::CircuitBreaker::builder().name(#name)#setters);
        let classifier = self.classifier(&["expected_exception", "ignore"]);
        Ok(match self.options.get("key") {
            Some(key) => {
                let max_keys = self.options.get("max_keys").map(|most| hidden!(.max_keys(#most)));
                hidden! {
                    let __keyed = {
                        static __SEAWALL_BREAKERS: #krate::CircuitBreakers =
                            #krate::CircuitBreakers::new(#settings)#max_keys;
                        __SEAWALL_BREAKERS.get(&(#key))
                    };
                    let __breaker = #krate::InlineBreaker::new(&*__keyed, #classifier, __kind.finder());
                }
            }
            None => hidden! {
                let __breaker = {
                    static __SEAWALL_BREAKER: #krate::CircuitBreaker = #settings.build();
                    #krate::InlineBreaker::new(&__SEAWALL_BREAKER, #classifier, __kind.finder())
                };
            },
        })
    }

    fn fallback(&self) -> Result<TokenStream> {
        let (krate, kind, attempt) = (self.krate, self.kind(), self.only_attempt());
        if let Some(chain) = self.options.get("policy") {
            let answer = match self.shape.is_async() {
                true => hidden_at!(chain.span()=> #krate::cover(&(#chain), __primary).await),
                false => hidden_at!(chain.span()=> #krate::cover_blocking(&(#chain), __primary)),
            };
            return Ok(hidden! {
                #kind
                #attempt
                match __outcome {
                    ::core::result::Result::Ok(__value) => ::core::result::Result::Ok(__value),
                    ::core::result::Result::Err(__error) => {
                        let __primary = __kind.lift_error(__error);
                        __kind.lower(#answer)
                    }
                }
            });
        }
        let (name, returns) = (self.name(), self.shape.annotated_type());
        let entries = self.options.entries()?.into_iter().map(|entry| {
            let answer = self.answer(entry);
            let tried = match self.shape.is_async() {
                true => hidden_at!(entry.span()=> __failed.try_entry(#answer).await),
                false => hidden_at!(entry.span()=> __failed.try_entry_blocking(#answer)),
            };
            hidden! {
                // A path in place of a closure would be called with nothing.
                #[allow(clippy::redundant_closure)]
                let __tried = #tried;
                if let ::core::option::Option::Some(__value) = __tried {
                    __failed.used(&__primary);
                    break '__answered ::core::result::Result::Ok(__value);
                }
            }
        });
        let only_if = self.options.get("only_if").map(|applies| {
            hidden! {
                if !#krate::see(__kind.seen(&__primary), #applies) {
                    break '__answered __kind.lower(::core::result::Result::Err(__primary));
                }
            }
        });
        Ok(hidden! {
            #kind
            #attempt
            match __outcome {
                ::core::result::Result::Ok(__value) => ::core::result::Result::Ok(__value),
                ::core::result::Result::Err(__error) => '__answered: {
                    let __primary = __kind.lift_error(__error);
                    #only_if
                    let mut __failed = #krate::Failed::of::<#returns>(#name, &__primary);
                    #(#entries)*
                    __kind.lower(::core::result::Result::Err(__failed.exhausted(__primary)))
                }
            }
        })
    }

    /// A path is called with nothing, a closure with the error if it takes one, and anything else is
    /// evaluated, when its turn comes.
    fn answer(&self, entry: &Expr) -> TokenStream {
        let krate = self.krate;
        match entry {
            Expr::Path(path) => hidden_at!(path.span()=> #path()),
            Expr::Closure(closure) if closure.inputs.is_empty() => hidden!((#closure)()),
            Expr::Closure(closure) => hidden!(#krate::see(__kind.seen(&__primary), #closure)),
            other => hidden!({ #other }),
        }
    }

    fn timeout(&self) -> Result<TokenStream> {
        let (krate, kind, future) = (self.krate, self.kind(), self.lifted_future());
        let Some(limit) = self.options.bare.as_ref().or(self.options.get("limit")) else {
            return Err(Error::new(Span::call_site(), "a timeout needs a limit"));
        };
        let limit = duration(krate, "limit", limit)?;
        let says = self.at_return_type("says_rejected");
        Ok(hidden! {
            #kind
            match #krate::limited(#limit, #future).await {
                ::core::result::Result::Ok(__value) => ::core::result::Result::Ok(__value),
                ::core::result::Result::Err(__error) => {
                    ::core::result::Result::Err(__kind.lower_rejection(__error, #says))
                }
            }
        })
    }

    /// How the error says it, as if it stood at the return type: there the compiler says what is missing.
    fn at_return_type(&self, method: &str) -> TokenStream {
        let at = self.shape.return_span().resolved_at(Span::mixed_site());
        let method = Ident::new(method, at);
        quote_spanned!(at=> __kind.#method())
    }
}

fn hook_variable(name: &str) -> Ident {
    Ident::new(&format!("__{name}"), Span::mixed_site())
}

const STRATEGIES: &[(&str, &str)] = &[
    ("fixed", "Fixed"),
    ("linear", "Linear"),
    ("exponential", "Exponential"),
    ("fibonacci", "Fibonacci"),
    ("decorrelated", "Decorrelated"),
];

const JITTERS: &[(&str, &str)] =
    &[("none", "None"), ("plus_minus", "PlusMinus"), ("full", "Full"), ("equal", "Equal")];

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = include_str!("../../seawall/src/guide/expansion.md");

    /// The code in the guide, block by block.
    fn blocks() -> Vec<&'static str> {
        let blocks = GUIDE.split("```").skip(1).step_by(2);
        blocks.map(|block| block.strip_prefix("rust,ignore").expect("it is code")).collect()
    }

    fn tokens(code: &str) -> TokenStream {
        code.parse().expect("it is Rust")
    }

    /// As the guide prints it: no `allow`, paths in their short form; and without any space.
    fn shortened(code: &TokenStream) -> String {
        let mut code = code.to_string();
        for long in
            ["seawall :: __expansion", "core :: option :: Option", "core :: result :: Result"]
        {
            code = code.replace(&format!(":: {long} :: "), "");
        }
        while let Some(from) = code.find("# [allow") {
            let to = from + code[from..].find(']').expect("it is closed") + 1;
            code.replace_range(from..to, "");
        }
        code.split_whitespace().collect()
    }

    #[test]
    fn the_guide_shows_what_attributes_really_become() {
        let blocks = blocks();
        let policies = [Policy::Retry, Policy::CircuitBreaker, Policy::Fallback];
        assert_eq!(blocks.len(), 2 * policies.len());
        for (policy, shown) in policies.into_iter().zip(blocks.chunks(2)) {
            let function = syn::parse2::<Function>(tokens(shown[0])).expect("it is a function");
            let [attribute] = &function.attrs[..] else { unreachable!("one each") };
            let options = attribute.meta.require_list().expect("with options").tokens.clone();
            let plain = Function { attrs: Vec::new(), ..function };
            let expanded = expand(policy, options, plain.to_token_stream());
            assert_eq!(shortened(&expanded), shortened(&tokens(shown[1])));
        }
    }
}
