//! The laws of splits: an id has one part, shares are kept, and a part that grows takes from the others alone.

use super::{Charge, decide, parse, with};
use proptest::prelude::*;
use serde_json::{Value, json};

fn rule(name: &str, by: &Value, shares: &[u64]) -> Value {
    let parts: Vec<Value> = shares.iter().map(|share| json!({"share": share, "use": {"processors": ["c"]}})).collect();
    json!([{"name": name, "use": {"split": {"by": by, "parts": parts}}}])
}

/// The part of each of so many ids.
fn parts(name: &str, shares: &[u64], ids: u32) -> Vec<usize> {
    let config = parse(&with(&rule(name, &json!("key"), shares), &json!({})));
    let part = |n: u32| {
        let charge = Charge { key: Some(format!("key-{n}")), ..Charge::default() };
        let decision = decide(&config, &charge);
        assert_eq!(decision, decide(&config, &charge), "every try of an id");
        assert_eq!(decision.rule, Some(0));
        let part = decision.part.expect("a part");
        // The default is the first pool, and each part has the next one.
        assert_eq!(config.rules.pools().nth(part + 1), Some(decision.pool));
        part
    };
    (0..ids).map(part).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_part_that_grows_takes_ids_and_moves_no_other(
        mut shares in prop::collection::vec(0_u64..100, 2..6),
        at in 0_usize..6,
        more in 1_u64..100,
    ) {
        shares[0] += 1;
        let at = at % shares.len();
        let before = parts("r", &shares, 2_000);
        shares[at] += more;
        let after = parts("r", &shares, 2_000);
        for (before, after) in before.into_iter().zip(after) {
            prop_assert!(before == after || after == at, "{} to {} when {} grows", before, after, at);
        }
    }
}

#[test]
fn shares_are_kept() {
    for shares in [&[30, 70][..], &[1, 1, 1, 1], &[10_000, 1], &[0, 5], &[7]] {
        let sum: u64 = shares.iter().sum();
        let ids = 40_000;
        let parts = parts("r", shares, ids);
        for (at, share) in shares.iter().enumerate() {
            let got = u64::try_from(parts.iter().filter(|part| **part == at).count()).unwrap();
            let want = u64::from(ids) * share / sum;
            assert!(got.abs_diff(want) < 600, "part {at} of {shares:?} has {got}, should be about {want}");
            assert!(*share > 0 || got == 0, "a share of 0 takes nothing");
        }
    }
}

/// Two rules of the same shares do not send the same ids to their first parts.
#[test]
fn each_rule_draws_for_itself() {
    let (one, other) = (parts("one", &[50, 50], 4_000), parts("other", &[50, 50], 4_000));
    let alike = one.iter().zip(&other).filter(|(a, b)| a == b).count();
    assert!((1_700..2_300).contains(&alike), "{alike} of 4000 alike");
}

#[test]
fn every_source_tells_ids_apart_and_its_absence_is_the_first_part() {
    type Set = fn(&mut Charge, String);
    let table: [(Value, Set); 6] = [
        (json!("key"), |c, id| c.key = Some(id)),
        (json!("tenant"), |c, id| c.tenant = Some(id)),
        (json!("merchant"), |c, id| c.merchant = Some(id)),
        (json!({"header": "X-Customer"}), |c, id| c.header = Some(id)),
        (json!({"body": "/customer"}), |c, id| c.body = Some(id)),
        (json!("bin"), |c, id| c.bin = Some(format!("4{id:0>5}"))),
    ];
    for (by, set) in table {
        let config = parse(&with(&rule("r", &by, &[1, 1]), &json!({})));
        assert_eq!(decide(&config, &Charge::default()).part, Some(0), "{by} is absent");
        let part = |n: u32| {
            let mut charge = Charge::default();
            set(&mut charge, n.to_string());
            decide(&config, &charge).part
        };
        let second = (0..100).filter(|n| part(*n) == Some(1)).count();
        assert!((20..80).contains(&second), "{by}: {second} of 100 in the second part");
    }
}
