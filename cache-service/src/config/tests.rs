//! What a configuration may say, and what it may not.

use super::*;

const SHIPPED: &str = include_str!("../../cache-service.toml");

fn token() -> Secrets {
    Secrets { token: Some("token".to_owned()), ..Default::default() }
}

fn load(text: &str, secrets: Secrets) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("c.toml");
    fs::write(&path, text).expect("written");
    Config::load(Some(&path), Overrides::default(), secrets)
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let shipped: Raw = toml::from_str(SHIPPED).expect("the shipped file parses");
    assert_eq!(shipped, Raw::default());
    load(SHIPPED, token()).expect("the shipped file is valid");
}

#[test]
fn the_shipped_file_names_every_field() {
    // Each field stands in the file, so that a reader need not open the code; the optional ones as comments.
    let optional = ["token_file", "key_secret_file"];
    for field in optional {
        assert!(SHIPPED.contains(&format!("# {field} = ")), "{field}");
    }
    let shipped: toml::Table = toml::from_str(SHIPPED).expect("the shipped file parses");
    for (table, fields) in tables() {
        let named = match table {
            "" => Some(&shipped),
            "namespaces" => shipped["namespaces"].as_table().and_then(|spaces| spaces["bin"].as_table()),
            table => shipped[table].as_table(),
        };
        let named = named.expect(table);
        for field in fields.iter().filter(|field| !optional.contains(&field.as_str())) {
            assert!(named.contains_key(field), "{table}.{field}");
        }
    }
}

/// Every field of the file by its table. From what the parser says when it meets an unknown one, so none is forgotten.
fn tables() -> Vec<(&'static str, Vec<String>)> {
    let raw = |text: &str| {
        let error = toml::from_str::<Raw>(text).expect_err("an unknown field");
        let (_, known) = error.message().split_once(", expected ").expect("a list");
        // Every other piece stands in backticks.
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let all = vec![
        ("", raw("unknown = 1")),
        ("limits", raw("[limits]\nunknown = 1")),
        ("redis", raw("[redis]\nunknown = 1")),
        ("records", raw("[records]\nunknown = 1")),
        ("namespaces", raw("[namespaces.bin]\nunknown = 1")),
    ];
    assert!(all.iter().all(|(_, fields)| fields.len() > 1));
    all
}

#[test]
fn errors_name_the_field_and_the_file() {
    for (text, words) in [
        ("colour = 1", "colour"),
        ("[limits]\nin_flight = 0", "limits.in_flight"),
        ("[redis]\nlookup_deadline_ms = 0", "redis.lookup_deadline_ms"),
        ("[namespaces.BIN]\npolicy = \"lru\"\nbytes = 1\nttl_max_ms = 1", "namespaces.BIN"),
        ("[namespaces.bin]\npolicy = \"lru\"\nbytes = 1\nttl_max_ms = 1", "namespaces.bin.bytes"),
        ("[namespaces.bin]\npolicy = \"fifo\"\nbytes = 1\nttl_max_ms = 1", "policy"),
        ("token_file = \"/nonexistent/tokens\"", "/nonexistent/tokens"),
    ] {
        let error = load(text, token()).expect_err(text).to_string();
        assert!(error.contains(words), "{error}");
        assert!(error.contains("c.toml") || error.contains("/nonexistent"), "{error}");
    }
}

#[test]
fn errors_say_no_value() {
    for (text, words) in [
        ("\n\n[limits]\nin_flight = \"hunter2\"", "line 4: in_flight: expected usize"),
        ("[namespaces.bin]\npolicy = \"hunter2\"", "line 2: policy: expected `lru` or `lfu`"),
        ("token = \"hunter2\"", "line 1: unknown field `token`"),
        ("listen = \"hunter2\"", "line 1: "),
        ("data_dir = hunter2", "line 1: "),
        ("token_file = \"hunter2", "line 1: "),
        ("data_dir = \"a\"\n\"hunter2\"", "line 2: "),
        ("redis = \"redis://:hunter2@host\"", "line 1: redis: expected struct"),
        ("data_dir = [\"hunter2\"]", "line 1: data_dir: expected"),
    ] {
        let error = load(text, token()).expect_err(text).to_string();
        assert!(error.contains(words) && error.contains("c.toml"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let error = load("", Secrets::default()).expect_err("no token").to_string();
    assert!(error.contains("CACHE_TOKEN"), "{error}");
    let redis = Secrets { redis_url: Some("redis://127.0.0.1:1".to_owned()), ..token() };
    let error = load("", redis.clone()).expect_err("no secret").to_string();
    assert!(error.contains("CACHE_KEY_SECRET"), "{error}");
    let short = Secrets { key_secret: Some("short".to_owned()), ..redis.clone() };
    assert!(load("", short).is_err());
    let enough = Secrets { key_secret: Some("0123456789abcdef".to_owned()), ..redis };
    assert!(load("", enough).expect("complete").redis.is_some());
    let wrong = Secrets { redis_url: Some("http://user:secret@host".to_owned()), ..token() };
    let error = load("", wrong).expect_err("no Redis address").to_string();
    assert!(!error.contains("secret@"), "{error}");
}

#[test]
fn overrides_go_before_the_file() {
    let overrides = Overrides { port: Some(0), admin_port: Some(1), data_dir: Some("d".into()), listen: None };
    let config = Config::load(None, overrides, token()).expect("valid");
    assert_eq!(config.listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:1");
    assert_eq!(config.data_dir, PathBuf::from("d"));
}
