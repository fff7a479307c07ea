//! Real SDK Workers against a Temporal frontend within the test process.

mod ending;
mod fake;
mod support;
mod worker;
