//! What makes no sense is refused here, once and in words; then the attribute waits for its turn.

use crate::{
    instrument,
    options::{Options, Policy},
    parse::{Function, other_item},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Expr, FnArg, Pat, Result, ReturnType, parse_quote};

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
    Ok(())
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
    if let Some(Expr::Lit(lit)) = options.get("policy") {
        return Err(Error::new_spanned(lit, "`policy` names a policy: `policy = MY_POLICY`"));
    }
    Ok(())
}

/// Whether `argument` is called `name`.
fn is_named(argument: &FnArg, name: &Ident) -> bool {
    match argument {
        FnArg::Typed(typed) => matches!(&*typed.pat, Pat::Ident(pat) if pat.ident == *name),
        FnArg::Receiver(_) => false,
    }
}
