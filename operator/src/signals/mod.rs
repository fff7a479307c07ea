//! What pods say about themselves, best source first: `reports` over `control` (the worker's own report), `resources` (CPU by the
//! metrics API).

pub mod control;
pub mod reports;
pub mod resources;
