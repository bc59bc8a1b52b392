//! Charges on their way: begun, claimed, sent, answered, given up and tried again.

use decision::exchange::{Body, Edit, Ending, Ends, Exchange, Explained, Headers, ResponseHead, Step, explain};
use decision::explain::Explanation;
use decision::lookup::{Answer, Claim, Question};
use serde_json::json;

use super::bank::{Asked, Reply};
use super::breakers::Sent;
use super::choices::Choice;
use super::laws::Law;
use super::memory::Racer;
use super::plan::{CARDS, Listed, SECOND, index};
use super::world::{Event, Fault, Live, World};
use crate::fixture::{lines, set};

/// The tries of a client that has a key.
const TRIES: u32 = 4;

/// Was the step's processor counted in only now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admits {
    Now,
    Before,
}

/// Is what was known of a charge still so when it is routed?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Once,
    /// Another worker may come between.
    Races,
}

/// What was known of a charge before it was routed.
struct Known {
    explanation: Explanation,
    rule: Option<String>,
    part: Option<usize>,
}

impl World {
    pub(super) fn begin(&mut self, sale: usize, tries: u32) {
        let proxy = index(&mut self.rng, self.plan.proxies);
        let worker = index(&mut self.rng, self.plan.workers);
        let rival = if self.plan.workers > 1 { self.rival() } else { None };
        let instance = self.proxies[proxy].workers[worker];
        let (x, body) = self.open(instance, sale, tries);
        let Some((sale, tries)) = rival else {
            let known = self.explained(x, &body);
            self.judge_views(x, &known.explanation);
            let step = self.route(x, &body);
            let picked = self.step(x, step, Admits::Now);
            return self.judge_choice(x, known, picked, Asks::Once);
        };
        let other = (worker + 1 + index(&mut self.rng, self.plan.workers - 1)) % self.plan.workers;
        let other = self.proxies[proxy].workers[other];
        let (y, rival) = self.open(other, sale, tries);
        for (x, body) in [(x, &body), (y, &rival)] {
            let known = self.explained(x, body);
            self.judge_choice(x, known, None, Asks::Races);
        }
        let racer = Racer {
            x: y,
            router: self.instances[other].router.clone(),
            exchange: std::mem::take(&mut self.live[y].exchange),
            body: rival,
            now: self.clock(),
            step: None,
        };
        let memories = &self.proxies[proxy].memories;
        let race = memories[worker % memories.len()].race.clone();
        *race.borrow_mut() = Some(racer);
        let step = self.route(x, &body);
        let mut racer = race.borrow_mut().take().unwrap();
        if racer.step.is_some() {
            // It came between the reading and the writing of the first: what it changed was before.
            self.laws.saw(Law::Probes, "another worker came between");
            self.arrived(racer);
            self.step(x, step, Admits::Now);
        } else {
            self.step(x, step, Admits::Now);
            racer.run();
            self.arrived(racer);
        }
    }

    fn arrived(&mut self, racer: Racer) {
        self.live[racer.x].exchange = racer.exchange;
        self.step(racer.x, racer.step.unwrap(), Admits::Now);
    }

    fn head(&self, sale: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let sale = &self.sales[sale];
        let mut head: Vec<(&str, &[u8])> =
            vec![(":method", b"POST"), (":path", b"/v1/payments"), ("content-type", b"application/json")];
        let key = sale.key.map(|key| format!("key-{key}"));
        head.extend(key.iter().map(|key| ("idempotency-key", key.as_bytes())));
        head.extend(sale.shopper.iter().map(|shopper| ("x-shopper", shopper.as_bytes())));
        lines(&head)
    }

