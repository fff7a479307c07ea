//! The parent's side of one child process.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use temporalio_sdk::activities::ActivityInfo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use super::{
    frame::{Frame, HELLO},
    stderr::Stderr,
};

/// Time for a child to say that it is one. Longer than any start; a program that never calls `process::child` is found by it.
const START: Duration = Duration::from_secs(30);

/// What a program may print before it becomes a child.
const PREFACE: usize = 64 << 10;

/// Time for the rest of a dead child's standard error: processes that it started may hold it open.
const REST_OF_OUTPUT: Duration = Duration::from_secs(1);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, in the middle of a task.
    Crashed,
    /// By the pool: it did not stop when its task was cancelled.
    Killed,
    /// By the pool: it had run as many tasks as it may.
    Replaced,
}

/// A child that waits for a task or runs one. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    /// Frames are read on a task of their own, as reading one must not be given up halfway.
    frames: mpsc::Receiver<io::Result<Frame>>,
    stderr: Stderr,
    log: JoinHandle<()>,
    /// Tasks that it was given.
    pub(crate) tasks: u32,
}

impl Process {
    /// Starts a child and waits until it takes tasks.
    pub(crate) async fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // An interrupt from the terminal is for the worker, which ends its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        let stderr = Stderr::default();
        let pipe = child.stderr.take().ok_or_else(missing)?;
        let log = stderr.follow(child.id().unwrap_or_default(), pipe);
        timeout(START, hello(&mut stdout)).await.map_err(|_| {
            let text = "the program did not become a child: call fleet_worker::process::child first in main";
            io::Error::new(io::ErrorKind::TimedOut, text)
        })??;
        let (sender, frames) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Some(frame) = Frame::read_async(&mut stdout).await.transpose() {
                let broken = frame.is_err();
                if sender.send(frame).await.is_err() || broken {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            frames,
            stderr,
            log,
            tasks: 0,
        })
    }

    /// What the child prints belongs to this task from now on.
    pub(crate) fn begin(&mut self, task: ActivityInfo) {
        self.tasks += 1;
        self.stderr.begin(task);
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: Frame) -> io::Result<()> {
        self.stdin.write_all(&frame.encode()?).await
    }

    /// The next frame; `None` if the child has ended. May be dropped at any time.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Frame>> {
        self.frames.recv().await
    }

    /// Kills the child and waits for its end.
    pub(crate) async fn kill(mut self) {
        let _ = self.child.kill().await;
    }

    /// Lets an idle child end by itself.
    pub(crate) async fn dismiss(self) {
        let Self { mut child, stdin, .. } = self;
        drop(stdin);
        if timeout(START, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }

    /// How a child that has ended did so, and what it said last. One that only closed its output is killed.
    pub(crate) async fn post_mortem(mut self) -> (String, String) {
        drop(self.stdin);
        let status = match timeout(REST_OF_OUTPUT, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => match self.child.kill().await {
                Ok(()) => self.child.wait().await,
                Err(error) => Err(error),
            },
        };
        let _ = timeout(REST_OF_OUTPUT, self.log).await;
        (
            status.map_or_else(|error| error.to_string(), describe),
            self.stderr.tail(),
        )
    }
}

async fn hello(stdout: &mut (impl AsyncReadExt + Unpin)) -> io::Result<()> {
    let mut read = Vec::new();
    while !read.ends_with(HELLO) {
        if read.len() > PREFACE {
            return Err(io::Error::other("the program prints instead of becoming a child"));
        }
        read.push(stdout.read_u8().await?);
    }
    Ok(())
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!(
            "signal {signal}{}",
            if status.core_dumped() { ", core dumped" } else { "" }
        ),
        (None, None) => "unknown status".to_owned(),
    }
}
