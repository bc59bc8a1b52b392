//! What a caller is promised, without Redis and with it.

use hyper::Method;

use crate::client::{Api, Reply, bin_path, claim_path, key, pin_path, status_path};
use crate::world::{World, both, until};

both!(
    a_stored_value_comes_back_as_it_was,
    a_value_expires,
    a_time_to_live_is_cut_to_the_bound,
    a_deletion_is_idempotent,
    deleting_an_entity_invalidates_its_values_and_no_others,
    deleting_a_values_own_key_deletes_it_under_its_entity,
    a_fence_older_than_the_invalidation_is_refused,
    a_fence_that_proves_nothing_is_refused,
    a_value_is_found_only_under_its_own_entity,
    namespaces_are_apart,
    what_is_malformed_is_said,
    a_card_number_is_refused,
    too_large_a_value_is_refused,
    nobody_comes_in_without_a_token,
    unknown_paths_and_methods_are_problems,
    http2_without_tls_is_spoken,
    metrics_count_what_happened,
);

async fn a_stored_value_comes_back_as_it_was(w: World) {
    let (api, path) = (w.api(), bin_path("a"));
    let miss = api.get(&path).await;
    assert_eq!((miss.status.as_u16(), miss.problem().as_str()), (404, "miss"));
    assert!((1..=64).contains(&miss.header("switchyard-fence").len()), "{miss:?}");
    assert_eq!(miss.header("x-cache"), "miss");
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("switchyard-status", "203"),
        ("switchyard-ttl-ms", "60000"),
        ("switchyard-processor", "acquirer-a"),
    ];
    let stored = api.send(Method::PUT, &path, &headers, b"{\"scheme\":\"visa\"}").await;
    assert_eq!(stored.status, 204, "{stored:?}");
    let hit = api.get(&path).await;
    assert_eq!(hit.status, 200);
    assert_eq!(&hit.body[..], b"{\"scheme\":\"visa\"}");
    for (name, value) in &headers[..2] {
        assert_eq!(hit.header(name), *value);
    }
    assert_eq!(hit.header("switchyard-processor"), "acquirer-a");
    assert_eq!(hit.header("x-cache"), "hit");
    let (left, age) = (number(&hit, "switchyard-ttl-ms"), number(&hit, "switchyard-age-ms"));
    assert!(left > 50_000 && left <= 60_000 && age < 10_000 && left + age <= 60_000, "{left} {age}");
    // What was not given is not given back.
    assert_eq!(api.put(&path, b"").await.status, 204);
    let bare = api.get(&path).await;
    assert_eq!((bare.header("switchyard-status"), bare.body.len()), ("200", 0));
    assert!(!bare.headers.contains_key("content-type") && !bare.headers.contains_key("switchyard-processor"));
}

fn number(reply: &Reply, name: &str) -> u64 {
    reply.header(name).parse().expect("a number")
}

async fn a_value_expires(w: World) {
    let (api, path) = (w.api(), bin_path("a"));
    let put = api.send(Method::PUT, &path, &[("switchyard-ttl-ms", "300")], b"x").await;
    assert_eq!(put.status, 204);
    until("the value expires", async || api.get(&path).await.status == 404).await;
}

async fn a_time_to_live_is_cut_to_the_bound(w: World) {
    let (api, path) = (w.api(), status_path("a"));
    let put = api.send(Method::PUT, &path, &[("switchyard-ttl-ms", "99999999999")], b"x").await;
    assert_eq!(put.status, 204);
    assert!(number(&api.get(&path).await, "switchyard-ttl-ms") <= 600_000);
}

async fn a_deletion_is_idempotent(w: World) {
    let (api, path) = (w.api(), bin_path("a"));
    assert_eq!(api.put(&path, b"x").await.status, 204);
    for _ in 0..2 {
        assert_eq!(api.delete(&path).await.status, 204);
        assert_eq!(api.get(&path).await.status, 404);
    }
    assert_eq!(api.put(&path, b"y").await.status, 204);
    assert_eq!(&api.get(&path).await.body[..], b"y");
}

