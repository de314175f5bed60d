"""Retry, circuit breaker, fallback and timeout, on one engine written in Rust."""