    /// A try whose body is about to arrive.
    fn open(&mut self, instance: usize, sale: usize, tries: u32) -> (usize, Vec<u8>) {
        let of = &self.sales[sale];
        let exchange = Exchange::of_caller(Some(of.source.into()));
        let mut body = json!({"amount": 1_000, "currency": of.currency, "number": CARDS[of.card].0});
        if let Some(merchant) = &of.merchant {
            body["merchant"] = json!(merchant);
        }
        self.live.push(Live { instance, exchange, sale, tries, body: None, at: None, sent: None, over: false });
        let (x, now, head) = (self.live.len() - 1, self.clock(), self.head(sale));
        let mut router = self.instances[instance].router.borrow_mut();
        let step = self.live[x].exchange.on_request_headers(&mut router, Headers::new(&head), Ends::Later, now);
        assert_eq!(step, Step::ReadBody);
        drop(router);
        if self.rng.below(25) == 0 {
            let at = self.rng.below(SECOND / 3);
            self.later(at, Event::HangUp { x });
        }
        (x, body.to_string().into_bytes())
    }

    fn route(&mut self, x: usize, body: &[u8]) -> Step {
        let now = self.clock();
        let mut router = self.instances[self.live[x].instance].router.borrow_mut();
        self.live[x].exchange.on_request_body(&mut router, Body::Whole(body), now)
    }

    fn explained(&self, x: usize, body: &[u8]) -> Known {
        let head = self.head(self.live[x].sale);
        let source = Some(self.sales[self.live[x].sale].source.into());
        let mut router = self.instances[self.live[x].instance].router.borrow_mut();
        match explain(&mut router, Headers::new(&head), Some(body), source, self.clock()) {
            Explained::Charge { rule, part, explanation, .. } => Known { explanation, rule, part },
            other => panic!("seed {}: {other:?}", self.seed),
        }
    }

    /// Every worker must see what any worker of the proxy has changed.
    fn judge_views(&mut self, x: usize, explanation: &Explanation) {
        let of = &self.instances[self.live[x].instance];
        let scheme = CARDS[self.sales[self.live[x].sale].card].1;
        for member in &explanation.members {
            let (at, standing) = (of.places[member.weighed.id.index()], member.breaker);
            let agrees = self.proxies[of.proxy].model.agrees(&self.plan, at, scheme, standing, self.now);
            let what = format!("seen as {}", standing.as_str());
            self.laws.judge(Law::Open, what, agrees, || format!("p{at} at {} is not {standing:?}", self.now));
        }
    }

    fn judge_choice(&mut self, x: usize, Known { explanation, rule, part }: Known, picked: Option<usize>, asks: Asks) {
        let live = &self.live[x];
        let (of, sale) = (&self.instances[live.instance], &self.sales[live.sale]);
        let pool = match (rule.as_deref(), part) {
            (None, _) => 0,
            (Some("pounds"), _) => 1,
            (_, part) => 2 + part.unwrap(),
        };
        if let Some(part) = part {
            self.choices.judge_part(&self.plan, &mut self.laws, sale, of.version, part);
        }
        let choice = Choice {
            plan: &self.plan,
            sale,
            explanation: &explanation,
            places: &of.places,
            pool,
            instance: live.instance,
            version: of.version,
            now: self.now,
            picked: picked.filter(|_| asks == Asks::Once),
            asked: if asks == Asks::Once { 1 } else { explanation.members.len() as u64 },
            busy: &of.counted,
        };
        self.choices.judge(&mut self.laws, &choice);
        if let Some(picked) = picked {
            let version = &self.plan.versions[of.version];
            let listed = version.listed[picked] == Listed::Active && self.plan.members(version, pool).contains(&picked);
            self.laws.judge(Law::Exploration, "picked of its pool, and not drained", listed, || {
                format!("p{picked} was picked of pool {pool} of {:?}", version.listed)
            });
        }
    }

    pub(super) fn on_cache_answer(&mut self, x: usize, answer: Option<Answer>) {
        if self.live[x].over {
            return;
        }
        let (now, live) = (self.clock(), &mut self.live[x]);
        let again = matches!(answer, Some(Answer::Claimed(Claim::Existing, _)));
        let mut router = self.instances[live.instance].router.borrow_mut();
        let step = match answer {
            Some(answer) => live.exchange.on_answer(&mut router, answer, now),
            None => live.exchange.on_gave_up(&mut router, now),
        };
        drop(router);
        self.step(x, step, if again { Admits::Now } else { Admits::Before });
    }

