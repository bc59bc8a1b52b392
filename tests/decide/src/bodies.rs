//! What a charge's body costs to read: `payment::parse`, by size.

use std::hint::black_box;

use decision::payment::{Encoding, parse};

use crate::{Case, Failure, configurations};

/// JSON of this many bytes.
pub(crate) fn json(size: usize) -> Result<Case, Failure> {
    case("JSON", Encoding::Json, size, request(size))
}

/// A form of this many bytes.
pub(crate) fn form(size: usize) -> Result<Case, Failure> {
    let head = "amount=1999&currency=EUR&merchant=shop&source[number]=4242424242424242";
    let item = |n| format!("&items[{n}][description]=Two+pairs+of+socks%2C+grey");
    case("form", Encoding::Form, size, filled(head, item, "&note=", "", size))
}

fn case(what: &'static str, encoding: Encoding, size: usize, body: String) -> Result<Case, Failure> {
    let fields = configurations::ruled(Vec::new())?.fields;
    Ok(Case::new("payment::parse", what, sized(size), move || {
        let read = parse(encoding, black_box(body.as_bytes()), &fields);
        assert!(black_box(read).is_ok(), "the body does not read");
    }))
}

/// A charge of this many bytes: what is routed by, and what is bought.
pub(crate) fn request(size: usize) -> String {
    let head = r#"{"amount":1999,"currency":"EUR","merchant":"shop","source":{"number":"4242424242424242","name":"A. Customer"},"items":[{"sku":"0"}"#;
    let item = |n| format!(r#",{{"sku":"{n}","name":"Two pairs of socks","quantity":2,"price":999,"gift":false}}"#);
    filled(head, item, r#"],"note":""#, r#""}"#, size)
}

/// An answer of this many bytes: `head` is what it begins with.
pub(crate) fn answer(head: &str, size: usize) -> String {
    let item = |n| format!(r#","field_{n}":{{"name":"value {n}","number":{n},"list":[1,2,3],"none":null}}"#);
    filled(head, item, r#","note":""#, r#""}"#, size)
}

/// A body of exactly `size` bytes: its head, as many items as fit, and a note that fills the rest.
fn filled(head: &str, item: impl Fn(usize) -> String, note: &str, end: &str, size: usize) -> String {
    let mut body = head.to_owned();
    for n in 1.. {
        let item = item(n);
        if body.len() + item.len() + note.len() + end.len() > size {
            break;
        }
        body.push_str(&item);
    }
    body.push_str(note);
    let rest = size.saturating_sub(body.len() + end.len());
    body + &"x".repeat(rest) + end
}

pub(crate) fn sized(size: usize) -> String {
    if size < 1_024 { format!("{size} bytes") } else { format!("{} KiB", size / 1_024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_as_long_as_they_say() {
        for size in crate::BODIES {
            assert_eq!(request(size).len(), size);
            assert_eq!(answer(r#"{"id":"p""#, size).len(), size);
        }
    }
}
