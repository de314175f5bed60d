//! A scene with a subscriber of its own, beside tests that have none.

use std::sync::OnceLock;
use tracing::subscriber::{set_global_default, with_default};
use tracing_subscriber::Registry;

/// What `scene` gives on tokio's paused clock, while `subscriber` hears it.
///
/// While there is one subscriber only, tracing asks it about a place of events on the thread that first
/// comes by; a test without a subscriber would answer "never" there for all. So there is one for all
/// threads as well, which asks for everything and keeps nothing.
pub(crate) fn hearing<R>(
    subscriber: impl tracing::Subscriber + Send + Sync + 'static,
    scene: impl Future<Output = R>,
) -> R {
    static FOR_ALL: OnceLock<()> = OnceLock::new();
    FOR_ALL.get_or_init(|| set_global_default(Registry::default()).expect("no other one"));
    with_default(subscriber, || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(scene)
    })
}
