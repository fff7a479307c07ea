//! The controllers. Each driver is thin: the work lies in the phases of its folder.

pub mod connection;
pub mod drive;
pub mod worker;
