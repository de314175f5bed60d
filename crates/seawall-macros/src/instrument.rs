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
        // One that looks at the outcome, or one `#[instrument]` more.
        let deeper = looked_at(found, place, new).or_else(|| search(found, place, new));
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

/// `let __tracing_instrument_future = async move { the body };`
fn async_block(tokens: &[TokenTree]) -> Option<usize> {
    let at = async_move(tokens)?;
    let begins = tokens[..at].iter().any(|token| is_word(token, "__tracing_instrument_future"));
    begins.then_some(at)
}

/// Within that, if it looks at the outcome: `match async move { the body }.await { .. event .. }`,
/// and only there. A body may well look like this by itself.
fn looked_at(
    group: &Group,
    place: fn(&[TokenTree]) -> Option<usize>,
    new: Replace<'_>,
) -> Option<Group> {
    let mut tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    let at = async_move(&tokens)?;
    let words = ["match", "x", "__match_scrutinee"];
    let first = tokens.iter().find(|token| !is_word(token, "let"))?;
    let rest: TokenStream = tokens[at + 1..].iter().cloned().collect();
    if !words.iter().any(|word| is_word(first, word)) || !has_words(rest, &["tracing", "event"]) {
        return None;
    }
    let Some(TokenTree::Group(found)) = tokens.get_mut(at) else { return None };
    let deeper = search(found, place, new);
    *found = deeper.unwrap_or_else(|| new(found.clone()));
    Some(regrouped(group, tokens.into_iter().collect()))
}

/// Where the block of the first `async move { .. }` is.
fn async_move(tokens: &[TokenTree]) -> Option<usize> {
    let is_async = |pair: &[TokenTree]| is_word(&pair[0], "async") && is_word(&pair[1], "move");
    let at = tokens.windows(2).position(is_async)? + 2;
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Some(at),
        _ => None,
    }
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
