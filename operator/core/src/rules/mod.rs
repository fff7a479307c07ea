//! The rules of a plan. Each looks at one concern and none calls another; `plan` merges and orders what they propose.

pub mod credentials;
pub mod ensure;
pub mod evict;
pub mod hold;
pub mod quarantine;
pub mod queue_rate;
pub mod rival;
pub mod scale;
pub mod size;
pub mod victims;
