//! What activities get beside the SDK's own context: heartbeats from plain functions, and a look at the names they are registered under.

use futures::executor;
use temporalio_common::data_converters::{PayloadConversionError, TemporalSerializable};
use temporalio_sdk::activities::{ActivityContext, ActivityDefinitions};
use tokio::runtime::Handle;

/// Heartbeats for activities that are plain functions.
///
/// ```no_run
/// # use temporalio_sdk::activities::{ActivityContext, ActivityError};
/// use fleet_worker::BlockingHeartbeat;
///
/// # struct Files;
/// #[temporalio_macros::activities]
/// impl Files {
///     #[activity(name = "count_lines")]
///     fn count_lines(ctx: ActivityContext, paths: Vec<String>) -> Result<u64, ActivityError> {
///         let done = ctx.heartbeat_details().deserialize::<(usize, u64)>()?;
///         let (first, mut lines) = done.unwrap_or_default();
///         for (index, path) in paths.iter().enumerate().skip(first) {
///             if ctx.is_cancelled() {
///                 return Err(ActivityError::cancelled());
///             }
///             lines += std::fs::read_to_string(path)?.lines().count() as u64;
///             ctx.heartbeat_blocking((index + 1, lines))?;
///         }
///         Ok(lines)
///     }
/// }
/// ```
pub trait BlockingHeartbeat {
    /// Records a heartbeat with details, which the next attempt finds in `heartbeat_details()`. Returns at once: the SDK sends it in
    /// the background, not more often than 0.8 times the heartbeat timeout (30 s without one), always the newest.
    ///
    /// For plain functions, on the blocking pool or on threads of their own. In an `async fn` it panics, which fails the activity: use
    /// `record_heartbeat(details).await` there.
    ///
    /// # Errors
    /// The details cannot be converted to a payload.
    fn heartbeat_blocking<T: TemporalSerializable + 'static>(&self, details: T) -> Result<(), PayloadConversionError>;
}

impl BlockingHeartbeat for ActivityContext {
    fn heartbeat_blocking<T: TemporalSerializable + 'static>(&self, details: T) -> Result<(), PayloadConversionError> {
        let heartbeat = self.record_heartbeat(details);
        match Handle::try_current() {
            Ok(runtime) => runtime.block_on(heartbeat),
            // A thread that the activity started itself, such as those of a pool for computations.
            Err(_) => executor::block_on(heartbeat),
        }
    }
}

/// The activity types of a set, sorted. The SDK shows them in its debug output alone.
pub(crate) fn names(activities: &ActivityDefinitions) -> Vec<String> {
    let shown = format!("{activities:?}");
    let list = shown
        .split_once('[')
        .and_then(|(_, rest)| rest.rsplit_once(']'))
        .map_or("", |(list, _)| list);
    let mut names: Vec<String> = serde_json::from_str(&format!("[{list}]")).unwrap_or_default();
    names.sort_unstable();
    names
}

/// Says which activities go by the name of their Rust method: workflows in other languages, and code that is renamed, miss them.
pub(crate) fn warn_of_default_names(queue: &str, names: &[String]) {
    let default: Vec<&String> = names.iter().filter(|name| is_default(name)).collect();
    if !default.is_empty() {
        tracing::warn!(
            queue,
            activities = ?default,
            "activities without a name of their own: give each one with #[activity(name = \"…\")], before workflows use these"
        );
    }
}

/// Whether a name is the SDK's default, `Type::method`.
fn is_default(name: &str) -> bool {
    name.split_once("::").is_some_and(|(implementer, method)| {
        let identifier = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
        identifier(implementer) && identifier(method)
    })
}

#[cfg(test)]
#[allow(
    dead_code,
    clippy::unused_async,
    clippy::unnecessary_wraps,
    reason = "the SDK's macro adds constants; activities have one shape"
)]
mod tests {
    use temporalio_sdk::activities::ActivityError;

    use super::*;

    struct Some_;

    #[temporalio_macros::activities]
    impl Some_ {
        #[activity]
        async fn plain(_: ActivityContext) -> Result<(), ActivityError> {
            Ok(())
        }

        #[activity(name = "named \"well\"")]
        fn named(_: ActivityContext) -> Result<(), ActivityError> {
            Ok(())
        }
    }

    #[test]
    fn names_are_found_and_those_of_methods_told_apart() {
        let mut activities = ActivityDefinitions::default();
        assert!(names(&activities).is_empty());
        activities.register_activities(Some_);
        assert_eq!(names(&activities), ["Some_::plain", "named \"well\""]);
        assert!(is_default("Some_::plain"));
        for chosen in ["named", "orders::", "::x", "orders :: ship", "a-b::c"] {
            assert!(!is_default(chosen), "{chosen}");
        }
    }
}
