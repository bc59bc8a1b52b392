//! The file itself: its tables, one transaction, and how it is opened again after an error.
//!
//! After an error of the disk, such as a full one, `redb` refuses everything until the file is opened again, which also
//! repairs it. That is what a restart would do; doing it here keeps the memory tier. It is opened and never made again: a
//! file that is gone takes its claims with it, and an empty one in its place would grant them twice.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::clock::{Clock, Time};
use super::{BATCH, Change, EmbeddedError, Write};
use crate::records::text;
use crate::secret::Digest;

/// Digest of the key to expiry (milliseconds since 1970) and text. Pins and claims share it: their digests differ.
const RECORDS: TableDefinition<&[u8; 32], (u64, &str)> = TableDefinition::new("records_1");
/// Expiry and digest, in the order in which records expire.
const EXPIRIES: TableDefinition<(u64, &[u8; 32]), ()> = TableDefinition::new("expiries_1");
/// The secret's fingerprint, by [`SECRET`].
const DIGESTS: TableDefinition<&str, &[u8; 32]> = TableDefinition::new("digests_1");
/// The highest time believed, by [`SEEN`]; milliseconds since 1970.
const TIMES: TableDefinition<&str, u64> = TableDefinition::new("times_1");
const SECRET: &str = "secret";
const SEEN: &str = "seen";
/// Expired records removed by one transaction.
const SWEEP: usize = 2 * BATCH;
/// How much longer than its time a record stands, in milliseconds: a day, more than clocks are off.
const GRACE_MS: u64 = 24 * 3_600 * 1_000;

/// Opens the database; makes it where the argument says so and there is none.
type Opener = Box<dyn Fn(bool) -> Result<Database, DatabaseError> + Send + Sync>;

/// The record file, open; or closed after an error, until it can be opened again.
pub struct RecordFile {
    path: PathBuf,
    opener: Opener,
    database: RwLock<Option<Database>>,
    clock: Mutex<Clock>,
}

