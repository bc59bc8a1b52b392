//! Which operation a request is, and who makes it.

use super::head::{Edit, Headers, Repeated};
use crate::config::{Config, Presence, TenantHeader};
use crate::operation::{Kind, Match, Mode, OperationId};
use crate::reason::Reason;

/// Who calls: a stable identity, never shown. None: nobody said.
pub(super) type Tenant = Option<Vec<u8>>;

/// The longest tenant, in bytes.
const TENANT_LEN_MAX: usize = 8 * 1024;

/// A request that is ours.
pub(super) struct Request {
    pub(super) operation: OperationId,
    pub(super) kind: Kind,
    pub(super) tenant: Tenant,
    /// The path's parameter: a payment's id, a card range.
    pub(super) parameter: Option<String>,
    /// Path and query as they came.
    pub(super) path: Vec<u8>,
    /// The host the client named.
    pub(super) authority: Vec<u8>,
    pub(super) edits: Vec<Edit>,
}

pub(super) enum Found {
    None,
    /// The path of an operation, with something that is no payment's id.
    Malformed(OperationId),
    Operation(Request),
}

pub(super) fn find_operation(config: &Config, headers: Headers<'_>) -> Found {
    let (Some(method), Some(target)) = (headers.one(b":method"), headers.one(b":path")) else {
        return Found::None;
    };
    let mut malformed = None;
    let path = target.split(|b| *b == b'?').next().unwrap_or(target);
    for (i, operation) in config.operations.iter().enumerate() {
        if operation.method.as_bytes() != method {
            continue;
        }
        match operation.path.matches(path) {
            Match::No => {}
            // A later operation may mean this very path.
            // One that is enforced has the word before one that is only watched.
            Match::Malformed if operation.mode == Mode::Enforce => malformed = Some(OperationId(i)),
            Match::Malformed => malformed = malformed.or(Some(OperationId(i))),
            Match::Yes(parameter) => {
                return Found::Operation(Request {
                    operation: OperationId(i),
                    kind: operation.kind(),
                    tenant: None,
                    parameter: parameter.map(str::to_owned),
                    path: target.to_vec(),
                    authority: headers.one(b":authority").unwrap_or_default().to_vec(),
                    edits: Vec::new(),
                });
            }
        }
    }
    malformed.map_or(Found::None, Found::Malformed)
}

pub(super) fn tenant(config: &Config, headers: Headers<'_>) -> Result<Tenant, Reason> {
    let Some(TenantHeader { header, presence }) = &config.tenant else { return Ok(None) };
    let value = headers.only(header.as_bytes()).map_err(|Repeated| Reason::TenantMalformed)?;
    match value.filter(|value| !value.is_empty()) {
        Some(value) if value.len() > TENANT_LEN_MAX => Err(Reason::TenantMalformed),
        Some(value) => Ok(Some(value.to_vec())),
        None if *presence == Presence::Required => Err(Reason::TenantMissing),
        None => Ok(None),
    }
}
