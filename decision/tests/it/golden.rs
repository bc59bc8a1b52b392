//! What the real NGINX and the real Envoy picked, replayed: see `data/golden/README.md`.

use decision::balance::{Balancer, HashBy, Member, Pick, Policy, Settings, Weights};
use decision::processor::{Candidates, ProcessorId};
use decision::rng::Rng;
use decision::stats::Stats;
use decision::time::Mono;

/// One recording: fleets, and who each of them picked for each key, client or turn.
struct Recording {
    fleets: Vec<Fleet>,
    rows: Vec<Row>,
}

struct Fleet {
    name: String,
    peers: Vec<Peer>,
}

#[derive(Clone)]
struct Peer {
    name: String,
    weight: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Down,
}

/// What was asked, and the name of who was picked in each fleet.
struct Row {
    asked: String,
    picked: Vec<String>,
}

impl Recording {
    fn read(text: &str) -> Self {
        let (mut fleets, mut rows) = (Vec::new(), Vec::new());
        let mut lines = text.lines();
        // The first two say which host, and by what it was recorded.
        for line in lines.by_ref().skip(2) {
            let Some(fleet) = line.strip_prefix("# ") else {
                // The names of the columns.
                let columns: Vec<&str> = line.split(',').skip(1).collect();
                assert_eq!(columns, fleets.iter().map(|fleet: &Fleet| fleet.name.as_str()).collect::<Vec<_>>());
                break;
            };
            let (name, peers) = fleet.split_once(": ").unwrap();
            fleets.push(Fleet { name: name.to_owned(), peers: peers.split(", ").map(Peer::read).collect() });
        }
        for line in lines {
            let mut fields = line.split(',').map(str::to_owned);
            let row = Row { asked: fields.next().unwrap(), picked: fields.collect() };
            assert_eq!(row.picked.len(), fleets.len(), "{line}");
            rows.push(row);
        }
        assert!(!fleets.is_empty() && rows.len() >= 60, "{} fleets, {} rows", fleets.len(), rows.len());
        Self { fleets, rows }
    }

    /// Who the fleet in this column picked, row by row, as places in it.
    fn picks(&self, column: usize) -> Vec<usize> {
        let place = |row: &Row| self.fleets[column].peers.iter().position(|peer| peer.name == row.picked[column]);
        self.rows.iter().map(|row| place(row).unwrap()).collect()
    }
}

impl Peer {
    fn read(text: &str) -> Self {
        let (text, state) = match text.strip_suffix(" (down)") {
            Some(text) => (text, State::Down),
            None => (text, State::Up),
        };
        let (name, weight) = text.split_once('=').unwrap();
        Self { name: name.to_owned(), weight: weight.parse().unwrap(), state }
    }
}

impl Fleet {
    fn balancer(&self, policy: Policy, seed: u64) -> Balancer {
        let member = |(place, peer): (usize, &Peer)| Member::new(id(place), &peer.name, peer.weight);
        let members = self.peers.iter().enumerate().map(member).collect();
        Balancer::new(Settings::of(policy), members, &mut Rng::new(seed))
    }

    fn candidates(&self) -> Candidates {
        let up = self.peers.iter().enumerate().filter(|(_, peer)| peer.state == State::Up);
        up.map(|(place, _)| id(place)).collect()
    }

    fn has_weights_of(&self, other: &Self) -> bool {
        let weights = |fleet: &Self| fleet.peers.iter().map(|peer| peer.weight).collect::<Vec<_>>();
        weights(self) == weights(other)
    }

    fn without_those_down(&self) -> Self {
        let up = self.peers.iter().filter(|peer| peer.state == State::Up);
        Self { name: self.name.clone(), peers: up.cloned().collect() }
    }

    fn is_whole(&self) -> bool {
        self.peers.iter().all(|peer| peer.state == State::Up)
    }
}

fn id(place: usize) -> ProcessorId {
    ProcessorId::new(place).unwrap()
}

/// Puts what the recording asked into a pick.
type Ask = for<'a> fn(&'a str, &mut Pick<'a>);

fn nothing(_: &str, _: &mut Pick<'_>) {}

fn address<'a>(asked: &'a str, pick: &mut Pick<'a>) {
    pick.source = Some(asked.parse().unwrap());
}

fn input<'a>(asked: &'a str, pick: &mut Pick<'a>) {
    pick.input = Some(asked.as_bytes());
}

