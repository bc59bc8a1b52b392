//! The stack's own mechanics, with a plain Envoy and, where a cache-service would stand, a stand-in of ours: what starts
//! comes back on its port, what fails says why, and nothing outlives whoever started it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::client::{Client, ClientError, Request};
use e2e::processor::{Config, Mode};
use e2e::stack::{
    Acquirer, ArtefactArgs, Artefacts, Edit, EnvoyProcess, Plan, ProcessorProcess, Redis, RedisProcess, Stack,
    StackError, Workdir, find_envoy,
};

/// The least that has every marker: a proxy that sends everything to `acquirer-a`.
const PLAIN_ENVOY: &str = r#"
admin:
  address:
    socket_address:
      address: 127.0.0.1
      port_value: 9901 # ENVOY_ADMIN_PORT
static_resources:
  listeners:
  - name: in
    address:
      socket_address:
        address: 127.0.0.1
        port_value: 10000 # PROXY_PORT
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: "/"}
                route: {cluster: acquirer-a}
                metadata:
                  filter_metadata:
                    unused:
                      cache: 8081 # CACHE_PORT
                      b: 9102 # PROCESSOR_B_PORT
                      c: 9103 # PROCESSOR_C_PORT
                      wasm: filter.wasm # FILTER_WASM
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: acquirer-a
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: acquirer-a
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: 127.0.0.1
                port_value: 9101 # PROCESSOR_A_PORT
"#;

/// Plays the cache-service's part in the mechanics: binds both ports, says so, sleeps.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import json, os, socket, sys, time
def bind(name):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(os.environ[name]))); s.listen(); return s
listen, admin = bind("CACHE_PORT"), bind("CACHE_ADMIN_PORT")
print("token seen:", os.environ["CACHE_TOKEN"], file=sys.stderr, flush=True)
at = lambda s: "127.0.0.1:%d" % s.getsockname()[1]
print(json.dumps({"ready": True, "listen": at(listen), "admin": at(admin)}), flush=True)
time.sleep(600)
"#;

