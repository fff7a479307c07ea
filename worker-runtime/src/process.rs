//! Work in child processes: for code that needs a CPU of its own, may crash, or cannot be asked to stop.
//!
//! The pool starts the same executable again; [`child`], called first in `main`, turns that process into a child that runs one task after
//! the other. Frames go over its standard input and output, its standard error goes to the log. A child can be killed without harm to
//! anything else: it is the one kind of blocking work that can be ended by force.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use temporalio_sdk::activities::{ActivityContext, ActivityError};
//! use fleet_worker::process::{self, Child, Failure, Pool};
//!
//! fn render(child: &mut Child, job: Vec<u8>) -> Result<Vec<u8>, Failure> {
//!     let first = child.details().and_then(|details| details.first().copied()).unwrap_or(0);
//!     let mut picture = job;
//!     for step in first..100 {
//!         if child.is_cancelled() {
//!             return Err(Failure::cancelled());
//!         }
//!         picture.reverse(); // hours of work
//!         child.heartbeat([step + 1])?;
//!     }
//!     Ok(picture)
//! }
//!
//! struct Renderer {
//!     pool: Pool,
//! }
//!
//! #[temporalio_macros::activities]
//! impl Renderer {
//!     #[activity(name = "render")]
//!     async fn render(self: Arc<Self>, ctx: ActivityContext, job: Vec<u8>) -> Result<Vec<u8>, ActivityError> {
//!         self.pool.run(&ctx, "render", job).await
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     process::child(&[("render", render)]);
//!     fleet_worker::FleetWorker::from_env()
//!         .default_queue("pictures")
//!         .activities(Renderer { pool: Pool::new(4).memory(512 << 20) })
//!         .run()
//! }
//! ```

mod body;
mod failure;
mod frame;
mod pool;
mod running;
mod stderr;

pub(crate) use self::pool::EXITS;
pub use self::{
    body::{Body, Child, child},
    failure::Failure,
    pool::Pool,
};

/// Set for the children of a pool, and for them alone.
const IS_CHILD: &str = "TEMPORAL_FLEET_CHILD";

/// Limit of a child's address space in bytes; absent = none.
const MEMORY: &str = "TEMPORAL_FLEET_CHILD_MEMORY";
