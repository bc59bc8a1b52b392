//! Laws of the parts, over random operations.

use decision::exchange::{Body, Ending, Ends, Exchange, Headers, ResponseHead};
use decision::lookup::Answer;
use decision::payment::{Encoding, Spoke};
use decision::processor::ProcessorId;
use decision::router::Router;
use proptest::prelude::*;

use crate::fixture::{CHARGE, REFUSED, at, config, lines};

proptest! {
    /// Whatever events arrive in whatever order, nothing panics, and nothing is in flight at the end.
    #[test]
    fn any_order_of_events_ends_with_nothing_in_flight(
        exchanges in prop::collection::vec(prop::collection::vec(0_u8..17, 0..12), 1..20),
        seed: u64,
    ) {
        let mut router = Router::new(config(), seed);
        for (i, events) in exchanges.iter().enumerate() {
            let mut exchange = Exchange::default();
            let now = at(u64::try_from(i).unwrap() * 300);
            for event in events {
                play(&mut exchange, &mut router, *event, now);
            }
            exchange.on_done(&mut router, Ending::Quiet, now);
        }
        for id in (0..3).filter_map(ProcessorId::new) {
            prop_assert_eq!(router.in_flight(id), 0);
        }
    }

    /// No bytes make the parser panic, and what it reads is within bounds.
    #[test]
    fn any_bytes_parse_or_are_refused(body in prop::collection::vec(any::<u8>(), 0..200), form: bool) {
        let encoding = if form { Encoding::Form } else { Encoding::Json };
        if let Ok(payment) = decision::payment::parse(encoding, &body, &config().fields) {
            prop_assert!(payment.amount.minor <= decision::payment::Amount::MINOR_MAX);
        }
    }

    /// A card number leaves at most its first eight digits.
    #[test]
    fn a_card_number_does_not_survive(digits in "[0-9]{12,19}") {
        let body = format!(r#"{{"amount":1,"currency":"EUR","source":{{"number":"{digits}"}}}}"#);
        let payment = decision::payment::parse(Encoding::Json, body.as_bytes(), &config().fields).unwrap();
        let shown = format!("{payment:?}");
        prop_assert!(!shown.contains(&digits[..9]));
    }
}

fn play(exchange: &mut Exchange, router: &mut Router, event: u8, now: decision::time::Now) {
    let request = |key: &'static [u8], method: &'static [u8], path: &'static [u8]| {
        lines(&[
            (":method", method),
            (":path", path),
            ("authorization", b"t"),
            ("content-type", b"application/json"),
            ("idempotency-key", key),
        ])
    };
    let holder = || "a".to_owned();
    match event {
        0 => drop(exchange.on_request_headers(
            router,
            Headers::new(&request(b"k", b"POST", b"/v1/payments")),
            Ends::Later,
            now,
        )),
        1 => drop(exchange.on_request_headers(
            router,
            Headers::new(&request(b"k", b"POST", b"/v1/payments/p/capture")),
            Ends::Here,
            now,
        )),
        2 => drop(exchange.on_request_headers(
            router,
            Headers::new(&request(b"k", b"GET", b"/v1/payments/p")),
            Ends::Here,
            now,
        )),
        3 | 4 => drop(exchange.on_request_body(router, Body::Whole(CHARGE.as_bytes()), now)),
        5 => drop(exchange.on_request_body(router, Body::TooLarge, now)),
        6 => drop(exchange.on_answer(router, Answer::Unavailable, now)),
        7 => drop(exchange.on_answer(router, Answer::Pinned(holder()), now)),
        8 => drop(exchange.on_answer(router, Answer::Miss(None), now)),
        9 => drop(exchange.on_answer(router, Answer::Claimed(decision::lookup::Claim::Fresh, holder()), now)),
        10 => drop(exchange.on_answer(router, Answer::Claimed(decision::lookup::Claim::Existing, holder()), now)),
        11 => drop(exchange.on_answer(router, Answer::Stored, now)),
        12..=14 => {
            let (status, spoke) =
                [(200, Spoke::Processor), (503, REFUSED), (500, Spoke::Processor)][usize::from(event - 12)];
            let head = ResponseHead { status, spoke, headers: Headers::new(&[]), cluster: None };
            drop(exchange.on_response_headers(router, head, Ends::Later, now));
        }
        15 => drop(exchange.on_response_body(router, Body::Whole(br#"{"id":"p","status":"succeeded"}"#), now)),
        _ => drop(exchange.on_response_body(router, Body::TooLarge, now)),
    }
}
