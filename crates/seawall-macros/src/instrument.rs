//! `#[instrument]` of the crate `tracing` rewrites a body where it stands, and so before any attribute
//! of ours, above it or below. What stood below it belongs inside its span: it is put there, into
//! the block that was the body before. Where no such block is found, as in another version of that
//! crate, all of the body is wrapped.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What the body was before `#[instrument]` rewrote it, if it did.
pub(crate) fn inside(body: &Group) -> Option<Group> {
    let mut found = None;
    replace(body, &mut |inside| {
        found = Some(inside.clone());
        inside
    })?;
    found
}

/// `body` with `new` in place of what it was before.
pub(crate) fn with_inside(body: &Group, new: &TokenStream) -> Group {
    let replaced = replace(body, &mut |inside| regrouped(&inside, new.clone()));
    replaced.unwrap_or_else(|| regrouped(body, new.clone()))
}

type Replace<'a> = &'a mut dyn FnMut(Group) -> Group;

fn replace(body: &Group, new: Replace<'_>) -> Option<Group> {
    search(body, typed_block, new).or_else(|| search(body, async_block, new))
}

/// Replaces the block whose place among a group's tokens `place` knows, in the first group that has
/// one, outermost first.
fn search(
    group: &Group,
    place: fn(&[TokenTree]) -> Option<usize>,
    new: Replace<'_>,
) -> Option<Group> {
    let mut tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    if let Some(TokenTree::Group(found)) = place(&tokens).map(|at| &mut tokens[at]) {
        // One `#[instrument]` more, or one that looks at the outcome.
        let deeper = search(found, place, new);
        *found = deeper.unwrap_or_else(|| new(found.clone()));
        return Some(regrouped(group, tokens.into_iter().collect()));
    }
    for token in &mut tokens {
        if let TokenTree::Group(inner) = token {
            if let Some(replaced) = search(inner, place, new) {
                *inner = replaced;
                return Some(regrouped(group, tokens.into_iter().collect()));
            }
        }
    }
    None
}

/// `if false { let __tracing_attr_fake_return .. } { the body }`
fn typed_block(tokens: &[TokenTree]) -> Option<usize> {
    let [.., TokenTree::Group(typed), TokenTree::Group(_)] = tokens else { return None };
    let mut inner = typed.stream().into_iter();
    inner.any(|token| is_word(&token, "__tracing_attr_fake_return")).then_some(tokens.len() - 1)
}

/// `let __tracing_instrument_future = async move { the body };`, and within that, if it looks at the
/// outcome, `match async move { the body }.await { .. ::tracing::event!(..) .. }`.
fn async_block(tokens: &[TokenTree]) -> Option<usize> {
    let is_async = |pair: &[TokenTree]| is_word(&pair[0], "async") && is_word(&pair[1], "move");
    let start = tokens.windows(2).position(is_async)?;
    let before = &tokens[..start];
    let begins = before.iter().any(|token| is_word(token, "__tracing_instrument_future"));
    let looks = || {
        let words = ["match", "x", "__match_scrutinee"];
        let first = before.iter().find(|token| !is_word(token, "let"));
        let rest: TokenStream = tokens[start + 3..].iter().cloned().collect();
        first.is_some_and(|token| words.iter().any(|word| is_word(token, word)))
            && has_words(rest, &["tracing", "event"])
    };
    let is_block = |at: &usize| {
        let token = tokens.get(*at);
        matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace)
    };
    Some(start + 2).filter(is_block).filter(|_| begins || looks())
}

fn has_words(tokens: TokenStream, words: &[&str]) -> bool {
    let text = tokens.to_string();
    words.iter().all(|word| text.contains(word))
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn regrouped(group: &Group, tokens: TokenStream) -> Group {
    let mut new = Group::new(group.delimiter(), tokens);
    new.set_span(group.span());
    new
}