/// Misses and stores, as the filter does.
async fn load(api: &Api, path: &str, entity: &str, body: &[u8]) {
    let miss = api.get_of(path, &key(entity)).await;
    assert_eq!(miss.status, 404, "{miss:?}");
    let put = api.put_of(path, &key(entity), miss.header("switchyard-fence"), body).await;
    assert_eq!(put.status, 204, "{put:?}");
}

async fn deleting_an_entity_invalidates_its_values_and_no_others(w: World) {
    let api = w.api();
    load(api, &status_path("a"), "payment", b"1").await;
    load(api, &status_path("b"), "payment", b"2").await;
    load(api, &status_path("c"), "other", b"3").await;
    assert_eq!(api.delete(&status_path("payment")).await.status, 204);
    assert_eq!(api.get_of(&status_path("a"), &key("payment")).await.status, 404);
    assert_eq!(api.get_of(&status_path("b"), &key("payment")).await.status, 404);
    assert_eq!(&api.get_of(&status_path("c"), &key("other")).await.body[..], b"3");
    load(api, &status_path("a"), "payment", b"4").await;
    assert_eq!(&api.get_of(&status_path("a"), &key("payment")).await.body[..], b"4");
}

async fn deleting_a_values_own_key_deletes_it_under_its_entity(w: World) {
    let api = w.api();
    load(api, &status_path("a"), "payment", b"1").await;
    load(api, &status_path("b"), "payment", b"2").await;
    load(api, &status_path("self"), "self", b"3").await;
    assert_eq!(api.delete(&status_path("a")).await.status, 204);
    assert_eq!(api.get_of(&status_path("a"), &key("payment")).await.status, 404);
    assert_eq!(&api.get_of(&status_path("b"), &key("payment")).await.body[..], b"2");
    assert_eq!(api.delete(&status_path("self")).await.status, 204);
    assert_eq!(api.get_of(&status_path("self"), &key("self")).await.status, 404);
}

async fn a_fence_older_than_the_invalidation_is_refused(w: World) {
    let (api, path, payment) = (w.api(), status_path("a"), key("payment"));
    let before = api.get_of(&path, &payment).await;
    for deleted in ["payment", "a"] {
        let fence = api.get_of(&path, &payment).await.header("switchyard-fence").to_owned();
        assert_eq!(api.delete(&status_path(deleted)).await.status, 204);
        let late = api.put_of(&path, &payment, &fence, b"old").await;
        assert_eq!((late.status.as_u16(), late.problem().as_str()), (412, "fence_outdated"));
        assert_eq!(api.get_of(&path, &payment).await.status, 404);
    }
    load(api, &path, "payment", b"new").await;
    let late = api.put_of(&path, &payment, before.header("switchyard-fence"), b"old").await;
    assert_eq!(late.status, 412);
    assert_eq!(&api.get_of(&path, &payment).await.body[..], b"new");
}

async fn a_fence_that_proves_nothing_is_refused(w: World) {
    let (api, path, payment) = (w.api(), status_path("a"), key("payment"));
    let other_tier = if w.redis.is_some() { "m0.0" } else { "r0.0.0.0.ffffffffff" };
    for fence in ["x", "m1", other_tier, "m12345678.ffff", "rffffffff.0.0.0.0"] {
        let put = api.put_of(&path, &payment, fence, b"x").await;
        assert_eq!(put.problem(), "fence_outdated", "{fence}");
    }
    let headers = [("switchyard-ttl-ms", "1000"), ("switchyard-entity", &payment.to_string())];
    let put = api.send(Method::PUT, &path, &headers, b"x").await;
    assert_eq!((put.status.as_u16(), put.problem().as_str()), (400, "malformed_request"));
}

async fn a_value_is_found_only_under_its_own_entity(w: World) {
    let (api, path) = (w.api(), status_path("a"));
    load(api, &path, "payment", b"1").await;
    assert_eq!(api.get(&path).await.status, 404);
    assert_eq!(api.get_of(&path, &key("other")).await.status, 404);
    assert_eq!(api.get_of(&path, &key("payment")).await.status, 200);
}