    pub(super) fn on_response(&mut self, x: usize, reply: Reply) {
        if self.live[x].over {
            return;
        }
        let (now, live) = (self.clock(), &mut self.live[x]);
        let mut router = self.instances[live.instance].router.borrow_mut();
        let Reply { status, spoke, headers, body, breaks } = reply;
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let headers = lines(&headers);
        let head = ResponseHead { status, spoke, headers: Headers::new(&headers), cluster: None };
        let ends = if body.is_some() { Ends::Later } else { Ends::Here };
        let mut step = live.exchange.on_response_headers(&mut router, head, ends, now);
        if step == Step::HoldResponse && breaks {
            live.exchange.on_done(&mut router, Ending::Broken, now);
            drop(router);
            return self.end(x, "broke off");
        }
        live.body = body;
        if let (Step::HoldResponse, Some(body)) = (&step, &live.body) {
            step = live.exchange.on_response_body(&mut router, Body::Whole(body.as_bytes()), now);
        }
        drop(router);
        self.step(x, step, Admits::Before);
    }

    pub(super) fn on_hang_up(&mut self, x: usize) {
        if self.live[x].over {
            return;
        }
        if self.live[x].at.is_some() {
            self.laws.saw(Law::InFlight, "hung up while counted in");
        }
        if self.fault == Fault::Forgets {
            self.live[x].over = true;
        }
        self.end(x, "hung up");
    }

    /// Does what a step says. The processor that was counted in by it is told.
    fn step(&mut self, x: usize, step: Step, admits: Admits) -> Option<usize> {
        let place = |name: &str| self.plan.made.iter().position(|made| made.name == name);
        let to = match &step {
            Step::Ask(Question::Claim { processor, .. }) => place(processor),
            Step::Forward(edits) => place(&set(edits, "x-switchyard-cluster").unwrap()),
            _ => None,
        };
        let panicked = self.facts(self.live[x].instance, Some(Sent::Charge(x)));
        let admitted = to.filter(|_| admits == Admits::Now);
        if admitted.is_some() || to.is_none() {
            self.count(x, None, panicked);
        }
        if admitted.is_some() {
            self.count(x, admitted, panicked);
        }
        self.judge_in_flight(self.live[x].instance);
        self.act(x, step, to);
        admitted
    }

    /// Follows where a try is counted in.
    fn count(&mut self, x: usize, at: Option<usize>, panicked: Option<usize>) {
        let (now, live) = (self.now, &mut self.live[x]);
        let instance = &mut self.instances[live.instance];
        let model = &mut self.proxies[instance.proxy].model;
        if let Some(old) = live.at.take() {
            *instance.counted.entry(old).or_default() -= 1;
            model.judged(old, Sent::Charge(x), decision::breaker::Verdict::Neutral);
        }
        let Some(at) = at else { return };
        live.at = Some(at);
        *instance.counted.entry(at).or_default() += 1;
        if panicked == Some(at) {
            return self.laws.saw(Law::Open, "sent in a panic");
        }
        let scheme = CARDS[self.sales[live.sale].card].1;
        if model.send(&self.plan, &mut self.laws, (at, Some(scheme)), Sent::Charge(x), now) {
            self.laws.saw(Law::Probes, "a charge probes");
            // Its worker may be gone before the answer comes.
            if self.plan.traps > 0 && self.rng.below(8) == 0 {
                let (proxy, worker) = (instance.proxy, instance.worker);
                let wait = self.rng.below(SECOND / 10);
                self.later(wait, Event::Trap { proxy, worker });
            }
        }
    }

