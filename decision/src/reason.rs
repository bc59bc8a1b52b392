//! The registry of reasons for an answer that the filter makes itself, and the answer they make.

use std::time::Duration;

/// Why the filter answers instead of a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A charge without a body.
    BodyMissing,
    /// The body is not what its content type says, or nests deeper than 128 levels.
    BodyMalformed,
    /// The body is over the bound.
    BodyTooLarge,
    /// The body is compressed or otherwise encoded.
    BodyEncoded,
    /// The content type is neither JSON nor a form.
    MediaTypeUnknown,
    /// A field that routing reads stands twice.
    FieldRepeated,
    /// No amount.
    AmountMissing,
    /// The amount is no whole number of minor units, or no decimal number no finer than its currency, of 15 digits at most.
    AmountMalformed,
    /// No currency.
    CurrencyMissing,
    /// The currency is not three letters.
    CurrencyMalformed,
    /// Decimal amounts of this currency cannot be read: its decimals are not known.
    CurrencyUnknown,
    /// The merchant is not a text of at most 128 bytes.
    MerchantMalformed,
    /// The operation asks for an idempotency key.
    KeyMissing,
    /// The idempotency key is not one.
    KeyMalformed,
    /// Nobody said who calls.
    TenantMissing,
    /// The tenant's header stands twice, or is too long.
    TenantMalformed,
    /// The payment's id in the path is not one.
    PaymentIdMalformed,
    /// Every processor that may take the charge is out.
    NoProcessor,
    /// The key's claim could not be stored or read.
    KeyStateUnknown,
    /// The key was sent to a processor before, and may not be sent again now.
    KeyUnresolved,
    /// Nobody knows which processor has the payment.
    PinMissing,
    /// Two processors have a payment of this id.
    PinAmbiguous,
    /// The pin could not be read.
    PinStateUnknown,
    /// The only processor that can take the request is out.
    ProcessorOut,
}

impl Reason {
    /// Every reason, for metrics, documents and tests.
    pub const ALL: [Self; 24] = [
        Self::BodyMissing,
        Self::BodyMalformed,
        Self::BodyTooLarge,
        Self::BodyEncoded,
        Self::MediaTypeUnknown,
        Self::FieldRepeated,
        Self::AmountMissing,
        Self::AmountMalformed,
        Self::CurrencyMissing,
        Self::CurrencyMalformed,
        Self::CurrencyUnknown,
        Self::MerchantMalformed,
        Self::KeyMissing,
        Self::KeyMalformed,
        Self::TenantMissing,
        Self::TenantMalformed,
        Self::PaymentIdMalformed,
        Self::NoProcessor,
        Self::KeyStateUnknown,
        Self::KeyUnresolved,
        Self::PinMissing,
        Self::PinAmbiguous,
        Self::PinStateUnknown,
        Self::ProcessorOut,
    ];

