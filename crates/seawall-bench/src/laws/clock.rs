//! The peers read the system's clock. Here that is a file that libfaketime reads, so that the kit can
//! move it: the program runs once more with that library loaded before all others.

use seawall::testing::ManualClock;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, ExitCode},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const FILE: &str = "FAKETIME_TIMESTAMP_FILE";
/// Where the clock of the kit begins; anything that is past the epoch by far.
const EPOCH: Duration = Duration::from_secs(2_000_000_000);

/// Whether the clock of this process is a file.
pub(crate) fn is_faked() -> bool {
    env::var_os(FILE).is_some()
}

/// Runs this program with the same arguments, on a clock that is a file.
pub(crate) fn run_faked() -> Result<ExitCode, String> {
    let library = library()?;
    let told = |error| format!("the program cannot be run under libfaketime: {error}");
    let folder = env::temp_dir().join(format!("seawall-laws-{}", process::id()));
    fs::create_dir_all(&folder).map_err(told)?;
    let file = folder.join("clock");
    fs::write(&file, line(Duration::ZERO)).map_err(told)?;
    let status = Command::new(env::current_exe().map_err(told)?)
        .args(env::args_os().skip(1))
        .env("LD_PRELOAD", library)
        .env(FILE, &file)
        // Seconds since the epoch, read again each time that somebody asks for the time.
        .env("FAKETIME_FMT", "%s")
        .env("FAKETIME_NO_CACHE", "1")
        .env("TZ", "UTC")
        .status()
        .map_err(told);
    fs::remove_dir_all(&folder).map_err(told)?;
    Ok(if status?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where Debian and its kin put it; `FAKETIME_LIBRARY` names another place.
fn library() -> Result<PathBuf, String> {
    let named = env::var_os("FAKETIME_LIBRARY").map(PathBuf::from);
    let folders =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64"];
    let usual = folders.iter().map(|folder| Path::new(folder).join("faketime/libfaketime.so.1"));
    named.into_iter().chain(usual).find(|path| path.exists()).ok_or_else(|| {
        "libfaketime is missing: install it (`apt-get install libfaketime`), or name its file in \
         FAKETIME_LIBRARY"
            .to_owned()
    })
}

/// One digit more than it is read to, so that no nanosecond is lost to rounding.
fn line(time: Duration) -> String {
    let time = EPOCH + time;
    format!("{}.{:09}4\n", time.as_secs(), time.subsec_nanos())
}

/// Sets the system's clock to that of the kit.
///
/// # Panics
/// If the file cannot be written: nothing that follows would mean anything.
pub(crate) fn follow(clock: &ManualClock) {
    static LAST: Mutex<Option<Duration>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    // Read under the lock: of two threads that move the clock, the later one writes last.
    let time = clock.now();
    if *last == Some(time) {
        return;
    }
    *last = Some(time);
    let file = PathBuf::from(env::var_os(FILE).expect("the clock is a file"));
    let next = file.with_extension("next");
    // Renamed, so that nobody reads half of it.
    fs::write(&next, line(time)).expect("the clock is written");
    fs::rename(&next, &file).expect("the clock is put in place");
}

/// Makes sure that the system's clock is the one that the kit moves, to the nanosecond, and back.
pub(crate) fn check() -> Result<(), String> {
    let clock = ManualClock::new();
    follow(&clock);
    let start = Instant::now();
    let step = Duration::new(10, 7);
    clock.advance(step);
    follow(&clock);
    let moved = start.elapsed();
    clock.go_back(2 * step);
    follow(&clock);
    if moved == step && Instant::now() + step == start {
        Ok(())
    } else {
        Err(format!("the system's clock went on by {moved:?} where it was moved by {step:?}"))
    }
}
