//! The database file: where it is, how it is opened, what is asked of it.

use super::row::TABLES;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};
use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long another process may hold the database before this one goes on without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no shared state.
#[derive(Debug)]
pub(crate) enum Problem {
    NoPlace,
    Folder(io::Error),
    Newer(i64),
    Database(rusqlite::Error),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoPlace => f.write_str("no place for it: set SEAWALL_STATE, or HOME"),
            Self::Folder(error) => write!(f, "its folder cannot be made: {error}"),
            Self::Newer(version) => {
                write!(f, "it was made by a later Seawall (its version is {version})")
            }
            Self::Database(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    f.write_str("another process holds it locked")
                }
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                    write!(f, "{error} (move it away to start anew)")
                }
                _ => write!(f, "{error}"),
            },
        }
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Where the state is, by option, environment, and the habits of the system.
pub(crate) fn place(option: Option<PathBuf>) -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    option.or_else(|| set("SEAWALL_STATE")).or_else(|| {
        if rustix::process::geteuid().is_root() {
            return Some(PathBuf::from("/var/lib/seawall/state.db"));
        }
        let folder = set("XDG_STATE_HOME").filter(|folder| folder.is_absolute());
        let folder = folder.or_else(|| Some(set("HOME")?.join(".local/state")))?;
        Some(folder.join("seawall/state.db"))
    })
}

/// An open database.
#[derive(Debug)]
pub(crate) struct Store(pub(super) Connection);

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, Problem> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            if !folder.is_dir() {
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(Problem::Folder)?;
            }
        }
        Self::open_as(path, is_on_network(path))
    }

    /// Opens a file that other machines may have open as well, or not.
    fn open_as(path: &Path, is_shared: bool) -> Result<Self, Problem> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(PATIENCE)?;
        // The last one out would write all back and wait for the disk, on each invocation.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let mut store = Self(db);
        match store.0.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            0 => store.set_up(is_shared)?,
            1 if is_shared => store.journal("delete")?,
            1 => {}
            version => return Err(Problem::Newer(version)),
        }
        // With a write-ahead log this loses the last records if the machine fails, never the file;
        // a log cannot be used between machines, and there every record waits for the disk.
        let synchronous = if is_shared { "FULL" } else { "NORMAL" };
        store.0.pragma_update(None, "synchronous", synchronous)?;
        Ok(store)
    }

    /// Many may do this at once: each step is harmless where another has done it.
    fn set_up(&mut self, is_shared: bool) -> Result<(), Problem> {
        if !is_shared {
            self.journal("wal")?;
        }
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        transaction.commit()?;
        Ok(())
    }

    /// The one statement that SQLite does not wait for by itself.
    fn journal(&self, mode: &str) -> Result<(), Problem> {
        let until = Instant::now() + PATIENCE;
        loop {
            let done = self
                .0
                .pragma_update_and_check(None, "journal_mode", mode, |row| row.get::<_, String>(0));
            match done {
                // Where there can be no log (a memory file system without shared memory), the mode
                // stays as it is, which is slower and as safe.
                Ok(_) => return Ok(()),
                Err(error) if is_busy(&error) && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Runs `change` alone: nobody writes meanwhile.
    pub(super) fn alone<R>(
        &mut self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> rusqlite::Result<R> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = change(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether other machines may have the file open as well: a write-ahead log needs shared memory. Where
/// the system does not say (no such folder), opening the file will.
#[cfg(target_os = "linux")]
fn is_on_network(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let stat = nix::sys::statfs::statfs(folder.unwrap_or(Path::new(".")));
    stat.is_ok_and(|stat| is_of_network(stat.filesystem_type().0.into()))
}

/// File systems that several machines mount, by the numbers of statfs(2). Fuse is among them for the sake
/// of sshfs and its like.
#[cfg(target_os = "linux")]
const NETWORK: [(&str, u32); 13] = [
    ("nfs", 0x6969),
    ("smb", 0x517b),
    ("smb2", 0xfe53_4d42),
    ("cifs", 0xff53_4d42),
    ("9p", 0x0102_1997),
    ("afs", 0x5346_414f),
    ("ceph", 0x00c3_6400),
    ("coda", 0x7375_7245),
    ("fuse", 0x6573_5546),
    ("gfs2", 0x0116_1970),
    ("lustre", 0x0bd0_0bd0),
    ("ocfs2", 0x7461_636f),
    ("beegfs", 0x1983_0326),
];

/// Whether a file system of this number is one of them. It is as wide, and as signed, as the machine has it.
#[cfg(target_os = "linux")]
fn is_of_network(kind: i128) -> bool {
    NETWORK.iter().any(|(_, known)| kind & 0xffff_ffff == i128::from(*known))
}

/// Not known: a log is not used.
#[cfg(not(target_os = "linux"))]
fn is_on_network(_path: &Path) -> bool {
    true
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_the_network_are_told_by_their_numbers_however_wide_and_signed() {
        // As nix knows them, which has them from the system's headers.
        for (name, kind) in [
            ("nfs", nix::sys::statfs::NFS_SUPER_MAGIC),
            ("smb", nix::sys::statfs::SMB_SUPER_MAGIC),
            ("afs", nix::sys::statfs::AFS_SUPER_MAGIC),
            ("coda", nix::sys::statfs::CODA_SUPER_MAGIC),
            ("fuse", nix::sys::statfs::FUSE_SUPER_MAGIC),
            ("ocfs2", nix::sys::statfs::OCFS2_SUPER_MAGIC),
        ] {
            assert!(is_of_network(kind.0.into()), "{name}");
            let known = NETWORK.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
            assert_eq!(known.map(i128::from), Some(i128::from(kind.0) & 0xffff_ffff), "{name}");
        }
        for (name, number) in NETWORK {
            assert!(is_of_network(number.into()), "{name}");
            // On a machine of 32 bits, where the number is signed.
            assert!(is_of_network(number.cast_signed().into()), "{name}");
        }
        // ext, btrfs, xfs, tmpfs, overlayfs, zfs.
        for number in [0xef53, 0x9123_683e, 0x5846_5342, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1_u32]
        {
            assert!(!is_of_network(number.into()), "{number:x}");
            assert!(!is_of_network(number.cast_signed().into()), "{number:x}");
        }
    }

    /// The rule by its consequence: what the file says of itself, in its header.
    #[test]
    fn a_log_is_used_on_a_disk_of_ones_own_and_none_between_machines() {
        let folder = env::temp_dir().join(format!("seawall-journal-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mode = |store: &Store| -> String {
            store.0.query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("a mode")
        };
        let path = folder.join("state.db");
        let synchronous = |store: &Store| -> i64 {
            store.0.query_row("PRAGMA synchronous", [], |row| row.get(0)).expect("a number")
        };
        let own = Store::open_as(&path, false).expect("opened");
        assert_eq!((mode(&own).as_str(), synchronous(&own)), ("wal", 1));
        drop(own);
        // The same file, moved to where others can reach it.
        let shared = Store::open_as(&path, true).expect("opened");
        assert_eq!((mode(&shared).as_str(), synchronous(&shared)), ("delete", 2));
        drop(shared);
        let made_there = Store::open_as(&folder.join("other.db"), true).expect("opened");
        assert_eq!((mode(&made_there).as_str(), synchronous(&made_there)), ("delete", 2));
        drop(made_there);
        fs::remove_dir_all(&folder).expect("removed");
    }
}
