//! Reads a function, whose body stays as it was written.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Error, Result, Signature, Token, Visibility,
    parse::{Parse, ParseStream},
};

/// A function. Its body is not looked into: half-written ones are the compiler's affair, so that
/// editors keep working while they are typed.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(Error::new_spanned(
                &sig,
                "only a function with a body can be protected: put the attribute on the \
                 implementation",
            ));
        }
        let mut body = input.parse()?;
        // What `macro_rules` hand on as a block stands in a group that nobody sees.
        while let TokenTree::Group(group) = &body {
            if group.delimiter() != Delimiter::None {
                break;
            }
            body = syn::parse2(group.stream())?;
        }
        let TokenTree::Group(body) = body else {
            return Err(input.error("expected the function's body"));
        };
        let body = hoist_inner_attributes(&mut attrs, body)?;
        Ok(Self { attrs, vis, sig, body })
    }
}

/// Inner attributes of a function's body are outer ones of the function: the body is about to stand
/// where none are allowed.
fn hoist_inner_attributes(attrs: &mut Vec<Attribute>, body: Group) -> Result<Group> {
    struct Body(Vec<Attribute>, TokenStream);
    impl Parse for Body {
        fn parse(input: ParseStream<'_>) -> Result<Self> {
            Ok(Self(input.call(Attribute::parse_inner)?, input.parse()?))
        }
    }
    let Body(inner, rest) = syn::parse2(body.stream())?;
    attrs.extend(inner.into_iter().map(|attr| Attribute { style: syn::AttrStyle::Outer, ..attr }));
    let mut group = Group::new(body.delimiter(), rest);
    group.set_span(body.span());
    Ok(group)
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, sig, body } = self;
        tokens.extend(quote!(#(#attrs)* #vis #sig #body));
    }
}

/// What is there instead of a function, if that can be told at a glance.
pub(crate) fn other_item(item: &TokenStream) -> Option<(Span, &'static str)> {
    let mut span = None;
    for token in item.clone() {
        let TokenTree::Ident(word) = &token else { continue };
        let span = *span.get_or_insert(token.span());
        return Some((
            span,
            match word.to_string().as_str() {
                "pub" | "crate" | "default" => continue,
                "struct" => "a struct",
                "enum" => "an enum",
                "union" => "a union",
                "trait" => "a trait",
                "impl" => "an impl block",
                "mod" => "a module",
                "static" => "a static",
                "const" if !is_const_fn(item) => "a constant",
                "type" => "a type alias",
                "use" => "an import",
                "let" => "a statement",
                _ => return None,
            },
        ));
    }
    None
}

fn is_const_fn(item: &TokenStream) -> bool {
    item.clone().into_iter().any(|token| matches!(&token, TokenTree::Ident(word) if word == "fn"))
}
