//! Records under contention.

use crate::client::{claim_path, pin_path};
use crate::world::{Node, World};

/// Fifty claims of one key under two names, at all nodes: one is first, and all are told the same name.
async fn race(nodes: &[&Node]) {
    for round in 0..5 {
        let path = claim_path(&round.to_string());
        let claims = (0..50).map(|n| {
            let (api, path) = (nodes[n % nodes.len()].api.clone(), path.clone());
            let name = if n % 3 == 0 {
                "acquirer-a"
            } else {
                "acquirer-b"
            };
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
            let (a, b) = tokio::join!(
                world.api().record(&path, "acquirer-a"),
                world.api().record(&path, "acquirer-b"),
            );
            let mut statuses = [a.status.as_u16(), b.status.as_u16()];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409]);
            assert_eq!(world.api().get(&path).await.problem(), "pin_ambiguous");
        }
    }
}
