//! The forms that a protected function can have: blocking, async, or giving a future.

use crate::{instrument, options::Policy, parse::Function};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Block, Error, Expr, ExprAsync, GenericArgument, GenericParam, Local, Pat, PathArguments,
    Result, ReturnType, Stmt, Type, TypeParamBound, parse_quote, spanned::Spanned,
};

/// A function as the expansion needs it.
pub(crate) struct Shape {
    form: Form,
    /// What it gives, or its future does.
    output: Type,
    /// What is run in each attempt.
    body: TokenStream,
    span: Span,
}

enum Form {
    Blocking,
    Async,
    /// Its body stands inside what `#[instrument]` has made.
    Inside {
        is_async: bool,
        lead: Vec<Stmt>,
    },
    /// It ends in an async block, perhaps boxed. The body stands in that.
    Future {
        before: Vec<Stmt>,
        block: Box<ExprAsync>,
        is_boxed: bool,
        /// What the async block does first, and once only.
        lead: Vec<Stmt>,
    },
}

impl Shape {
    /// The shape of `function`. `inside` is its body before `#[instrument]` rewrote it.
    pub(crate) fn of(policy: Policy, function: &Function, inside: Option<Group>) -> Result<Self> {
        let sig = &function.sig;
        let ReturnType::Type(_, output) = &sig.output else {
            return Err(Error::new_spanned(&sig.ident, "there is no return type"));
        };
        let body = quietly(inside.as_ref().unwrap_or(&function.body)).to_token_stream();
        let span = output.span();
        let future = future_output(output);
        if let (Some(inside), Some(output)) = (&inside, future) {
            let stmts = syn::parse2::<Block>(inside.to_token_stream())?.stmts;
            let (lead, body) = without_moves(function, stmts);
            let form = Form::Inside { is_async: true, lead };
            return Ok(Self { form, output: output.clone(), body, span });
        }
        let is_async = sig.asyncness.is_some();
        if let (None, false, Some(output)) = (&inside, is_async, future) {
            return Self::of_future(policy, function, output.clone());
        }
        if policy == Policy::Timeout && !is_async {
            return Err(Error::new_spanned(
                sig.fn_token,
                "`#[timeout]` needs an `async fn`: blocking code cannot be stopped from outside, \
                 so set a limit on the call itself, such as a socket's read timeout",
            ));
        }
        let form = match (inside, is_async) {
            (Some(_), is_async) => Form::Inside { is_async, lead: Vec::new() },
            (None, true) => Form::Async,
            (None, false) => Form::Blocking,
        };
        Ok(Self { form, output: (**output).clone(), body, span })
    }

    /// `fn f() -> impl Future<Output = Result<..>> { async move { .. } }`, and what `#[async_trait]`
    /// makes of an `async fn`.
    fn of_future(policy: Policy, function: &Function, output: Type) -> Result<Self> {
        let span = output.span();
        let not_async = || {
            let attribute = policy.attribute();
            let message = format!(
                "{attribute} on a function that returns a future needs its body to end in an \
                 `async` block, so that each attempt can start it anew; or make it an `async fn`"
            );
            Error::new_spanned(&function.sig.ident, message)
        };
        let mut before = syn::parse2::<Block>(function.body.to_token_stream())?.stmts;
        let Some(Stmt::Expr(last, None)) = before.pop() else { return Err(not_async()) };
        let (mut block, is_boxed) = async_block(last).ok_or_else(not_async)?;
        let stmts = std::mem::take(&mut block.block.stmts);
        let (lead, body) = without_moves(function, stmts);
        let form = Form::Future { before, block: Box::new(block), is_boxed, lead };
        Ok(Self { form, output, body, span })
    }

    pub(crate) fn is_async(&self) -> bool {
        !matches!(self.form, Form::Blocking | Form::Inside { is_async: false, .. })
    }

    /// Where the output is named.
    pub(crate) fn return_span(&self) -> Span {
        self.span
    }

    /// The output, for a `let`: what `impl Trait` stands for is inferred.
    pub(crate) fn annotated_type(&self) -> Type {
        without_impl(&self.output, &parse_quote!(_))
    }

    /// The output, where nothing can be inferred; only its error type matters there.
    pub(crate) fn named_type(&self) -> Type {
        without_impl(&self.output, &parse_quote!(()))
    }

    /// Takes the `mut` from what an argument called `name` is moved to; says whether there was one.
    pub(crate) fn take_mut(&mut self, name: &Ident) -> bool {
        let (Form::Future { lead, .. } | Form::Inside { lead, .. }) = &mut self.form else {
            return false;
        };
        let is_named = |stmt: &mut Stmt| match stmt {
            Stmt::Local(Local { pat: Pat::Ident(pat), .. }) if pat.ident == *name => {
                pat.mutability.take()
            }
            _ => None,
        };
        lead.iter_mut().find_map(is_named).is_some()
    }

