//! Somebody else sizes the fleet: another autoscaler that aims at it, or a writer who comes back whatever is put right. Two who
//! write one number wear out the pods and nothing else, so the operator stops, says whose the size is, and takes it back when they
//! are gone. A single change by hand is no such thing: it is put right.

use jiff::{SignedDuration, Timestamp};

use crate::memory::{Memory, WRITERS, Writer};
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
pub fn owner(world: &World, writers: &[Writer]) -> Option<String> {
    if let Some(rival) = world.rival_on(Scales::Deployment) {
        return Some(rival.name.clone());
    }
    // Of several the first who became one: whom the operator gives way to does not change with every write.
    let writer = writers
        .iter()
        .filter(|writer| persistent(writer))
        .min_by_key(|writer| writer.first)?;
    Some(format!("field manager {}", writer.manager))
}

/// What to remember of writers: each for himself, as long as it matters. Two people with a `kubectl` and a tool between them are no
/// autoscaler, and two tools that take turns are two.
pub fn writers(world: &World, memory: &Memory, now: Timestamp) -> Vec<Writer> {
    let mut writers = memory.writers.clone();
    writers.retain(|writer| {
        let patience = if persistent(writer) { GONE } else { APART };
        now.duration_since(writer.last) <= patience
    });
    let view = world.deployment.known().and_then(Child::ours);
    let taken = view.and_then(|view| view.taken.as_ref());
    let Some(taken) = taken.filter(|taken| now.duration_since(taken.at) <= APART) else {
        return writers;
    };
    let manager: String = taken.manager.chars().take(NAME).collect();
    match writers.iter_mut().find(|writer| writer.manager == manager) {
        Some(writer) if taken.at > writer.last => {
            writer.last = taken.at;
            writer.writes = writer.writes.saturating_add(1);
        }
        // The same write, seen again.
        Some(_) => {}
        None => writers.push(Writer {
            manager,
            first: taken.at,
            last: taken.at,
            writes: 1,
        }),
    }
    if writers.len() > WRITERS {
        let oldest = writers.iter().enumerate().min_by_key(|(_, writer)| writer.last);
        if let Some((oldest, _)) = oldest {
            writers.remove(oldest);
        }
    }
    writers
}

fn persistent(writer: &Writer) -> bool {
    writer.writes >= WRITES && writer.last.duration_since(writer.first) >= GOES_ON
}
