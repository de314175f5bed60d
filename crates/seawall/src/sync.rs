//! What threads share: std's primitives, or those of loom or shuttle where these try schedules.

#[cfg(not(any(seawall_loom, seawall_shuttle)))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, fence},
};

#[cfg(seawall_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, fence},
};

#[cfg(seawall_shuttle)]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, fence},
};

#[cfg(not(seawall_shuttle))]
pub(crate) use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

// Shuttle's threads are all on one of the system's, and each needs its own.
#[cfg(seawall_shuttle)]
pub(crate) use shuttle::thread_local;
#[cfg(not(seawall_shuttle))]
pub(crate) use std::thread_local;

use std::sync::PoisonError;
pub(crate) use std::sync::atomic::Ordering;

/// Declares a function `const`, except for loom, whose primitives are made at run time.
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => {
        #[cfg(not(seawall_loom))]
        $(#[$meta])* $vis const fn $($rest)*
        #[cfg(seawall_loom)]
        $(#[$meta])* $vis fn $($rest)*
    };
}

pub(crate) use const_unless_loom;

/// Locks, whether or not a holder has panicked: every holder leaves a valid state at each step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// [`lock`] for a shared reading.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// [`lock`] for a change to what is read by many.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Waits a moment for another thread; after a few times, gives it the processor.
#[cfg(not(any(seawall_loom, seawall_shuttle)))]
pub(crate) fn relax(spins: &mut u32) {
    *spins += 1;
    if *spins < 64 { std::hint::spin_loop() } else { std::thread::yield_now() }
}

/// What tries schedules needs to hear of every wait.
#[cfg(any(seawall_loom, seawall_shuttle))]
pub(crate) fn relax(_: &mut u32) {
    #[cfg(seawall_loom)]
    loom::thread::yield_now();
    #[cfg(seawall_shuttle)]
    shuttle::thread::yield_now();
}

/// Keeps a hot word on cache lines of its own. 128 bytes: neighbours are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);