    /// The stable code: in the answer, in metrics, in the access log.
    pub fn code(self) -> &'static str {
        self.entry().0
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.entry().1
    }

    /// What happened and what the caller should do: one sentence each.
    pub fn detail(self) -> &'static str {
        self.entry().2
    }

    fn entry(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BodyMissing => ("body_missing", 400, "A charge needs a body. Nothing was sent."),
            Self::BodyMalformed => (
                "body_malformed",
                400,
                "The body is not well-formed, repeats a name, or nests too deeply. Nothing was sent.",
            ),
            Self::BodyTooLarge => ("body_too_large", 413, "The body is over the bound. Nothing was sent."),
            Self::BodyEncoded => ("body_encoded", 415, "Send the body without content-encoding. Nothing was sent."),
            Self::MediaTypeUnknown => (
                "media_type_unknown",
                415,
                "Send application/json or application/x-www-form-urlencoded. Nothing was sent.",
            ),
            Self::FieldRepeated => {
                ("field_repeated", 400, "A field that routing reads stands twice. Nothing was sent.")
            }
            Self::AmountMissing => ("amount_missing", 400, "The charge has no amount. Nothing was sent."),
            Self::AmountMalformed => (
                "amount_malformed",
                400,
                "The amount is a whole number of minor units, or a decimal number no finer than its currency where this \
                 service takes those; not negative, at most 15 digits. Nothing was sent.",
            ),
            Self::CurrencyMissing => ("currency_missing", 400, "The charge has no currency. Nothing was sent."),
            Self::CurrencyMalformed => {
                ("currency_malformed", 400, "The currency is a three-letter code. Nothing was sent.")
            }
            Self::CurrencyUnknown => (
                "currency_unknown",
                400,
                "How many decimals this currency has is not known here, so its decimal amounts cannot be read. Nothing \
                 was sent.",
            ),
            Self::MerchantMalformed => {
                ("merchant_malformed", 400, "The merchant is a text of at most 128 bytes. Nothing was sent.")
            }
            Self::KeyMissing => ("key_missing", 400, "This operation needs an idempotency key. Nothing was sent."),
            Self::KeyMalformed => (
                "key_malformed",
                400,
                "The idempotency key is one header of 1 to 255 visible ASCII characters. Nothing was sent.",
            ),
            Self::TenantMissing => {
                ("tenant_missing", 401, "The header that names the caller is missing. Nothing was sent.")
            }
            Self::TenantMalformed => (
                "tenant_malformed",
                400,
                "The header that names the caller stands once and is at most 8 KiB. Nothing was sent.",
            ),
            Self::PaymentIdMalformed => (
                "payment_id_malformed",
                400,
                "A payment id is 1 to 128 letters, digits and - _ . ~ :. Nothing was sent.",
            ),
            Self::NoProcessor => (
                "no_processor",
                503,
                "Every processor that may take this charge is out. This request was sent to none. Keep the key and try \
                 again with it later; what became of an earlier try of it is not known here.",
            ),
            Self::KeyStateUnknown => (
                "key_state_unknown",
                503,
                "The state of this key is unknown just now. This request was sent to nobody; keep the key and try \
                 again.",
            ),
            Self::KeyUnresolved => (
                "key_unresolved",
                409,
                "This key was used before and its outcome is not known here. Keep the key; do not pay again with \
                 another; ask for the payment's status or try again later.",
            ),
            Self::PinMissing => (
                "pin_missing",
                409,
                "No processor is known to have this payment. This request was sent to nobody. This does not say that \
                 the payment does not exist.",
            ),
            Self::PinAmbiguous => {
                ("pin_ambiguous", 409, "Two processors have a payment of this id. This request was sent to nobody.")
            }
            Self::PinStateUnknown => (
                "pin_state_unknown",
                503,
                "Which processor has this payment is unknown just now. This request was sent to nobody; try again.",
            ),
            Self::ProcessorOut => (
                "processor_out",
                503,
                "The processor that has this payment is out. This request was sent to nobody; try again later.",
            ),
        }
    }
}

/// An answer that the filter makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, lower-case names.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
    /// What the access log shows as the response code's details.
    pub details: &'static str,
}

impl LocalReply {
    /// The answer for `reason`: `application/problem+json` (RFC 9457), with `retry-after` where a wait helps.
    pub fn refuse(reason: Reason, retry_after: Option<Duration>) -> Self {
        let (code, status, detail) = reason.entry();
        let problem = serde_json::json!({
            "type": format!("urn:switchyard:problem:{code}"),
            "title": code.replace('_', " "),
            "status": status,
            "detail": detail,
        });
        let mut headers = vec![
            ("content-type".to_owned(), b"application/problem+json".to_vec()),
            ("cache-control".to_owned(), b"no-store".to_vec()),
        ];
        if let Some(wait) = retry_after {
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_micros() > 0)).max(1);
            headers.push(("retry-after".to_owned(), seconds.to_string().into_bytes()));
        }
        Self { status, headers, body: problem.to_string().into_bytes(), details: code }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_registry_is_complete_and_its_codes_differ() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        // `ALL` holds every variant: they are sorted as declared, and the last is the last declared.
        assert!(Reason::ALL.is_sorted());
        assert_eq!(Reason::ALL.last().map(|r| *r as usize), Some(Reason::ALL.len() - 1));
        for reason in Reason::ALL {
            assert!((400..600).contains(&reason.status()), "{reason:?}");
            assert!(reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }

    #[test]
    fn a_wait_is_rounded_up() {
        let reply = LocalReply::refuse(Reason::NoProcessor, Some(Duration::from_millis(1_200)));
        assert!(reply.headers.contains(&("retry-after".to_owned(), b"2".to_vec())));
    }
}
