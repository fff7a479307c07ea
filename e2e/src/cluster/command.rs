//! Running short commands of the machine (`ip`, `iptables`, `ctr`, `kubectl`) to their end.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::error::{Error, Result};

/// Runs a command to its end and returns its standard output; an error carries what it wrote.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> Result<String> {
    finish(
        &describe(&program, args),
        Command::new(program).args(args).stdin(Stdio::null()).output(),
    )
}

/// As [`run`], with a text on standard input.
pub fn run_with_input<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S], input: &str) -> Result<String> {
    let command = describe(&program, args);
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            let mut pipe = child.stdin.take();
            // A program that stops reading early reports why through its exit status, not through this pipe.
            if let Some(pipe) = pipe.as_mut() {
                pipe.write_all(input.as_bytes()).ok();
            }
            drop(pipe);
            child.wait_with_output()
        });
    finish(&command, output)
}

/// Whether a command ends well; what it writes is dropped.
pub fn succeeds<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

fn finish(command: &str, output: std::io::Result<Output>) -> Result<String> {
    let output = output.map_err(|source| Error::Run {
        command: command.to_owned(),
        source,
    })?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(stdout.into_owned());
    }
    let text = format!("{}{stdout}", String::from_utf8_lossy(&output.stderr));
    Err(Error::Command {
        command: command.to_owned(),
        status: output.status,
        output: text.trim().to_owned(),
    })
}

fn describe<S: AsRef<OsStr>>(program: &impl AsRef<OsStr>, args: &[S]) -> String {
    let mut text = program.as_ref().to_string_lossy().into_owned();
    for arg in args {
        text.push(' ');
        text.push_str(&arg.as_ref().to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_says_what_was_run_and_what_it_wrote() {
        let error = run("sh", &["-c", "echo why >&2; exit 3"])
            .expect_err("fails")
            .to_string();
        assert!(
            error.contains("sh -c") && error.contains("why") && error.contains('3'),
            "{error}"
        );
    }

    #[test]
    fn input_reaches_the_command() {
        assert_eq!(run_with_input("cat", &[] as &[&str], "abc").expect("cat"), "abc");
    }
}
