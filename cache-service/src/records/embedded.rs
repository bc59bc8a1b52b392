//! Records in a file of this process (`redb`), for one node without Redis.
//!
//! One thread writes. It takes the operations that have gathered, does them in one transaction and answers when that is on
//! disk, so the cost of reaching the disk is shared by all that wait for it. Expired records are read as absent, and each
//! transaction removes a few of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use super::{Claimed, Pin, Pinned, text};
use crate::redis::Unavailable;
use crate::secret::Digest;
use crate::value::ProcessorName;

/// Digest of the key to expiry (milliseconds since 1970) and text. Pins and claims share it: their digests differ.
const RECORDS: TableDefinition<&[u8; 32], (u64, &str)> = TableDefinition::new("records_1");
/// Expiry and digest, in the order in which records expire.
const EXPIRIES: TableDefinition<(u64, &[u8; 32]), ()> = TableDefinition::new("expiries_1");
/// Operations in one transaction.
const BATCH: usize = 256;
/// Operations that wait for the writer; the next is refused.
const QUEUE: usize = 1_024;
/// Expired records removed by one transaction.
const SWEEP: usize = 2 * BATCH;

/// The record file.
pub struct Embedded {
    database: Arc<Database>,
    /// Taken away when the store is closed.
    writer: Option<mpsc::Sender<Write>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Whether the last write failed, as on a full disk.
    failing: Arc<AtomicBool>,
    deadline: Duration,
}

/// Waits for the writer, so that the file is free for another when this returns.
impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.writer.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Another process has it.
    #[error("{}: in use by another process; give each cache-service its own data_dir, or set REDIS_URL", .0.display())]
    InUse(PathBuf),
    /// It could not be opened or made.
    #[error("{}: {error}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Box<redb::Error>,
    },
    /// The writer could not be started.
    #[error("no thread for the record file: {0}")]
    Thread(std::io::Error),
}

/// An operation under way to the writer.
struct Write {
    digest: Digest,
    change: Change,
    text: String,
    ttl: Duration,
    /// Told what stood there before.
    answer: oneshot::Sender<Option<String>>,
}

#[derive(Clone, Copy)]
enum Change {
    Pin,
    Claim,
}

impl Embedded {
    /// The file's name within the data directory.
    pub const FILE: &'static str = "records.redb";

    /// Opens or makes the file. `deadline` bounds every operation.
    pub fn open(path: &Path, deadline: Duration) -> Result<Self, EmbeddedError> {
        let wrong = |error: redb::Error| EmbeddedError::Open { path: path.to_owned(), error: Box::new(error) };
        let database = Database::create(path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => EmbeddedError::InUse(path.to_owned()),
            error => wrong(error.into()),
        })?;
        make_tables(&database).map_err(wrong)?;
        let database = Arc::new(database);
        let (writer, inbox) = mpsc::channel(QUEUE);
        let written = Arc::clone(&database);
        let thread = thread::Builder::new().name("records".to_owned());
        let failing = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failing);
        let thread = thread.spawn(move || write(&written, inbox, &told)).map_err(EmbeddedError::Thread)?;
        Ok(Self { database, writer: Some(writer), thread: Some(thread), failing, deadline })
    }

    /// Whether it can be written. After a write that failed, tries one.
    pub async fn ready(&self) -> Result<(), Unavailable> {
        if !self.failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (database, failing) = (Arc::clone(&self.database), Arc::clone(&self.failing));
        let probe = tokio::task::spawn_blocking(move || {
            let written = apply(&database, &[], now_ms());
            failing.store(written.is_err(), Ordering::Relaxed);
            written.map(|_| ())
        });
        match tokio::time::timeout(self.deadline, probe).await {
            Ok(Ok(Ok(()))) => Ok(()),
            _ => Err(Unavailable),
        }
    }

    /// Writes a pin.
    pub async fn pin(&self, digest: Digest, name: &ProcessorName, ttl: Duration) -> Result<Pinned, Unavailable> {
        let held = self.change(digest, Change::Pin, name, ttl).await?;
        match text::read(&digest, held.as_deref()).ok_or(Unavailable)? {
            Pin::Absent => Ok(Pinned::Created),
            Pin::At(held) if held == *name => Ok(Pinned::Same),
            Pin::At(_) | Pin::Ambiguous => Ok(Pinned::Ambiguous),
        }
    }

    /// Writes a claim if there is none.
    pub async fn claim(&self, digest: Digest, name: &ProcessorName, ttl: Duration) -> Result<Claimed, Unavailable> {
        let held = self.change(digest, Change::Claim, name, ttl).await?;
        match text::read(&digest, held.as_deref()).ok_or(Unavailable)? {
            Pin::Absent => Ok(Claimed::New),
            Pin::At(holder) => Ok(Claimed::Held(holder)),
            Pin::Ambiguous => Err(Unavailable),
        }
    }

    /// Reads a pin.
    pub async fn pin_of(&self, digest: Digest) -> Result<Pin, Unavailable> {
        let database = Arc::clone(&self.database);
        let read = tokio::task::spawn_blocking(move || read(&database, &digest));
        let held = match tokio::time::timeout(self.deadline, read).await {
            Ok(Ok(Ok(held))) => held,
            Ok(Ok(Err(error))) => {
                tracing::error!(%error, "the record file could not be read");
                return Err(Unavailable);
            }
            Ok(Err(_)) | Err(_) => return Err(Unavailable),
        };
        text::read(&digest, held.as_deref()).ok_or(Unavailable)
    }

    async fn change(
        &self,
        digest: Digest,
        change: Change,
        name: &ProcessorName,
        ttl: Duration,
    ) -> Result<Option<String>, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let write = Write { digest, change, text: text::one(&digest, name), ttl, answer };
        let writer = self.writer.as_ref().ok_or(Unavailable)?;
        writer.try_send(write).map_err(|_| Unavailable)?;
        match tokio::time::timeout(self.deadline, answered).await {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(_)) | Err(_) => Err(Unavailable),
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(EXPIRIES)?;
    transaction.commit()?;
    Ok(())
}

