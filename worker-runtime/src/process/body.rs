//! The child's side: takes one task after the other from its standard input and ends with it.

use std::{
    any::Any,
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit},
    stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout},
};

use super::{
    Failure, IS_CHILD, MEMORY,
    frame::{Frame, HELLO, Kind},
};

/// What a child does for one name: a plain function from input to result.
pub type Body = fn(&mut Child, Vec<u8>) -> Result<Vec<u8>, Failure>;

/// Exit code of a child that cannot speak with its pool.
const NO_PIPES: i32 = 74;

/// The task that this child process runs.
#[derive(Debug)]
pub struct Child {
    cancelled: Arc<AtomicBool>,
    details: Option<Vec<u8>>,
    pool: File,
}

/// State that the thread that reads frames and the one that runs bodies share.
#[derive(Default)]
struct Shared {
    cancelled: Arc<AtomicBool>,
    busy: AtomicBool,
}

impl Child {
    /// Whether the task was cancelled. A body that ignores it is killed after [`super::Pool::kill_after`].
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Details of the last heartbeat of the attempt before, if there is one and it was made by a child.
    pub fn details(&self) -> Option<&[u8]> {
        self.details.as_deref()
    }

    /// Tells that the task is alive, with details for a next attempt. Not more than the SDK's throttle lets through is sent to Temporal.
    ///
    /// # Errors
    /// More than 256 MiB, or the pool is gone.
    pub fn heartbeat(&mut self, details: impl Into<Vec<u8>>) -> io::Result<()> {
        let frame = Frame::new(Kind::Heartbeat, [details.into()]).encode()?;
        self.pool.write_all(&frame)
    }
}

/// Turns this process into a child, if a [`super::Pool`] started it; returns at once otherwise.
///
/// To be called first in `main`, before threads and runtimes are started. Bodies run on this thread. What they print to standard output
/// goes to standard error, and so into the worker's log. The process ends with the pool: a body in the middle of its work is killed then.
///
/// # Panics
/// Two bodies have the same name: in the worker too, so that it shows at the first start.
pub fn child(bodies: &[(&str, Body)]) {
    for (index, (name, _)) in bodies.iter().enumerate() {
        let twice = bodies.iter().take(index).any(|(other, _)| other == name);
        assert!(!twice, "two bodies are named {name:?}");
    }
    if std::env::var_os(IS_CHILD).is_none() {
        return;
    }
    let code = match serve(bodies) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("child of the pool: {error}");
            NO_PIPES
        }
    };
    exit(code);
}

/// Runs tasks until the pool closes the pipe.
fn serve(bodies: &[(&str, Body)]) -> io::Result<()> {
    let (tasks, mut pool) = pipes()?;
    limit_memory()?;
    pool.write_all(HELLO)?;
    let shared = Arc::new(Shared::default());
    let (sender, receiver) = mpsc::sync_channel(1);
    let reader = Arc::clone(&shared);
    thread::Builder::new()
        .name("frames".to_owned())
        .spawn(move || read(tasks, &sender, &reader))?;
    for frame in receiver {
        let mut parts = frame.parts.into_iter();
        let name = String::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
        let input = parts.next().unwrap_or_default();
        let mut child = Child {
            cancelled: Arc::clone(&shared.cancelled),
            details: parts.next(),
            pool: pool.try_clone()?,
        };
        let outcome = match bodies.iter().find(|(known, _)| *known == name) {
            Some((_, body)) => catch_unwind(AssertUnwindSafe(|| body(&mut child, input)))
                .unwrap_or_else(|panic| Err(Failure::new(format!("panicked: {}", text(panic.as_ref()))).kind("Panic"))),
            None => Err(Failure::new(format!("no body is named {name:?}")).kind("NoSuchBody")),
        };
        shared.busy.store(false, Ordering::Release);
        let answer = match outcome {
            Ok(result) => Frame::new(Kind::Done, [result]),
            Err(failure) => Frame::new(Kind::Failed, [serde_json::to_vec(&failure)?]),
        };
        let answer = answer.encode().or_else(|error| {
            let failure = Failure::new(error.to_string()).kind("ResultTooLong");
            Frame::new(Kind::Failed, [serde_json::to_vec(&failure)?]).encode()
        });
        pool.write_all(&answer?)?;
    }
    Ok(())
}

/// Reads frames until the end of the input. A body that runs then works for nobody, and may never look up: it is killed.
fn read(mut tasks: File, sender: &mpsc::SyncSender<Frame>, shared: &Shared) {
    while let Ok(Some(frame)) = Frame::read(&mut tasks) {
        match frame.kind {
            Kind::Cancel => shared.cancelled.store(true, Ordering::Release),
            Kind::Task => {
                shared.cancelled.store(false, Ordering::Release);
                shared.busy.store(true, Ordering::Release);
                if sender.send(frame).is_err() {
                    return;
                }
            }
            Kind::Heartbeat | Kind::Done | Kind::Failed => break,
        }
    }
    if shared.busy.load(Ordering::Acquire) {
        // Not `exit`: that waits for what the body may hold.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// Takes the pipes for frames, so that nothing else reads from or prints into them.
fn pipes() -> io::Result<(File, File)> {
    let tasks: OwnedFd = fcntl_dupfd_cloexec(stdin(), 3)?;
    let pool: OwnedFd = fcntl_dupfd_cloexec(stdout(), 3)?;
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(stderr())?;
    Ok((File::from(tasks), File::from(pool)))
}

/// On cgroup v2 the kubelet has the whole container killed when one process runs out of memory. With a limit of its own only this child ends.
fn limit_memory() -> io::Result<()> {
    let Some(bytes) = std::env::var(MEMORY).ok().and_then(|bytes| bytes.parse().ok()) else {
        return Ok(());
    };
    let maximum = getrlimit(Resource::As).maximum;
    let limit = Rlimit {
        current: Some(maximum.map_or(bytes, |maximum| maximum.min(bytes))),
        maximum,
    };
    Ok(setrlimit(Resource::As, limit)?)
}

fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "bodies have one shape")]
    fn body(_: &mut Child, input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        Ok(input)
    }

    #[test]
    #[should_panic(expected = "two bodies are named \"render\"")]
    fn a_name_that_is_used_twice_shows_at_the_first_start() {
        child(&[("render", body), ("other", body), ("render", body)]);
    }

    #[test]
    fn a_process_that_no_pool_started_goes_on() {
        child(&[("render", body)]);
    }
}
