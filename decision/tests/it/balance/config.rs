//! What the configuration says of balancing, and what it refuses.

use decision::balance::{BoundedLoad, HashBy, Keyed, Policy, Weights};
use decision::config::{Config, State};
use serde_json::{Value, json};

use crate::fixture::document;

type Edit = fn(&mut Value);

#[test]
fn an_error_says_where_and_what_was_expected() {
    let policies: &[(Value, &str)] = &[
        (json!(7), "default.policy: invalid type: integer `7`, expected the name of a policy"),
        (json!({"hash_by": "bin"}), "default.policy: missing field `name`"),
        (json!({"name": "random", "weigths": "configured"}), "default.policy.weigths: unknown field `weigths`"),
        (json!({"name": "random", "margin_bp": 5}), "default.policy.margin_bp: only for least_cost"),
        (
            json!({"name": "least_connections", "hash_by": "bin"}),
            "default.policy.hash_by: only for maglev, ring_hash, envoy_ring_hash and rendezvous",
        ),
        (json!("maglev"), "default.policy.hash_by: what is hashed: tenant, merchant"),
        (json!({"name": "maglev", "hash_by": "city"}), "default.policy.hash_by: unknown variant `city`"),
        (json!({"name": "ring_hash", "hash_by": {"header": "a b"}}), "default.policy.hash_by.header: a header name"),
        (
            json!({"name": "ring_hash", "hash_by": "key"}),
            "default.policy.hash_by: charges with a key go by rendezvous already",
        ),
        (
            json!({"name": "maglev", "hash_by": "bin", "table_size": 65536}),
            "default.policy.table_size: 65536 is not a prime",
        ),
        (
            json!({"name": "maglev", "hash_by": "bin", "table_size": 5000011}),
            ".: the hash tables of all pools have 5000011 entries, at most 4194368",
        ),
        (
            json!({"name": "maglev", "hash_by": "bin", "bounded_load_percent": 99}),
            "default.policy.bounded_load_percent: 99 is not within 100 to 1000",
        ),
        (
            json!({"name": "approval_rate", "explore_percent": 51}),
            "default.policy.explore_percent: 51 is not within 0 to 50",
        ),
        (json!("least_cost"), "default.processors[0]: least_cost needs to know what \"a\" costs"),
    ];
    let edits: &[(Edit, &str)] = &[
        (|j| j["default"]["keyed"] = json!("no"), "default.keyed: unknown variant `no`"),
        (|j| j["default"]["panic_percent"] = json!(101), "default.panic_percent: 101 is not within 0 to 100"),
        (|j| j["default"]["slow_start_ms"] = json!(3600001), "default.slow_start_ms: 3600001 is not within"),
        (|j| j["processors"][0]["cost"] = json!({}), "processors[0].cost: rate_bp, fixed, or both"),
        (|j| j["processors"][0]["cost"] = json!({"rate_bp": 10001}), "processors[0].cost.rate_bp: 10001 is not"),
        (
            |j| j["processors"][0]["cost"] = json!({"fixed": {"EURO": 5}}),
            "processors[0].cost.fixed.EURO: a currency is three letters",
        ),
        (|j| j["processors"][0]["priority"] = json!(16), "processors[0].priority: 16 is not within 0 to 15"),
        (
            |j| j["processors"][0]["locality"] = json!({"region": "eu"}),
            "processors[0].locality: it says nothing without locality",
        ),
        (
            |j| {
                j["locality"] = json!({"region": "eu"});
                j["processors"][1]["locality"] = json!({"region": "eu"});
                j["processors"][1]["priority"] = json!(1);
            },
            "processors[1].priority: priority or locality, not both",
        ),
        (|j| j["locality"] = json!({"region": "e u"}), "locality.region: a name is"),
        (|j| j["processors"][0]["state"] = json!("off"), "processors[0].state: unknown variant `off`"),
        (|j| j["processors"][0]["hash_key"] = json!(""), "processors[0].hash_key: 1 to 256 characters"),
    ];
    let of_policies = policies.iter().map(|(policy, want)| {
        let mut json = document();
        json["default"]["policy"] = policy.clone();
        (json, want)
    });
    let of_edits = edits.iter().map(|(edit, want)| {
        let mut json = document();
        edit(&mut json);
        (json, want)
    });
    for (json, want) in of_policies.chain(of_edits) {
        let read = Config::parse(json.to_string().as_bytes());
        let got = read.err().map_or("accepted".to_owned(), |e| e.to_string());
        assert!(got.starts_with(want), "{got:?} should start with {want:?}");
    }
}

