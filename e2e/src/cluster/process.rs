//! Long-running processes of the host: started into a session of their own, known by pid file *and* command line, so that
//! a recycled pid is never taken for ours and nothing foreign is ever stopped.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::error::{Error, Result};
use super::layout::Layout;

/// A component of the cluster that runs on the host.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// Name of the component, its pid file and its log.
    pub name: &'static str,
    /// The executable, absolute.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables added to the environment.
    pub env: Vec<(String, String)>,
    /// Working directory, if it matters.
    pub dir: Option<PathBuf>,
}

impl Program {
    /// A program with arguments and nothing else.
    pub(super) fn new(name: &'static str, path: PathBuf, args: Vec<String>) -> Self {
        Self {
            name,
            path,
            args,
            env: Vec::new(),
            dir: None,
        }
    }

    fn command_line(&self) -> Vec<Vec<u8>> {
        let path = self.path.as_os_str().as_bytes().to_vec();
        std::iter::once(path)
            .chain(self.args.iter().map(|arg| arg.clone().into_bytes()))
            .collect()
    }
}

/// What [`ensure`] had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ensured {
    /// It ran already with these very arguments.
    Kept,
    /// It was started, or restarted because its arguments had changed.
    Started,
}

/// Makes sure that the program runs with exactly these arguments.
pub(super) fn ensure(layout: &Layout, program: &Program) -> Result<Ensured> {
    if let Some(pid) = running(layout, program.name) {
        if command_line(pid).as_deref() == Some(&program.command_line()) {
            return Ok(Ensured::Kept);
        }
        stop(layout, program.name, Duration::from_secs(15))?;
    }
    let log = layout.log(program.name);
    if log.exists() {
        fs::rename(&log, log.with_extension("log.1")).map_err(Error::file("rename", &log))?;
    }
    let out = File::create(&log).map_err(Error::file("create", &log))?;
    let err = out.try_clone().map_err(Error::file("open", &log))?;
    // A session of its own: neither Ctrl-C nor a closing terminal may reach the component. `setsid` execs, so the pid stays.
    let mut command = Command::new("setsid");
    command
        .arg(&program.path)
        .args(&program.args)
        .envs(program.env.iter().cloned());
    if let Some(dir) = &program.dir {
        command.current_dir(dir);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(|source| Error::Run {
            command: program.path.display().to_string(),
            source,
        })?;
    let file = pid_file(layout, program.name);
    fs::write(&file, format!("{}\n{}\n", child.id(), program.path.display())).map_err(Error::file("write", file))?;
    // During an exec a process shows no arguments for a moment and would pass for one that is gone.
    let expected = program.command_line();
    while command_line(child.id()).as_ref() != Some(&expected) && !matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(Ensured::Started)
}

/// The pid of the component, if the process behind its pid file still runs the program that was started.
pub(super) fn running(layout: &Layout, name: &str) -> Option<u32> {
    let text = fs::read_to_string(pid_file(layout, name)).ok()?;
    let (pid, path) = text.trim_end().split_once('\n')?;
    let pid = pid.parse().ok()?;
    let line = command_line(pid)?;
    // Between fork and exec of `setsid` the program is its first argument.
    line.iter().take(2).any(|arg| arg == path.as_bytes()).then_some(pid)
}

/// Stops the component: SIGTERM, then SIGKILL after `grace`. Nothing happens if it does not run.
pub(super) fn stop(layout: &Layout, name: &str, grace: Duration) -> Result<()> {
    if let Some(pid) = running(layout, name) {
        signal(pid, Signal::TERM);
        let deadline = Instant::now() + grace;
        while running(layout, name).is_some() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        if running(layout, name).is_some() {
            signal(pid, Signal::KILL);
            while running(layout, name).is_some() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    remove_file(&pid_file(layout, name))
}

/// Fails with the end of the log if one of the components does not run.
pub(super) fn all_alive(layout: &Layout, names: &[&str]) -> Result<()> {
    match names.iter().find(|name| running(layout, name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Error::Died {
            component: (*name).to_owned(),
            log: layout.log(name),
            tail: log_tail(layout, name, 15),
        }),
    }
}

/// The last lines of a component's log, each cut at 400 bytes or so.
pub(super) fn log_tail(layout: &Layout, name: &str, lines: usize) -> String {
    let bytes = fs::read(layout.log(name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(64 * 1024)..]).into_owned();
    let all: Vec<&str> = text.lines().collect();
    let tail = all[all.len().saturating_sub(lines)..].iter();
    tail.map(|line| format!("  {}\n", line.chars().take(400).collect::<String>()))
        .collect()
}

/// Sends a signal to a process that the caller knows to be ours.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Gone already is as good as signalled.
        kill_process(pid, signal).ok();
    }
}

/// The arguments of a running process; `None` for a zombie and for one that is gone.
pub(super) fn command_line(pid: u32) -> Option<Vec<Vec<u8>>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line: Vec<_> = bytes
        .strip_suffix(&[0])?
        .split(|byte| *byte == 0)
        .map(<[u8]>::to_vec)
        .collect();
    Some(line)
}

