//! A Redis that answers and must not be trusted with records: under another secret, evicting, or taking no writes.

use crate::client::{Reply, bin_path, claim_path, key, pin_path, status_path};
use crate::coherence::connection;
use crate::world::{Node, World, until};

/// What `/readyz` says is wrong.
fn detail(reply: &Reply) -> String {
    assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (503, "not_ready"));
    let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    body["detail"].as_str().expect("a text").to_owned()
}

/// Neither records nor invalidations, at once; look-ups go on.
async fn refuses_records(node: &Node) {
    let api = &node.api;
    for reply in [
        api.record(&claim_path("a"), "acquirer-b").await,
        api.record(&pin_path("a"), "acquirer-b").await,
        api.get(&pin_path("a")).await,
        api.delete(&status_path("a")).await,
    ] {
        assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (503, "store_unavailable"));
    }
    assert_eq!(api.get(&bin_path("a")).await.problem(), "miss");
    assert_eq!(api.put(&bin_path("b"), b"x").await.status, 204);
    assert_eq!(api.get(&bin_path("b")).await.status, 200);
}

fn tell(world: &World, command: &[&str]) {
    let mut told = redis::cmd(command[0]);
    for word in &command[1..] {
        told.arg(*word);
    }
    told.query::<()>(&mut connection(world)).expect("done");
}

#[tokio::test]
async fn a_node_with_another_secret_grants_no_claim_twice() {
    let world = World::redis("").await;
    assert_eq!(world.api().record(&claim_path("a"), "acquirer-a").await.status, 201);
    let foreign = world.foreign_node().await;
    refuses_records(&foreign).await;
    assert!(detail(&foreign.admin.get("/readyz").await).contains("CACHE_KEY_SECRET"));
    assert_eq!(world.node.admin.get("/readyz").await.status, 200, "the others go on");
    let again = world.api().record(&claim_path("a"), "acquirer-c").await;
    assert_eq!((again.status.as_u16(), again.processor().as_str()), (200, "acquirer-a"));
}

#[tokio::test]
async fn a_redis_that_may_evict_holds_no_records() {
    let world = World::redis("").await;
    assert_eq!(world.api().record(&claim_path("a"), "acquirer-a").await.status, 201);
    tell(&world, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert_eq!(world.node.admin.get("/readyz").await.status, 200, "nothing is evicted from a memory without a bound");
    tell(&world, &["CONFIG", "SET", "maxmemory", "100mb"]);
    assert!(detail(&world.node.admin.get("/readyz").await).contains("noeviction"));
    refuses_records(&world.node).await;
    // A node that starts on it is told by its first record.
    refuses_records(&world.second_node().await).await;
    tell(&world, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    until("ready", async || world.node.admin.get("/readyz").await.status == 200).await;
    assert_eq!(world.api().record(&claim_path("a"), "acquirer-b").await.processor(), "acquirer-a");
}

#[tokio::test]
async fn an_evicted_generation_does_not_bring_a_stale_value_back() {
    let world = World::redis("memory_ttl_max_ms = 1").await;
    let (api, path, payment) = (world.api(), status_path("a"), key("payment"));
    let miss = api.get_of(&path, &payment).await;
    let fence = miss.header("switchyard-fence");
    assert_eq!(api.put_of(&path, &payment, fence, b"1").await.status, 204);
    tell(&world, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    tell(&world, &["CONFIG", "SET", "maxmemory", "100mb"]);
    assert_eq!(world.node.admin.get("/readyz").await.status, 503);
    until("not from Redis", async || api.get_of(&path, &payment).await.status == 404).await;
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_seen() {
    let world = World::redis("").await;
    assert_eq!(world.api().record(&pin_path("a"), "acquirer-a").await.status, 201);
    for (broken, mended) in [
        (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
        (["CONFIG", "SET", "maxmemory 1"], ["CONFIG", "SET", "maxmemory 0"]),
    ] {
        let words = |command: [&'static str; 3]| command.iter().flat_map(|w| w.split(' ')).collect::<Vec<_>>();
        tell(&world, &words(broken));
        assert!(detail(&world.node.admin.get("/readyz").await).contains("write"), "{broken:?}");
        assert_eq!(world.api().record(&claim_path("b"), "acquirer-a").await.problem(), "store_unavailable");
        until("reads are refused too", async || world.api().get(&pin_path("a")).await.status == 503).await;
        assert_eq!(world.node.metric("cache_redis_up").await, 0.0);
        tell(&world, &words(mended));
        until("ready", async || world.node.admin.get("/readyz").await.status == 200).await;
        until("records are back", async || world.api().get(&pin_path("a")).await.status == 200).await;
    }
}
