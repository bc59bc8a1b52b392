//! A record as it stands in a store: `1 DIGEST one NAME` or `1 DIGEST ambiguous`.
//!
//! The digest of the key is repeated: a reply to another question must never send a payment to the wrong processor.

use super::Pin;
use crate::secret::Digest;
use crate::value::ProcessorName;

/// The text of a record that names one processor.
pub fn one(digest: &Digest, name: &ProcessorName) -> String {
    format!("1 {} one {}", digest.to_hex(), name.as_str())
}

/// The text of a pin that two processors were named for.
pub fn ambiguous(digest: &Digest) -> String {
    format!("1 {} ambiguous", digest.to_hex())
}

/// Reads what stands under the digest; `None` for what this version did not write there.
pub fn read(digest: &Digest, held: Option<&str>) -> Option<Pin> {
    let Some(held) = held else {
        return Some(Pin::Absent);
    };
    let rest = held.strip_prefix("1 ")?.strip_prefix(&digest.to_hex())?;
    if rest == " ambiguous" {
        return Some(Pin::Ambiguous);
    }
    rest.strip_prefix(" one ")?.parse().ok().map(Pin::At)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::KeySecret;
    use decision::lookup::KeyBuilder;

    #[test]
    fn a_record_is_read_only_under_its_own_key() {
        let secret = KeySecret::new("0123456789abcdef").expect("secret");
        let key = KeyBuilder::new("t").finish();
        let (mine, other) = (secret.digest("pin", &key), secret.digest("claim", &key));
        let name: ProcessorName = "acquirer-a".parse().expect("name");
        assert_eq!(read(&mine, None), Some(Pin::Absent));
        assert_eq!(read(&mine, Some(&one(&mine, &name))), Some(Pin::At(name.clone())));
        assert_eq!(read(&mine, Some(&ambiguous(&mine))), Some(Pin::Ambiguous));
        for foreign in [one(&other, &name), ambiguous(&other), String::new(), "2 x one y".to_owned()] {
            assert_eq!(read(&mine, Some(&foreign)), None, "{foreign}");
        }
        assert_eq!(read(&mine, Some(&format!("1 {} one ", mine.to_hex()))), None);
    }
}