    fn act(&mut self, x: usize, step: Step, to: Option<usize>) {
        let wait = 200 + self.rng.below(2_000);
        match step {
            Step::Forward(edits) => {
                self.note("forward", x);
                assert!(edits.iter().any(|edit| matches!(edit, Edit::Set(..))));
                let at = to.unwrap();
                let sale = &self.sales[self.live[x].sale];
                let asked = Asked { x, key: sale.key, card: sale.card };
                self.live[x].sent = Some(at);
                let (wait, reply) = self.banks[at].arrive(&self.plan.made[at], asked, self.now, &mut self.rng);
                self.later(wait, Event::Response { x, at, reply });
            }
            Step::Ask(question) => {
                let (wait, answer) = self.ask(x, wait, question);
                self.later(wait, Event::CacheAnswer { x, answer });
            }
            Step::Pass(_) => {
                let body = self.live[x].body.clone().unwrap_or_default();
                let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
                let status = json["status"].as_str().unwrap_or("no answer").to_owned();
                if status == "succeeded" {
                    self.succeeded.push(json["id"].as_str().unwrap().to_owned());
                }
                self.end(x, &status);
            }
            Step::Reply(reply) => {
                let said = String::from_utf8_lossy(&reply.body);
                // What each of them says, in one way or another.
                assert!(
                    ["Nothing was sent", "sent to nobody", "sent to none", "was used before"]
                        .iter()
                        .any(|words| said.contains(words))
                );
                let unsent = self.live[x].sent.is_none();
                self.laws
                    .judge(Law::Money, "a refusal sent nothing", unsent, || format!("{} after sending", reply.details));
                self.end(x, reply.details);
            }
            Step::ReadBody | Step::HoldResponse => panic!("seed {}: held for nothing", self.seed),
        }
    }

    fn ask(&mut self, x: usize, wait: u64, question: Question) -> (u64, Option<Answer>) {
        let out = self.is_out();
        match question {
            Question::Claim { processor, .. } if self.fault == Fault::ClaimsLost => {
                (wait, Some(Answer::Claimed(Claim::Fresh, processor)))
            }
            Question::Claim { key, processor } => {
                let chance = self.rng.below(4);
                if out && chance < 2 {
                    return (SECOND / 2, None);
                }
                let fresh = !self.claims.contains_key(&key);
                let holder = self.claims.entry(key).or_insert(processor).clone();
                if out {
                    self.laws.saw(Law::Money, "stored, and not acknowledged");
                    return (SECOND / 2, (chance == 2).then_some(Answer::Unavailable));
                }
                let claim = if fresh { Claim::Fresh } else { Claim::Existing };
                if !fresh {
                    self.laws.saw(Law::Money, "a key came again");
                }
                (wait, Some(Answer::Claimed(claim, holder)))
            }
            Question::StorePin { processor, .. } => {
                let sent = self.live[x].sent.map(|at| self.plan.made[at].name.clone());
                let right = sent.as_ref() == Some(&processor);
                self.laws
                    .judge(Law::Money, "a pin names who has the payment", right, || format!("{processor}, {sent:?}"));
                if out { (SECOND / 2, None) } else { (wait, Some(Answer::Stored)) }
            }
            other => panic!("seed {}: {other:?}", self.seed),
        }
    }

    fn end(&mut self, x: usize, how: &str) {
        let now = self.clock();
        let instance = self.live[x].instance;
        if !std::mem::replace(&mut self.live[x].over, true) {
            let mut router = self.instances[instance].router.borrow_mut();
            self.live[x].exchange.on_done(&mut router, Ending::Quiet, now);
        }
        self.facts(instance, Some(Sent::Charge(x)));
        self.count(x, None, None);
        self.judge_in_flight(instance);
        self.close(x, how);
    }

    /// A try is over for its client: with a key it tries again until it knows.
    pub(super) fn close(&mut self, x: usize, how: &str) {
        self.note(how, x);
        *self.counts.entry(how.to_owned()).or_default() += 1;
        let Live { sale, tries, .. } = self.live[x];
        let known = matches!(how, "succeeded" | "declined");
        if self.sales[sale].key.is_some() && tries + 1 < TRIES && !known {
            let wait = SECOND / 20 + self.rng.below(4 * SECOND);
            self.later(wait, Event::Charge { sale, tries: tries + 1 });
        }
    }
}
