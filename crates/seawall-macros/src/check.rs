//! What makes no sense is refused here, once and in words; then the attribute waits for its turn.

use crate::{
    instrument,
    options::{Options, Policy, length, literal},
    parse::{Function, other_item},
    shape::{error_type, future_output},
};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Error, Expr, FnArg, Pat, Result, ReturnType, Type, parse_quote};

/// Moves the attribute, as a hidden one, behind all that still wait.
pub(crate) fn defer(policy: Policy, options: TokenStream, item: TokenStream) -> TokenStream {
    match deferred(policy, options, item.clone()) {
        Ok(function) => function.to_token_stream(),
        // The item stays: one message, not one more for each of its uses.
        Err(error) => {
            let message = error.to_compile_error();
            quote!(#message #item)
        }
    }
}

fn deferred(policy: Policy, tokens: TokenStream, item: TokenStream) -> Result<Function> {
    let options = Options::parse(policy, tokens.clone())?;
    let mut function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            return Err(match other_item(&item) {
                Some((span, what)) => {
                    let attribute = policy.attribute();
                    Error::new(span, format!("{attribute} protects a function, and this is {what}"))
                }
                None => error,
            });
        }
    };
    go_together(&options)?;
    values(&options)?;
    signature(policy, &function)?;
    arguments(&options, &function)?;

    let krate = crate_path(&options);
    let hidden = Ident::new(policy.hidden(), Span::call_site());
    let waiting = |attr: &syn::Attribute| {
        let last = attr.path().segments.last().map(|segment| segment.ident.to_string());
        !last.is_some_and(|name| name.starts_with("__seawall_"))
    };
    let at = function.attrs.iter().position(|attr| !waiting(attr));
    let at = at.unwrap_or(function.attrs.len());
    let inside = instrument::inside(&function.body).map(|_| quote!(@));
    function.attrs.insert(at, parse_quote!(#[#krate::#hidden(#inside #tokens)]));
    Ok(function)
}

/// Where the expansion finds the library.
pub(crate) fn crate_path(options: &Options) -> TokenStream {
    match options.get("crate") {
        Some(path) => quote!(#path::__expansion),
        None => quote!(::seawall::__expansion),
    }
}

/// Options that exclude or need each other.
fn go_together(options: &Options) -> Result<()> {
    let policy = options.policy;
    let span = |name| options.span(name).unwrap_or_else(Span::call_site);
    if options.get("policy").is_some() {
        let settings = options.named.iter().map(|named| named.name.to_string());
        let own = settings.filter(|name| policy.settings().contains(&name.as_str()));
        if let Some(name) = own.into_iter().next() {
            let message = format!(
                "`policy` and `{name}` exclude each other: an existing policy has settings of its \
                 own, so set `{name}` where it is made, or leave `policy` out"
            );
            return Err(Error::new(span(&name), message));
        }
    }
    for (one, other) in [("backoff", "backoff_strategy"), ("over_calls", "over_time")] {
        if options.get(one).is_some() && options.get(other).is_some() {
            let message = format!("`{one}` and `{other}` exclude each other");
            return Err(Error::new(span(other), message));
        }
    }
    for (one, others) in [
        ("failure_rate", ["over_calls", "over_time"]),
        ("slow_call_rate", ["over_calls", "over_time"]),
        ("over_calls", ["failure_rate", "slow_call_rate"]),
        ("over_time", ["failure_rate", "slow_call_rate"]),
        ("minimum_calls", ["over_calls", "over_time"]),
    ] {
        if options.get(one).is_some() && others.iter().all(|other| options.get(other).is_none()) {
            let [this, that] = others;
            let message = format!("`{one}` needs `{this}` or `{that}` beside it");
            return Err(Error::new(span(one), message));
        }
    }
    for (one, other) in [
        ("slow_call_rate", "slow_call_duration"),
        ("slow_call_duration", "slow_call_rate"),
        ("max_keys", "key"),
    ] {
        if options.get(one).is_some() && options.get(other).is_none() {
            let message = format!("`{one}` needs `{other}` beside it");
            return Err(Error::new(span(one), message));
        }
    }
    entries(options)
}

/// What a fallback or a timeout cannot do without.
fn entries(options: &Options) -> Result<()> {
    let chain = options.get("policy");
    match (options.policy, &options.bare) {
        (Policy::Fallback, None) if chain.is_none() => Err(Error::new(
            Span::call_site(),
            "a fallback needs entries: `#[fallback([from_cache, from_backup])]`",
        )),
        (Policy::Fallback, Some(list)) if chain.is_some() => Err(Error::new_spanned(
            list,
            "`policy` and a list of entries exclude each other: the chain has entries of its own",
        )),
        (Policy::Fallback, Some(list)) if options.entries()?.is_empty() => Err(Error::new_spanned(
            list,
            "an empty fallback answers nothing: `#[fallback([from_cache, from_backup])]`",
        )),
        (Policy::Timeout, None) if options.get("limit").is_none() => Err(Error::new(
            Span::call_site(),
            "a timeout needs a limit, in seconds or with a unit: `#[timeout(2)]`, \
             `#[timeout(\"500ms\")]`",
        )),
        (Policy::Timeout, Some(limit)) if options.get("limit").is_some() => {
            Err(Error::new_spanned(limit, "the limit is given twice"))
        }
        _ => Ok(()),
    }
}

/// Values that are written out are refused here: at their own place, and even if nobody calls the
/// function. All others meet the same rules in const evaluation.
fn values(options: &Options) -> Result<()> {
    for named in &options.named {
        let Some(value) = &named.value else { continue };
        let (name, Some(number)) = (named.name.to_string(), literal(value)) else { continue };
        let rule = match name.as_str() {
            "max_attempts" if number < 1.0 => "must be 1 or more: the first attempt counts",
            "failure_threshold" | "over_calls" | "minimum_calls" | "probes"
            | "successes_to_close"
                if number < 1.0 =>
            {
                "must be 1 or more"
            }
            "failure_rate" | "slow_call_rate" | "recovery_jitter"
                if !(0.0..=1.0).contains(&number) =>
            {
                "must be within 0..=1: half of the calls is 0.5"
            }
            "multiplier" if number < 0.0 => "must be a finite number, 0 or more",
            "recovery_multiplier" if number < 1.0 => "must be a finite number, 1 or more",
            _ => continue,
        };
        return Err(Error::new_spanned(value, format!("`{name}` {rule}, but is {number}")));
    }
    for (short, long) in [("base_delay", "max_delay"), ("recovery_timeout", "max_recovery_timeout")]
    {
        let (Some(least), Some(most)) = (options.get(short), options.get(long)) else { continue };
        match (length(short, least)?, length(long, most)?) {
            (Some(least), Some(longest)) if longest < least => {
                let message =
                    format!("`{long}` must not be shorter than `{short}`, but is {longest:?}");
                return Err(Error::new_spanned(most, message));
            }
            _ => {}
        }
    }
    Ok(())
}

fn signature(policy: Policy, function: &Function) -> Result<()> {
    let (attribute, sig) = (policy.attribute(), &function.sig);
    if let Some(keyword) = &sig.constness {
        let message = format!(
            "{attribute} cannot protect a `const fn`: policies wait, count and tell at run time"
        );
        return Err(Error::new_spanned(keyword, message));
    }
    if let ReturnType::Default = sig.output {
        let name = &sig.ident;
        let message = format!(
            "{attribute} acts on failures, and `{name}` returns nothing that could say that it \
             failed: return `Result<(), E>`"
        );
        return Err(Error::new_spanned(&sig.ident, message));
    }
    if let ReturnType::Type(_, output) = &sig.output {
        let output = future_output(output).unwrap_or(output);
        if is_no_result(output) {
            let message = format!(
                "{attribute} acts on failures, and there is none in `{}`: return `Result<{0}, E>`",
                written(output)
            );
            return Err(Error::new_spanned(output, message));
        }
        if let Some(error) = error_type(output).filter(|error| borrows(error.to_token_stream())) {
            let message = format!(
                "the error of a protected function must be `'static`, and `{}` borrows: let it own \
                 what it holds, such as a `String` in place of a `&str`",
                written(error)
            );
            return Err(Error::new_spanned(error, message));
        }
    }
    Ok(())
}

/// Whether `ty` is a type of the standard library that cannot say that something failed. Whatever
/// else is no `Result`, the compiler finds.
fn is_no_result(ty: &Type) -> bool {
    const NAMES: &[&str] = &[
        "Option", "String", "Vec", "bool", "char", "str", "u8", "u16", "u32", "u64", "u128",
        "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64",
    ];
    match ty {
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| NAMES.iter().any(|name| last.ident == name))
        }
        Type::Tuple(_) | Type::Reference(_) | Type::Array(_) | Type::Slice(_) => true,
        _ => false,
    }
}