fn read(database: &Database, digest: &Digest) -> Result<Option<String>, redb::Error> {
    let records = database.begin_read()?.open_table(RECORDS)?;
    let held = records.get(digest.as_bytes())?;
    Ok(held.and_then(|held| {
        let (expiry, text) = held.value();
        (expiry > now_ms()).then(|| text.to_owned())
    }))
}

/// The writer, until the last sender is gone.
fn write(database: &Database, mut inbox: mpsc::Receiver<Write>, failing: &AtomicBool) {
    while let Some(first) = inbox.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = inbox.try_recv()
        {
            batch.push(next);
        }
        let done = apply(database, &batch, now_ms());
        failing.store(done.is_err(), Ordering::Relaxed);
        match done {
            Ok(held) => {
                for (write, held) in batch.into_iter().zip(held) {
                    // A caller who gave up is not told.
                    let _ = write.answer.send(held);
                }
            }
            // The senders are dropped unanswered: every caller is told that the store is unavailable.
            Err(error) => tracing::error!(%error, "the record file could not be written"),
        }
    }
}

/// Does the batch in one transaction, on disk when it returns; what stood under each key before.
fn apply(database: &Database, batch: &[Write], now: u64) -> Result<Vec<Option<String>>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut before = Vec::with_capacity(batch.len());
    {
        let mut records = transaction.open_table(RECORDS)?;
        let mut expiries = transaction.open_table(EXPIRIES)?;
        for write in batch {
            let key = write.digest.as_bytes();
            let stored = records.get(key)?.map(|held| {
                let (expiry, text) = held.value();
                (expiry, text.to_owned())
            });
            let held = stored.as_ref().filter(|(expiry, _)| *expiry > now).map(|(_, text)| text.clone());
            let text = match (&held, write.change) {
                (None, _) => Some(write.text.clone()),
                (Some(held), Change::Pin) if *held != write.text => Some(text::ambiguous(&write.digest)),
                (Some(_), _) => None,
            };
            if let Some(text) = text {
                let ttl = u64::try_from(write.ttl.as_millis()).unwrap_or(u64::MAX);
                let expiry = now.saturating_add(ttl);
                if let Some((earlier, _)) = stored {
                    expiries.remove((earlier, key))?;
                }
                records.insert(key, (expiry, text.as_str()))?;
                expiries.insert((expiry, key), ())?;
            }
            before.push(held);
        }
        for _ in 0..SWEEP {
            let Some((first, _)) = expiries.first()? else {
                break;
            };
            let (expiry, digest) = first.value();
            let digest = *digest;
            drop(first);
            if expiry > now {
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
mod tests {
    use super::*;
    use crate::secret::KeySecret;
    use decision::lookup::KeyBuilder;
    use redb::ReadableTableMetadata;

    fn digest(n: usize) -> Digest {
        let key = KeyBuilder::new("t").part(&n.to_le_bytes()).finish();
        KeySecret::new("0123456789abcdef").expect("secret").digest("t", &key)
    }

    fn claim(n: usize, ttl_ms: u64) -> Write {
        let name = "a".parse().expect("name");
        let text = text::one(&digest(n), &name);
        let ttl = Duration::from_millis(ttl_ms);
        Write { digest: digest(n), change: Change::Claim, text, ttl, answer: oneshot::channel().0 }
    }

    #[test]
    fn the_expired_are_absent_and_are_swept() {
        let dir = tempfile::tempdir().expect("tempdir");
        let database = Database::create(dir.path().join("r")).expect("made");
        make_tables(&database).expect("tables");
        let many: Vec<_> = (0..1_000).map(|n| claim(n, 10)).collect();
        apply(&database, &many, 0).expect("written");
        let before = apply(&database, &[claim(0, 10)], 9).expect("written");
        assert!(before[0].is_some(), "still there");
        let before = apply(&database, &[claim(0, 10)], 10).expect("written");
        assert!(before[0].is_none(), "expired");
        apply(&database, &[claim(1, 10)], 11).expect("written");
        let left = database.begin_read().expect("read").open_table(RECORDS).expect("table").len().expect("len");
        assert_eq!(left, 2, "the two that were written again");
        let left = database.begin_read().expect("read").open_table(EXPIRIES).expect("table").len().expect("len");
        assert_eq!(left, 2);
    }

    #[test]
    fn a_second_process_is_told() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join(Embedded::FILE);
        let _first = Embedded::open(&path, Duration::from_secs(1)).expect("opened");
        let second = Embedded::open(&path, Duration::from_secs(1)).map(|_| ());
        assert!(matches!(second, Err(EmbeddedError::InUse(_))));
    }
}