    /// One attempt, after the statements in `first`: its outcome.
    pub(crate) fn attempt(&self, krate: &TokenStream, first: &TokenStream) -> TokenStream {
        let started = self.started(krate, first);
        match self.is_async() {
            true => quote!(#started.await),
            false => quote!(#krate::once(#started)),
        }
    }

    /// One attempt, as a future or a closure.
    pub(crate) fn started(&self, krate: &TokenStream, first: &TokenStream) -> TokenStream {
        let (returns, body) = (self.annotated_type(), &self.body);
        // What a body moves cannot be moved again: that is said at the body.
        let at = self.body.span().resolved_at(Span::mixed_site());
        match self.is_async() {
            false => quote_spanned! {at=>
                || -> #returns { #first #body }
            },
            true => {
                // Never taken: it types the block by the signature, so that errors point at the body.
                let typed = quote_spanned!(self.span=> return #krate::never::<#returns>(););
                quote_spanned! {at=>
                    async {
                        if false { #typed }
                        #first
                        #body
                    }
                }
            }
        }
    }

    /// The function's body, with `wrapped` in place of what ran before.
    pub(crate) fn with_body(&self, body: &Group, wrapped: TokenStream) -> Group {
        let tokens = match &self.form {
            Form::Blocking | Form::Async => wrapped,
            Form::Inside { lead, .. } => {
                return instrument::with_inside(body, &quote!(#(#lead)* #wrapped));
            }
            Form::Future { before, block, is_boxed, lead } => {
                let (attrs, capture) = (&block.attrs, &block.capture);
                let block = quote!(#(#attrs)* async #capture { #(#lead)* #wrapped });
                match is_boxed {
                    true => quote!(#(#before)* ::std::boxed::Box::pin(#block)),
                    false => quote!(#(#before)* #block),
                }
            }
        };
        let mut group = Group::new(Delimiter::Brace, tokens);
        group.set_span(body.span());
        group
    }
}

/// A body of one expression would be told that its braces are not needed where it is going to stand:
/// let them come from the expansion.
fn quietly(body: &Group) -> Group {
    let mut quiet = body.clone();
    let is_semicolon = |token| matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ';');
    if !body.stream().into_iter().any(is_semicolon) {
        quiet.set_span(body.span().resolved_at(Span::mixed_site()));
    }
    quiet
}

/// `Output` of `impl Future<Output = ..>` or `Pin<Box<dyn Future<Output = ..>>>`.
pub(crate) fn future_output(ty: &Type) -> Option<&Type> {
    match ty {
        Type::ImplTrait(future) => output_of(future.bounds.iter()),
        Type::TraitObject(future) => output_of(future.bounds.iter()),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
            let Some(GenericArgument::Type(inner)) = arguments.args.first() else { return None };
            match last.ident.to_string().as_str() {
                "Pin" | "Box" => future_output(inner),
                _ => None,
            }
        }
        Type::Paren(inner) => future_output(&inner.elem),
        Type::Group(inner) => future_output(&inner.elem),
        _ => None,
    }
}

fn output_of<'a>(bounds: impl Iterator<Item = &'a TypeParamBound>) -> Option<&'a Type> {
    for bound in bounds {
        let TypeParamBound::Trait(bound) = bound else { continue };
        let Some(last) = bound.path.segments.last() else { continue };
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { continue };
        for argument in &arguments.args {
            match argument {
                GenericArgument::AssocType(output) if output.ident == "Output" => {
                    return Some(&output.ty);
                }
                _ => {}
            }
        }
    }
    None
}

/// An async block, or `Box::pin` of one.
fn async_block(expr: Expr) -> Option<(ExprAsync, bool)> {
    match expr {
        Expr::Async(block) => Some((block, false)),
        Expr::Call(call) => {
            let Expr::Path(path) = &*call.func else { return None };
            let is_pin = path.path.segments.last().is_some_and(|last| last.ident == "pin");
            match call.args.into_iter().next() {
                Some(Expr::Async(block)) if is_pin => Some((block, true)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The `E` of `Result<T, E>`, if it is written out.
pub(crate) fn error_type(output: &Type) -> Option<&Type> {
    let Type::Path(path) = output else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.get(1) {
        Some(GenericArgument::Type(error)) => Some(error),
        _ => None,
    }
}

/// What `#[async_trait]` puts in front of a body, which is to be done once, and the rest.
fn without_moves(function: &Function, stmts: Vec<Stmt>) -> (Vec<Stmt>, TokenStream) {
    let at = if from_async_trait(function) { moved_arguments(&stmts) } else { 0 };
    let (lead, rest) = stmts.split_at(at);
    (lead.to_vec(), quote!({ #(#rest)* }))
}

fn from_async_trait(function: &Function) -> bool {
    let mut params = function.sig.generics.params.iter();
    params.any(|param| {
        matches!(param, GenericParam::Lifetime(param) if param.lifetime.ident == "async_trait")
    })
}

/// How many statements of `#[async_trait]` stand in front of the body: a typed early return, and
/// `let argument = argument;` for each.
fn moved_arguments(stmts: &[Stmt]) -> usize {
    stmts
        .iter()
        .take_while(|stmt| match stmt {
            Stmt::Expr(Expr::If(_), _) => true,
            Stmt::Local(local) => {
                let moves = local.init.as_ref().map(|init| &*init.expr);
                matches!(moves, Some(Expr::Path(path)) if path.path.get_ident().is_some())
            }
            _ => false,
        })
        .count()
        .min(stmts.len().saturating_sub(1))
}

/// `ty` with `other` in place of each `impl Trait`.
fn without_impl(ty: &Type, other: &Type) -> Type {
    let mut ty = ty.clone();
    replace_impl(&mut ty, other);
    ty
}

fn replace_impl(ty: &mut Type, other: &Type) {
    match ty {
        Type::ImplTrait(_) => *ty = other.clone(),
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else {
                    continue;
                };
                for argument in &mut arguments.args {
                    if let GenericArgument::Type(inner) = argument {
                        replace_impl(inner, other);
                    }
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(|inner| replace_impl(inner, other)),
        Type::Paren(inner) => replace_impl(&mut inner.elem, other),
        Type::Group(inner) => replace_impl(&mut inner.elem, other),
        Type::Reference(inner) => replace_impl(&mut inner.elem, other),
        Type::Array(inner) => replace_impl(&mut inner.elem, other),
        Type::Slice(inner) => replace_impl(&mut inner.elem, other),
        _ => {}
    }
}
