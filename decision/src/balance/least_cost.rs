//! The cheapest of those that are approved about as often as the best: a payment that is declined saves no fee.
//!
//! A rate is believed from a volume on. While one is, whoever is not believed yet is explored and not promoted; while
//! none is, the cheapest goes first. A price that is not known is higher than any that is.

use super::Member;
use super::explorer::Explorer;
use super::least::PerMember;
use super::rates::Rates;
use super::smooth_wrr::SmoothWrr;
use crate::payment::Amount;
use crate::processor::{Candidates, ProcessorId};

/// Who may be promoted, and what that rests on.
pub(super) struct Field {
    /// Those whose rate is believed.
    pub(super) proven: Candidates,
    /// Those that may be promoted.
    pub(super) eligible: Candidates,
}

impl Field {
    pub(super) fn of(members: &[Member], running: Candidates, rates: &Rates, margin_bp: u32, min_volume: u32) -> Self {
        let volumes = rates.volumes(members, running);
        let enough = volumes.each(members, running).filter(|(_, volume)| *volume >= f64::from(min_volume));
        let proven: Candidates = enough.map(|(member, _)| member.id).collect();
        if proven.is_empty() {
            return Self { proven, eligible: running };
        }
        let means = rates.means(members, proven);
        let best = means.each(members, proven).fold(0.0, |best: f64, (_, rate)| best.max(rate));
        let least = best - f64::from(margin_bp) / 10_000.0;
        let near = means.each(members, proven).filter(|(_, rate)| *rate >= least);
        Self { proven, eligible: near.map(|(member, _)| member.id).collect() }
    }
}

/// What the payment costs at each, in minor units.
pub(super) fn prices(members: &[Member], running: Candidates, amount: Option<&Amount>) -> PerMember {
    PerMember::of(members, running, |member| {
        let price = |amount| member.fees.as_ref().and_then(|fees| fees.of(amount));
        amount.and_then(price).unwrap_or(f64::INFINITY)
    })
}

pub(super) fn pick(
    members: &[Member],
    running: Candidates,
    (rates, field): (&Rates, &Field),
    amount: Option<&Amount>,
    (explorer, turns): (&mut Explorer, &mut SmoothWrr),
) -> Option<ProcessorId> {
    let prices = prices(members, field.eligible, amount);
    let best = turns.pick(members, prices.lowest(members, field.eligible))?;
    Some(explorer.choose(members, running, best, || {
        // The one of whom least is known, until it has a volume.
        let volumes = rates.volumes(members, running);
        let unproven = volumes.each(members, running).filter(|(member, _)| !field.proven.contains(member.id));
        unproven.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(member, _)| member.id)
    }))
}
