//! Plays a scenario on a host and judges it: what was expected, then the law.

use std::time::Duration;

use super::check::{self, Standing};
use super::fill::{Known, fill, fill_bytes, fill_json};
use super::host::{Call, Deed, Host, HostError, Outcome, Seen, Sent};
use super::law::Witness;
use super::raw::Check;
use super::script::{Action, Body, Scenario, Send, Step};
use e2e::processor::Row;
use e2e::stack::Acquirer;

/// How often something that may take a while is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// All that was seen of one run.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The proxy's workers.
    pub workers: u16,
    /// Every answer that counts, in the order of the file.
    pub answers: Vec<Answered>,
    /// How it all stood at the end, cleared ledgers included.
    pub end: Standing,
}

/// What came of the request of a step.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Where the request stands: `step 3 (paid)`.
    pub place: String,
    /// The request as written.
    pub send: Box<Send>,
    /// What came, once for each time it was sent.
    pub outcomes: Vec<Outcome>,
    /// The access log's reasons, where they were found.
    pub details: Vec<Option<String>>,
}

/// What is not as it should be: each a sentence with its place.
pub type Findings = Vec<String>;

/// Plays `scenario`. The findings are of the scenario's own expectations and of the law.
pub(crate) async fn play(scenario: &Scenario, host: &mut impl Host) -> Result<(Observation, Findings), HostError> {
    let mut player = Player {
        host,
        known: Known::new(),
        witness: Witness::new(scenario.aliases.clone()),
        cleared: Default::default(),
    };
    let (mut answers, mut findings) = (Vec::new(), Vec::new());
    for step in &scenario.steps {
        player.step(step, &mut answers, &mut findings).await?;
        // What follows builds on what came before.
        if !findings.is_empty() {
            break;
        }
    }
    let end = player.standing().await?;
    if findings.is_empty() {
        findings.extend(at("end", check::standing(&scenario.end, &end)));
    }
    findings.extend(at("the law", player.witness.judge(&end.ledgers)));
    let details = player.host.details().await?;
    let answers = answers.into_iter().map(|answered| answered.with(&details, &mut findings)).collect();
    Ok((Observation { workers: scenario.workers, answers, end }, findings))
}

fn at(place: &str, found: Vec<String>) -> impl Iterator<Item = String> {
    found.into_iter().map(move |what| format!("{place}: {what}"))
}

/// An answer whose details are not yet known.
struct Pending {
    place: String,
    send: Box<Send>,
    sent: Vec<Sent>,
}

impl Pending {
    fn with(self, details: &std::collections::BTreeMap<usize, String>, findings: &mut Findings) -> Answered {
        let of = |sent: &Sent| details.get(&sent.id).cloned();
        let details: Vec<_> = self.sent.iter().map(of).collect();
        if let Some(wanted) = &self.send.expect.details {
            let wrong = details.iter().filter(|given| given.as_ref() != Some(wanted));
            findings.extend(wrong.map(|given| format!("{}: details {given:?}, not {wanted:?}", self.place)));
        }
        let outcomes = self.sent.into_iter().map(|sent| sent.outcome).collect();
        Answered { place: self.place, send: self.send, outcomes, details }
    }
}

struct Player<'a, H> {
    host: &'a mut H,
    known: Known,
    witness: Witness,
    /// Rows that a processor was told to forget: the law does not.
    cleared: [Vec<Row>; 3],
}

