//! Guides. Every example in them is compiled and run as a test.

#[doc = include_str!("from_the_page.md")]
pub mod from_the_page {}

#[doc = include_str!("expansion.md")]
pub mod expansion {}

#[doc = include_str!("order.md")]
pub mod order {}

#[cfg(feature = "config")]
#[doc = include_str!("policy_files.md")]
pub mod policy_files {}
