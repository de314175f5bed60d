//! The words in an attribute's parentheses.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use std::time::Duration;
use syn::{
    Error, Expr, ExprLit, Ident, Lit, Result, Token, UnOp,
    parse::{Parse, ParseStream},
    parse_quote,
    punctuated::Punctuated,
    spanned::Spanned,
};

/// Which attribute it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Retry,
    CircuitBreaker,
    Fallback,
    Timeout,
}

impl Policy {
    const ALL: [Self; 4] = [Self::Retry, Self::CircuitBreaker, Self::Fallback, Self::Timeout];

    /// As the user wrote it, unless it was renamed.
    pub(crate) const fn attribute(self) -> &'static str {
        match self {
            Self::Retry => "`#[retry]`",
            Self::CircuitBreaker => "`#[circuit_breaker]`",
            Self::Fallback => "`#[fallback]`",
            Self::Timeout => "`#[timeout]`",
        }
    }

    pub(crate) const fn hidden(self) -> &'static str {
        match self {
            Self::Retry => "__seawall_retry",
            Self::CircuitBreaker => "__seawall_circuit_breaker",
            Self::Fallback => "__seawall_fallback",
            Self::Timeout => "__seawall_timeout",
        }
    }

    /// The settings: what an existing policy has of its own.
    pub(crate) const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Retry => &[
                "max_attempts",
                "backoff",
                "backoff_strategy",
                "multiplier",
                "base_delay",
                "max_delay",
                "jitter",
                "total_timeout",
                "max_retry_after",
                "retry_on_open",
                "retry_on_exhausted",
                "keep_errors",
                "name",
                "when",
                "when_result",
                "retry_after",
            ],
            Self::CircuitBreaker => &[
                "failure_threshold",
                "failure_rate",
                "over_calls",
                "over_time",
                "minimum_calls",
                "slow_call_rate",
                "slow_call_duration",
                "recovery_timeout",
                "recovery_multiplier",
                "max_recovery_timeout",
                "recovery_jitter",
                "probes",
                "successes_to_close",
                "probe_lease",
                "name",
                "expected_exception",
                "ignore",
                "max_keys",
            ],
            Self::Fallback => &["name", "only_if"],
            Self::Timeout => &["limit"],
        }
    }

    /// What may stand beside an existing policy.
    pub(crate) const fn attachments(self) -> &'static [&'static str] {
        match self {
            Self::Retry => &["policy", "on_retry", "budget", "clone", "crate"],
            Self::CircuitBreaker => &["policy", "key", "crate"],
            Self::Fallback => &["policy", "clone", "crate"],
            Self::Timeout => &["crate"],
        }
    }

    /// How it is used, for messages.
    pub(crate) const fn example(self) -> &'static str {
        match self {
            Self::Retry => "#[retry(max_attempts = 3, backoff = \"exponential\")]",
            Self::CircuitBreaker => {
                "#[circuit_breaker(failure_threshold = 5, recovery_timeout = 30)]"
            }
            Self::Fallback => "#[fallback([from_cache, from_backup])]",
            Self::Timeout => "#[timeout(\"500ms\")]",
        }
    }
}

/// What stands in the parentheses.
pub(crate) struct Options {
    pub(crate) policy: Policy,
    pub(crate) named: Vec<Named>,
    /// What has no name: the entries of a fallback, the limit of a timeout.
    pub(crate) bare: Option<Expr>,
}

/// `name = value`, or a flag.
pub(crate) struct Named {
    pub(crate) name: Ident,
    pub(crate) value: Option<Expr>,
}

