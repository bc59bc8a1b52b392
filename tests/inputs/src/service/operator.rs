//! The service's configuration file, and single words: of the environment, of headers, of a store.

use std::io::Write as _;

use cache_service::config::{Config, Overrides, Secrets};
use cache_service::fence::Fence;
use cache_service::records::{Pin, text};
use cache_service::secret::{KeySecret, Tokens};
use cache_service::value::ProcessorName;
use decision::lookup::{Key, KeyBuilder, Namespace};
use decision::payment::holds_card_number;

/// A secret long enough.
const SECRET: &str = "0123456789abcdef";
/// Shorter values may stand in any sentence.
const TELLING_LEN: usize = 12;

/// A configuration file: read, or refused without a word of its values.
pub(crate) fn configuration(bytes: &[u8]) -> String {
    let Ok(written) = std::str::from_utf8(bytes) else { return "no text".to_owned() };
    let document: Option<toml::Table> = toml::from_str(written).ok();
    let names_file = |table: &toml::Table| table.contains_key("token_file") || table.contains_key("key_secret_file");
    if document.as_ref().is_some_and(names_file) {
        // The service would read whatever file is named, as it should.
        return "names a file".to_owned();
    }
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("it is written");
    let secrets = Secrets { token: Some("t".to_owned()), key_secret: Some(SECRET.to_owned()), redis_url: None };
    match Config::load(Some(file.path()), Overrides::default(), secrets) {
        Ok(config) => {
            assert!(!config.namespaces.is_empty() && config.limits.in_flight > 0);
            "read".to_owned()
        }
        Err(error) => {
            let said = error.to_string();
            let (mut keys, mut values) = (String::new(), Vec::new());
            collect(toml::Value::Table(document.unwrap_or_default()), &mut keys, &mut values);
            for value in values.iter().filter(|value| value.len() >= TELLING_LEN && !keys.contains(value.as_str())) {
                assert!(!said.contains(value.as_str()), "the error repeats a value: {said}");
            }
            "refused".to_owned()
        }
    }
}

/// All names and all texts of a document.
fn collect(value: toml::Value, keys: &mut String, values: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                keys.push_str(&key);
                keys.push('\n');
                collect(value, keys, values);
            }
        }
        toml::Value::Array(items) => items.into_iter().for_each(|item| collect(item, keys, values)),
        toml::Value::String(text) => values.push(text),
        _ => {}
    }
}

/// One word, taken for each thing that a word can be: what is read is written the same, and read again the same.
pub(crate) fn words(bytes: &[u8]) -> String {
    if holds_card_number(bytes) {
        assert!(holds_card_number(&[b" ", bytes, b" "].concat()), "a card number is one among spaces");
    }
    let Ok(word) = std::str::from_utf8(bytes) else { return "no text".to_owned() };
    if let Ok(key) = word.parse::<Key>() {
        assert_eq!(key.to_string(), word);
    }
    if let Ok(namespace) = word.parse::<Namespace>() {
        assert_eq!(namespace.as_str(), word);
    }
    if let Some(fence) = Fence::parse(word) {
        assert_eq!(Fence::parse(&fence.to_string()), Some(fence));
    }
    if let Ok(tokens) = Tokens::new([word]) {
        assert!(tokens.accept(word.trim().as_bytes()) && !tokens.accept(b""));
    }
    let secret = KeySecret::new(SECRET).expect("long enough");
    let digest = secret.digest("pin", &KeyBuilder::new("test").finish());
    for held in [word.to_owned(), format!("1 {}{word}", digest.to_hex()), format!("1 {} one {word}", digest.to_hex())] {
        let written = match text::read(&digest, Some(&held)) {
            Some(Pin::At(name)) => text::one(&digest, &name),
            Some(Pin::Ambiguous) => text::ambiguous(&digest),
            Some(Pin::Absent) => panic!("something is there"),
            None => continue,
        };
        assert_eq!(written, held);
    }
    let name = word.parse::<ProcessorName>().map(|name| name.as_str().to_owned());
    let with_redis = |url: &str| {
        let (token, key_secret) = (Some("t".to_owned()), Some(SECRET.to_owned()));
        let secrets = Secrets { token, key_secret, redis_url: Some(url.to_owned()) };
        Config::load(None, Overrides::default(), secrets).map_err(|error| error.to_string())
    };
    let redis = match with_redis(word) {
        Ok(config) => config.redis.is_some(),
        Err(said) => {
            // A URL may hold a password: what is said of one is said of all.
            assert_eq!(with_redis("x").err(), Some(said));
            false
        }
    };
    format!("name {}, Redis {redis}", name.is_ok())
}
