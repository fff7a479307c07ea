//! `make bench-live`: several scalers on one real cluster, one after another, under the same load on the same workers.
//!
//! `scenario` says which load when, `subject` what is scaled and by whom, `stand` sets it up and takes it down, `run` plays, `watch`
//! and `health` look, `record` keeps. Everything after that is pure and can be done again from the records: `score` judges,
//! `course` and `plot` draw, `trace` writes the load for the simulator, `report` puts it together.

pub mod args;
mod course;
mod files;
mod health;
mod keda;
mod plot;
mod prediction;
pub mod record;
mod remarks;
mod report;
mod run;
pub mod scenario;
pub mod score;
mod stand;
pub mod subject;
mod trace;
mod watch;

pub use args::Args;
pub use run::run;
