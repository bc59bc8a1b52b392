//! What is told is true: under concurrency, after Redis forgot, and when Redis answers another question.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::client::{Api, bin_path, key, pin_path, status_path};
use crate::world::{World, both};

both!(no_reader_sees_what_was_invalidated_before_it_asked);

/// The world outside: the truth about a payment, which only grows.
struct Truth {
    now: AtomicU64,
    /// Up to here an invalidation was acknowledged.
    acknowledged: AtomicU64,
    /// Set after the last invalidation.
    done: AtomicBool,
}

/// Loaders and one follow-up at once. The follow-up changes the truth, then invalidates; who asks after the
/// acknowledgement never sees the truth from before.
async fn no_reader_sees_what_was_invalidated_before_it_asked(w: World) {
    let truth =
        Arc::new(Truth { now: AtomicU64::new(0), acknowledged: AtomicU64::new(0), done: AtomicBool::new(false) });
    let loaders: Vec<_> = (0..8)
        .map(|n| {
            let (api, truth) = (w.api().clone(), Arc::clone(&truth));
            // Two values of the one payment.
            tokio::spawn(async move { load_often(&api, &status_path(["a", "b"][n % 2]), &truth).await })
        })
        .collect();
    for next in 1..=150 {
        truth.now.store(next, Ordering::SeqCst);
        assert_eq!(w.api().delete(&status_path("payment")).await.status, 204);
        truth.acknowledged.store(next, Ordering::SeqCst);
        // Now and then long enough that loads come between.
        tokio::time::sleep(Duration::from_millis(next % 4)).await;
    }
    truth.done.store(true, Ordering::SeqCst);
    let mut hits = 0;
    for loader in loaders {
        hits += loader.await.expect("no stale answer");
    }
    assert!(hits > 0, "the test is of no use without hits");
}

async fn load_often(api: &Api, path: &str, truth: &Truth) -> u32 {
    let payment = key("payment");
    let mut hits = 0;
    // To the end, and then until one hit: after the last invalidation a value stays.
    while hits == 0 || !truth.done.load(Ordering::SeqCst) {
        let least = truth.acknowledged.load(Ordering::SeqCst);
        let reply = api.get_of(path, &payment).await;
        if reply.status == 200 {
            hits += 1;
            let seen: u64 = std::str::from_utf8(&reply.body).expect("text").parse().expect("a number");
            assert!(seen >= least, "saw {seen} after {least} was acknowledged");
            continue;
        }
        let loaded = truth.now.load(Ordering::SeqCst).to_string();
        tokio::task::yield_now().await;
        let put = api.put_of(path, &payment, reply.header("switchyard-fence"), loaded.as_bytes()).await;
        assert!(put.status == 204 || put.status == 412, "{put:?}");
    }
    hits
}

pub(crate) fn connection(w: &World) -> redis::Connection {
    let url = w.redis.as_ref().expect("a Redis").url();
    redis::Client::open(url).expect("client").get_connection().expect("connection")
}

fn keys(connection: &mut redis::Connection, pattern: &str) -> Vec<String> {
    redis::cmd("KEYS").arg(pattern).query(connection).expect("keys")
}

#[tokio::test]
async fn a_generation_that_redis_forgot_does_not_come_again() {
    let w = World::redis("").await;
    let (api, path, payment) = (w.api(), status_path("a"), key("payment"));
    assert_eq!(api.delete(&status_path("payment")).await.status, 204);
    let second = w.second_node().await;
    let miss = second.api.get_of(&path, &payment).await;
    let mut redis = connection(&w);
    for generation in keys(&mut redis, "*:g") {
        let _: () = redis::cmd("DEL").arg(generation).query(&mut redis).expect("forgotten");
    }
    assert_eq!(api.delete(&status_path("payment")).await.status, 204);
    // The second node's memory knows nothing of it: Redis alone refuses.
    let put = second.api.put_of(&path, &payment, miss.header("switchyard-fence"), b"old").await;
    assert_eq!(put.problem(), "fence_outdated");
}

#[tokio::test]
async fn a_generation_outlives_every_value_it_guards() {
    let w = World::redis("").await;
    assert_eq!(w.api().delete(&status_path("payment")).await.status, 204);
    let mut redis = connection(&w);
    let generation = keys(&mut redis, "*:g").pop().expect("one");
    let left: u64 = redis::cmd("PTTL").arg(generation).query(&mut redis).expect("a time");
    // Ten minutes for a value, and a quarter of an hour for its load.
    assert!((24 * 60_000..=25 * 60_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_load_of_long_ago_is_not_stored() {
    let w = World::redis("").await;
    let (api, path, payment) = (w.api(), status_path("a"), key("payment"));
    let miss = api.get_of(&path, &payment).await;
    let fence = miss.header("switchyard-fence");
    let (rest, at_ms) = fence.rsplit_once('.').expect("a time");
    let at_ms = u64::from_str_radix(at_ms, 16).expect("hex");
    let aged = |minutes: u64| format!("{rest}.{:x}", at_ms - minutes * 60_000);
    assert_eq!(api.put_of(&path, &payment, &aged(11), b"x").await.problem(), "fence_outdated");
    assert_eq!(api.put_of(&path, &payment, &aged(9), b"x").await.status, 204);
    // One from the future would be good for ever.
    let ahead = |minutes: u64| format!("{rest}.{:x}", at_ms + minutes * 60_000);
    assert_eq!(api.put_of(&path, &payment, &ahead(12), b"x").await.problem(), "fence_outdated");
    assert_eq!(api.put_of(&path, &payment, &ahead(4), b"x").await.status, 204);
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_taken() {
    let w = World::redis("").await;
    let api = w.api();
    assert_eq!(api.put(&bin_path("a"), b"of a").await.status, 204);
    assert_eq!(api.record(&pin_path("a"), "acquirer-a").await.status, 201);
    let mut redis = connection(&w);
    // What stands under a is put under every key there is, as if replies had slipped.
    let swap = |redis: &mut redis::Connection, suffix: &str| {
        let from = keys(redis, &format!("*:{suffix}"));
        (from.len() == 1).then(|| from[0].clone()).expect("one")
    };
    let (value_a, pin_a) = (swap(&mut redis, "v"), swap(&mut redis, "pin"));
    assert_eq!(api.put(&bin_path("b"), b"of b").await.status, 204);
    assert_eq!(api.record(&pin_path("b"), "acquirer-b").await.status, 201);
    for (pattern, from) in [("*:v", value_a), ("*:pin", pin_a)] {
        for to in keys(&mut redis, pattern) {
            if to != from {
                let _: () = redis::cmd("COPY").arg(&from).arg(&to).arg("REPLACE").query(&mut redis).expect("copied");
            }
        }
    }
    let fresh = w.second_node().await;
    assert_eq!(&fresh.api.get(&bin_path("a")).await.body[..], b"of a");
    assert_eq!(fresh.api.get(&bin_path("b")).await.problem(), "miss");
    assert_eq!(fresh.api.get(&pin_path("a")).await.processor(), "acquirer-a");
    // Not "no pin": what cannot be read is never taken for absent.
    assert_eq!(fresh.api.get(&pin_path("b")).await.problem(), "store_unavailable");
    assert_eq!(fresh.api.record(&pin_path("b"), "acquirer-b").await.problem(), "store_unavailable");
}
