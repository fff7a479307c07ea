//! Child processes that never outlive the tests, however these end.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Runs its arguments until its input ends, then ends them. A line on the input means that the directory is to stay; without
/// one the test process is gone, and its files with it. Signals of the terminal are for the test process alone.
const KEEPER: &str = r#"
trap '' INT TERM HUP
"$@" < /dev/null > "$0/log" 2>&1 &
pid=$!
echo "$pid"
if read -r _; then keep=yes; else keep=; fi
kill -9 "$pid"
wait "$pid"
[ "$keep" ] || rm -rf "$0"
"#;

/// A program that is killed when this is dropped, and when the test process ends by itself, by a signal or by force.
pub(crate) struct Kept {
    shell: Child,
    pid: String,
}

impl Kept {
    /// Starts a program whose output goes to the file `log` of a directory.
    pub(crate) fn start(directory: &Path, command: &[&str], environment: &[(&str, &str)]) -> Self {
        File::create(directory.join("log")).expect("a log");
        let shell = Command::new("/bin/sh")
            .args(["-c", KEEPER])
            .arg(directory)
            .args(command)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut shell = shell.expect("a shell");
        let mut pid = String::new();
        let output = shell.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut pid).expect("a process");
        let pid = pid.trim().to_owned();
        Self { shell, pid }
    }

    /// Whether the program still runs.
    pub(crate) fn lives(&self) -> bool {
        lives(&self.pid)
    }
}

/// Whether a process runs; one that has ended and that nobody has waited for yet does not.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(mut input) = self.shell.stdin.take() {
            let _ = input.write_all(b"\n");
        }
        let _ = self.shell.wait();
    }
}
