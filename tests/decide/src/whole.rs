//! What a whole charge costs: `Exchange`, from its headers to its end, 1 KiB there and back.

use std::hint::black_box;

use decision::exchange::{Body, Ending, Ends, Exchange, Headers, ResponseHead, Step};
use decision::lookup::Answer;
use decision::payment::Spoke;
use decision::router::Router;

use crate::charges::Clock;
use crate::{Case, Failure, answers, bodies, configurations, rules};

/// Bytes of the request's body.
const BYTES: usize = 1_024;

/// A charge without a key, over so many rules. The cache-service is not asked: that its pin is stored is said at once.
pub(crate) fn charge(number: usize) -> Result<Case, Failure> {
    let config = configurations::ruled(rules::list(rules::Kind::Mixed, number))?;
    let mut router = Router::new(config, 1);
    let mut clock = Clock::new();
    let request = lines(&[
        (":method", "POST"),
        (":path", "/v1/payments"),
        (":authority", "pay.example"),
        (":scheme", "https"),
        ("accept", "*/*"),
        ("authorization", "Bearer of-a-shop"),
        ("content-length", "1024"),
        ("content-type", "application/json"),
        ("user-agent", "shop/1.0"),
        ("x-request-id", "one-of-a-long-row-of-requests"),
    ]);
    let response = lines(&[(":status", "201"), ("content-length", "1024"), ("content-type", "application/json")]);
    let (asked, answered) = (bodies::request(BYTES), bodies::answer(answers::APPROVED, answers::BYTES));
    Ok(Case::new("Exchange", "a charge of 1 KiB, answered with 1 KiB", format!("{number} rules"), move || {
        let mut exchange = Exchange::default();
        let now = clock.next();
        let step = exchange.on_request_headers(&mut router, black_box(Headers::new(&request)), Ends::Later, now);
        assert_eq!(step, Step::ReadBody);
        let step = exchange.on_request_body(&mut router, Body::Whole(black_box(asked.as_bytes())), now);
        assert!(matches!(black_box(step), Step::Forward(_)), "not sent");
        let (later, headers) = (clock.later(40), Headers::new(&response));
        let head = ResponseHead { status: 201, spoke: Spoke::Processor, headers, cluster: None };
        let step = exchange.on_response_headers(&mut router, black_box(head), Ends::Later, later);
        assert_eq!(step, Step::HoldResponse);
        let step = exchange.on_response_body(&mut router, Body::Whole(black_box(answered.as_bytes())), later);
        assert!(matches!(black_box(step), Step::Ask(_)), "no pin");
        let step = exchange.on_answer(&mut router, Answer::Stored, later);
        assert!(matches!(black_box(step), Step::Pass(_)), "held");
        exchange.on_done(&mut router, Ending::Quiet, later);
        while let Some(fact) = router.poll_fact() {
            black_box(fact);
        }
    }))
}

fn lines(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}
