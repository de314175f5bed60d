//! What time it is, in a way that survives a clock that is set, and a restart of the machine.

use nix::time::{ClockId, clock_gettime};
use seawall::Tick;
use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

/// One reading. The boot clock counts while the machine sleeps, and nobody sets it; which boot it
/// counts from says the boot id. The wall clock only bridges a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Empty where the system does not tell: then each reading is of a boot of its own.
    pub(crate) boot: String,
    pub(crate) boot_ms: u64,
    pub(crate) wall_ms: u64,
}

impl Clock {
    pub(crate) fn now() -> Self {
        #[cfg(target_os = "linux")]
        let clock = ClockId::CLOCK_BOOTTIME;
        #[cfg(not(target_os = "linux"))]
        let clock = ClockId::CLOCK_MONOTONIC;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot_ms = clock_gettime(clock).map_or(0, |time| {
            time.tv_sec().unsigned_abs() * 1000 + time.tv_nsec().unsigned_abs() / 1_000_000
        });
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        Self { boot: boot.trim().to_owned(), boot_ms, wall_ms }
    }

    pub(crate) const fn tick(&self) -> Tick {
        Tick::from_millis(self.boot_ms)
    }

    /// How long ago `then` was, in ms. A wall clock that was set back says nothing: no time at all.
    pub(crate) fn since(&self, then: &Self) -> u64 {
        if !self.boot.is_empty() && self.boot == then.boot {
            self.boot_ms.saturating_sub(then.boot_ms)
        } else {
            self.wall_ms.saturating_sub(then.wall_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(boot: &str, boot_ms: u64, wall_ms: u64) -> Clock {
        Clock { boot: boot.to_owned(), boot_ms, wall_ms }
    }

    #[test]
    fn a_wall_clock_that_is_set_changes_nothing_within_a_boot() {
        const DAY: u64 = 86_400_000;
        let then = clock("a", 1000, 10 * DAY);
        assert_eq!(clock("a", 1500, 11 * DAY).since(&then), 500);
        assert_eq!(clock("a", 1500, 9 * DAY).since(&then), 500);
    }

    #[test]
    fn the_wall_clock_bridges_a_restart() {
        let then = clock("a", 900_000, 10_000);
        assert_eq!(clock("b", 5, 13_000).since(&then), 3000);
        assert_eq!(clock("b", 5, 9000).since(&then), 0);
        assert_eq!(clock("", 5, 13_000).since(&clock("", 900_000, 10_000)), 3000);
    }
}