/// Whether references or lifetimes other than `'static` are written out, but for arguments of `Fn`.
fn borrows(ty: TokenStream) -> bool {
    let mut last = None;
    ty.into_iter().any(|token| {
        let before = last.replace(token.clone());
        let after =
            |mark| matches!(&before, Some(TokenTree::Punct(punct)) if punct.as_char() == mark);
        match token {
            TokenTree::Ident(name) => after('&') || after('\'') && name != "static",
            TokenTree::Group(_) if matches!(before, Some(TokenTree::Ident(_))) => false,
            TokenTree::Group(group) => after('&') || borrows(group.stream()),
            _ => false,
        }
    })
}

/// As it was written, more or less.
fn written(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    [(" < ", "<"), (" >", ">"), ("& ", "&"), (" ,", ","), (" :: ", "::")]
        .iter()
        .fold(text, |text, (loose, tight)| text.replace(loose, tight))
}

/// `clone` names arguments; the receiver has no other name.
fn arguments(options: &Options, function: &Function) -> Result<()> {
    for name in options.clones()? {
        if name == "self" {
            let message =
                "`self` cannot be cloned under another name: clone in the body what it moves";
            return Err(Error::new(name.span(), message));
        }
        if !function.sig.inputs.iter().any(|argument| is_named(argument, name)) {
            let message = format!("`{}` has no argument `{name}` to clone", function.sig.ident);
            return Err(Error::new(name.span(), message));
        }
    }
    for named in &options.named {
        let (name, Some(value)) = (named.name.to_string(), &named.value) else { continue };
        let hooks = ["when", "when_result", "retry_after", "expected_exception", "ignore"];
        let is_fixed = matches!(options.policy, Policy::Retry | Policy::CircuitBreaker)
            && options.policy.settings().contains(&name.as_str())
            && !hooks.contains(&name.as_str());
        let Some(argument) = first_variable(value).filter(|_| is_fixed) else { continue };
        let is_argument = |input: &FnArg| is_named(input, argument);
        if argument == "self" || function.sig.inputs.iter().any(is_argument) {
            let message = format!(
                "`{name}` is set once for all calls, and `{argument}` comes with each: name a \
                 constant, or take an existing policy by `policy = ..`"
            );
            return Err(Error::new_spanned(value, message));
        }
    }
    if let Some(Expr::Lit(lit)) = options.get("policy") {
        return Err(Error::new_spanned(lit, "`policy` names a policy: `policy = MY_POLICY`"));
    }
    Ok(())
}

/// What `value` is, is a field of, or is the outcome of a method of.
fn first_variable(value: &Expr) -> Option<&Ident> {
    match value {
        Expr::Path(path) => path.path.get_ident(),
        Expr::Field(field) => first_variable(&field.base),
        Expr::MethodCall(call) => first_variable(&call.receiver),
        _ => None,
    }
}

/// Whether `argument` is called `name`.
fn is_named(argument: &FnArg, name: &Ident) -> bool {
    match argument {
        FnArg::Typed(typed) => matches!(&*typed.pat, Pat::Ident(pat) if pat.ident == *name),
        FnArg::Receiver(_) => false,
    }
}