/// Removes a file; one that is not there is fine.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

fn pid_file(layout: &Layout, name: &str) -> PathBuf {
    layout.run(&format!("{name}.pid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layout, and the folder that it is in until the test ends.
    fn layout() -> (Layout, tempfile::TempDir) {
        let root = tempfile::tempdir().expect("folder");
        let layout = Layout::at(root.path()).expect("layout");
        for dir in [layout.run(""), layout.logs()] {
            fs::create_dir_all(dir).expect("folders");
        }
        (layout, root)
    }

    fn sleeper(seconds: &str) -> Program {
        Program::new("sleeper", PathBuf::from("/bin/sleep"), vec![seconds.to_owned()])
    }

    #[test]
    fn a_program_is_kept_while_its_arguments_stay_and_restarted_when_they_change() {
        let (layout, _root) = layout();
        assert_eq!(ensure(&layout, &sleeper("60")).expect("start"), Ensured::Started);
        let first = running(&layout, "sleeper").expect("runs");
        assert_eq!(ensure(&layout, &sleeper("60")).expect("again"), Ensured::Kept);
        assert_eq!(ensure(&layout, &sleeper("61")).expect("changed"), Ensured::Started);
        assert_ne!(running(&layout, "sleeper"), Some(first));
        stop(&layout, "sleeper", Duration::from_secs(5)).expect("stop");
        assert_eq!(running(&layout, "sleeper"), None);
    }

    #[test]
    fn a_recycled_pid_is_not_taken_for_ours_and_not_stopped() {
        let (layout, _root) = layout();
        let mut foreign = Command::new("/bin/sleep").arg("60").spawn().expect("foreign");
        fs::write(pid_file(&layout, "etcd"), format!("{}\n/opt/etcd\n", foreign.id())).expect("pid file");
        assert_eq!(running(&layout, "etcd"), None);
        stop(&layout, "etcd", Duration::from_secs(1)).expect("stop");
        assert!(
            foreign.try_wait().expect("wait").is_none(),
            "the foreign process was stopped"
        );
        foreign.kill().expect("kill");
        foreign.wait().expect("wait");
    }

    #[test]
    fn a_component_that_died_is_named_with_its_last_words() {
        let (layout, _root) = layout();
        let program = Program::new(
            "speaker",
            PathBuf::from("/bin/sh"),
            vec!["-c".into(), "echo no such flag; exit 1".into()],
        );
        ensure(&layout, &program).expect("start");
        let error = loop {
            if let Err(error) = all_alive(&layout, &["speaker"]) {
                break error.to_string();
            }
            std::thread::yield_now();
        };
        assert!(
            error.contains("speaker died") && error.contains("no such flag"),
            "{error}"
        );
    }
}