impl Options {
    pub(crate) fn parse(policy: Policy, tokens: TokenStream) -> Result<Self> {
        let items =
            syn::parse::Parser::parse2(Punctuated::<Item, Token![,]>::parse_terminated, tokens)?;
        let mut options = Self { policy, named: Vec::new(), bare: None };
        for item in items {
            match item {
                // `#[timeout(limit)]`: a constant or an argument, which may well be called so.
                Item::Named(Named { name, value: None }) if policy == Policy::Timeout => {
                    options.add_bare(parse_quote!(#name))?;
                }
                Item::Named(named) => options.add(named)?,
                Item::Bare(expr) => options.add_bare(expr)?,
            }
        }
        Ok(options)
    }

    fn add(&mut self, named: Named) -> Result<()> {
        let word = named.name.to_string();
        let policy = self.policy;
        let known = || policy.settings().iter().chain(policy.attachments());
        // `#[fallback(from_cache)]`: an entry, which has no value either.
        if policy == Policy::Fallback
            && named.value.is_none()
            && !known().any(|known| *known == word)
        {
            return Err(not_listed(&named.name));
        }
        if !known().any(|known| *known == word) {
            let attribute = policy.attribute();
            let all: Vec<String> = known().map(|known| format!("`{known}`")).collect();
            let others = Policy::ALL.iter().find(|other| other.settings().contains(&word.as_str()));
            let hint = match (nearest(&word, known().copied()), others) {
                (_, Some(other)) => format!(": it is one of {}", other.attribute()),
                (Some(near), None) => format!("; did you mean `{near}`?"),
                (None, None) => format!(": it has {}", all.join(", ")),
            };
            let message = format!("{attribute} has no option `{word}`{hint}");
            return Err(Error::new(named.name.span(), message));
        }
        if self.named.iter().any(|other| other.name == named.name) {
            return Err(Error::new(named.name.span(), format!("`{word}` is given twice")));
        }
        let is_flag = matches!(word.as_str(), "retry_on_open" | "retry_on_exhausted");
        if named.value.is_none() && !is_flag {
            let message = format!("`{word}` needs a value: `{word} = ..`");
            return Err(Error::new(named.name.span(), message));
        }
        self.named.push(named);
        Ok(())
    }

    fn add_bare(&mut self, expr: Expr) -> Result<()> {
        let policy = self.policy;
        let wanted = matches!(policy, Policy::Fallback | Policy::Timeout);
        if policy == Policy::Fallback && self.bare.is_some() {
            return Err(not_listed(&expr));
        }
        if !wanted || self.bare.is_some() {
            let example = policy.example();
            let what = expr.to_token_stream();
            let message = format!("what is `{what}`? Options have names: `{example}`");
            return Err(Error::new_spanned(expr, message));
        }
        self.bare = Some(expr);
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Expr> {
        self.named.iter().find(|named| named.name == name)?.value.as_ref()
    }

    /// Where `name` stands, for messages.
    pub(crate) fn span(&self, name: &str) -> Option<Span> {
        Some(self.named.iter().find(|named| named.name == name)?.name.span())
    }

    /// Whether the flag `name` is set; `name = false` leaves it off.
    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        let Some(named) = self.named.iter().find(|named| named.name == name) else {
            return Ok(false);
        };
        match &named.value {
            None => Ok(true),
            Some(Expr::Lit(ExprLit { lit: Lit::Bool(on), .. })) => Ok(on.value),
            Some(other) => {
                Err(Error::new_spanned(other, format!("`{name}` is on or off: `true` or `false`")))
            }
        }
    }

    /// The names in `clone = [a, b]`.
    pub(crate) fn clones(&self) -> Result<Vec<&Ident>> {
        let wrong = |expr: &Expr| {
            Error::new_spanned(expr, "`clone` lists arguments by name: `clone = [request]`")
        };
        let list = match self.get("clone") {
            None => return Ok(Vec::new()),
            Some(Expr::Array(list)) => list,
            Some(other) => return Err(wrong(other)),
        };
        list.elems
            .iter()
            .map(|entry| match entry {
                Expr::Path(path) => path.path.get_ident().ok_or_else(|| wrong(entry)),
                other => Err(wrong(other)),
            })
            .collect()
    }

    /// The entries of a fallback.
    pub(crate) fn entries(&self) -> Result<Vec<&Expr>> {
        match &self.bare {
            None => Ok(Vec::new()),
            Some(Expr::Array(list)) => Ok(list.elems.iter().collect()),
            Some(other) => Err(not_listed(other)),
        }
    }
}

fn not_listed(entry: &dyn ToTokens) -> Error {
    let message = "the entries stand in a list: `#[fallback([from_cache, from_backup])]`";
    Error::new_spanned(entry, message)
}

enum Item {
    Named(Named),
    Bare(Expr),
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        // `crate` is a keyword, and so no expression's name.
        if input.peek(Token![crate]) && input.peek2(Token![=]) {
            let keyword: Token![crate] = input.parse()?;
            let name = Ident::new("crate", keyword.span);
            input.parse::<Token![=]>()?;
            let path: syn::Path = input.call(syn::Path::parse_mod_style)?;
            let value = Expr::Path(syn::ExprPath { attrs: Vec::new(), qself: None, path });
            return Ok(Self::Named(Named { name, value: Some(value) }));
        }
        if input.peek(Ident) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
            let name: Ident = input.parse()?;
            let equals: Token![=] = input.parse()?;
            if input.is_empty() || input.peek(Token![,]) {
                let message = format!("`{name}` needs a value: `{name} = ..`");
                return Err(Error::new(equals.span, message));
            }
            return Ok(Self::Named(Named { name, value: Some(ungrouped(input.parse()?)) }));
        }
        if input.peek(Ident) && input.peek2(Token![:]) && !input.peek2(Token![::]) {
            let name: Ident = input.parse()?;
            let message = format!("`{name}` is set by `=`: `{name} = ..`");
            return Err(Error::new(input.span(), message));
        }
        match ungrouped(input.parse()?) {
            Expr::Path(path) if path.path.get_ident().is_some() => {
                let name = path.path.require_ident()?.clone();
                Ok(Self::Named(Named { name, value: None }))
            }
            expr => Ok(Self::Bare(expr)),
        }
    }
}

