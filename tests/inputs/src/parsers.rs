//! The parsers of `decision`, one reader of bytes each.

use std::fmt::Write as _;
use std::time::Duration;

use decision::config::Config;
use decision::exchange::{Body, Edit, Ending, Ends, Exchange, Headers, Step};
use decision::lookup::{Answer, Claim, KeyBuilder, Namespace, Question, wire};
use decision::operation::{Kind, is_plain};
use decision::payment::{self, Amount, Asked, Encoding, Evidence, IdempotencyKey, Outcome, Payment, ProxyReply, Spoke};
use decision::processor::ProcessorId;
use decision::router::{Charge, Router};
use decision::time::{Mono, Now, Wall};
use serde_json::json;

use crate::configurations;
use crate::text::{Lines, Message, shown, step};

const NOW: Now = Now { mono: Mono(1_000_000), wall: Wall(0) };

/// A configuration: refused with a path and a reason, or good for a worker.
pub(crate) fn configuration(bytes: &[u8]) -> String {
    match Config::parse(bytes) {
        Ok(config) => {
            let mut text = shown(format!("{config:?}").as_bytes());
            let mut router = Router::new(config, 7);
            let rules = router.config().rules.clone();
            for pool in rules.pools().take(100) {
                for key in [None, Some(&KeyBuilder::new("test").finish())] {
                    let charge = Charge { key, ..Charge::of(pool) };
                    let Ok(ticket) = router.route(&charge, NOW) else { continue };
                    let _ = write!(text, " {:?}", ticket.processor());
                    router.release(ticket, NOW);
                }
            }
            text
        }
        Err(error) => {
            assert!(!error.path.is_empty() && !error.message.is_empty(), "an error says where and why: {error:?}");
            shown(error.to_string().as_bytes())
        }
    }
}

/// A request: method and path, headers, a body; while no cache answers.
pub(crate) fn request(bytes: &[u8]) -> String {
    let message = Message::read(bytes);
    let mut head: Lines = vec![
        (b":method".to_vec(), message.word(0).to_vec()),
        (b":path".to_vec(), message.word(1).to_vec()),
        (b":authority".to_vec(), message.word(2).to_vec()),
    ];
    head.extend(message.headers.iter().cloned());
    for (_, value) in &head {
        if let Ok(key) = IdempotencyKey::parse(value) {
            let quoted = [b"\"", key.as_bytes(), b"\""].concat();
            for spelling in [key.as_bytes(), &quoted] {
                assert_eq!(IdempotencyKey::parse(spelling).as_ref(), Ok(&key), "a key has one meaning");
            }
        }
    }
    let mut text = String::new();
    for config in [configurations::shipped(), configurations::narrow()] {
        request_of(config, &head, message.body, &mut text);
    }
    text
}

fn request_of(config: Config, head: &Lines, body: Option<&[u8]>, text: &mut String) {
    let (limit, route_header) = (config.request_body_bytes, config.route_header.clone());
    let mut router = Router::new(config, 7);
    let mut exchange = Exchange::default();
    let ends = if body.is_some() { Ends::Later } else { Ends::Here };
    let mut said = exchange.on_request_headers(&mut router, Headers::new(head), ends, NOW);
    loop {
        let _ = writeln!(text, "{}", step(&said));
        said = match said {
            Step::ReadBody => {
                let whole = body.unwrap_or_default();
                let body = if whole.len() <= limit { Body::Whole(whole) } else { Body::TooLarge };
                exchange.on_request_body(&mut router, body, NOW)
            }
            Step::Ask(_) => exchange.on_answer(&mut router, Answer::Unavailable, NOW),
            Step::Pass(edits) | Step::Forward(edits) => {
                let decided =
                    |name: &[u8]| edits.iter().any(|edit| matches!(edit, Edit::Remove(n) if n.as_slice() == name));
                for (name, _) in head {
                    let control = name.starts_with(b"x-switchyard-") || *name == route_header.as_bytes();
                    assert!(!control || decided(name), "{} goes on as the client sent it", shown(name));
                }
                break;
            }
            Step::Reply(reply) => {
                assert!((400..600).contains(&reply.status), "nothing is known, and {} is answered", reply.status);
                break;
            }
            Step::HoldResponse => panic!("there is no response yet"),
        };
    }
    exchange.on_done(&mut router, Ending::Quiet, NOW);
    let ids = (0..router.config().processors.len()).filter_map(ProcessorId::new);
    assert!(ids.into_iter().all(|id| router.in_flight(id) == 0), "in flight after the end");
}