async fn namespaces_are_apart(w: World) {
    let api = w.api();
    assert_eq!(api.put(&bin_path("a"), b"x").await.status, 204);
    assert_eq!(api.get(&status_path("a")).await.status, 404);
    assert_eq!(api.delete(&status_path("a")).await.status, 204);
    assert_eq!(api.get(&bin_path("a")).await.status, 200);
    for name in ["fx", "BIN", "%ff"] {
        let reply = api.get(&format!("/v1/lookup/{name}/{}", key("a"))).await;
        let expected = if name == "%ff" { "malformed_request" } else { "unknown_namespace" };
        assert_eq!(reply.problem(), expected, "{name}");
    }
}

async fn what_is_malformed_is_said(w: World) {
    let (api, path) = (w.api(), bin_path("a"));
    for bad in ["x", &key("a").to_string().to_uppercase(), &key("a").to_string()[1..]] {
        for path in [format!("/v1/lookup/bin/{bad}"), format!("/v1/pins/{bad}")] {
            let reply = api.get(&path).await;
            assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (400, "malformed_key"), "{path}");
        }
    }
    let ttl = ("switchyard-ttl-ms", "1000");
    let long = "x".repeat(129);
    let cases: [&[(&str, &str)]; 10] = [
        &[],
        &[("switchyard-ttl-ms", "0")],
        &[("switchyard-ttl-ms", "-1")],
        &[("switchyard-ttl-ms", "1.5")],
        &[ttl, ttl],
        &[ttl, ("switchyard-status", "199")],
        &[ttl, ("switchyard-status", "600")],
        &[ttl, ("switchyard-processor", "")],
        &[ttl, ("switchyard-processor", "a b")],
        &[ttl, ("content-type", &long)],
    ];
    for headers in cases {
        let reply = api.send(Method::PUT, &path, headers, b"x").await;
        assert_eq!(reply.problem(), "malformed_request", "{headers:?}");
    }
    let reply = api.send(Method::PUT, &path, &[ttl, ("switchyard-entity", "x")], b"x").await;
    assert_eq!(reply.problem(), "malformed_key");
    for body in ["", "{}", "[]", r#"{"processor":""}"#, r#"{"processor":"a","more":1}"#, r#"{"processor":"a b"}"#] {
        for path in [pin_path("a"), claim_path("a")] {
            let reply = api.send(Method::PUT, &path, &[], body.as_bytes()).await;
            assert_eq!(reply.problem(), "malformed_request", "{body}");
        }
    }
    let long = "p".repeat(65);
    assert_eq!(api.record(&pin_path("a"), &long).await.problem(), "malformed_request");
    assert_eq!(api.record(&pin_path("a"), &long[1..]).await.status, 201);
}