/// Who is picked among `candidates` while nothing is known of anyone: the place in the fleet.
fn picked(balancer: &mut Balancer, candidates: Candidates, ask: Ask, asked: &str) -> usize {
    let mut pick = Pick::of(candidates, Mono(0));
    ask(asked, &mut pick);
    let stats = vec![Stats::default(); balancer.members().len()];
    balancer.pick(&pick, &stats, &mut Rng::new(1)).unwrap().index()
}

/// What the recording of a fleet with one down means for ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OneDown {
    /// Where one is no candidate, ours picks what the host picks.
    Same,
    /// The host hashes anew for all whose peer is down; ours sends them elsewhere, and nobody else.
    OnlyItsKeysMove,
    /// The host was started without the peer: ours, configured without it, picks the same.
    Absent,
}

/// Holds every pick of a recording to ours.
fn check(text: &str, policy: &Policy, ask: Ask, one_down: OneDown) {
    let recording = Recording::read(text);
    for (column, fleet) in recording.fleets.iter().enumerate() {
        let theirs = recording.picks(column);
        // The same fleet while all were up.
        let whole = recording.fleets.iter().position(|other| other.is_whole() && other.has_weights_of(fleet));
        let before = recording.picks(whole.unwrap());
        let mut balancer = fleet.balancer(policy.clone(), 0);
        let mut moved = 0;
        for ((row, theirs), before) in recording.rows.iter().zip(theirs).zip(before) {
            let ours = picked(&mut balancer, fleet.candidates(), ask, &row.asked);
            let at = format!("{}, {}", fleet.name, row.asked);
            if fleet.is_whole() || one_down == OneDown::Same {
                assert_eq!(ours, theirs, "{at}");
            }
            if fleet.candidates().contains(id(before)) {
                assert_eq!(ours, before, "{at}: it moved, and its peer is up");
            }
            moved += u32::from(ours != before);
        }
        assert_eq!(fleet.is_whole(), moved == 0, "{}: {moved} moved", fleet.name);
        if one_down == OneDown::Absent {
            let left = fleet.without_those_down();
            let mut balancer = left.balancer(policy.clone(), 0);
            for row in &recording.rows {
                let ours = picked(&mut balancer, left.candidates(), ask, &row.asked);
                assert_eq!(left.peers[ours].name, row.picked[column], "{} without: {}", fleet.name, row.asked);
            }
        }
    }
}

#[test]
fn ip_hash_is_that_of_nginx() {
    let text = include_str!("data/golden/nginx_ip_hash.csv");
    check(text, &Policy::IpHash, address, OneDown::OnlyItsKeysMove);
}

#[test]
fn the_ketama_ring_is_that_of_nginx() {
    let policy = Policy::RingHash { hash_by: HashBy::Tenant, bounded_load: None };
    check(include_str!("data/golden/nginx_ketama.csv"), &policy, input, OneDown::Same);
}

#[test]
fn maglev_is_that_of_envoy() {
    let policy = Policy::Maglev { table_size: 65_537, hash_by: HashBy::Tenant, bounded_load: None };
    check(include_str!("data/golden/envoy_maglev.csv"), &policy, input, OneDown::Absent);
}

#[test]
fn the_other_ring_is_that_of_envoy() {
    let policy = Policy::EnvoyRingHash { hash_by: HashBy::Tenant, bounded_load: None };
    check(include_str!("data/golden/envoy_ring_hash.csv"), &policy, input, OneDown::Absent);
}

/// Ours starts somewhere in NGINX's cycle, each worker elsewhere, and goes on as NGINX does.
#[test]
fn smooth_weighted_round_robin_takes_nginx_turns() {
    let recording = Recording::read(include_str!("data/golden/nginx_smooth_wrr.csv"));
    for (column, fleet) in recording.fleets.iter().enumerate() {
        let theirs = recording.picks(column);
        let mut from_the_start = 0;
        for seed in 0..64 {
            let mut balancer = fleet.balancer(Policy::SmoothWeightedRoundRobin(Weights::Configured), seed);
            let turns = (0..30).map(|_| picked(&mut balancer, fleet.candidates(), nothing, ""));
            let ours: Vec<usize> = turns.collect();
            from_the_start += u32::from(theirs.starts_with(&ours));
            // Once one is out, a cursor that had begun with all is in a cycle of its own.
            let within = theirs.windows(ours.len()).any(|turns| turns == ours);
            assert!(within || !fleet.is_whole(), "{}, seed {seed}: {ours:?}", fleet.name);
        }
        assert!(from_the_start > 0, "{}: from no seed the turns of NGINX: {theirs:?}", fleet.name);
    }
}
