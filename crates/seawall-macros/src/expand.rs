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
use syn::{Error, Expr, FnArg, Pat, Result};

/// Tokens whose variables and labels neither the body nor an option can see. Their underscores keep
/// them apart from constants and statics, which patterns would match against wherever they stand.
macro_rules! hidden {
    ($($tokens:tt)*) => { quote_spanned!(Span::mixed_site()=> $($tokens)*) };
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
        clones.extend(hidden!(let #keyword #name = #krate::Clone::clone(&#name);));
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

    /// One attempt, as the engine's outcome.
    fn lifted(&self) -> TokenStream {
        let returns = self.shape.annotated_type();
        let attempt = self.shape.attempt(self.krate, &self.clones);
        hidden! {
            let __outcome: #returns = #attempt;
            __kind.lift(__outcome)
        }
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

    /// Wraps `hooks` in the hook `name`, if it is set.
    fn hook(&self, hooks: &mut TokenStream, name: &str) {
        if let Some(hook) = self.options.get(name) {
            let krate = self.krate;
            let function = Ident::new(name, Span::call_site());
            let inside = std::mem::take(hooks);
            *hooks = hidden!(#krate::#function(__kind.hook(#hook), #inside));
        }
    }

    fn retry(&self) -> Result<TokenStream> {
        let (krate, kind, lifted) = (self.krate, self.kind(), self.lifted());
        let source = self.retry_source()?;
        let wait = match self.shape.is_async() {
            true => hidden!(__call.wait(__delay).await),
            false => hidden!(__call.wait_blocking(__delay)),
        };
        Ok(hidden! {
            #kind
            #source
            let mut __call = #krate::RetryCall::new(&__retry, __kind.finder());
            loop {
                let __step = match __call.injected() {
                    ::core::option::Option::Some(__step) => __step,
                    ::core::option::Option::None => __call.settle({ #lifted }),
                };
                let __delay = match __step {
                    #krate::Break(__outcome) => break __kind.lower(__outcome),
                    #krate::Continue(__delay) => __delay,
                };
                #wait;
            }
        })
    }

    /// Statements that end in `let __retry = ..`.
    fn retry_source(&self) -> Result<TokenStream> {
        let krate = self.krate;
        let listener = match self.options.get("on_retry") {
            Some(listener) => hidden!(__kind.listener(#listener)),
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
                    let __retry = #krate::InlineRetry::of(__policy, #extras, #listener);
                },
                false => hidden!(let __retry = &(#policy);),
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
        let mut hooks = hidden!(#krate::AnyError);
        self.hook(&mut hooks, "when");
        self.hook(&mut hooks, "retry_after");
        if let Some(hook) = self.options.get("when_result") {
            let returns = self.shape.named_type();
            hooks = hidden!(#krate::on_value::<#returns, _, _>(#hook, #hooks));
        }
        Ok(hidden! {
            let __retry = #krate::InlineRetry::new(
                const { &#krate::RetryPolicy::builder().name(#name)#setters.build() },
                #hooks,
                #extras,
                #listener,
            );
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
        let (kind, lifted) = (self.kind(), self.lifted());
        let breaker = self.breaker()?;
        let guarded = match self.shape.is_async() {
            true => hidden!(__breaker.guard(async { #lifted }).await),
            false => hidden!(__breaker.guard_blocking(|| { #lifted })),
        };
        Ok(hidden! {
            #kind
            #breaker
            __kind.lower_open(#guarded)
        })
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
                None => hidden! {
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
        let mut hooks = hidden!(#krate::AnyError);
        self.hook(&mut hooks, "expected_exception");
        self.hook(&mut hooks, "ignore");
        Ok(match self.options.get("key") {
            Some(key) => {
                let max_keys = self.options.get("max_keys").map(|most| hidden!(.max_keys(#most)));
                hidden! {
                    let __keyed = {
                        static __SEAWALL_BREAKERS: #krate::CircuitBreakers =
                            #krate::CircuitBreakers::new(#settings)#max_keys;
                        __SEAWALL_BREAKERS.get(&(#key))
                    };
                    let __breaker = #krate::InlineBreaker::new(&*__keyed, #hooks, __kind.finder());
                }
            }
            None => hidden! {
                let __breaker = {
                    static __SEAWALL_BREAKER: #krate::CircuitBreaker = #settings.build();
                    #krate::InlineBreaker::new(&__SEAWALL_BREAKER, #hooks, __kind.finder())
                };
            },
        })
    }

    fn fallback(&self) -> Result<TokenStream> {
        let (krate, kind, lifted) = (self.krate, self.kind(), self.lifted());
        if let Some(chain) = self.options.get("policy") {
            let answer = match self.shape.is_async() {
                true => hidden!(#krate::cover(&(#chain), __primary).await),
                false => hidden!(#krate::cover_blocking(&(#chain), __primary)),
            };
            return Ok(hidden! {
                #kind
                match { #lifted } {
                    ::core::result::Result::Ok(__value) => ::core::result::Result::Ok(__value),
                    ::core::result::Result::Err(__primary) => __kind.lower(#answer),
                }
            });
        }
        let name = self.name();
        let entries = self.options.entries()?.into_iter().map(|entry| {
            let answer = self.answer(entry);
            let tried = match self.shape.is_async() {
                true => hidden!(__failed.try_entry(#answer).await),
                false => hidden!(__failed.try_entry_blocking(#answer)),
            };
            hidden! {
                if let ::core::option::Option::Some(__value) = #tried {
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
            match { #lifted } {
                ::core::result::Result::Ok(__value) => ::core::result::Result::Ok(__value),
                ::core::result::Result::Err(__primary) => '__answered: {
                    #only_if
                    let mut __failed = #krate::Failed::none(#name);
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
            Expr::Path(path) => hidden!(#path()),
            Expr::Closure(closure) if closure.inputs.is_empty() => hidden!((#closure)()),
            Expr::Closure(closure) => hidden!(#krate::see(__kind.seen(&__primary), #closure)),
            other => hidden!({ #other }),
        }
    }

    fn timeout(&self) -> Result<TokenStream> {
        let (krate, kind, lifted) = (self.krate, self.kind(), self.lifted());
        let Some(limit) = self.options.bare.as_ref().or(self.options.get("limit")) else {
            return Err(Error::new(Span::call_site(), "a timeout needs a limit"));
        };
        let limit = duration(krate, "limit", limit)?;
        Ok(hidden! {
            #kind
            __kind.lower_rejection(#krate::limited(#limit, async { #lifted }).await)
        })
    }
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
