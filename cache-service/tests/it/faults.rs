//! Redis slow, frozen, killed and back; and what several nodes on one Redis see of each other.

use std::time::{Duration, Instant};

use crate::client::{bin_path, claim_path, key, pin_path, status_path};
use crate::redis_server::RedisServer;
use crate::tcp_path::TcpPath;
use crate::world::{World, until};

/// Deadlines short enough to be seen to hold, long enough for a busy machine.
const DEADLINES: &str = "[redis]\nlookup_deadline_ms = 100\nrecord_deadline_ms = 300\n";
/// A deadline and what a busy machine takes beside it.
const BOUND: Duration = Duration::from_secs(2);

/// Memory answers, the rest is a miss or a 503, and nothing takes longer than its deadline.
async fn degraded(world: &World) {
    let api = world.api();
    for n in 0..30 {
        let began = Instant::now();
        assert_eq!(&api.get(&bin_path("kept")).await.body[..], b"x", "from memory");
        let miss = api.get(&bin_path(&format!("new-{n}"))).await;
        assert_eq!(miss.problem(), "miss");
        assert!(!miss.header("switchyard-fence").is_empty());
        assert_eq!(api.put(&bin_path("plain"), b"y").await.status, 204, "kept in memory");
        assert_eq!(&api.get(&bin_path("plain")).await.body[..], b"y");
        // A value of an entity is not kept: nothing proves that it is still true elsewhere.
        let miss = api.get_of(&status_path("s"), &key("payment")).await;
        let put = api.put_of(&status_path("s"), &key("payment"), miss.header("switchyard-fence"), b"z").await;
        assert_eq!(put.problem(), "fence_outdated");
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
        let began = Instant::now();
        for reply in [
            api.get(&pin_path("a")).await,
            api.record(&pin_path("b"), "acquirer-a").await,
            api.record(&claim_path("c"), "acquirer-a").await,
            api.delete(&status_path("payment")).await,
        ] {
            assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (503, "store_unavailable"));
            assert_eq!(reply.header("retry-after"), "1");
        }
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    }
    let ready = world.node.admin.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), ready.problem().as_str()), (503, "not_ready"));
    assert_eq!(world.node.admin.get("/healthz").await.status, 200);
}

async fn healed(world: &World) {
    let api = world.api();
    until("records are back", async || api.get(&pin_path("a")).await.status == 200).await;
    assert_eq!(api.get(&pin_path("a")).await.processor(), "acquirer-a");
    until("look-ups reach Redis again", async || {
        api.get(&bin_path("nothing")).await.header("switchyard-fence").starts_with('r')
    })
    .await;
    until("ready", async || world.node.admin.get("/readyz").await.status == 200).await;
    until("an invalidation is taken", async || api.delete(&status_path("payment")).await.status == 204).await;
}

async fn prepared() -> World {
    let world = World::redis_as_is(DEADLINES).await;
    let api = world.api();
    until("pinned", async || api.record(&pin_path("a"), "acquirer-a").await.status.is_success()).await;
    assert_eq!(api.put(&bin_path("kept"), b"x").await.status, 204);
    world
}

#[tokio::test]
async fn a_killed_redis_is_survived_and_found_again() {
    let mut world = prepared().await;
    for _ in 0..2 {
        world.redis_mut().kill();
        degraded(&world).await;
        world.redis_mut().start_again();
        healed(&world).await;
    }
}

#[tokio::test]
async fn a_frozen_redis_is_survived_and_found_again() {
    let world = prepared().await;
    for _ in 0..2 {
        let redis = world.redis.as_ref().expect("a Redis");
        redis.freeze();
        degraded(&world).await;
        redis.thaw();
        healed(&world).await;
    }
}

#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_waited_for() {
    let mut world = prepared().await;
    world.redis_mut().kill();
    let second = world.second_node().await;
    assert_eq!(second.admin.get("/healthz").await.status, 200);
    assert_eq!(second.admin.get("/readyz").await.status, 503);
    assert_eq!(second.api.get(&bin_path("kept")).await.problem(), "miss");
    world.redis_mut().start_again();
    until("ready", async || second.admin.get("/readyz").await.status == 200).await;
    until("it reads what the other wrote", async || second.api.get(&bin_path("kept")).await.status == 200).await;
}

