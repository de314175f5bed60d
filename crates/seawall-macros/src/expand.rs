//! What an attribute becomes: the body in a loop over decisions.

use crate::{
    check::{argument_named, crate_path},
    options::{Options, Policy, duration, number, word},
    parse::Function,
    shape::Shape,
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Expr, Result};

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
    let options = Options::parse(policy, options)?;
    let mut function: Function = syn::parse2(item)?;
    let shape = Shape::of(policy, &function)?;
    let context = Context {
        krate: &crate_path(&options),
        options: &options,
        function: &function,
        shape: &shape,
    };
    let wrapped = match policy {
        Policy::Retry => context.retry()?,
        Policy::CircuitBreaker => context.circuit_breaker()?,
        Policy::Fallback => context.fallback()?,
        Policy::Timeout => context.timeout()?,
    };
    function.body = shape.with_body(function.body.span(), wrapped);
    Ok(function)
}

struct Context<'a> {
    /// The path of what expansions use.
    krate: &'a TokenStream,
    options: &'a Options,
    function: &'a Function,
    shape: &'a Shape,
}

impl Context<'_> {
    /// Rich or plain: what the error type can say.
    fn kind(&self) -> TokenStream {
        let (krate, returns) = (self.krate, self.shape.named_type());
        quote! {
            #[allow(unused_imports)]
            use #krate::Plain as _;
            let kind = {
                #[allow(unused_imports)]
                use #krate::{ViaDeref as _, ViaError as _, ViaNone as _};
                #krate::Kind::of::<#returns>((&&&#krate::Find::of::<#returns>()).find())
            };
        }
    }

    /// One attempt, as an expression of the function's own type.
    fn attempt(&self) -> Result<TokenStream> {
        let krate = self.krate;
        let clones = self.options.clones()?.into_iter().map(|name| {
            let mut inputs = self.function.sig.inputs.iter();
            let is_mut = inputs.find_map(|argument| argument_named(argument, name));
            let keyword = is_mut.filter(|is_mut| *is_mut).map(|_| quote!(mut));
            quote!(let #keyword #name = #krate::Clone::clone(&#name);)
        });
        Ok(self.shape.attempt(krate, quote!(#(#clones)*)))
    }

    /// One attempt, as the engine's outcome.
    fn lifted(&self) -> Result<TokenStream> {
        let (returns, attempt) = (self.shape.annotated_type(), self.attempt()?);
        Ok(quote! {
            #[allow(clippy::redundant_closure_call)]
            let outcome: #returns = #attempt;
            kind.lift(outcome)
        })
    }

    /// The only attempt, as a future of the engine's outcome.
    fn lifted_future(&self) -> TokenStream {
        let krate = self.krate;
        let future = self.shape.started(krate, TokenStream::new());
        quote!(#krate::lifted(#future, |outcome| kind.lift(outcome)))
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
            setters.extend(quote!(.#name(#value)));
        }
        Ok(setters)
    }

    /// Wraps `hooks` in the hook `name`, if it is set.
    fn hook(&self, hooks: &mut TokenStream, name: &str) {
        if let Some(hook) = self.options.get(name) {
            let krate = self.krate;
            let function = Ident::new(name, Span::call_site());
            let inside = std::mem::take(hooks);
            *hooks = quote!(#krate::#function(kind.hook(#hook), #inside));
        }
    }

    fn retry(&self) -> Result<TokenStream> {
        let (krate, kind) = (self.krate, self.kind());
        let (returns, attempt) = (self.shape.annotated_type(), self.attempt()?);
        let source = self.retry_source()?;
        let wait = match self.shape.is_async() {
            true => quote!(call.wait(delay).await),
            false => quote!(call.wait_blocking(delay)),
        };
        Ok(quote! {
            #kind
            let retry = #source;
            let mut call = #krate::RetryCall::new(&retry, kind.finder());
            loop {
                let step = match call.injected() {
                    ::core::option::Option::Some(step) => step,
                    ::core::option::Option::None => {
                        #[allow(clippy::redundant_closure_call)]
                        let outcome: #returns = #attempt;
                        match outcome {
                            ::core::result::Result::Ok(value) if call.ends_with(&value) => {
                                break ::core::result::Result::Ok(value);
                            }
                            outcome => call.settle(kind.lift(outcome)),
                        }
                    }
                };
                let delay = match step {
                    #krate::Break(outcome) => break kind.lower(outcome),
                    #krate::Continue(delay) => delay,
                };
                #wait;
            }
        })
    }

    fn retry_source(&self) -> Result<TokenStream> {
        let krate = self.krate;
        let listener = match self.options.get("on_retry") {
            Some(listener) => quote!(kind.listener(#listener)),
            None => quote!(#krate::NoListener),
        };
        let extras = match self.options.get("budget") {
            Some(budget) => quote!({
                static EXTRAS: #krate::Extras = #krate::Extras::of_budget(&#budget);
                &EXTRAS
            }),
            None => quote!(&#krate::NOTHING_ATTACHED),
        };
        if let Some(policy) = self.options.get("policy") {
            let attached = ["on_retry", "budget"];
            return Ok(match attached.iter().any(|name| self.options.get(name).is_some()) {
                true => quote!(#krate::InlineRetry::of(&#policy, #extras, #listener)),
                false => quote!(&#policy),
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
                setters.extend(quote!(.backoff_strategy(#strategy)));
            }
        }
        if let Some(jitter) = self.options.get("jitter") {
            setters.extend(self.jitter(jitter)?);
        }
        for flag in ["retry_on_open", "retry_on_exhausted"] {
            if self.options.flag(flag)? {
                let flag = Ident::new(flag, Span::call_site());
                setters.extend(quote!(.#flag()));
            }
        }
        let mut hooks = quote!(#krate::AnyError);
        self.hook(&mut hooks, "when");
        self.hook(&mut hooks, "retry_after");
        if let Some(hook) = self.options.get("when_result") {
            let returns = self.shape.named_type();
            hooks = quote!(#krate::on_value::<#returns, _, _>(#hook, #hooks));
        }
        Ok(quote! {
            #krate::InlineRetry::new(
                const { &#krate::RetryPolicy::builder().name(#name)#setters.build() },
                #hooks,
                #extras,
                #listener,
            )
        })
    }

    fn jitter(&self, jitter: &Expr) -> Result<TokenStream> {
        let krate = self.krate;
        if let Expr::Lit(lit) = jitter {
            match &lit.lit {
                syn::Lit::Bool(on) if on.value => {
                    return Ok(quote!(.jitter(#krate::Jitter::PlusMinus)));
                }
                syn::Lit::Bool(_) => return Ok(quote!(.jitter(#krate::Jitter::None))),
                syn::Lit::Str(text) if text.value() == "decorrelated" => {
                    if let Some(span) =
                        self.options.span("backoff").or(self.options.span("backoff_strategy"))
                    {
                        let message = "decorrelated jitter is a backoff strategy of its own: leave \
                                       one of the two out";
                        return Err(Error::new(span, message));
                    }
                    return Ok(quote!(.backoff_strategy(#krate::BackoffStrategy::Decorrelated)));
                }
                _ => {}
            }
        }
        let jitter = word(krate, "jitter", "Jitter", JITTERS, jitter)?;
        Ok(quote!(.jitter(#jitter)))
    }

    fn circuit_breaker(&self) -> Result<TokenStream> {
        let (kind, lifted, future) = (self.kind(), self.lifted()?, self.lifted_future());
        let breaker = self.breaker()?;
        let guarded = match self.shape.is_async() {
            true => quote!(breaker.guard(#future).await),
            false => quote!(breaker.guard_blocking(|| { #lifted })),
        };
        Ok(quote! {
            #kind
            #breaker
            kind.lower_open(#guarded)
        })
    }

    /// Statements that end in `let breaker = ..`.
    fn breaker(&self) -> Result<TokenStream> {
        let krate = self.krate;
        if let Some(policy) = self.options.get("policy") {
            return Ok(match self.options.get("key") {
                Some(key) => quote! {
                    let keyed = (#policy).get(&#key);
                    let breaker = #krate::InlineBreaker::of(&keyed, kind.finder());
                },
                None => quote! {
                    let named = &#policy;
                    let breaker = #krate::InlineBreaker::of(named, kind.finder());
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
            setters.extend(quote!(.slow_call_rate(#rate, #at_least)));
        }
        let settings = quote!(#krate::CircuitBreaker::builder().name(#name)#setters);
        let mut hooks = quote!(#krate::AnyError);
        self.hook(&mut hooks, "expected_exception");
        self.hook(&mut hooks, "ignore");
        Ok(match self.options.get("key") {
            Some(key) => {
                let max_keys = self.options.get("max_keys").map(|most| quote!(.max_keys(#most)));
                quote! {
                    let keyed = {
                        static BREAKERS: #krate::CircuitBreakers =
                            #krate::CircuitBreakers::new(#settings)#max_keys;
                        BREAKERS.get(&#key)
                    };
                    let breaker = #krate::InlineBreaker::new(&*keyed, #hooks, kind.finder());
                }
            }
            None => quote! {
                let breaker = {
                    static BREAKER: #krate::CircuitBreaker = #settings.build();
                    #krate::InlineBreaker::new(&BREAKER, #hooks, kind.finder())
                };
            },
        })
    }

    fn fallback(&self) -> Result<TokenStream> {
        let (krate, kind, lifted) = (self.krate, self.kind(), self.lifted()?);
        if let Some(chain) = self.options.get("policy") {
            let answer = match self.shape.is_async() {
                true => quote!(#krate::cover(&#chain, primary).await),
                false => quote!(#krate::cover_blocking(&#chain, primary)),
            };
            return Ok(quote! {
                #kind
                match { #lifted } {
                    ::core::result::Result::Ok(value) => ::core::result::Result::Ok(value),
                    ::core::result::Result::Err(primary) => kind.lower(#answer),
                }
            });
        }
        let name = self.name();
        let entries = self.options.entries()?.into_iter().map(|entry| {
            let answer = self.answer(entry);
            let tried = match self.shape.is_async() {
                true => quote!(failed.try_entry(#answer).await),
                false => quote!(failed.try_entry_blocking(#answer)),
            };
            quote! {
                if let ::core::option::Option::Some(value) = #tried {
                    failed.used(&primary);
                    break 'answered ::core::result::Result::Ok(value);
                }
            }
        });
        let only_if = self.options.get("only_if").map(|applies| {
            quote! {
                if !#krate::see(kind.seen(&primary), #applies) {
                    break 'answered kind.lower(::core::result::Result::Err(primary));
                }
            }
        });
        Ok(quote! {
            #kind
            match { #lifted } {
                ::core::result::Result::Ok(value) => ::core::result::Result::Ok(value),
                ::core::result::Result::Err(primary) => 'answered: {
                    #only_if
                    let mut failed = #krate::Failed::none(#name);
                    #(#entries)*
                    kind.lower(::core::result::Result::Err(failed.exhausted(primary)))
                }
            }
        })
    }

    /// A path is called with nothing, a closure with the error if it takes one, and anything else is
    /// evaluated, when its turn comes.
    fn answer(&self, entry: &Expr) -> TokenStream {
        let krate = self.krate;
        match entry {
            Expr::Path(path) => quote!(#path()),
            Expr::Closure(closure) if closure.inputs.is_empty() => quote!((#closure)()),
            Expr::Closure(closure) => quote!(#krate::see(kind.seen(&primary), #closure)),
            other => quote!({ #other }),
        }
    }

    fn timeout(&self) -> Result<TokenStream> {
        let (krate, kind, future) = (self.krate, self.kind(), self.lifted_future());
        let Some(limit) = self.options.bare.as_ref().or(self.options.get("limit")) else {
            return Err(Error::new(Span::call_site(), "a timeout needs a limit"));
        };
        let limit = duration(krate, "limit", limit)?;
        Ok(quote! {
            #kind
            kind.lower_rejection(#krate::limited(#limit, #future).await)
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
