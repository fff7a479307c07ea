//! The two definitions on a real API server: it accepts them (and so the estimated cost of their rules), each rule
//! accepts and rejects what it must, defaults are those of the types, and kubectl's everyday commands work.
//!
//! Each test installs the definitions under an API group of its own, so that an operator in the same cluster neither
//! sees nor changes the objects, and removes them afterwards.

mod cases;
mod everyday;
mod examples;
mod rules;
mod sandbox;
