//! What Seawall's examples are made of. Each has a module here and a short `main` beside `src`.

pub mod quickstart;
pub mod soak;
