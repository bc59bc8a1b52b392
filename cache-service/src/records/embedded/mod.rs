//! Records in a file of this process (`redb`), for one node without Redis.
//!
//! One thread writes. It takes the operations that have gathered, does them in one transaction and answers when that is on
//! disk, so the cost of reaching the disk is shared by all that wait for it. A record stands a day longer than its time;
//! then it is read as absent, and each transaction removes a few such ([`clock`] says what time it is).

mod clock;
mod file;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Claimed, Pin, Pinned, text};
use crate::redis::Unavailable;
use crate::secret::Digest;
use crate::value::ProcessorName;
pub use file::RecordFile;

/// Operations in one transaction.
const BATCH: usize = 256;
/// Operations that wait for the writer; the next is refused.
const QUEUE: usize = 1_024;
/// Reads under way, those that nobody waits for any more among them: a disk that hangs must not eat every thread.
const READS: usize = 64;

/// The record file.
pub struct Embedded {
    file: Arc<RecordFile>,
    reads: Arc<Semaphore>,
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
    /// Its keys are hashed under another secret.
    #[error("{}: written under another key secret; give back that one (CACHE_KEY_SECRET, key_secret_file or key-secret)", .0.display())]
    ForeignSecret(PathBuf),
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

    /// Starts the writer. `deadline` bounds every operation.
    pub fn start(file: RecordFile, deadline: Duration) -> Result<Self, EmbeddedError> {
        let file = Arc::new(file);
        let (writer, inbox) = mpsc::channel(QUEUE);
        let written = Arc::clone(&file);
        let thread = thread::Builder::new().name("records".to_owned());
        let failing = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failing);
        let thread = thread.spawn(move || write(&written, inbox, &told)).map_err(EmbeddedError::Thread)?;
        let reads = Arc::new(Semaphore::new(READS));
        Ok(Self { file, reads, writer: Some(writer), thread: Some(thread), failing, deadline })
    }

    /// Whether it can be written. After a write that failed, tries one.
    pub async fn ready(&self) -> Result<(), Unavailable> {
        if !self.failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        let failing = Arc::clone(&self.failing);
        let probe = self.blocking(move |file| {
            let written = file.write(&[]).map(|_| ());
            failing.store(written.is_err(), Ordering::Relaxed);
            written
        });
        probe.await
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
        let held = self.blocking(move |file| file.read(&digest)).await?;
        text::read(&digest, held.as_deref()).ok_or(Unavailable)
    }

    /// Runs on a thread that may block, within the deadline.
    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&RecordFile) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (file, reads) = (Arc::clone(&self.file), Arc::clone(&self.reads));
        let done = async move {
            let place = reads.acquire_owned().await.map_err(|_| Unavailable)?;
            let ran = tokio::task::spawn_blocking(move || {
                let ran = run(&file);
                // Not before: when its caller has given up, it still holds a thread.
                drop(place);
                ran
            });
            match ran.await {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(error)) => {
                    tracing::error!(%error, "the record file could not be used");
                    Err(Unavailable)
                }
                Err(_) => Err(Unavailable),
            }
        };
        tokio::time::timeout(self.deadline, done).await.map_err(|_| Unavailable)?
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

/// The writer, until the last sender is gone.
fn write(file: &RecordFile, mut inbox: mpsc::Receiver<Write>, failing: &AtomicBool) {
    while let Some(first) = inbox.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = inbox.try_recv()
        {
            batch.push(next);
        }
        let done = file.write(&batch);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_told() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join(Embedded::FILE);
        let first = RecordFile::open(&path).expect("opened");
        let _first = Embedded::start(first, Duration::from_secs(1)).expect("started");
        let second = RecordFile::open(&path).map(|_| ());
        assert!(matches!(second, Err(EmbeddedError::InUse(_))));
    }

    #[tokio::test]
    async fn reads_that_hang_hold_no_more_than_their_places() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = RecordFile::open(&dir.path().join(Embedded::FILE)).expect("opened");
        let store = Embedded::start(file, Duration::from_millis(1)).expect("started");
        let (release, hang) = std::sync::mpsc::channel::<()>();
        let hang = Arc::new(std::sync::Mutex::new(hang));
        let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for _ in 0..READS + 10 {
            let (hang, begun) = (Arc::clone(&hang), Arc::clone(&begun));
            let read = store.blocking(move |_| {
                begun.fetch_add(1, Ordering::SeqCst);
                let _ = hang.lock().map(|hang| hang.recv());
                Ok(())
            });
            assert_eq!(read.await, Err(Unavailable));
        }
        assert_eq!(store.reads.available_permits(), 0);
        drop(release);
        let _ = store.reads.acquire_many(u32::try_from(READS).expect("few")).await.expect("all end");
        assert!(begun.load(Ordering::SeqCst) <= READS);
    }
}
