//! One child process: started so that it cannot outlive us, its output kept, its end bounded in time.
//!
//! A child gets SIGKILL when the *thread* that started it ends (`PR_SET_PDEATHSIG`), so all are started by one thread that
//! lives as long as this process: a test that starts a stack and hands it to other tests would lose it otherwise. Each
//! child leads a process group of its own: Ctrl-C in a terminal reaches us alone, and we stop them in order.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpid, getppid};
use serde_json::Value;
use tokio::sync::oneshot;

use super::error::StackError;

/// How long a child may take to end after SIGTERM; then it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long a child may take to say that it is ready.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often a child that should become ready or end is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines of a log that are shown when something failed.
const TAIL_LINES: usize = 25;
/// What a child inherits of our environment; the rest is named by whoever starts it.
const INHERITED: [&str; 6] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "RUST_LOG", "RUST_BACKTRACE"];

/// What to start.
pub(super) struct Spec {
    /// What it is called in errors, and its log file `NAME.log`.
    pub(super) name: String,
    /// The program.
    pub(super) program: PathBuf,
    /// What the program is told it is called, if not by its path.
    pub(super) arg0: Option<String>,
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// Its environment, on top of what every child inherits.
    pub(super) env: Vec<(String, String)>,
    /// More of its environment; these values are blotted out wherever its log is shown.
    pub(super) secret_env: Vec<(String, String)>,
    /// Where its log goes, and its working directory.
    pub(super) dir: PathBuf,
}

/// A child that was started and not yet waited for. Dropping it stops it.
pub(super) struct Child {
    name: String,
    process: std::process::Child,
    log: PathBuf,
    secrets: Vec<String>,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts a child whose whole output goes to its log.
    pub(super) fn start(spec: Spec) -> Result<Self, StackError> {
        Self::start_with(spec, Output::Log).map(|(child, _)| child)
    }

    /// Starts a child that says `{"ready":true, ..}` on a line of its stdout, and waits for that line.
    pub(super) async fn start_until_ready(spec: Spec) -> Result<(Self, Value), StackError> {
        let (child, stdout) = Self::start_with(spec, Output::Watched)?;
        let (tell, told) = oneshot::channel();
        if let (Some(stdout), Ok(log)) = (stdout, child.open_log()) {
            thread::spawn(move || copy_lines(stdout, log, tell));
        }
        match tokio::time::timeout(READY_WITHIN, told).await {
            Ok(Ok(ready)) => Ok((child, ready)),
            Ok(Err(_)) => Err(child.not_ready("its output ended")),
            Err(_) => Err(child.not_ready(format!("no ready line within {READY_WITHIN:?}"))),
        }
    }

    fn start_with(spec: Spec, output: Output) -> Result<(Self, Option<ChildStdout>), StackError> {
        let log = spec.dir.join(format!("{}.log", spec.name));
        let open = || open_log(&log).map_err(StackError::io(format!("open {}", log.display())));
        let mut command = Command::new(&spec.program);
        if let Some(arg0) = &spec.arg0 {
            command.arg0(arg0);
        }
        command
            .args(&spec.args)
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(spec.env)
            .envs(spec.secret_env.iter().cloned())
            .current_dir(&spec.dir)
            .stdin(Stdio::null())
            .stdout(match output {
                Output::Log => open()?.into(),
                Output::Watched => Stdio::piped(),
            })
            .stderr(open()?)
            .process_group(0);
        let mut process = spawn(command).map_err(|error| StackError::Spawn { name: spec.name.clone(), error })?;
        let stdout = process.stdout.take();
        let secrets = spec.secret_env.into_iter().map(|(_, value)| value).filter(|value| !value.is_empty());
        let child = Self { name: spec.name, process, log, secrets: secrets.collect(), ended: None };
        Ok((child, stdout))
    }

    /// The last lines of its log, without its secrets.
    pub(super) fn tail(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        self.secrets.iter().fold(tail, |tail, secret| tail.replace(secret, "[secret]"))
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The error that it did not become ready, with how it ended if it did.
    pub(super) fn not_ready(mut self, why: impl Into<String>) -> StackError {
        let mut why = why.into();
        if let Some(status) = self.has_ended() {
            why = format!("{why} ({status})");
        }
        StackError::NotReady { name: self.name.clone(), why, tail: self.tail() }
    }

    /// How it ended, if it has.
    pub(super) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.ended = self.ended.or_else(|| self.process.try_wait().ok().flatten());
        self.ended
    }

    /// Asks it to end and does not wait.
    pub(super) fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
        // One that is frozen hears nothing until then.
        self.thaw();
    }

    /// Holds it where it stands, until it is thawed or ended.
    pub(super) fn freeze(&mut self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub(super) fn thaw(&mut self) {
        self.signal(Signal::SIGCONT);
    }

    /// Asks it to end, waits up to five seconds, then ends it. Blocks the thread meanwhile.
    pub(super) fn stop(&mut self) -> Option<ExitStatus> {
        self.terminate();
        let until = Instant::now() + GRACE;
        while self.has_ended().is_none() {
            if Instant::now() >= until {
                self.signal(Signal::SIGKILL);
                self.ended = self.process.wait().ok();
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
        self.ended
    }

    fn signal(&mut self, signal: Signal) {
        // Once it has been waited for, its number may be somebody else's.
        if self.has_ended().is_none()
            && let Ok(pid) = i32::try_from(self.process.id())
        {
            // It may end between the look and the signal; that is what was wanted.
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }

    fn open_log(&self) -> io::Result<File> {
        open_log(&self.log)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where the stdout of a child goes; stderr always goes to its log.
enum Output {
    Log,
    Watched,
}

fn open_log(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Copies lines to the log until they end, and tells of the first that says it is ready.
fn copy_lines(from: ChildStdout, mut log: File, tell: oneshot::Sender<Value>) {
    let mut tell = Some(tell);
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        // A log that cannot be written to must not stop the child, which would block on a full pipe.
        let _ = log.write_all(&line).and_then(|()| log.write_all(b"\n"));
        let ready = serde_json::from_slice::<Value>(&line).ok().filter(|v| v["ready"] == true);
        if let Some(ready) = ready
            && let Some(tell) = tell.take()
        {
            let _ = tell.send(ready);
        }
    }
}

type Started = io::Result<std::process::Child>;
type Job = (Command, mpsc::Sender<Started>);

/// Starts `command` on the thread that starts all children.
fn spawn(command: Command) -> Started {
    static STARTER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (jobs, todo) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (command, reply) in todo {
                let _ = reply.send(spawn_here(command));
            }
        });
        jobs
    });
    let gone = || io::Error::other("the thread that starts children has ended");
    let (reply, started) = mpsc::channel();
    starter.send((command, reply)).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

#[expect(unsafe_code, reason = "std has no safe way to set PR_SET_PDEATHSIG between fork and exec")]
fn spawn_here(mut command: Command) -> Started {
    let parent = getpid();
    // SAFETY: the closure makes two async-signal-safe system calls, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // We may have died before the line above; then nothing would ever end the child.
            if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
    command.spawn()
}
