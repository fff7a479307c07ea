//! What pods say about themselves, best source first: `reports` over `control` (the worker's own report), `scrape` (its SDK's
//! metrics page), `heartbeat` (what its server keeps); `sources` chooses among them. `resources` has CPU by the metrics API.

pub mod control;
pub mod heartbeat;
pub mod reports;
pub mod resources;
pub mod scrape;
pub mod sources;