/// What `macro_rules` hand on as an expression stands in a group that nobody sees.
fn ungrouped(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => ungrouped(*group.expr),
        Expr::Array(mut list) => {
            list.elems = list.elems.into_iter().map(ungrouped).collect();
            Expr::Array(list)
        }
        other => other,
    }
}

/// The known word that differs in a few letters, or has this one in it.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (distance(word, known), known))
        .min()
        .filter(|(distance, known)| {
            *distance <= 2 || *distance <= known.len() / 3 || known.contains(word)
        })
        .map(|(_, known)| known)
}

/// How many letters have to be changed, put in or taken out (Levenshtein, 1965).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (n, a) in from.bytes().enumerate() {
        let mut diagonal = n;
        row[0] = n + 1;
        for (m, b) in to.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[m + 1];
            row[m + 1] = changed.min(diagonal + 1).min(row[m] + 1);
        }
    }
    row[to.len()]
}

/// A length of time, as an expression.
pub(crate) fn duration(krate: &TokenStream, name: &str, expr: &Expr) -> Result<TokenStream> {
    Ok(match length(name, expr)? {
        Some(length) => {
            let (seconds, nanos) = (length.as_secs(), length.subsec_nanos());
            quote!(#krate::Duration::new(#seconds, #nanos))
        }
        None => expr.to_token_stream(),
    })
}

/// A length of time that is written out: a number is seconds, text is in units.
pub(crate) fn length(name: &str, expr: &Expr) -> Result<Option<Duration>> {
    let refuse = |value: &dyn std::fmt::Display, why: &str| {
        Err(Error::new_spanned(expr, format!("`{name}` {why}, but is {value}")))
    };
    let length = match expr {
        Expr::Lit(ExprLit { lit: Lit::Int(seconds), .. }) => {
            Duration::from_secs(seconds.base10_parse()?)
        }
        Expr::Lit(ExprLit { lit: Lit::Float(seconds), .. }) => {
            match Duration::try_from_secs_f64(seconds.base10_parse()?) {
                Ok(length) => length,
                Err(_) => return refuse(seconds, "must fit in a `Duration`"),
            }
        }
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            match humantime::parse_duration(&text.value()) {
                Ok(length) => length,
                Err(why) => {
                    let text = text.value();
                    let message = format!(
                        "`{name}` is a length of time such as \"500ms\", \"1.5s\" or \"2min\", but \
                         is {text:?}: {why}"
                    );
                    return Err(Error::new_spanned(expr, message));
                }
            }
        }
        Expr::Unary(unary) if matches!((&unary.op, &*unary.expr), (UnOp::Neg(_), Expr::Lit(_))) => {
            return refuse(
                &expr.to_token_stream().to_string().replace(' ', ""),
                "must not be negative",
            );
        }
        _ => return Ok(None),
    };
    Ok(Some(length))
}

/// A number that is written out.
pub(crate) fn literal(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Int(whole), .. }) => whole.base10_parse().ok(),
        Expr::Lit(ExprLit { lit: Lit::Float(real), .. }) => real.base10_parse().ok(),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => Some(-literal(&unary.expr)?),
        Expr::Paren(inner) => literal(&inner.expr),
        _ => None,
    }
}

/// A factor or a share: whole numbers will do.
pub(crate) fn number(expr: &Expr) -> TokenStream {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Int(whole), .. }) if whole.suffix().is_empty() => {
            let digits = format!("{}f64", whole.base10_digits());
            let literal = proc_macro2::Literal::f64_unsuffixed(
                digits.trim_end_matches("f64").parse().unwrap_or(f64::INFINITY),
            );
            quote!(#literal)
        }
        other => other.to_token_stream(),
    }
}

/// One of these words, or an expression.
pub(crate) fn word(
    krate: &TokenStream,
    name: &str,
    enumeration: &str,
    words: &[(&str, &str)],
    expr: &Expr,
) -> Result<TokenStream> {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expr else {
        return Ok(expr.to_token_stream());
    };
    let given = text.value();
    match words.iter().find(|(word, _)| *word == given) {
        Some((_, variant)) => {
            let enumeration = Ident::new(enumeration, expr.span());
            let variant = Ident::new(variant, expr.span());
            Ok(quote!(#krate::#enumeration::#variant))
        }
        None => {
            let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let message = format!("`{name}` is one of {}, but is {given:?}", all.join(", "));
            Err(Error::new_spanned(expr, message))
        }
    }
}
