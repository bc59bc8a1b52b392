//! Pins and claims: what a caller is promised, without Redis and with it, and under contention.

use crate::client::{claim_path, pin_path};
use crate::world::{Node, World, both};

both!(
    a_pin_is_written_once_and_read,
    a_second_processor_makes_a_pin_ambiguous_for_good,
    the_first_claim_wins,
    records_outlive_a_restart,
);

async fn a_pin_is_written_once_and_read(w: World) {
    let (api, path) = (w.api(), pin_path("a"));
    let none = api.get(&path).await;
    assert_eq!((none.status.as_u16(), none.problem().as_str()), (404, "no_pin"));
    assert_eq!(api.record(&path, "acquirer-a").await.status, 201);
    assert_eq!(api.record(&path, "acquirer-a").await.status, 200);
    let found = api.get(&path).await;
    assert_eq!((found.status.as_u16(), found.processor().as_str()), (200, "acquirer-a"));
    assert_eq!(found.header("content-type"), "application/json");
    assert_eq!(api.get(&pin_path("b")).await.status, 404);
}

async fn a_second_processor_makes_a_pin_ambiguous_for_good(w: World) {
    let path = pin_path("a");
    assert_eq!(w.api().record(&path, "acquirer-a").await.status, 201);
    for name in ["acquirer-b", "acquirer-a", "acquirer-b"] {
        let put = w.api().record(&path, name).await;
        assert_eq!((put.status.as_u16(), put.problem().as_str()), (409, "pin_ambiguous"));
    }
    assert_eq!(w.api().get(&path).await.problem(), "pin_ambiguous");
    let w = w.restart().await;
    assert_eq!(w.api().get(&path).await.problem(), "pin_ambiguous");
}

async fn the_first_claim_wins(w: World) {
    let (api, path) = (w.api(), claim_path("a"));
    let first = api.record(&path, "acquirer-a").await;
    assert_eq!((first.status.as_u16(), first.processor().as_str()), (201, "acquirer-a"));
    for name in ["acquirer-a", "acquirer-b"] {
        let later = api.record(&path, name).await;
        assert_eq!((later.status.as_u16(), later.processor().as_str()), (200, "acquirer-a"));
    }
    // A claim is no pin.
    assert_eq!(api.get(&pin_path("a")).await.status, 404);
}

async fn records_outlive_a_restart(w: World) {
    assert_eq!(w.api().record(&pin_path("a"), "acquirer-a").await.status, 201);
    assert_eq!(w.api().record(&claim_path("a"), "acquirer-b").await.status, 201);
    let w = w.restart().await;
    assert_eq!(w.api().get(&pin_path("a")).await.processor(), "acquirer-a");
    let claim = w.api().record(&claim_path("a"), "acquirer-c").await;
    assert_eq!((claim.status.as_u16(), claim.processor().as_str()), (200, "acquirer-b"));
}

/// Fifty claims of one key under two names, at all nodes: one is first, and all are told the same name.
async fn race(nodes: &[&Node]) {
    for round in 0..5 {
        let path = claim_path(&round.to_string());
        let claims = (0..50).map(|n| {
            let (api, path) = (nodes[n % nodes.len()].api.clone(), path.clone());
            let name = if n % 3 == 0 { "acquirer-a" } else { "acquirer-b" };
            tokio::spawn(async move { api.record(&path, name).await })
        });
        let mut created = 0;
        let mut holders = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            let reply = claim.await.expect("answered");
            created += u32::from(reply.status == 201);
            assert!(reply.status == 200 || reply.status == 201, "{reply:?}");
            holders.push(reply.processor());
        }
        holders.dedup();
        assert_eq!((created, holders.len()), (1, 1), "{holders:?}");
    }
}

#[tokio::test]
async fn one_claim_is_first_embedded() {
    let world = World::embedded("").await;
    race(&[&world.node]).await;
}

#[tokio::test]
async fn one_claim_is_first_over_two_nodes_of_one_redis() {
    let world = World::redis("").await;
    let second = world.second_node().await;
    race(&[&world.node, &second]).await;
}

#[tokio::test]
async fn two_pins_at_once_are_never_both_believed() {
    for world in [World::embedded("").await, World::redis("").await] {
        for n in 0..20 {
            let path = pin_path(&n.to_string());
            let (a, b) =
                tokio::join!(world.api().record(&path, "acquirer-a"), world.api().record(&path, "acquirer-b"),);
            let mut statuses = [a.status.as_u16(), b.status.as_u16()];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409]);
            assert_eq!(world.api().get(&path).await.problem(), "pin_ambiguous");
        }
    }
}
