//! CPU time and memory of this process, read from `/proc`, and whether its CPU is limited.

use std::{fs, time::Duration};

/// What the process used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// CPU time of all threads since the start, those that ended included. Linux counts it in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Resident memory.
    pub(crate) memory_bytes: u64,
}

/// Reads both; what cannot be read is 0, as on systems without `/proc`.
pub(crate) fn read() -> Resources {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    Resources {
        cpu: cpu(&stat).unwrap_or_default(),
        memory_bytes: memory(&status).unwrap_or_default(),
    }
}

/// `utime` and `stime` (fields 14 and 15) in ticks of 10 ms, the unit of the user interface of all Linux ports in use.
fn cpu(stat: &str) -> Option<Duration> {
    // The second field is the program's name in parentheses and may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

fn memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Whether the container has a CPU limit that the SDK sees: it reads version 2 of cgroups only.
pub(crate) fn has_cpu_limit() -> bool {
    fs::read_to_string("/sys/fs/cgroup/cpu.max").is_ok_and(|limit| is_limit(&limit))
}

/// `quota period` in microseconds, or `max period`.
fn is_limit(cpu_max: &str) -> bool {
    let quota = cpu_max.split_ascii_whitespace().next();
    quota.is_some_and(|quota| quota.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 5 0 1 2 3";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1_750)));
    }

    #[test]
    fn a_cpu_limit_is_a_number_and_none_is_the_word_max() {
        assert!(is_limit("200000 100000\n"));
        assert!(!is_limit("max 100000\n") && !is_limit(""));
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(memory("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory() {
        assert!(read().memory_bytes > 1_000_000);
    }
}
