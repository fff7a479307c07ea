//! Conditions: each a chain of named checks, the first violation wins. A new reason is one variant and one line in a chain.

mod blocked;
mod input;
mod pollers;
mod progress;
mod ready;
mod reason;
mod scaling;
mod stalled;
mod verdict;

pub use blocked::blocked;
pub use input::{Input, Scaling};
pub use pollers::own_pollers;
pub use reason::Reason;
pub use verdict::{ConditionType, Truth, Verdict};

type Finding = (Reason, String);
type Check = fn(&Input) -> Option<Finding>;

/// All conditions, in the order in which people read them.
pub fn verdicts(input: &Input) -> Vec<Verdict> {
    vec![
        ready::ready(input),
        progress::reconciling(input),
        stalled::stalled(input),
        progress::connection(input),
        pollers::pollers(input),
        scaling::scaling_active(input),
        scaling::scaling_limited(input),
        scaling::scaling_paused(input.desired.pause.hold),
    ]
}

fn first(checks: &[Check], input: &Input) -> Option<Finding> {
    checks.iter().find_map(|check| check(input))
}
