//! How conditions see a charge: one value of each attribute.

use super::condition::{Attribute, Money};
use crate::payment::{Bin, Payment};
use crate::time::Wall;

/// One charge, by attribute.
pub(super) trait Probe {
    /// The text of an attribute; none: it is absent, or no text.
    fn text(&self, attribute: Attribute) -> Option<&[u8]>;
    /// The amount.
    fn amount(&self) -> Money;
    /// The range of cards.
    fn bin(&self) -> Option<Bin>;
    /// Of [`Attribute::Week`] or [`Attribute::Date`].
    fn seconds(&self, attribute: Attribute) -> u64;
}

/// What rules read of one request. It holds a key and whatever headers carry, so it is never printed.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// From the body.
    pub payment: &'a Payment,
    /// The HTTP method, as it came.
    pub http_method: &'a [u8],
    /// The path without its query, as it came.
    pub path: &'a [u8],
    /// The values of [`Needs::headers`](super::Needs::headers), in their order: the first of a repeated one.
    pub headers: &'a [Option<Vec<u8>>],
    /// The values of [`Needs::queries`](super::Needs::queries), likewise.
    pub queries: &'a [Option<Vec<u8>>],
    /// The values of [`Needs::bodies`](super::Needs::bodies), in their order.
    pub bodies: &'a [Option<String>],
    /// Who calls.
    pub tenant: Option<&'a [u8]>,
    /// The idempotency key.
    pub key: Option<&'a [u8]>,
    /// The time of day.
    pub wall: Wall,
}

/// A week, in seconds.
pub(super) const WEEK: u64 = 7 * DAY;
/// A day, in seconds.
pub(super) const DAY: u64 = 86_400;

impl Facts<'_> {
    /// The value of a header, parameter or body pointer by its place.
    pub(super) fn slot(list: &[Option<Vec<u8>>], at: u16) -> Option<&[u8]> {
        list.get(usize::from(at))?.as_deref()
    }
}

impl Probe for Facts<'_> {
    fn text(&self, attribute: Attribute) -> Option<&[u8]> {
        match attribute {
            Attribute::Currency => Some(self.payment.amount.currency.as_str().as_bytes()),
            Attribute::Scheme => self.payment.scheme.map(|scheme| scheme.as_str().as_bytes()),
            Attribute::IssuerCountry => self.payment.issuer_country.as_ref().map(|country| country.as_str().as_bytes()),
            Attribute::Funding => self.payment.funding.map(|funding| funding.as_str().as_bytes()),
            Attribute::Merchant => self.payment.merchant.as_deref().map(str::as_bytes),
            Attribute::Method => self.payment.method.as_deref().map(str::as_bytes),
            Attribute::HttpMethod => Some(self.http_method),
            Attribute::Path => Some(self.path),
            Attribute::Header(at) => Facts::slot(self.headers, at),
            Attribute::Query(at) => Facts::slot(self.queries, at),
            Attribute::Body(at) => self.bodies.get(usize::from(at))?.as_deref().map(str::as_bytes),
            Attribute::Amount | Attribute::Bin | Attribute::Week | Attribute::Date => None,
        }
    }

    fn amount(&self) -> Money {
        (self.payment.amount.currency, self.payment.amount.minor)
    }

    fn bin(&self) -> Option<Bin> {
        self.payment.bin
    }

    fn seconds(&self, attribute: Attribute) -> u64 {
        let seconds = self.wall.0 / 1_000_000;
        // 1970 began on a Thursday.
        if attribute == Attribute::Week { seconds.saturating_add(3 * DAY) % WEEK } else { seconds }
    }
}
