//! What is compared: our filter as it is shipped, and Envoy's outlier detection with several times of ejection.

use std::fmt;
use std::net::SocketAddr;

use e2e::processor::Config;
use e2e::stack::{Acquirer, Artefacts, EnvoyProcess, EnvoySpec, Plan, ProcessorProcess, Stack, Workdir, render};

use crate::Failure;

/// The other arm's configuration.
const TEMPLATE: &str = include_str!("../../outlier.yaml");

/// An arm of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arm {
    /// The shipped configuration and filter.
    Ours,
    /// Outlier detection that ejects for so many seconds, and as much longer each time.
    Outlier(u16),
}

/// Every arm. Times of ejection from ours to Envoy's default: a short one comes back sooner, a long one is hit less often.
pub(super) const ARMS: [Arm; 4] = [Arm::Ours, Arm::Outlier(2), Arm::Outlier(10), Arm::Outlier(30)];

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours => f.write_str("switchyard"),
            Self::Outlier(seconds) => write!(f, "outlier {seconds} s"),
        }
    }
}

/// A started arm. Dropping it stops every part.
pub(super) enum Running {
    Ours(Box<Stack>),
    Outlier(Box<Outlier>),
}

/// Envoy with its own outlier detection, and the processors behind it.
pub(super) struct Outlier {
    // In the order they are dropped: callers before those they call, and the folder with their logs last.
    envoy: EnvoyProcess,
    proxy: SocketAddr,
    processors: [ProcessorProcess; 3],
    _dir: Workdir,
}

impl Arm {
    pub(super) async fn start(self, artefacts: &Artefacts, workers: u16) -> Result<Running, Failure> {
        let Self::Outlier(seconds) = self else {
            let plan = Plan { workers, ..Plan::new(artefacts.clone()) };
            return Ok(Running::Ours(Box::new(Stack::start(plan).await?)));
        };
        let dir = Workdir::new()?;
        let processor = |acquirer: Acquirer| {
            ProcessorProcess::start(artefacts.processor.clone(), Config::named(acquirer.name()), dir.path())
        };
        let [a, b, c] = Acquirer::ALL;
        let processors = [processor(a).await?, processor(b).await?, processor(c).await?];
        let [a, b, c] = processors.each_ref().map(|processor| processor.api().port().to_string());
        let values = [
            ("PROCESSOR_A_PORT", a),
            ("PROCESSOR_B_PORT", b),
            ("PROCESSOR_C_PORT", c),
            ("EJECTION", format!("{seconds}s")),
        ];
        let spec = EnvoySpec {
            name: "outlier".to_owned(),
            program: artefacts.envoy.clone(),
            config: render(TEMPLATE, &values, &[])?,
            workers,
            secret_env: Vec::new(),
        };
        let envoy = EnvoyProcess::start(spec, dir.path()).await?;
        let proxy = *envoy.listeners().values().next().ok_or("Envoy has no listener")?;
        Ok(Running::Outlier(Box::new(Outlier { envoy, proxy, processors, _dir: dir })))
    }
}

impl Running {
    pub(super) fn proxy(&self) -> SocketAddr {
        match self {
            Self::Ours(stack) => stack.proxy(),
            Self::Outlier(outlier) => outlier.proxy,
        }
    }

    /// The processors in their order.
    pub(super) fn processors(&self) -> [&ProcessorProcess; 3] {
        match self {
            Self::Ours(stack) => Acquirer::ALL.map(|acquirer| stack.processor(acquirer)),
            Self::Outlier(outlier) => outlier.processors.each_ref(),
        }
    }

    /// How often a processor was shut out, and how often one was tried again where that is told.
    pub(super) async fn turns(&self) -> Result<(u32, Option<u32>), Failure> {
        let counted = async |envoy: &EnvoyProcess, filter: &str| -> Result<u32, Failure> {
            Ok(u32::try_from(envoy.stats(filter).await?.values().sum::<u64>())?)
        };
        match self {
            Self::Ours(stack) => {
                let to = |state| format!(r"switchyard_breaker_transitions_total\..*\.to={state}(\.|$)");
                let envoy = stack.envoy()?;
                Ok((counted(envoy, &to("open")).await?, Some(counted(envoy, &to("half_open")).await?)))
            }
            Self::Outlier(outlier) => {
                Ok((counted(&outlier.envoy, r"outlier_detection\.ejections_enforced_total$").await?, None))
            }
        }
    }
}
