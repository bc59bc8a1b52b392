//! What an answer means and proves, under the profile of its processor.
//!
//! In order: the profile's own rules over HTTP status and values of the body; what HTTP alone says of 4xx and 5xx; the
//! word of status in the body, which the codes beside it refine. Status alone misreads outcomes: declines are 2xx at some
//! processors, 402 or 422 at others.

use super::card::Scheme;
use super::document::{Document, Pointer, Scalar};
use super::evidence::{Evidence, Spoke};
use super::field39::{self, Purpose};
use super::outcome::Outcome;
use super::profile::{Field, Meaning, NetworkCodes, OutcomeRule, Place, Profile};
use super::{Amount, Payment};
use crate::operation::{Kind, is_plain};

/// What is known of the charge that was asked for, as far as its answer's meaning depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The card's scheme; the answer's own word wins.
    pub scheme: Option<Scheme>,
    /// How much.
    pub amount: Option<Amount>,
}

impl From<&Payment> for Asked {
    fn from(payment: &Payment) -> Self {
        Self { scheme: payment.scheme, amount: Some(payment.amount) }
    }
}

/// A response, as far as its meaning goes.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Who made it.
    pub spoke: Spoke,
    /// The whole body, where it could be read.
    pub body: Option<&'a [u8]>,
    /// What it answers.
    pub asked: Asked,
}

/// What an answer was read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it means.
    pub outcome: Outcome,
    /// What it proves.
    pub evidence: Evidence,
    /// The payment's id, where the answer of a charge names one that can stand in a path.
    pub payment_id: Option<String>,
    /// The card's scheme, from the answer or else from the request.
    pub scheme: Option<Scheme>,
}

impl Reading {
    /// Of what was not read.
    pub fn bare(spoke: Spoke, status: u16, outcome: Outcome) -> Self {
        let evidence = Evidence::of(spoke, status, outcome, None);
        Self { outcome, evidence, payment_id: None, scheme: None }
    }
}

/// What HTTP alone says of an answer. 402 is a decline at several processors; its body tells.
fn of_http(status: u16) -> Option<Outcome> {
    match status {
        500.. => Some(Outcome::Failed),
        429 => Some(Outcome::RateLimited),
        409 => Some(Outcome::InFlight),
        408 => Some(Outcome::TimedOut),
        401 | 403 => Some(Outcome::Misconfigured),
        402 => None,
        400.. => Some(Outcome::InvalidRequest),
        _ => None,
    }
}

impl Profile {
    /// What an answer means and proves.
    pub fn read(&self, kind: Kind, answer: Answer<'_>) -> Reading {
        let Answer { status, spoke, body, asked } = answer;
        if let Spoke::Proxy(reply) = spoke {
            return Reading::bare(spoke, status, reply.outcome());
        }
        if kind != Kind::Charge {
            return Reading::bare(spoke, status, of_http(status).unwrap_or(Outcome::Answered));
        }
        let document = body.and_then(|body| Document::parse(self.encoding, body));
        let view = View { profile: self, document: document.as_ref(), asked };
        let (outcome, said) = view.told(status).unwrap_or(match body {
            Some(_) => (Outcome::Unclear, None),
            None => (Outcome::Unread, None),
        });
        Reading {
            outcome,
            evidence: Evidence::of(spoke, status, outcome, said),
            payment_id: view.at(&self.payment_id).filter(|id| is_plain(id)),
            scheme: view.scheme(),
        }
    }

    /// The outcome a payment's own representation tells, such as the body of a status look-up.
    pub fn outcome_of_payment(&self, body: &[u8]) -> Outcome {
        let document = Document::parse(self.encoding, body);
        let view = View { profile: self, document: document.as_ref(), asked: Asked::default() };
        view.told(200).map_or(Outcome::Unclear, |(outcome, _)| outcome)
    }
}

/// One answer, under the profile it is read by.
struct View<'a> {
    profile: &'a Profile,
    /// None where the body could not be read.
    document: Option<&'a Document<'a>>,
    asked: Asked,
}

