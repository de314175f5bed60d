//! Guides. Every example in them is compiled and run as a test.

#[doc = include_str!("from_the_page.md")]
pub mod from_the_page {}

#[doc = include_str!("expansion.md")]
pub mod expansion {}

#[doc = include_str!("order.md")]
pub mod order {}
