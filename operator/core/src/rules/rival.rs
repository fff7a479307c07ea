//! Somebody else sizes the fleet: another autoscaler that aims at it, or a writer who comes back whatever is put right. Two who
//! write one number wear out the pods and nothing else, so the operator stops, says whose the size is, and takes it back when they
//! are gone. A single change by hand is no such thing: it is put right.

use jiff::{SignedDuration, Timestamp};

use crate::memory::{Memory, Writer};
use crate::world::{Child, Scales, World};

/// A writer is given way to from this many writes on...
const WRITES: u32 = 5;
/// ...if they go on for this long: whoever tries a few sizes by hand is done by then.
const GOES_ON: SignedDuration = SignedDuration::from_mins(5);
/// Writes that are further apart have nothing to do with each other.
const APART: SignedDuration = SignedDuration::from_mins(10);
/// A writer who was given way to has no reason to write again while the size pleases him: this long after the last write he counts
/// as gone.
const GONE: SignedDuration = SignedDuration::from_hours(1);
/// Characters of a field manager's name that are kept.
const NAME: usize = 64;

/// Whose the Deployment's size is, in words; `None` if it is ours.
pub fn owner(world: &World, writer: Option<&Writer>) -> Option<String> {
    if let Some(rival) = world.rival_on(Scales::Deployment) {
        return Some(rival.name.clone());
    }
    let writer = writer.filter(|writer| persistent(writer))?;
    Some(format!("field manager {}", writer.manager))
}

/// What to remember of writers: the one who wrote last, as long as it matters.
pub fn writer(world: &World, memory: &Memory, now: Timestamp) -> Option<Writer> {
    let known = memory.writer.as_ref().filter(|writer| {
        let patience = if persistent(writer) { GONE } else { APART };
        now.duration_since(writer.last) <= patience
    });
    let view = world.deployment.known().and_then(Child::ours);
    let taken = view.and_then(|view| view.taken.as_ref());
    let Some(taken) = taken.filter(|taken| now.duration_since(taken.at) <= APART) else {
        return known.cloned();
    };
    let manager: String = taken.manager.chars().take(NAME).collect();
    match known {
        // The same write, seen again.
        Some(writer) if writer.manager == manager && taken.at <= writer.last => Some(writer.clone()),
        Some(writer) if writer.manager == manager => Some(Writer {
            last: taken.at,
            writes: writer.writes.saturating_add(1),
            ..writer.clone()
        }),
        Some(_) | None => Some(Writer {
            manager,
            first: taken.at,
            last: taken.at,
            writes: 1,
        }),
    }
}

fn persistent(writer: &Writer) -> bool {
    writer.writes >= WRITES && writer.last.duration_since(writer.first) >= GOES_ON
}
