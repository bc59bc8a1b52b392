//! Nothing secret is seen where it does not belong: marked tokens, secrets, keys and values are put in, and everything
//! that comes out is searched for them.

use nix::sys::signal::Signal;

use crate::client::{Api, TOKEN, bin_path, claim_path, key, pin_path, status_path};
use crate::process::{Running, program};
use crate::redis_server::RedisServer;
use crate::world::{KEY_SECRET, until};

const VALUE: &str = "canary-value-55d1";

/// Uses every route, well and badly.
async fn use_all(api: &Api) {
    until("stored", async || api.put(&bin_path("a"), VALUE.as_bytes()).await.status == 204).await;
    api.get(&bin_path("a")).await;
    let miss = api.get_of(&status_path("b"), &key("c")).await;
    api.put_of(&status_path("b"), &key("c"), miss.header("switchyard-fence"), VALUE.as_bytes()).await;
    api.delete(&status_path("c")).await;
    api.put(&bin_path("d"), b"4111111111111111").await;
    api.put(&bin_path("d"), format!("{VALUE}{}", "x".repeat(70_000)).as_bytes()).await;
    for path in [pin_path("e"), claim_path("e")] {
        api.record(&path, "acquirer-a").await;
        api.record(&path, "acquirer-b").await;
        api.send(hyper::Method::PUT, &path, &[], VALUE.as_bytes()).await;
    }
    api.get(&pin_path("e")).await;
}

fn wire_keys() -> Vec<String> {
    ["a", "b", "c", "d", "e"].iter().map(|name| key(name).to_string()).collect()
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle.as_bytes())
}

/// None of the canaries is in the text.
fn clean(what: &str, text: &str) {
    let secrets = [TOKEN, KEY_SECRET, VALUE, "4111111111111111"].map(str::to_owned);
    for canary in wire_keys().into_iter().chain(secrets) {
        assert!(!text.contains(&canary), "{canary} in {what}: {text}");
    }
}

#[tokio::test]
async fn with_redis_neither_log_nor_metrics_nor_keys_tell() {
    let mut redis = RedisServer::start();
    let dir = tempfile::tempdir().expect("tempdir");
    let mut command = program(dir.path());
    command.env("REDIS_URL", redis.url()).env("CACHE_KEY_SECRET", KEY_SECRET).env("LOG", "trace");
    let running = Running::start(command);
    let api = Api::new(running.at);
    let admin = Api::new(running.admin);
    until("ready", async || admin.get("/readyz").await.status == 200).await;
    use_all(&api).await;
    use_all(&Api::http2(running.at)).await;
    let held = redis.dump();
    assert!(held.len() >= 8, "there is something to search");
    for bytes in &held {
        for canary in wire_keys().iter().map(String::as_str).chain([TOKEN, KEY_SECRET, "4111111111111111"]) {
            assert!(!holds(bytes, canary), "{canary} in Redis");
        }
    }
    let keys = held.iter().filter(|bytes| bytes.starts_with(b"sw:1:{"));
    assert!(keys.count() * 2 == held.len(), "every key has our prefix");
    // Its errors are logged too.
    redis.kill();
    use_all(&api).await;
    clean("metrics", std::str::from_utf8(&admin.get("/metrics").await.body).expect("text"));
    running.signal(Signal::SIGTERM);
    let (_, _, log) = running.end();
    assert!(log.lines().count() > 2, "there is something to search: {log}");
    clean("log", &log);
}

#[tokio::test]
async fn without_redis_neither_log_nor_file_tell() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut command = program(dir.path());
    command.env("LOG", "trace");
    let running = Running::start(command);
    use_all(&Api::new(running.at)).await;
    running.signal(Signal::SIGTERM);
    let (_, _, log) = running.end();
    clean("log", &log);
    let file = std::fs::read(dir.path().join("records.redb")).expect("the file");
    for name in wire_keys() {
        assert!(!holds(&file, &name) && !file.windows(32).any(|w| hex::encode(w) == name));
    }
}