impl<H: Host> Player<'_, H> {
    async fn step(
        &mut self,
        step: &Step,
        answers: &mut Vec<Pending>,
        findings: &mut Findings,
    ) -> Result<(), HostError> {
        match &step.action {
            Action::Wait(time) => self.host.wait(*time).await?,
            Action::Cache(condition) => self.host.cache(*condition).await?,
            Action::Control(all) => {
                self.host.group(vec![(Duration::ZERO, Deed::Control(all.clone()))]).await?;
            }
            Action::ClearLedger(all) => {
                let ledgers = self.host.ledgers().await?;
                for (who, (rows, kept)) in Acquirer::ALL.into_iter().zip(ledgers.into_iter().zip(&mut self.cleared)) {
                    if all.contains(&who) {
                        kept.extend(rows);
                        self.host.clear_ledger(who).await?;
                    }
                }
            }
            Action::Check(check, within) => findings.extend(at(&step.place, self.check(check, *within).await?)),
            Action::Together(members) => {
                let mut deeds = Vec::new();
                for (when, member) in members {
                    let deed = match &member.action {
                        Action::Send(send) => Deed::Call(self.call(send, 0)?),
                        Action::Control(all) => Deed::Control(all.clone()),
                        Action::Cache(condition) => Deed::Cache(*condition),
                        _ => continue,
                    };
                    deeds.push((*when, deed));
                }
                let calls: Vec<_> = deeds.iter().map(|(_, deed)| deed.clone()).collect();
                let all = self.host.group(deeds).await?;
                for ((sent, deed), (_, member)) in all.into_iter().zip(calls).zip(members) {
                    if let (Some(sent), Deed::Call(call), Action::Send(send)) = (sent, deed, &member.action) {
                        self.witness.saw(&call, &sent.outcome);
                        self.judge(&member.place, send, vec![sent], answers, findings);
                    }
                }
            }
            Action::Send(send) => {
                let sent = self.send(send).await?;
                self.judge(&step.place, send, sent, answers, findings);
            }
        }
        Ok(())
    }

    /// Sends a request as often as it says, and each until it is answered as expected if it may take a while.
    async fn send(&mut self, send: &Send) -> Result<Vec<Sent>, HostError> {
        if send.in_flight > 1 {
            let calls = (0..send.repeat).map(|n| self.call(send, n)).collect::<Result<Vec<_>, _>>()?;
            let all = self.host.load(calls.clone(), send.in_flight).await?;
            for (call, sent) in calls.iter().zip(&all) {
                self.witness.saw(call, &sent.outcome);
            }
            return Ok(all);
        }
        let mut all = Vec::new();
        for n in 0..send.repeat {
            let until = self.host.now() + send.within.unwrap_or_default();
            loop {
                let call = self.call(send, n)?;
                let sent = self.host.group(vec![(Duration::ZERO, Deed::Call(call.clone()))]).await?;
                let Some(sent) = sent.into_iter().next().flatten() else { break };
                self.witness.saw(&call, &sent.outcome);
                let met = check::answer(&send.expect, &sent.outcome, &self.known, n).is_empty();
                if met || self.host.now() >= until {
                    all.push(sent);
                    break;
                }
                self.host.wait(LOOK_EVERY).await?;
            }
        }
        Ok(all)
    }

    /// The request as bytes.
    fn call(&self, send: &Send, n: u64) -> Result<Call, HostError> {
        let known = &self.known;
        let headers = send
            .headers
            .iter()
            .map(|(name, value)| Ok((name.to_ascii_lowercase().into_bytes(), fill_bytes(value, known, n)?)));
        let body = match &send.body {
            Body::Empty => None,
            Body::Text(text) => Some(fill(text, known, n).map_err(HostError)?.into_bytes()),
            Body::Bytes(bytes) => Some(bytes.clone()),
            Body::Json(json) => Some(fill_json(json, known, n).map_err(HostError)?.to_string().into_bytes()),
        };
        Ok(Call {
            method: send.method.clone(),
            path: fill(&send.path, known, n).map_err(HostError)?,
            headers: headers.collect::<Result<_, String>>().map_err(HostError)?,
            body,
            pace: send.pace,
            leave: send.leave,
            connection: send.connection.clone(),
        })
    }

    /// What is wrong with what came, and what later steps may call it.
    fn judge(
        &mut self,
        place: &str,
        send: &Send,
        sent: Vec<Sent>,
        answers: &mut Vec<Pending>,
        findings: &mut Findings,
    ) {
        let place = send.name.as_ref().map_or(place.to_owned(), |name| format!("{place} ({name})"));
        for (n, sent) in (0..).zip(&sent) {
            let mut found = check::answer(&send.expect, &sent.outcome, &self.known, n);
            if send.leave.is_some() && sent.outcome != Outcome::Left {
                found.push("answered before its client left".to_owned());
            }
            let which = if send.repeat > 1 { format!("{place}, number {n}") } else { place.clone() };
            findings.extend(at(&which, found));
        }
        findings.extend(at(&place, check::many(&send.expect, &sent.iter().map(|s| &s.outcome).collect::<Vec<_>>())));
        for (n, sent) in (0..).zip(&sent) {
            if let (Some(name), Outcome::Answer(seen), true) = (&send.name, &sent.outcome, send.repeat > 1) {
                self.known.insert(format!("{name}[{n}]"), seen.clone());
            }
        }
        if let (Some(name), Some(Sent { outcome: Outcome::Answer(seen), .. })) = (&send.name, sent.last()) {
            self.known.insert(name.clone(), Seen::clone(seen));
        }
        answers.push(Pending { place, send: Box::new(send.clone()), sent });
    }

    async fn check(&mut self, check: &Check, within: Option<Duration>) -> Result<Findings, HostError> {
        let until = self.host.now() + within.unwrap_or_default();
        loop {
            let found = check::standing(check, &self.standing().await?);
            if found.is_empty() || self.host.now() >= until {
                return Ok(found);
            }
            self.host.wait(LOOK_EVERY).await?;
        }
    }

    async fn standing(&mut self) -> Result<Standing, HostError> {
        let mut ledgers = self.host.ledgers().await?;
        for (now, before) in ledgers.iter_mut().zip(&self.cleared) {
            now.splice(0..0, before.iter().cloned());
        }
        Ok(Standing { ledgers, arrived: self.host.arrived().await?, metrics: self.host.metrics().await? })
    }
}
