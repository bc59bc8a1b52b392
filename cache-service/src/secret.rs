//! What only the service knows: the secret under which keys are hashed, and the tokens of its callers.
//!
//! A look-up's key is a plain SHA-256 of guessable parts, so whoever reads Redis or a log could test guesses against it.
//! The HMAC ends that. Tokens are held as digests, and compared in constant time.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use decision::lookup::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// A key as it may stand in a store: HMAC-SHA256 under the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hex digits.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// The secret that keys are hashed under. All nodes on one Redis share it.
#[derive(Clone)]
pub struct KeySecret(Hmac<Sha256>);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Too short to resist guessing.
    #[error("the key secret has fewer than {} bytes", KeySecret::LEN_MIN)]
    Short,
    /// The file holds less than a secret.
    #[error("{}: fewer than {} bytes", .0.display(), KeySecret::LEN_MIN)]
    ShortFile(PathBuf),
    /// The file is gone, and the records were written under it.
    #[error("{}: not there, and records.redb was written under it; restore it, or set CACHE_KEY_SECRET", .0.display())]
    Lost(PathBuf),
    /// The file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

impl KeySecret {
    /// The shortest accepted secret, in bytes.
    pub const LEN_MIN: usize = 16;
    /// The file a generated secret is kept in, within the data directory.
    pub const FILE: &'static str = "key-secret";

    /// Takes a secret; white space around it does not count.
    pub fn new(secret: &str) -> Result<Self, SecretError> {
        let secret = secret.trim().as_bytes();
        if secret.len() < Self::LEN_MIN {
            return Err(SecretError::Short);
        }
        // HMAC takes keys of any length.
        Hmac::new_from_slice(secret).map(Self).map_err(|_| SecretError::Short)
    }

    /// Reads the secret of a file.
    pub fn of_file(path: &Path) -> Result<Self, SecretError> {
        let text = fs::read_to_string(path).map_err(|error| SecretError::File { path: path.to_owned(), error })?;
        Self::new(&text).map_err(|_| SecretError::ShortFile(path.to_owned()))
    }

    /// Reads the secret kept in `data_dir`, or, where it may, makes one there that only the owner may read. One caller at
    /// a time.
    pub fn kept_in(data_dir: &Path, may_make: bool) -> Result<Self, SecretError> {
        let path = data_dir.join(Self::FILE);
        let there = path.try_exists().map_err(|error| SecretError::File { path: path.clone(), error })?;
        if !there {
            if !may_make {
                return Err(SecretError::Lost(path));
            }
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(|_| SecretError::Random)?;
            let made = make(data_dir, &path, hex::encode(bytes).as_bytes());
            made.map_err(|error| SecretError::File { path: path.clone(), error })?;
        }
        Self::of_file(&path)
    }

    /// What tells this secret from another, and says nothing of it. It stands beside what is stored under the secret.
    pub fn fingerprint(&self) -> Digest {
        let mut mac = self.0.clone();
        // No digest of a key is made of this: those hold a zero byte after their realm.
        mac.update(b"fingerprint");
        Digest(mac.finalize().into_bytes().into())
    }

    /// The digest of a key in a realm, such as `pin` or `lookup/bin`. Equal keys of two realms have two digests.
    pub fn digest(&self, realm: &str, key: &Key) -> Digest {
        let mut mac = self.0.clone();
        mac.update(realm.as_bytes());
        // No realm holds a zero byte, so realm and key cannot run together.
        mac.update(&[0]);
        mac.update(key.as_bytes());
        Digest(mac.finalize().into_bytes().into())
    }
}

/// Whole or not at all: written beside its place, and moved there when it is on disk.
fn make(dir: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    // What an earlier process left behind.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(dir)?.sync_all()
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(..)")
    }
}

/// The accepted bearer tokens, as digests. Several, so that a token can be replaced without an outage.
#[derive(Clone)]
pub struct Tokens(Vec<[u8; 32]>);

/// A token must be 1 to 512 visible ASCII characters, and there must be one.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody could call.
    #[error("no token is configured: set CACHE_TOKEN, or token_file to a file of one token a line")]
    None,
    /// It could not stand in a header.
    #[error("a token is 1 to 512 visible ASCII characters")]
    Malformed,
}

impl Tokens {
    /// Takes the tokens; blank ones are skipped.
    pub fn new<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Result<Self, TokenError> {
        let mut digests = Vec::new();
        for token in tokens.into_iter().map(str::trim).filter(|t| !t.is_empty()) {
            if token.len() > 512 || !token.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(TokenError::Malformed);
            }
            digests.push(Sha256::digest(token).into());
        }
        if digests.is_empty() { Err(TokenError::None) } else { Ok(Self(digests)) }
    }

    /// Whether the token is one of them. Takes the same time whichever it is, and whether it is.
    pub fn accept(&self, token: &[u8]) -> bool {
        let offered: [u8; 32] = Sha256::digest(token).into();
        let fits = |none: Choice, known: &[u8; 32]| none | known.ct_eq(&offered);
        self.0.iter().fold(Choice::from(0), fits).into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_generated_secret_is_private_and_kept() {
        let dir = tempfile::tempdir().expect("tempdir");
        let key = decision::lookup::KeyBuilder::new("t").finish();
        let first = KeySecret::kept_in(dir.path(), true).expect("made").digest("pin", &key);
        let again = KeySecret::kept_in(dir.path(), true).expect("read").digest("pin", &key);
        assert_eq!(first, again);
        let mode = fs::metadata(dir.path().join(KeySecret::FILE)).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn no_secret_is_made_beside_records_and_none_is_taken_that_is_cut_off() {
        let dir = tempfile::tempdir().expect("tempdir");
        assert!(matches!(KeySecret::kept_in(dir.path(), false), Err(SecretError::Lost(_))));
        let path = dir.path().join(KeySecret::FILE);
        fs::write(&path, "").expect("written");
        let error = KeySecret::kept_in(dir.path(), true).expect_err("empty").to_string();
        assert!(error.contains(path.to_str().expect("text")), "{error}");
        fs::remove_file(&path).expect("removed");
        // A process that ended while it made one leaves no half of it in the secret's place.
        fs::write(path.with_extension("new"), "half").expect("written");
        KeySecret::kept_in(dir.path(), true).expect("made");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn realms_and_secrets_keep_digests_apart() {
        let key = decision::lookup::KeyBuilder::new("t").finish();
        let one = KeySecret::new("0123456789abcdef").expect("long enough");
        let other = KeySecret::new("0123456789abcdeg").expect("long enough");
        assert_ne!(one.digest("pin", &key), one.digest("claim", &key));
        assert_ne!(one.digest("pin", &key), other.digest("pin", &key));
        assert!(KeySecret::new(" 0123456789abcde \n").is_err());
    }

    #[test]
    fn any_of_the_tokens_is_accepted_and_nothing_else() {
        let tokens = Tokens::new(["old", "", " new\n"]).expect("two tokens");
        assert!(tokens.accept(b"old") && tokens.accept(b"new"));
        assert!(!tokens.accept(b"") && !tokens.accept(b"ol") && !tokens.accept(b"old "));
        assert!(matches!(Tokens::new(["", " "]), Err(TokenError::None)));
        assert!(matches!(Tokens::new(["a b"]), Err(TokenError::Malformed)));
        assert_eq!(format!("{tokens:?}"), "Tokens(2)");
    }
}
