//! The stack, left running.

use std::time::Duration;

use e2e::stack::{Acquirer, Plan, Stack};
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;

/// How often the parts are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Starts the stack and stays until Ctrl-C, SIGTERM or the end of a part.
pub(super) async fn stay(plan: Plan) -> Result<(), Failure> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    println!("Starting ...");
    let start = Stack::start(plan);
    let mut stack = tokio::select! {
        stack = start => stack?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    println!("{}", welcome(&stack)?);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Some(name) = stack.ended() {
            eprintln!("{}", stack.log_tails());
            return Err(format!("{name} ended by itself").into());
        }
    }
    println!("\nStopping ...");
    drop(stack);
    println!("Stopped.");
    Ok(())
}

fn welcome(stack: &Stack) -> Result<String, Failure> {
    let (proxy, admin, cache) = (stack.proxy(), stack.envoy()?.admin(), stack.cache_service()?);
    let (cache, cache_admin) = (cache.listen(), cache.admin());
    let processor = |acquirer: Acquirer| {
        let part = stack.processor(acquirer);
        format!("  {:<15}http://{}  (control http://{})\n", acquirer.name(), part.api(), part.control())
    };
    let processors = Acquirer::ALL.map(processor).concat();
    let control = stack.processor(Acquirer::A).control();
    let logs = stack.dir().display();
    Ok(format!(
        r#"
  proxy          http://{proxy}
  Envoy's admin  http://{admin}
  cache-service  http://{cache}  (admin http://{cache_admin})
{processors}  logs           {logs}

Pay; the answer says which processor took it:
  curl -i http://{proxy}/v1/payments -H 'authorization: Bearer me' -H 'content-type: application/json' \
    -d '{{"amount":1200,"currency":"EUR","merchant":"m","reference":"r","source":{{"number":"4242424242424242"}}}}'
Look a BIN up; the second time it comes from cache:
  curl -i http://{proxy}/v1/bins/424242 -H 'authorization: Bearer me'
Let acquirer-a fail, then pay some more; {{"mode":"approve"}} mends it:
  curl -X PUT http://{control}/control -d '{{"mode":"http:503"}}'

Ctrl-C stops everything."#
    ))
}