/// A charge's body, under a content type.
pub(crate) fn payment(bytes: &[u8]) -> String {
    let message = Message::read(bytes);
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(encoding) = Encoding::of_content_type(line) else { return "no content type of a payment".to_owned() };
    let body = message.body.unwrap_or_default();
    let fields = configurations::narrow().fields;
    let payment = match payment::parse(encoding, body, &fields) {
        Ok(payment) => payment,
        Err(reason) => {
            assert_eq!(reason.status(), 400, "a bad body is the client's");
            return reason.code().to_owned();
        }
    };
    let Payment { amount: Amount { minor, currency }, merchant, bin, .. } = &payment;
    assert!(*minor <= Amount::MINOR_MAX && merchant.as_ref().is_none_or(|m| m.len() <= Payment::MERCHANT_LEN_MAX));
    assert!(bin.is_none_or(|bin| matches!(bin.digits().len(), 6 | 8)), "only a range of cards is kept: {bin:?}");
    // Told again in either form it is the same payment; the card is not told again.
    let currency = format!("{currency:?}");
    let mut json = json!({"amount": {"value": minor, "currency": currency}});
    let mut form = format!("amount[value]={minor}&amount[currency]={currency}");
    if let Some(merchant) = merchant {
        json["merchant"] = json!(merchant);
        form.push_str("&merchant=");
        for byte in merchant.bytes() {
            let _ = write!(form, "%{byte:02X}");
        }
    }
    let told = Payment { bin: None, scheme: None, ..payment.clone() };
    assert_eq!(payment::parse(Encoding::Json, json.to_string().as_bytes(), &fields).as_ref(), Ok(&told));
    assert_eq!(payment::parse(Encoding::Form, form.as_bytes(), &fields).as_ref(), Ok(&told));
    shown(format!("{payment:?}").as_bytes())
}

/// A processor's answer: a status and who speaks, and a body.
pub(crate) fn outcome(bytes: &[u8]) -> String {
    let message = Message::read(bytes);
    let status = message.number(0).unwrap_or(0);
    let spoke = match message.word(1) {
        b"proxy" => Spoke::Proxy(ProxyReply::of(b"upstream_reset_before_response_started", 0, Some(1))),
        b"timeout" => Spoke::Proxy(ProxyReply::of(b"response_timeout", 4, Some(1))),
        b"declined" => Spoke::Proxy(ProxyReply::of(b"cluster_not_found", 1 << 24, Some(0))),
        _ => Spoke::Processor,
    };
    let mut text = String::new();
    for processor in configurations::narrow().processors {
        let read = |kind, status, spoke, body| {
            processor.profile.read(kind, payment::Answer { status, spoke, body, asked: Asked::default() })
        };
        for kind in [Kind::Charge, Kind::FollowUp, Kind::Lookup] {
            let reading = read(kind, status, spoke, message.body);
            let (outcome, id) = (reading.outcome, reading.payment_id);
            assert!(Outcome::ALL.contains(&outcome));
            let holds = matches!(outcome, Outcome::Approved | Outcome::Pending | Outcome::ActionRequired);
            assert!(!holds || reading.evidence == Evidence::Processed, "{outcome:?} is {:?}", reading.evidence);
            let unsent = reading.evidence == Evidence::NotSent;
            assert!(!unsent || spoke != Spoke::Processor, "a processor spoke, so something was sent");
            assert!(id.as_ref().is_none_or(|id| kind == Kind::Charge && is_plain(id)), "{kind:?} names {id:?}");
            let _ = write!(text, "{} {id:?} ", outcome.as_str());
        }
        if let Some(body) = message.body {
            let alone = processor.profile.outcome_of_payment(body);
            assert_eq!(read(Kind::Charge, 200, Spoke::Processor, Some(body)).outcome, alone, "one body, one meaning");
            let _ = writeln!(text, "{}", alone.as_str());
        }
    }
    text
}

/// An answer of the cache-service to each question: a status, headers, a body.
pub(crate) fn cache_answer(bytes: &[u8]) -> String {
    let message = Message::read(bytes);
    let headers = Headers::new(&message.headers);
    let body = message.body.unwrap_or_default();
    let key = KeyBuilder::new("test").finish();
    let namespace: Namespace = "bin".parse().expect("a namespace");
    let processor = "acquirer-a".to_owned();
    let lookup = Question::Lookup { namespace: namespace.clone(), key, entity: Some(key) };
    let asked = [
        Question::Invalidate { namespace: namespace.clone(), entity: key },
        Question::Pin { key },
        Question::StorePin { key, processor: processor.clone() },
        Question::Claim { key, processor: processor.clone() },
        lookup.clone(),
    ];
    let mut text = String::new();
    for question in asked {
        let answer = question.read(message.number(0), headers, body);
        let _ = writeln!(text, "{}", shown(format!("{answer:?}").as_bytes()));
        match answer {
            Answer::Pinned(name) | Answer::Claimed(Claim::Existing, name) => {
                assert!((1..=wire::PROCESSOR_LEN_MAX).contains(&name.len()), "{name:?} is no name");
            }
            Answer::Claimed(Claim::Fresh, name) => assert_eq!(name, processor, "a fresh claim is ours"),
            Answer::Miss(fence) => assert!(fence.is_none_or(|fence| fence.len() <= wire::FENCE_LEN_MAX)),
            Answer::Hit(value, ttl) => {
                assert!((200..600).contains(&value.status), "a hit of status {}", value.status);
                if std::str::from_utf8(&value.content_type).is_ok() {
                    let again = Question::Fill {
                        namespace: namespace.clone(),
                        key,
                        entity: None,
                        fence: None,
                        ttl: Duration::from_millis(u64::try_from(ttl.as_millis()).expect("it was read from a u64")),
                        value: value.clone(),
                    };
                    let told = again.request();
                    let lines = told.headers.into_iter().map(|(name, value)| (name.into(), value.into()));
                    let lines: Lines = lines.collect();
                    let read = lookup.read(Some(200), Headers::new(&lines), &told.body);
                    assert_eq!(read, Answer::Hit(value, ttl), "what is filled is what is found");
                }
            }
            Answer::NoPin | Answer::Ambiguous | Answer::Stored | Answer::Refused | Answer::Unavailable => {}
        }
    }
    text
}