#[test]
fn every_policy_is_read_as_it_is_written() {
    let bounded_load = Some(BoundedLoad(125));
    for (written, want) in [
        (json!("round_robin"), Policy::RoundRobin),
        (json!({"name": "round_robin"}), Policy::RoundRobin),
        (json!("smooth_weighted_round_robin"), Policy::SmoothWeightedRoundRobin(Weights::Configured)),
        (
            json!({"name": "smooth_weighted_round_robin", "weights": "reported_load"}),
            Policy::SmoothWeightedRoundRobin(Weights::ReportedLoad),
        ),
        (json!("random"), Policy::Random),
        (json!("weighted_random"), Policy::WeightedRandom),
        (json!("least_connections"), Policy::LeastConnections),
        (json!("least_response_time"), Policy::LeastResponseTime),
        (json!("ip_hash"), Policy::IpHash),
        (
            json!({"name": "maglev", "hash_by": "merchant"}),
            Policy::Maglev { table_size: 65_537, hash_by: HashBy::Merchant, bounded_load: None },
        ),
        (
            json!({"name": "maglev", "hash_by": "key", "table_size": 1009, "bounded_load_percent": 125}),
            Policy::Maglev { table_size: 1_009, hash_by: HashBy::Key, bounded_load },
        ),
        (
            json!({"name": "ring_hash", "hash_by": {"header": "X-City"}, "bounded_load_percent": 125}),
            Policy::RingHash { hash_by: HashBy::Header("x-city".to_owned()), bounded_load },
        ),
        (
            json!({"name": "envoy_ring_hash", "hash_by": "tenant"}),
            Policy::EnvoyRingHash { hash_by: HashBy::Tenant, bounded_load: None },
        ),
        (json!("load_based"), Policy::LoadBased),
        (json!("failure_based"), Policy::FailureBased),
        (json!({"name": "rendezvous", "hash_by": "source_ip"}), Policy::Rendezvous { hash_by: HashBy::SourceIp }),
        (json!("approval_rate"), Policy::ApprovalRate { explore_percent: 5 }),
        (
            json!({"name": "least_cost", "margin_bp": 20, "explore_percent": 2}),
            Policy::LeastCost { margin_bp: 20, min_volume: 50, explore_percent: 2 },
        ),
    ] {
        let mut json = document();
        for processor in json["processors"].as_array_mut().unwrap() {
            processor["cost"] = json!({"rate_bp": 140, "fixed": {"eur": 25}});
        }
        json["default"]["policy"] = written.clone();
        json["default"]["keyed"] = json!("policy");
        let config = Config::parse(json.to_string().as_bytes()).unwrap_or_else(|e| panic!("{written}: {e}"));
        let name = written.as_str().or_else(|| written["name"].as_str()).unwrap();
        assert_eq!((&config.pools[0].balance.policy, want.as_str()), (&want, name));
        assert_eq!((config.pools[0].balance.keyed, config.pools[1].balance.keyed), (Keyed::Policy, Keyed::Rendezvous));
    }
}

#[test]
fn priority_is_said_or_follows_from_where_a_processor_is() {
    let mut json = document();
    json["locality"] = json!({"region": "eu", "zone": "eu-1"});
    json["processors"][0]["locality"] = json!({"region": "eu", "zone": "eu-1"});
    json["processors"][1]["locality"] = json!({"region": "eu", "zone": "eu-2"});
    json["processors"][1]["state"] = json!("drain");
    let priorities = |json: &Value| -> Vec<u8> {
        let config = Config::parse(json.to_string().as_bytes()).unwrap();
        assert_eq!((config.processors[0].state, config.processors[1].state), (State::Active, State::Drain));
        config.processors.iter().map(|p| p.priority).collect()
    };
    assert_eq!(priorities(&json), [0, 1, 2]);
    json["processors"][0]["locality"] = json!({"region": "us", "zone": "eu-1"});
    assert_eq!(priorities(&json), [2, 1, 2]);
    json["processors"][2]["priority"] = json!(7);
    assert_eq!(priorities(&json), [2, 1, 7]);
}