#[tokio::test]
async fn a_value_stored_at_one_node_is_a_hit_at_another() {
    let world = World::redis("").await;
    let second = world.second_node().await;
    assert_eq!(world.api().put(&bin_path("a"), b"x").await.status, 204);
    assert_eq!(&second.api.get(&bin_path("a")).await.body[..], b"x");
    assert_eq!(second.metric("cache_lookups_total{namespace=\"bin\",result=\"hit_redis\"}").await, 1.0);
    assert_eq!(second.api.get(&bin_path("a")).await.status, 200);
    assert_eq!(second.metric("cache_lookups_total{namespace=\"bin\",result=\"hit_memory\"}").await, 1.0);
    // A miss at one node, stored by way of the other: the fence goes with it.
    let miss = world.api().get_of(&status_path("a"), &key("payment")).await;
    let put = second.api.put_of(&status_path("a"), &key("payment"), miss.header("switchyard-fence"), b"1").await;
    assert_eq!(put.status, 204, "{put:?}");
    assert_eq!(&world.api().get_of(&status_path("a"), &key("payment")).await.body[..], b"1");
}

#[tokio::test]
async fn an_invalidation_at_one_node_is_seen_at_another_in_time() {
    let world = World::redis("memory_ttl_max_ms = 500").await;
    let second = world.second_node().await;
    let (path, payment) = (status_path("a"), key("payment"));
    let miss = second.api.get_of(&path, &payment).await;
    let fence = miss.header("switchyard-fence");
    assert_eq!(second.api.put_of(&path, &payment, fence, b"1").await.status, 204);
    assert_eq!(second.api.get_of(&path, &payment).await.status, 200);
    let deleted = Instant::now();
    assert_eq!(world.api().delete(&status_path("payment")).await.status, 204);
    assert_eq!(world.api().get_of(&path, &payment).await.status, 404, "at once where it was made");
    // What was loaded before is refused by both at once.
    assert_eq!(second.api.put_of(&path, &payment, fence, b"1").await.status, 412);
    assert_eq!(world.api().put_of(&path, &payment, fence, b"1").await.status, 412);
    while second.api.get_of(&path, &payment).await.status == 200 {
        assert!(deleted.elapsed() < Duration::from_secs(2), "500 ms and what a busy machine takes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_deletion_of_a_plain_value_is_seen_at_another_node_in_time() {
    let world = World::redis("memory_ttl_max_plain_ms = 300").await;
    let second = world.second_node().await;
    let path = bin_path("a");
    assert_eq!(world.api().put(&path, b"1").await.status, 204);
    assert_eq!(second.api.get(&path).await.status, 200);
    assert_eq!(world.api().delete(&path).await.status, 204);
    assert_eq!(world.api().get(&path).await.status, 404, "at once where it was made");
    until("the other node asks again", async || second.api.get(&path).await.status == 404).await;
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_replaced() {
    let redis = RedisServer::start();
    let path = TcpPath::to(redis.socket()).await;
    let world = World::on(redis.over(path.at), DEADLINES).await;
    let api = world.api();
    until("pinned", async || api.record(&pin_path("a"), "acquirer-a").await.status.is_success()).await;
    for _ in 0..2 {
        path.silence();
        let began = Instant::now();
        assert_eq!(api.get(&pin_path("a")).await.problem(), "store_unavailable");
        assert!(began.elapsed() < BOUND);
        // The client never sees the connection break: the watchdog must.
        healed(&world).await;
    }
}

#[tokio::test]
async fn look_ups_that_are_too_late_do_not_shut_out_claims() {
    let redis = RedisServer::start();
    let path = TcpPath::to(redis.socket()).await;
    let deadlines = "[redis]\nlookup_deadline_ms = 40\nrecord_deadline_ms = 5000\n";
    let world = World::on(redis.over(path.at), deadlines).await;
    let api = world.api();
    until("pinned", async || api.record(&pin_path("a"), "acquirer-a").await.status.is_success()).await;
    path.delay(Duration::from_millis(80));
    for round in 0..3 {
        for n in 0..12 {
            assert_eq!(api.get(&bin_path(&format!("{round}-{n}"))).await.problem(), "miss");
        }
        let claim = api.record(&claim_path(&round.to_string()), "acquirer-a").await;
        assert_eq!(claim.status, 201, "{claim:?}");
        assert_eq!(api.delete(&status_path("payment")).await.status, 204);
    }
    let skipped = "cache_redis_failures_total{operation=\"find\",failure=\"skipped\"}";
    assert!(world.node.metric(skipped).await > 0.0, "look-ups are shut out themselves");
    path.delay(Duration::ZERO);
    healed(&world).await;
}
