//! A sample processor in a process of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use hyper::Method;
use serde_json::Value;

use super::ask::ask;
use super::child::{Child, Spec};
use super::error::StackError;
use crate::client::Request;
use crate::processor::{Config, Control, Row, Status};

/// A sample processor in a process of its own. Dropping it stops it.
pub struct ProcessorProcess {
    pub(super) child: Child,
    name: String,
    api: SocketAddr,
    control: SocketAddr,
}

impl ProcessorProcess {
    /// Starts `program` as `config` says; its log goes to `dir`.
    pub async fn start(program: PathBuf, config: Config, dir: &Path) -> Result<Self, StackError> {
        let args = [
            ("--name", config.name.clone()),
            ("--port", config.port.to_string()),
            ("--control-port", config.control_port.to_string()),
            ("--id-prefix", config.id_prefix),
        ];
        let spec = Spec {
            name: config.name.clone(),
            program,
            arg0: None,
            args: args.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect(),
            env: Vec::new(),
            secret_env: Vec::new(),
            dir: dir.to_owned(),
        };
        let (child, ready) = Child::start_until_ready(spec).await?;
        let port = |field: &str| ready[field].as_u64().and_then(|port| u16::try_from(port).ok());
        let (Some(api), Some(control)) = (port("port"), port("control")) else {
            return Err(unexpected(child, &ready));
        };
        Ok(Self {
            child,
            name: config.name,
            api: (Ipv4Addr::LOCALHOST, api).into(),
            control: (Ipv4Addr::LOCALHOST, control).into(),
        })
    }

    /// Where it takes payments.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Where it is told how to behave.
    pub fn control(&self) -> SocketAddr {
        self.control
    }

    /// Tells it how to behave from now on: a [`Control`], or a mode with every other field at its default. When this
    /// returns it does so; with `refuse` its port is closed, with any other mode it is open.
    pub async fn set(&self, control: impl Into<Control>) -> Result<Status, StackError> {
        let control = serde_json::to_value(control.into()).unwrap_or_default();
        let request = Request::new(Method::PUT, "/control").json(&control);
        self.ask("set the control", request).await
    }

    /// How it behaves and what has arrived.
    pub async fn status(&self) -> Result<Status, StackError> {
        self.ask("read the control", Request::get("/control")).await
    }

    /// Every charge that arrived, oldest first.
    pub async fn ledger(&self) -> Result<Vec<Row>, StackError> {
        self.ask("read the ledger", Request::get("/ledger")).await
    }

    /// Makes it forget every charge, payment and key.
    pub async fn clear_ledger(&self) -> Result<Status, StackError> {
        self.ask("clear the ledger", Request::new(Method::DELETE, "/ledger")).await
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, what: &str, request: Request) -> Result<T, StackError> {
        let what = format!("{what} of {}", self.name);
        let answer = ask(&what, self.control, request).await?;
        answer.json().map_err(|error| StackError::Unanswered { what, error })
    }
}

/// The error that a ready line does not say what it must.
pub(super) fn unexpected(child: Child, ready: &Value) -> StackError {
    child.not_ready(format!("its ready line says too little: {ready}"))
}