fn processor_program() -> PathBuf {
    env!("CARGO_BIN_EXE_processor").into()
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn plan(dir: &Workdir) -> Plan {
    Plan::new(Artefacts {
        filter_wasm: dir.path().join("none.wasm"),
        cache_service: write(dir.path(), "stand-in", STAND_IN),
        processor: processor_program(),
        envoy: find_envoy(ArtefactArgs::from_env().envoy_bin).unwrap(),
        envoy_yaml: write(dir.path(), "plain.yaml", PLAIN_ENVOY),
    })
}

#[tokio::test]
async fn every_part_starts_and_comes_back_on_its_port() {
    let dir = Workdir::new().unwrap();
    let mut stack = Stack::start(plan(&dir)).await.unwrap();
    let client = Client::new();
    let health = || client.send(stack.proxy(), Request::get("/health"));
    assert_eq!(health().await.unwrap().status, 200);
    let counts = stack.processor(Acquirer::A).status().await.unwrap().counts;
    assert_eq!(counts.health, 1);
    let stats = stack.stats("^cluster.acquirer-a.upstream_rq_total$").await.unwrap();
    assert_eq!(stats.into_iter().collect::<Vec<_>>(), [("cluster.acquirer-a.upstream_rq_total".to_owned(), 1)]);

    let (proxy, admin) = (stack.proxy(), stack.envoy().unwrap().admin());
    stack.restart_envoy().await.unwrap();
    assert_eq!((stack.proxy(), stack.envoy().map(EnvoyProcess::admin).unwrap()), (proxy, admin));
    assert_eq!(client.send(proxy, Request::get("/health")).await.unwrap().status, 200);

    let cache = stack.cache_service().unwrap().listen();
    stack.stop_cache_service().unwrap();
    let refused = client.send(cache, Request::get("/")).await.unwrap_err();
    assert!(matches!(refused, ClientError::Connect(_)), "{refused}");
    assert!(matches!(stack.cache_service(), Err(StackError::NotRunning(_))));
    stack.restart_cache_service().await.unwrap();
    assert_eq!(stack.cache_service().unwrap().listen(), cache);

    let token = stack.cache_token().to_owned();
    let tails = stack.log_tails();
    assert!(tails.contains("token seen: [secret]") && !tails.contains(&token), "{tails}");
}

/// Starts what cannot start; what it says, and its log of Envoy. Its folder is removed.
async fn fail(plan: Plan) -> (String, Option<String>) {
    let error = Stack::start(plan).await.err().expect("the stack must not start");
    let StackError::Start { error, dir } = error else { panic!("{error}") };
    let log = std::fs::read_to_string(dir.join("envoy.log")).ok();
    std::fs::remove_dir_all(dir).unwrap();
    (error.to_string(), log)
}

#[tokio::test]
async fn a_part_that_does_not_start_says_why_and_keeps_its_log() {
    let dir = Workdir::new().unwrap();
    let mut broken = plan(&dir);
    broken.edits = vec![Edit::new("match: {prefix:", "match: {prefixx:")];
    let (error, log) = fail(broken).await;
    assert!(error.starts_with("envoy did not become ready") && error.contains("prefixx"), "{error}");
    assert!(log.is_some_and(|log| log.contains("prefixx")));
    let mut missing = plan(&dir);
    missing.edits = vec![Edit::new("no such text", "")];
    assert!(fail(missing).await.0.contains("occurs 0 times"));
    let mut silent = plan(&dir);
    silent.artefacts.cache_service = write(dir.path(), "silent", "#!/bin/sh\necho no data >&2\nexit 3\n");
    let (error, _) = fail(silent).await;
    assert!(error.contains("its output ended") && error.contains("no data"), "{error}");
}

#[tokio::test]
async fn a_processor_is_told_how_to_behave_and_shows_its_ledger() {
    let dir = Workdir::new().unwrap();
    let config = Config { id_prefix: "pay_a_".to_owned(), ..Config::named("acquirer-a") };
    let processor = ProcessorProcess::start(processor_program(), config, dir.path()).await.unwrap();
    processor.set(Mode::Decline("51".to_owned())).await.unwrap();
    let body = serde_json::json!({"amount": 5, "currency": "EUR", "source": {"number": "4242424242424242"}});
    let request = Request::post("/v1/payments").json(&body);
    let answer = Client::new().send(processor.api(), request).await.unwrap();
    assert!(answer.text().contains("\"id\":\"pay_a_"), "{}", answer.text());
    let rows = processor.ledger().await.unwrap();
    assert_eq!((rows.len(), rows[0].executed, rows[0].approved), (1, true, false));
    processor.clear_ledger().await.unwrap();
    assert_eq!(processor.ledger().await.unwrap(), []);
    let log = std::fs::read_to_string(dir.path().join("acquirer-a.log")).unwrap();
    assert!(!log.contains("4242424242424242"));
}

#[tokio::test]
async fn a_child_survives_the_thread_that_asked_for_it_and_ends_with_its_owner() {
    let dir = Workdir::new().unwrap();
    let path = dir.path().to_owned();
    let start = move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(ProcessorProcess::start(processor_program(), Config::named("acquirer-b"), &path)).unwrap()
    };
    let processor = std::thread::spawn(start).join().unwrap();
    let client = Client::new();
    // Long enough for a signal on the death of that thread to have come.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let api = processor.api();
    assert_eq!(client.send(api, Request::get("/health")).await.unwrap().status, 200);
    drop(processor);
    let error = client.send(api, Request::get("/health")).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect(_)), "{error}");
}

#[tokio::test]
async fn a_redis_of_our_own_answers_and_can_be_stopped() {
    let dir = Workdir::new().unwrap();
    let redis = RedisProcess::start(dir.path()).await.unwrap();
    assert!(redis.url().starts_with("redis+unix:///") && redis.socket().exists());
    drop(redis);
    let mut with_redis = plan(&dir);
    with_redis.redis = Redis::Own;
    let mut stack = Stack::start(with_redis).await.unwrap();
    stack.stop_redis().unwrap();
    assert!(stack.stop_redis().is_err());
    stack.restart_redis().await.unwrap();
    assert!(stack.redis().is_ok());
}
