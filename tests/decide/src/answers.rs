//! What an answer costs to read: `Profile::read` of 1 KiB.

use std::hint::black_box;

use decision::operation::Kind;
use decision::payment::{Answer, Asked, Outcome, Spoke};

use crate::{Case, Failure, bodies, configurations};

/// Bytes of an answer.
pub(crate) const BYTES: usize = 1_024;
/// What an approval of the sample processor begins with.
pub(crate) const APPROVED: &str = r#"{"id":"pay_1","status":"succeeded","network":"visa","response_code":"00""#;

/// Approvals and declines, under the profile of the configuration that is shipped and under presets.
pub(crate) fn all() -> Result<Vec<Case>, Failure> {
    [
        ("as shipped, approved", "sample", 201, APPROVED, Outcome::Approved),
        (
            "as shipped, declined",
            "sample",
            402,
            r#"{"id":"pay_1","status":"declined","network":"visa","response_code":"51""#,
            Outcome::DeclinedSoft,
        ),
        (
            "preset stripe, approved",
            "stripe",
            200,
            r#"{"id":"pi_1","object":"payment_intent","status":"succeeded""#,
            Outcome::Approved,
        ),
        (
            "preset stripe, declined",
            "stripe",
            402,
            r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"stolen_card","payment_intent":{"id":"pi_1"}}"#,
            Outcome::DeclinedHard,
        ),
        (
            "preset adyen, approved",
            "adyen",
            200,
            r#"{"pspReference":"ABC123","resultCode":"Authorised""#,
            Outcome::Approved,
        ),
    ]
    .map(|(what, profile, status, head, means)| case(what, profile, status, head, means))
    .into_iter()
    .collect()
}

fn case(what: &'static str, profile: &str, status: u16, head: &str, means: Outcome) -> Result<Case, Failure> {
    let profile = configurations::profile(profile)?;
    let body = bodies::answer(head, BYTES);
    Ok(Case::new("Profile::read", what, bodies::sized(BYTES), move || {
        let body = Some(black_box(body.as_bytes()));
        let answer = Answer { status, spoke: Spoke::Processor, body, asked: Asked::default() };
        let read = profile.read(Kind::Charge, answer);
        assert_eq!(black_box(read).outcome, means, "the answer means something else");
    }))
}