impl View<'_> {
    /// The outcome, and what a rule says it proves; none where neither HTTP nor the body tells.
    fn told(&self, http: u16) -> Option<(Outcome, Option<Evidence>)> {
        let profile = self.profile;
        if let Some(rule) = profile.rules.iter().find(|rule| self.holds(rule, http)) {
            return Some((self.refined(rule.meaning), rule.evidence));
        }
        if let Some(outcome) = of_http(http) {
            return Some((outcome, None));
        }
        self.document?;
        if self.at(&profile.code).is_some_and(|code| profile.technical.contains(&code)) {
            return Some((Outcome::Failed, None));
        }
        let status = self.at(&profile.status);
        let outcome = match status.as_ref().map(|status| profile.statuses.get(status)) {
            Some(Some(meaning)) => self.refined(*meaning),
            // A word that nobody explained is no word, whatever stands beside it.
            Some(None) => Outcome::Unclear,
            None => match self.coded() {
                // The issuer said yes, and HTTP says that it came to nothing.
                Some(yes @ (Outcome::Approved | Outcome::Pending)) if !(200..300).contains(&http) => match http {
                    402 if yes == Outcome::Approved => Outcome::DeclinedSoft,
                    _ => Outcome::Unclear,
                },
                Some(outcome) => outcome,
                // A 402 that says no more is a decline told by HTTP alone.
                None if http == 402 => Outcome::DeclinedSoft,
                None => Outcome::Unclear,
            },
        };
        Some((outcome, None))
    }

    /// The word of status and the code beside it together. A decline is what its code says; an approval whose code says
    /// no is unclear.
    fn refined(&self, meaning: Meaning) -> Outcome {
        let coded = self.coded();
        match (meaning, coded) {
            // A code that no table explains contradicts nobody: it may be a text such as "OK".
            (Meaning::Is(Outcome::Approved), Some(code)) if denies(code) && self.explains_code() => Outcome::Unclear,
            (Meaning::Is(outcome), _) => outcome,
            (Meaning::Declined, None) => Outcome::DeclinedSoft,
            // The issuer said yes and the processor's own checks said no.
            (Meaning::Declined, Some(Outcome::Approved | Outcome::Pending)) => Outcome::DeclinedSoft,
            (Meaning::Declined, Some(code)) => code,
        }
    }

    /// What the codes say: the processor's own table first, then the scheme's.
    fn coded(&self) -> Option<Outcome> {
        let profile = self.profile;
        let own = self.at(&profile.code).and_then(|code| profile.codes.of(&code));
        match own {
            Some(Meaning::Is(outcome)) => return Some(outcome),
            Some(Meaning::Declined) => return Some(self.networked().unwrap_or(Outcome::DeclinedSoft)),
            None => {}
        }
        self.networked()
    }

    /// Does a table say what the code means, rather than "any other code is a decline"?
    fn explains_code(&self) -> bool {
        let profile = self.profile;
        let own = || self.at(&profile.code).and_then(|code| profile.codes.of(&code));
        own().is_some() || self.network_code().is_some_and(field39::is_known)
    }

    fn network_code(&self) -> Option<field39::Code> {
        field39::Code::parse(&self.at(&self.profile.network_code)?)
    }

    fn networked(&self) -> Option<Outcome> {
        if self.profile.network_codes == NetworkCodes::Own {
            return None;
        }
        let code = self.network_code()?;
        let advice = self.at(&self.profile.advice_code).and_then(|advice| field39::Code::parse(&advice));
        let purpose = match self.asked.amount {
            Some(Amount { minor: 0, .. }) => Purpose::Verification,
            _ => Purpose::Purchase,
        };
        Some(field39::read(self.scheme(), code, advice, purpose).outcome())
    }

    fn scheme(&self) -> Option<Scheme> {
        self.at(&self.profile.scheme).and_then(|word| Scheme::of_word(&word)).or(self.asked.scheme)
    }

    fn holds(&self, rule: &OutcomeRule, http: u16) -> bool {
        (rule.http.is_empty() || rule.http.iter().any(|range| (range.first..=range.last).contains(&http)))
            && rule.when.iter().all(|(place, patterns)| {
                let value = match place {
                    Place::At(pointer) => self.at(std::slice::from_ref(pointer)),
                    Place::Of(field) => self.at(self.pointers(*field)),
                };
                value.is_some_and(|value| patterns.iter().any(|pattern| pattern.fits(&value)))
            })
    }

    fn pointers(&self, field: Field) -> &[Pointer] {
        match field {
            Field::Status => &self.profile.status,
            Field::Code => &self.profile.code,
            Field::NetworkCode => &self.profile.network_code,
            Field::AdviceCode => &self.profile.advice_code,
            Field::ErrorType => &self.profile.error_type,
        }
    }

    fn at(&self, pointers: &[Pointer]) -> Option<String> {
        match self.document?.find(pointers).ok().flatten()? {
            Scalar::Text(text) => Some(text.to_owned()),
            Scalar::Number(number) => Some(number.to_string()),
            Scalar::Bool(flag) => Some(flag.to_string()),
        }
    }
}

/// Does a code say that an approval beside it cannot be one?
fn denies(code: Outcome) -> bool {
    matches!(
        code,
        Outcome::DeclinedSoft
            | Outcome::DeclinedHard
            | Outcome::InvalidRequest
            | Outcome::Misconfigured
            | Outcome::Failed
            | Outcome::IssuerFailed
    )
}