impl RecordFile {
    /// Opens or makes the file.
    pub fn open(path: &Path) -> Result<Self, EmbeddedError> {
        let at = path.to_owned();
        let opener = move |make| {
            let database = if make { Database::create(&at) } else { Database::open(&at) }?;
            // Which payment is where is nobody else's to read.
            fs::set_permissions(&at, fs::Permissions::from_mode(0o600)).map_err(redb::StorageError::from)?;
            Ok(database)
        };
        let file = Self::open_by(path, Box::new(opener))?;
        // The name must last as the content does.
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| file.wrong(redb::Error::Io(error)))?;
        Ok(file)
    }

    pub(super) fn open_by(path: &Path, opener: Opener) -> Result<Self, EmbeddedError> {
        let wrong = |error: redb::Error| EmbeddedError::Open { path: path.to_owned(), error: Box::new(error) };
        let database = opener(true).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => EmbeddedError::InUse(path.to_owned()),
            error => wrong(error.into()),
        })?;
        let seen = make_tables(&database).map_err(wrong)?;
        let clock = Mutex::new(Clock::from(seen, wall_ms(), Instant::now()));
        Ok(Self { path: path.to_owned(), opener, database: RwLock::new(Some(database)), clock })
    }

    /// Whether nothing was ever stored here under any secret.
    pub fn is_new(&self) -> Result<bool, EmbeddedError> {
        let look = |database: &Database| {
            let transaction = database.begin_read()?;
            let sealed = transaction.open_table(DIGESTS)?.get(SECRET)?.is_some();
            Ok(!sealed && transaction.open_table(RECORDS)?.is_empty()?)
        };
        self.with(look).map_err(|error| self.wrong(error))
    }

    /// Notes the fingerprint of the secret that keys are hashed under, or compares it with the one noted.
    pub fn seal(&self, fingerprint: &Digest) -> Result<(), EmbeddedError> {
        let note = |database: &Database| {
            let transaction = database.begin_write()?;
            let noted = {
                let mut digests = transaction.open_table(DIGESTS)?;
                let noted = digests.get(SECRET)?.map(|noted| *noted.value());
                if noted.is_none() {
                    digests.insert(SECRET, fingerprint.as_bytes())?;
                }
                noted
            };
            transaction.commit()?;
            Ok(noted.is_none_or(|noted| noted == *fingerprint.as_bytes()))
        };
        match self.with(note).map_err(|error| self.wrong(error))? {
            true => Ok(()),
            false => Err(EmbeddedError::ForeignSecret(self.path.clone())),
        }
    }

    /// The record's text, unless it expired.
    pub(super) fn read(&self, digest: &Digest) -> Result<Option<String>, redb::Error> {
        let time = self.time();
        self.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let held = records.get(digest.as_bytes())?;
            Ok(held.and_then(|held| {
                let (expiry, text) = held.value();
                stands(expiry, time).then(|| text.to_owned())
            }))
        })
    }

    /// Does the batch in one transaction, on disk when it returns; what stood under each key before. After an error the
    /// file is opened again, and the batch may have been done or not.
    pub(super) fn write(&self, batch: &[Write]) -> Result<Vec<Option<String>>, redb::Error> {
        if self.database.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.reopen();
        }
        let time = self.time();
        let done = self.with(|database| apply(database, batch, time));
        if done.is_err() {
            self.reopen();
        }
        done
    }

    fn with<T>(&self, run: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || redb::Error::Io(io::Error::other("it is closed since an error"));
        run(database.as_ref().ok_or_else(closed)?)
    }

    fn reopen(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: it holds the file's lock.
        drop(database.take());
        match (self.opener)(false) {
            Ok(opened) => {
                tracing::info!("the record file was opened again");
                *database = Some(opened);
            }
            Err(error) => tracing::error!(%error, "the record file cannot be opened again"),
        }
    }

    fn time(&self) -> Time {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).tell(wall_ms(), Instant::now())
    }

    fn wrong(&self, error: redb::Error) -> EmbeddedError {
        EmbeddedError::Open { path: self.path.clone(), error: Box::new(error) }
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(since)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a record of this expiry is honoured: a day longer than it must be, never shorter.
fn stands(expiry: u64, time: Time) -> bool {
    expiry.saturating_add(GRACE_MS) > time.judged_by
}

/// The highest time that was noted.
fn make_tables(database: &Database) -> Result<Option<u64>, redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(EXPIRIES)?;
    transaction.open_table(DIGESTS)?;
    let seen = transaction.open_table(TIMES)?.get(SEEN)?.map(|seen| seen.value());
    transaction.commit()?;
    Ok(seen)
}

fn apply(database: &Database, batch: &[Write], time: Time) -> Result<Vec<Option<String>>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut before = Vec::with_capacity(batch.len());
    {
        let mut records = transaction.open_table(RECORDS)?;
        let mut expiries = transaction.open_table(EXPIRIES)?;
        transaction.open_table(TIMES)?.insert(SEEN, time.seen)?;
        for write in batch {
            let key = write.digest.as_bytes();
            let stored = records.get(key)?.map(|held| {
                let (expiry, text) = held.value();
                (expiry, text.to_owned())
            });
            let held = stored.as_ref().filter(|(expiry, _)| stands(*expiry, time)).map(|(_, text)| text.clone());
            let text = match (&held, write.change) {
                (None, _) => Some(write.text.clone()),
                (Some(held), Change::Pin) if *held != write.text => Some(text::ambiguous(&write.digest)),
                (Some(_), _) => None,
            };
            if let Some(text) = text {
                let expiry = time.begins.saturating_add(millis(write.ttl));
                if let Some((earlier, _)) = stored {
                    expiries.remove((earlier, key))?;
                }
                records.insert(key, (expiry, text.as_str()))?;
                expiries.insert((expiry, key), ())?;
            }
            before.push(held);
        }
        for _ in 0..SWEEP {
            let Some((first, _)) = expiries.first()?.filter(|_| time.may_sweep) else {
                break;
            };
            let (expiry, digest) = first.value();
            let digest = *digest;
            drop(first);
            if stands(expiry, time) {
                break;
            }
            expiries.remove((expiry, &digest))?;
            records.remove(&digest)?;
        }
    }
    // Durability is immediate by default: the commit returns when the file is on disk.
    transaction.commit()?;
    Ok(before)
}

#[cfg(test)]
mod tests;
