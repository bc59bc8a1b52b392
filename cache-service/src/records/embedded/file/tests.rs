//! What the file keeps, for how long, and through which errors.

use super::*;
use crate::secret::KeySecret;
use decision::lookup::KeyBuilder;
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

fn secret() -> KeySecret {
    KeySecret::new("0123456789abcdef").expect("secret")
}

fn digest(n: usize) -> Digest {
    secret().digest("t", &KeyBuilder::new("t").part(&n.to_le_bytes()).finish())
}

fn claim(n: usize, ttl_ms: u64) -> Write {
    let name = "a".parse().expect("name");
    let text = text::one(&digest(n), &name);
    let ttl = Duration::from_millis(ttl_ms);
    Write { digest: digest(n), change: Change::Claim, text, ttl, answer: oneshot::channel().0 }
}

fn at(now: u64) -> Time {
    Time { judged_by: now, begins: now, seen: now, may_sweep: true }
}

fn lens(database: &Database) -> (u64, u64) {
    let read = database.begin_read().expect("read");
    let records = read.open_table(RECORDS).expect("table").len().expect("len");
    (records, read.open_table(EXPIRIES).expect("table").len().expect("len"))
}

#[test]
fn the_expired_are_absent_and_are_swept_after_a_day() {
    let dir = tempfile::tempdir().expect("tempdir");
    let database = Database::create(dir.path().join("r")).expect("made");
    make_tables(&database).expect("tables");
    let many: Vec<_> = (0..1_000).map(|n| claim(n, 10)).collect();
    apply(&database, &many, at(0)).expect("written");
    for now in [9, 10, GRACE_MS + 9] {
        let before = apply(&database, &[claim(0, 10)], at(now)).expect("written");
        assert!(before[0].is_some(), "still there");
        assert_eq!(lens(&database), (1_000, 1_000));
    }
    // A clock that is doubted frees nothing and removes nothing.
    let doubted = Time { judged_by: 9, begins: 2 * GRACE_MS, seen: 9, may_sweep: false };
    assert!(apply(&database, &[claim(0, 10)], doubted).expect("written")[0].is_some());
    assert_eq!(lens(&database), (1_000, 1_000));
    let before = apply(&database, &[claim(0, 10)], at(GRACE_MS + 10)).expect("written");
    assert!(before[0].is_none(), "expired");
    apply(&database, &[claim(1, 10)], at(GRACE_MS + 11)).expect("written");
    assert_eq!(lens(&database), (2, 2), "the two that were written again");
    assert_eq!(make_tables(&database).expect("read"), Some(GRACE_MS + 11), "the time is kept");
}

#[test]
fn a_file_belongs_to_one_secret() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("r");
    let other = KeySecret::new("fedcba9876543210").expect("secret").fingerprint();
    for is_new in [true, false] {
        let file = RecordFile::open(&path).expect("opened");
        assert_eq!(file.is_new().expect("read"), is_new);
        file.seal(&secret().fingerprint()).expect("ours");
    }
    let file = RecordFile::open(&path).expect("opened");
    let error = file.seal(&other).expect_err("another's").to_string();
    assert!(error.contains("secret") && error.contains(path.to_str().expect("text")), "{error}");
}

/// A file on a disk that fails when told.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    fails: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check().and_then(|()| self.file.set_len(len))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.check().and_then(|()| self.file.sync_data())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check().and_then(|()| self.file.write(offset, data))
    }
}

#[test]
fn a_full_disk_is_survived() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("r");
    let fails = Arc::new(AtomicBool::new(false));
    let (at, told) = (path.clone(), Arc::clone(&fails));
    let opener = move |_| {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&at)?;
        let disk = Disk { file: FileBackend::new(file)?, fails: Arc::clone(&told) };
        redb::Builder::new().create_with_backend(disk)
    };
    let file = RecordFile::open_by(&path, Box::new(opener)).expect("made");
    let hour = 3_600_000;
    assert_eq!(file.write(&[claim(0, hour)]).expect("written"), [None]);
    for n in 1..4 {
        fails.store(true, Ordering::SeqCst);
        file.write(&[claim(100, hour)]).expect_err("full");
        file.write(&[]).expect_err("still full");
        fails.store(false, Ordering::SeqCst);
        assert_eq!(file.write(&[claim(n, hour)]).expect("written again"), [None]);
        for earlier in 0..=n {
            assert!(file.read(&digest(earlier)).expect("read").is_some(), "{earlier} is kept");
        }
    }
}
