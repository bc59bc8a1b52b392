//! Why a pick falls as it does, member by member, for an operator who asks. Nothing is changed and nothing drawn.

use super::least::PerMember;
use super::rates::Rates;
use super::{Balancer, Judged, Member, Memory, Pick, Place, Policy, judged, least_cost, rendezvous, running};
use crate::processor::{Candidates, ProcessorId};
use crate::stats::Stats;

/// Whether a member is in the running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It may be picked.
    Running,
    /// Its breaker or the operator keeps it out.
    NotCandidate,
    /// A level of higher priority takes the payment.
    AnotherPriority,
    /// Slow start leaves it out: for this key, or else by chance, until its share has grown.
    SlowStart,
    /// It asked to be left alone for a while.
    AskedToWait,
    /// It has more in flight than its share.
    NoRoom,
    /// Its approval rate is lower than the best one by more than the margin.
    Margin,
    /// Its approval rate rests on too few payments to be believed.
    Unproven,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::NotCandidate,
        Self::AnotherPriority,
        Self::SlowStart,
        Self::AskedToWait,
        Self::NoRoom,
        Self::Margin,
        Self::Unproven,
    ];

    /// As written in explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::NotCandidate => "not_candidate",
            Self::AnotherPriority => "another_priority",
            Self::SlowStart => "slow_start",
            Self::AskedToWait => "asked_to_wait",
            Self::NoRoom => "no_room",
            Self::Margin => "margin",
            Self::Unproven => "unproven",
        }
    }
}

/// A member, as a policy sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighed {
    /// Which.
    pub id: ProcessorId,
    /// Whether it is in the running.
    pub standing: Standing,
    /// What is compared: `turn`, `credit`, `weight`, `in_flight_by_weight`, `expected_seconds`, `load`, `draw`, `home`,
    /// `approval_rate` or `price`.
    pub measure: &'static str,
    /// How much of it. The lowest `turn`, `in_flight_by_weight`, `expected_seconds`, `load` and `price` wins, the
    /// highest of the others; a `weight` is a share.
    pub value: f64,
}

impl Balancer {
    /// Every member with its standing and what the policy compares.
    pub fn weigh(&self, pick: &Pick<'_>, stats: &[Stats]) -> Vec<Weighed> {
        let candidates = pick.candidates.and(self.everyone);
        let mut out: Vec<(Candidates, Standing)> = vec![(candidates, Standing::NotCandidate)];
        let place = self.place(pick);
        let running = match &place {
            Some(place) => self.standings_placed(place, candidates, pick, stats, &mut out),
            None => self.standings_spread(candidates, pick, stats, &mut out),
        };
        let (measure, values) = self.measure(place.as_ref(), pick, stats, (candidates, running));
        let weighed = |member: &Member| Weighed {
            id: member.id,
            standing: out.iter().find(|(left, _)| !left.contains(member.id)).map_or(Standing::Running, |(_, why)| *why),
            measure,
            value: values.get(&self.members, member.id).unwrap_or(0.0),
        };
        self.members.iter().map(weighed).collect()
    }

    fn standings_placed(
        &self,
        place: &Place<'_>,
        candidates: Candidates,
        pick: &Pick<'_>,
        stats: &[Stats],
        out: &mut Vec<(Candidates, Standing)>,
    ) -> Candidates {
        let (_, first) = self.levels.first(candidates);
        let slow_start = (self.settings.slow_start, pick.now);
        let warm = running::warm_for(&self.members, first, stats, slow_start, place.bytes());
        let roomy = self.roomy(place, warm, stats);
        out.extend([(first, Standing::AnotherPriority), (warm, Standing::SlowStart), (roomy, Standing::NoRoom)]);
        roomy
    }

    fn standings_spread(
        &self,
        candidates: Candidates,
        pick: &Pick<'_>,
        stats: &[Stats],
        out: &mut Vec<(Candidates, Standing)>,
    ) -> Candidates {
        let shares = self.levels.shares(&self.members, candidates).filter(|(_, share)| *share > 0);
        let near = shares.fold(Candidates::default(), |all, (left, _)| all.or(left));
        let warm = |id| {
            let known = running::of(stats, id);
            known.is_none_or(|stats| stats.warmth(self.settings.slow_start, pick.now) >= 1.0)
        };
        let warm: Candidates = self.members.iter().map(|m| m.id).filter(|id| near.contains(*id) && warm(*id)).collect();
        let heeded = self.heeded(near, stats, pick.now);
        out.extend([(near, Standing::AnotherPriority), (heeded, Standing::AskedToWait), (warm, Standing::SlowStart)]);
        if let Policy::LeastCost { margin_bp, min_volume, .. } = self.settings.policy {
            let rates = Rates::read(&self.members, heeded, stats, pick.scheme, pick.now);
            let field = least_cost::Field::of(&self.members, heeded, &rates, margin_bp, min_volume);
            let believed = if field.proven.is_empty() { heeded } else { field.proven };
            out.extend([(believed, Standing::Unproven), (field.eligible, Standing::Margin)]);
        }
        heeded
    }

    fn measure(
        &self,
        place: Option<&Place<'_>>,
        pick: &Pick<'_>,
        stats: &[Stats],
        (candidates, running): (Candidates, Candidates),
    ) -> (&'static str, PerMember) {
        let members = &self.members;
        // Those who are out are measured as well, where that means something without the others.
        let of = |number: &dyn Fn(&Member) -> f64| PerMember::of(members, candidates, number);
        match place {
            Some(Place::Rendezvous(key)) => return ("draw", of(&|m| rendezvous::draw(m, key))),
            Some(place) => {
                let home = self.placed(place, self.levels.first(candidates).0, running);
                return ("home", of(&|m| f64::from(u8::from(Some(m.id) == home))));
            }
            None => {}
        }
        let judgement = judged(&self.settings.policy, members, running, stats, pick.now);
        match (&self.settings.policy, &self.memory, judgement) {
            (Policy::LeastConnections, _, Judged::Costs(costs)) => ("in_flight_by_weight", costs),
            (Policy::LeastResponseTime, _, Judged::Costs(costs)) => ("expected_seconds", costs),
            (_, _, Judged::Costs(costs)) => ("load", costs),
            (_, _, Judged::Weights(weights)) => ("weight", weights),
            (_, Memory::RoundRobin(cursor), _) => {
                ("turn", of(&|m| f64::from(u32::try_from(cursor.before(members, m.id)).unwrap_or(u32::MAX))))
            }
            (Policy::Random, _, _) => ("weight", of(&|_| 1.0)),
            (Policy::WeightedRandom, _, _) => ("weight", of(&|m| f64::from(m.weight))),
            (Policy::ApprovalRate { .. }, _, _) => {
                let rates = Rates::read(members, running, stats, pick.scheme, pick.now);
                ("approval_rate", rates.means(members, running))
            }
            (Policy::LeastCost { .. }, _, _) => ("price", least_cost::prices(members, candidates, pick.amount)),
            _ => ("credit", of(&|m| self.turns.credit(members, m.id) + f64::from(m.weight))),
        }
    }
}
