//! The parts of a split.

use super::super::values::{name, number};
use super::super::{Result, wrong};
use super::Builder;
use crate::config::{defaults, raw};
use crate::operation::PoolId;
use crate::rules::{Attribute, Part, Source, Split};

impl Builder<'_> {
    pub(super) fn split(
        &mut self,
        path: &str,
        rule: &str,
        raw: raw::Split,
        mut pool: impl FnMut(&str, raw::Pool) -> Result<PoolId>,
    ) -> Result<Split> {
        let path = format!("{path}.split");
        let by = self.source(&format!("{path}.by"), raw.by)?;
        let count = defaults::SPLIT_PARTS_RANGE;
        if !count.contains(&raw.parts.len()) {
            return wrong(format!("{path}.parts"), format!("{} to {} parts", count.start(), count.end()));
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for (i, part) in raw.parts.into_iter().enumerate() {
            let path = format!("{path}.parts[{i}]");
            let known_as = part.name.unwrap_or_else(|| i.to_string());
            name(&format!("{path}.name"), &known_as)?;
            if names.contains(&known_as) {
                return wrong(format!("{path}.name"), format!("{known_as:?} is there already"));
            }
            let share = number(&format!("{path}.share"), Some(part.share), 0, defaults::SHARE_RANGE)?;
            let share = u32::try_from(share).unwrap_or(u32::MAX);
            parts.push(Part::new(rule, &known_as, share, pool(&format!("{path}.use"), part.pool)?));
            names.push(known_as);
        }
        if parts.iter().all(|part| part.share == 0) {
            return wrong(format!("{path}.parts"), "at least one share over 0");
        }
        Ok(Split { by, parts })
    }

    fn source(&mut self, path: &str, raw: raw::Source) -> Result<Source> {
        let (source, missing) = match raw {
            raw::Source::Key => (Source::Key, self.told.key.is_none().then_some("an operation with key.header")),
            raw::Source::Tenant => (Source::Tenant, self.told.tenant.is_none().then_some("tenant.header")),
            raw::Source::Merchant => (Source::Text(Attribute::Merchant), self.told.missing(Attribute::Merchant)),
            raw::Source::Bin => (Source::Bin, self.told.missing(Attribute::Bin)),
            raw::Source::Header(name) => (Source::Text(self.header(path, &name)?), None),
            raw::Source::Body(pointer) => (Source::Text(self.body(path, &pointer)?), None),
        };
        match missing {
            Some(missing) => wrong(path, format!("no charge can have it: {missing} is not given")),
            None => Ok(source),
        }
    }
}