async fn a_card_number_is_refused(w: World) {
    let (api, path) = (w.api(), bin_path("a"));
    let put = api.put(&path, br#"{"number":"4111 1111 1111 1111"}"#).await;
    assert_eq!((put.status.as_u16(), put.problem().as_str()), (422, "card_number"));
    let (card, ttl) = ("4111111111111111", ("switchyard-ttl-ms", "60000"));
    for header in [("switchyard-processor", card), ("content-type", card)] {
        assert_eq!(api.send(Method::PUT, &path, &[ttl, header], b"x").await.problem(), "card_number", "{header:?}");
    }
    assert_eq!(api.get(&path).await.status, 404);
    for path in [pin_path("a"), claim_path("a")] {
        assert_eq!(api.record(&path, card).await.problem(), "card_number", "{path}");
    }
    assert_eq!(api.get(&pin_path("a")).await.problem(), "no_pin");
}

async fn too_large_a_value_is_refused(w: World) {
    let (api, path) = (w.api(), bin_path("a"));
    let most = vec![b'x'; 65_536];
    assert_eq!(api.put(&path, &most).await.status, 204);
    assert_eq!(api.get(&path).await.body.len(), 65_536);
    for len in [65_537, 2 << 20] {
        let put = api.put(&path, &vec![b'x'; len]).await;
        assert_eq!((put.status.as_u16(), put.problem().as_str()), (413, "value_too_large"));
    }
    let put = api.send(Method::PUT, &pin_path("a"), &[], &most).await;
    assert_eq!(put.problem(), "value_too_large");
}

async fn nobody_comes_in_without_a_token(w: World) {
    let token = crate::client::TOKEN;
    let wrong = [
        vec![],
        vec![format!("Bearer {token}x")],
        vec!["Bearer ".to_owned()],
        vec![format!("Basic {token}")],
        vec![token.to_owned()],
        vec![format!("Bearer {token}"), format!("Bearer {token}")],
    ];
    for values in &wrong {
        let headers: Vec<_> = values.iter().map(|v| ("authorization", v.as_str())).collect();
        for path in [bin_path("a"), pin_path("a"), claim_path("a"), "/v1/unknown".to_owned()] {
            let reply = w.api().raw(Method::PUT, &path, &headers, b"").await;
            assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (401, "unauthorized"), "{values:?}");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
    let any_case = format!("bearer {token}");
    let reply = w.api().raw(Method::GET, &bin_path("a"), &[("authorization", &any_case)], b"").await;
    assert_eq!(reply.status, 404);
}

async fn unknown_paths_and_methods_are_problems(w: World) {
    for path in ["/", "/v1", "/v1/lookup/bin", "/v2/lookup/bin/x", "/metrics"] {
        let reply = w.api().get(path).await;
        assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (404, "not_found"), "{path}");
    }
    for (method, path) in
        [(Method::POST, bin_path("a")), (Method::DELETE, pin_path("a")), (Method::GET, claim_path("a"))]
    {
        let reply = w.api().send(method, &path, &[], b"").await;
        assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (405, "method_not_allowed"), "{path}");
        assert!(!reply.header("allow").is_empty(), "{path}");
    }
    assert_eq!(w.node.admin.get("/v1/pins").await.problem(), "not_found");
}

async fn http2_without_tls_is_spoken(w: World) {
    let api = Api::http2(w.node.at);
    assert_eq!(api.put(&bin_path("a"), b"x").await.status, 204);
    let many = (0..100).map(|_| {
        let api = api.clone();
        tokio::spawn(async move { api.get(&bin_path("a")).await.status })
    });
    for reply in many.collect::<Vec<_>>() {
        assert_eq!(reply.await.expect("answered"), 200);
    }
}

async fn metrics_count_what_happened(w: World) {
    let api = w.api();
    api.get(&bin_path("a")).await;
    api.put(&bin_path("a"), b"12345").await;
    api.get(&bin_path("a")).await;
    api.record(&pin_path("a"), "p").await;
    let line = "cache_lookups_total{namespace=\"bin\",result=\"miss\"}";
    assert_eq!(w.node.metric(line).await, 1.0);
    assert_eq!(w.node.metric("cache_lookups_total{namespace=\"bin\",result=\"hit_memory\"}").await, 1.0);
    assert_eq!(w.node.metric("cache_stores_total{namespace=\"bin\",result=\"stored\"}").await, 1.0);
    assert_eq!(w.node.metric("cache_memory_bytes{namespace=\"bin\"}").await, 5.0 + 32.0 + 700.0);
    assert_eq!(w.node.metric("cache_memory_entries{namespace=\"bin\"}").await, 1.0);
    assert_eq!(w.node.metric("cache_records_total{kind=\"pin\",result=\"created\"}").await, 1.0);
    assert_eq!(w.node.metric("cache_requests_total{route=\"lookup\",status=\"2xx\"}").await, 2.0);
    let text = w.node.admin.get("/metrics").await;
    assert!(text.header("content-type").starts_with("application/openmetrics-text"));
    let body = std::str::from_utf8(&text.body).expect("text");
    for name in cache_service::metrics::NAMES {
        assert!(body.contains(&format!("# TYPE {name} ")), "{name}");
    }
    assert_eq!(w.node.admin.get("/healthz").await.status, 200);
}