#[cfg(test)]
mod tests {
    use super::super::document::Encoding;
    use super::super::local_reply::{ProxyReply, Why};
    use super::super::profile::{Codes, HttpRange, Pattern};
    use super::*;

    fn profile() -> Profile {
        let at = |p: &str| vec![Pointer::parse(p).unwrap()];
        let statuses = [
            ("succeeded", Meaning::Is(Outcome::Approved)),
            ("declined", Meaning::Declined),
            ("pending", Meaning::Is(Outcome::Pending)),
        ];
        Profile {
            encoding: Encoding::Json,
            payment_id: at("/id"),
            status: at("/status"),
            code: at("/code"),
            network_code: at("/network_code"),
            network_codes: NetworkCodes::Iso8583,
            advice_code: at("/advice"),
            error_type: at("/error/type"),
            scheme: at("/scheme"),
            rules: vec![OutcomeRule {
                http: vec![HttpRange { first: 422, last: 422 }],
                when: vec![(Place::Of(Field::ErrorType), vec![Pattern::parse("card_*")])],
                meaning: Meaning::Declined,
                evidence: None,
            }],
            statuses: statuses.map(|(word, meaning)| (word.to_owned(), meaning)).into(),
            codes: Codes {
                exact: [("20051".to_owned(), Meaning::Is(Outcome::DeclinedHard))].into(),
                prefixes: [
                    ("2".to_owned(), Meaning::Is(Outcome::Unclear)),
                    ("20".to_owned(), Meaning::Is(Outcome::DeclinedSoft)),
                    ("9".to_owned(), Meaning::Declined),
                ]
                .into(),
            },
            technical: ["T1", "96"].map(str::to_owned).into(),
        }
    }

    fn read(status: u16, spoke: Spoke, body: Option<&str>, asked: Asked) -> Reading {
        profile().read(Kind::Charge, Answer { status, spoke, body: body.map(str::as_bytes), asked })
    }

