//! Arguments of the operator. What concerns one fleet belongs in its object, not here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, ValueEnum};

/// Runs fleets of Temporal workers on Kubernetes.
#[derive(Clone, Debug, Parser)]
#[command(name = "temporal-fleet-operator", version)]
pub struct Args {
    /// Scope and ports.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Leader election.
    #[command(flatten)]
    pub leader: LeaderArgs,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitsArgs,
    /// Logs.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// Recordings.
    #[command(flatten)]
    pub recording: RecordingArgs,
}

/// Scope and ports.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Scope and ports")]
pub struct ServerArgs {
    /// Kubernetes namespace to serve; repeat it for several. All namespaces without it
    #[arg(
        long = "watch-namespace",
        env = "WATCH_NAMESPACES",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    pub watch_namespaces: Vec<String>,
    /// Serve only fleets with these labels, so that several operators can share a cluster
    #[arg(long, env = "WATCH_LABEL_SELECTOR", hide_env_values = true, value_name = "SELECTOR")]
    pub watch_label_selector: Option<String>,
    /// Port of /metrics
    #[arg(long, default_value_t = 9464, value_name = "PORT")]
    pub metrics_port: u16,
    /// Port of /livez and /readyz
    #[arg(long, default_value_t = 9466, value_name = "PORT")]
    pub health_port: u16,
    /// Name of this installation: its identity at Temporal
    #[arg(long, default_value = "temporal-fleet", value_name = "NAME")]
    pub instance: String,
}

/// Leader election.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Leader election")]
pub struct LeaderArgs {
    /// Take part in the election; without it this process always leads, and there must be no other
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub leader_election: bool,
    /// How long others respect a lease that is not renewed
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub leader_election_lease_duration: Duration,
    /// How long a leader tries to renew before it stops; below the lease duration
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub leader_election_renew_deadline: Duration,
    /// Time between two tries; below the renew deadline
    #[arg(long, default_value = "2s", value_parser = duration, value_name = "DURATION")]
    pub leader_election_retry_period: Duration,
    /// Kubernetes namespace of the lease
    #[arg(
        long,
        env = "POD_NAMESPACE",
        hide_env_values = true,
        default_value = "default",
        value_name = "NAMESPACE"
    )]
    pub lease_namespace: String,
    /// Name of the lease
    #[arg(long, default_value = "temporal-fleet-operator", value_name = "NAME")]
    pub lease_name: String,
    /// Name of this process in the lease and in events
    #[arg(
        long,
        env = "POD_NAME",
        hide_env_values = true,
        default_value = "temporal-fleet-operator",
        value_name = "NAME"
    )]
    pub pod_name: String,
}

/// Limits.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Limits")]
pub struct LimitsArgs {
    /// Passes that run at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..), value_name = "COUNT")]
    pub concurrency: u16,
    /// Share of a Temporal namespace's request limit that this operator may use
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u8).range(1..=100), value_name = "PERCENT")]
    pub temporal_request_budget_percent: u8,
    /// Allow Temporal at a loopback address: only where operator and server share a host on purpose
    #[arg(long)]
    pub temporal_allow_loopback: bool,
    /// Ends the process after so many writes to the API server, for tests
    #[arg(long, env = "TEMPORAL_FLEET_CRASH_AFTER_WRITES", hide = true)]
    pub crash_after_writes: Option<u64>,
}

/// Logs.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Logs")]
pub struct TelemetryArgs {
    /// Level, or a filter such as `info,fleet_operator=debug`
    #[arg(
        long,
        env = "LOG_LEVEL",
        hide_env_values = true,
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log_level: String,
    /// Form of the lines
    #[arg(long, env = "LOG_FORMAT", hide_env_values = true, default_value = "json", value_enum)]
    pub log_format: LogFormat,
}

/// Recordings.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Recordings")]
pub struct RecordingArgs {
    /// Write each scaling decision with all it was made from into this directory: per fleet one file of JSON lines, put aside at 64 MiB
    #[arg(long, env = "RECORD_DIR", hide_env_values = true, value_name = "DIRECTORY")]
    pub record_dir: Option<PathBuf>,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// A duration for people: `15s`, `2m`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "not a duration such as 15s or 2m".to_owned())?;
    match Duration::try_from(span) {
        Ok(span) if span > Duration::ZERO => Ok(span),
        _ => Err("a duration must be more than zero".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn help_reads_as_committed() {
        insta::assert_snapshot!(Args::command().render_long_help());
    }

    #[test]
    fn durations_are_for_people_and_positive() {
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("0s").is_err());
        assert!(duration("soon").is_err());
    }

    #[test]
    fn several_namespaces_are_repeated_or_joined() {
        let args = Args::parse_from(["operator", "--watch-namespace=a", "--watch-namespace=b,c"]);
        assert_eq!(args.server.watch_namespaces, ["a", "b", "c"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for argument in [
            "--concurrency=0",
            "--temporal-request-budget-percent=0",
            "--temporal-request-budget-percent=101",
            "--leader-election=maybe",
            "--leader-election-lease-duration=-5s",
            "--metrics-port=70000",
            "--log-format=xml",
            "--unknown",
        ] {
            assert!(Args::try_parse_from(["operator", argument]).is_err(), "{argument}");
        }
    }

    #[test]
    fn the_crash_of_tests_is_not_offered() {
        assert!(!Args::command().render_long_help().to_string().contains("crash"));
    }
}
