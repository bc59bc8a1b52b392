//! Approval rates of the members for one scheme, with as much doubt as they deserve: Beta posteriors whose prior is the
//! rate of all together. A new processor is believed to be as good as the others until it shows what it is.

use super::least::PerMember;
use super::{Member, beta, running};
use crate::payment::Scheme;
use crate::processor::Candidates;
use crate::rng::Rng;
use crate::stats::{Approvals, Stats};
use crate::time::Mono;

/// The prior weighs so many payments, beside the one approved and one declined of an even prior.
const PRIOR_PAYMENTS: f64 = 8.0;

pub(super) struct Rates {
    counts: PerMember<Approvals>,
    /// What everybody is given before it has shown anything.
    prior: Approvals,
}

impl Rates {
    pub(super) fn read(
        members: &[Member],
        running: Candidates,
        stats: &[Stats],
        scheme: Option<Scheme>,
        now: Mono,
    ) -> Self {
        let mut all = Approvals { approved: 1.0, declined: 1.0 };
        let counts = PerMember::of(members, running, |member| {
            let counts = running::of(stats, member.id).map(|stats| stats.approvals(scheme, now)).unwrap_or_default();
            all.approved += counts.approved;
            all.declined += counts.declined;
            counts
        });
        let rate = all.approved / (all.approved + all.declined);
        let prior = Approvals { approved: 1.0 + PRIOR_PAYMENTS * rate, declined: 1.0 + PRIOR_PAYMENTS * (1.0 - rate) };
        Self { counts, prior }
    }

    /// The expected approval rates.
    pub(super) fn means(&self, members: &[Member], running: Candidates) -> PerMember {
        self.posteriors(members, running, |a, b| a / (a + b))
    }

    /// One draw of what each rate may really be.
    pub(super) fn draws(&self, members: &[Member], running: Candidates, rng: &mut Rng) -> PerMember {
        self.posteriors(members, running, |a, b| beta::draw(a, b, rng))
    }

    /// Decided payments behind each rate.
    pub(super) fn volumes(&self, members: &[Member], running: Candidates) -> PerMember {
        self.counts.map(members, running, |_, counts| counts.approved + counts.declined)
    }

    fn posteriors(&self, members: &[Member], running: Candidates, mut of: impl FnMut(f64, f64) -> f64) -> PerMember {
        let Approvals { approved, declined } = self.prior;
        self.counts.map(members, running, |_, counts| of(counts.approved + approved, counts.declined + declined))
    }
}