    #[test]
    fn outcomes_of_charges() {
        use Outcome::*;
        for (status, body, want) in [
            (201, Some(r#"{"id":"p","status":"succeeded"}"#), Approved),
            (201, Some(r#"{"status":"succeeded","network_code":"00"}"#), Approved),
            (201, Some(r#"{"status":"succeeded","network_code":"10"}"#), Approved),
            (201, Some(r#"{"status":"succeeded","network_code":"85"}"#), Approved),
            (201, Some(r#"{"status":"succeeded","network_code":"05"}"#), Unclear),
            (201, Some(r#"{"status":"succeeded","network_code":"91"}"#), Unclear),
            (201, Some(r#"{"status":"declined"}"#), DeclinedSoft),
            (201, Some(r#"{"status":"declined","network_code":"51"}"#), DeclinedSoft),
            (201, Some(r#"{"status":"declined","network_code":"41"}"#), DeclinedHard),
            (201, Some(r#"{"status":"declined","network_code":"00"}"#), DeclinedSoft),
            (201, Some(r#"{"status":"declined","network_code":"91"}"#), IssuerFailed),
            (201, Some(r#"{"status":"declined","network_code":6}"#), Failed),
            (201, Some(r#"{"status":"declined","network_code":"03"}"#), Misconfigured),
            (201, Some(r#"{"status":"declined","network_code":"94"}"#), Unclear),
            (201, Some(r#"{"status":"declined","network_code":"76"}"#), Unclear),
            (201, Some(r#"{"status":"declined","network_code":"76","scheme":"mc"}"#), DeclinedHard),
            (201, Some(r#"{"status":"declined","network_code":"82","scheme":"mc","advice":"03"}"#), DeclinedHard),
            (201, Some(r#"{"status":"declined","network_code":"100"}"#), DeclinedSoft),
            (201, Some(r#"{"status":"declined","code":"20051"}"#), DeclinedHard),
            (201, Some(r#"{"status":"declined","code":"20052"}"#), DeclinedSoft),
            (201, Some(r#"{"status":"declined","code":"21"}"#), Unclear),
            (201, Some(r#"{"status":"declined","code":"20051","network_code":"91"}"#), DeclinedHard),
            (201, Some(r#"{"status":"declined","code":"99","network_code":"41"}"#), DeclinedHard),
            (201, Some(r#"{"status":"declined","code":"99"}"#), DeclinedSoft),
            (201, Some(r#"{"status":"declined","code":"T1"}"#), Failed),
            (201, Some(r#"{"status":"succeeded","code":96}"#), Failed),
            (202, Some(r#"{"status":"pending","network_code":"05"}"#), Pending),
            (200, Some(r#"{"network_code":"00"}"#), Approved),
            (402, Some(r#"{"network_code":"00"}"#), DeclinedSoft),
            (302, Some(r#"{"network_code":"00"}"#), Unclear),
            (201, Some(r#"{"status":"succeeded","network_code":"OK"}"#), Approved),
            (201, Some(r#"{"status":"succeeded","network_code":"NO CVV"}"#), Approved),
            (200, Some(r#"{"network_code":"51"}"#), DeclinedSoft),
            (200, Some(r#"{"status":"weird"}"#), Unclear),
            (200, Some(r#"{"status":"weird","network_code":"00"}"#), Unclear),
            (200, Some("{}"), Unclear),
            (200, Some("<html>"), Unclear),
            (200, Some(""), Unclear),
            (200, None, Unread),
            (302, Some("{}"), Unclear),
            (402, Some(r#"{"error":{}}"#), DeclinedSoft),
            (402, Some(r#"{"network_code":"41"}"#), DeclinedHard),
            (422, Some("{}"), InvalidRequest),
            (422, Some(r#"{"error":{"type":"card_error"},"network_code":"14"}"#), DeclinedHard),
            (422, None, InvalidRequest),
            (400, Some("{}"), InvalidRequest),
            (404, Some("<html>"), InvalidRequest),
            (401, Some("{}"), Misconfigured),
            (403, None, Misconfigured),
            (408, Some("{}"), TimedOut),
            (409, Some(r#"{"status":"declined"}"#), InFlight),
            (429, Some("{}"), RateLimited),
            (503, Some(r#"{"status":"succeeded"}"#), Failed),
            (504, None, Failed),
            (u16::MAX, None, Failed),
            (0, Some("{}"), Unclear),
        ] {
            let reading = read(status, Spoke::Processor, body, Asked::default());
            assert_eq!(reading.outcome, want, "{status} {body:?}");
            let known = body.map(|body| profile().outcome_of_payment(body.as_bytes()));
            assert!(!(200..300).contains(&status) || known.is_none_or(|known| known == want), "one body, one meaning");
        }
        for why in Why::ALL {
            let reply = ProxyReply { why, attempts: Some(1) };
            let reading = read(503, Spoke::Proxy(reply), Some(r#"{"status":"succeeded"}"#), Asked::default());
            assert_eq!((reading.outcome, reading.evidence), (reply.outcome(), reply.evidence()), "{why:?}");
        }
    }

    #[test]
    fn what_was_asked_for_decides_where_the_answer_does_not_say() {
        let body = r#"{"status":"declined","network_code":"76"}"#;
        let mastercard = Asked { scheme: Some(Scheme::Mastercard), amount: None };
        let reading = read(200, Spoke::Processor, Some(body), mastercard);
        assert_eq!((reading.outcome, reading.scheme), (Outcome::DeclinedHard, Some(Scheme::Mastercard)));
        let named = r#"{"status":"declined","network_code":"76","scheme":"visa"}"#;
        assert_eq!(read(200, Spoke::Processor, Some(named), mastercard).scheme, Some(Scheme::Visa));
        let zero = Amount { minor: 0, currency: "EUR".parse().unwrap() };
        let verified = Asked { scheme: Some(Scheme::Visa), amount: Some(zero) };
        let body = r#"{"network_code":"85"}"#;
        assert_eq!(read(200, Spoke::Processor, Some(body), verified).outcome, Outcome::Approved);
        assert_eq!(read(200, Spoke::Processor, Some(body), Asked::default()).outcome, Outcome::Unclear);
    }

    #[test]
    fn an_id_that_could_not_stand_in_a_path_is_no_id() {
        for (id, want) in [("pay_1", Some("pay_1")), ("a/b", None), ("..", None), ("", None)] {
            let body = format!(r#"{{"id":"{id}","status":"succeeded"}}"#);
            let reading = read(201, Spoke::Processor, Some(&body), Asked::default());
            assert_eq!(reading.payment_id.as_deref(), want);
        }
    }

    #[test]
    fn answers_may_be_forms() {
        let form = Profile { encoding: Encoding::Form, ..profile() };
        for (body, want) in [
            ("status=succeeded&id=p1", Outcome::Approved),
            ("status=declined&network_code=41", Outcome::DeclinedHard),
            ("status=succeeded&status=declined", Outcome::Unclear),
            ("", Outcome::Unclear),
        ] {
            let answer =
                Answer { status: 200, spoke: Spoke::Processor, body: Some(body.as_bytes()), asked: Asked::default() };
            assert_eq!(form.read(Kind::Charge, answer).outcome, want, "{body}");
        }
    }
}
