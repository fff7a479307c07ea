//! The demo: one scenario on a real cluster, watched every second, and judged by what the event histories say.
//!
//! `scenario` says which load when, `sampler` looks, `record` keeps, `verdict` judges, `view` and `summary` show.

pub mod args;
pub mod record;
pub mod run;
pub mod sampler;
pub mod scenario;
pub mod summary;
pub mod verdict;
pub mod view;
