//! Recordings of decisions: one file per fleet with one JSON object per line, as `fleet-sim replay` reads them. A thread of its own
//! writes; a pass only hands over what it has, and neither waits for a disk nor fails with it.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use fleet_autoscale::Record;

/// Records that may wait for the disk; more are dropped.
const WAITING: usize = 64;
/// Size from which on a file is put aside [bytes].
const FULL: u64 = 64 * 1024 * 1024;

/// A record on its way to the file of its fleet.
#[derive(Debug)]
struct Entry {
    /// Name of the file.
    file: String,
    /// The fleet: another one of the same name begins anew.
    uid: String,
    /// A record before this one was dropped.
    gap: bool,
    record: Record,
}

/// Takes records; cheap.
#[derive(Debug)]
pub struct Recorder {
    entries: SyncSender<Entry>,
    /// Files that lack a record.
    lacking: Mutex<HashSet<String>>,
}

impl Recorder {
    /// Starts to write into `directory`, which is made if it is missing. A directory that cannot be written is told in the log: the
    /// fleets matter more than their recordings.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(directory: PathBuf) -> io::Result<Self> {
        Self::begin(directory).map(|(recorder, _)| recorder)
    }

    /// The recorder, and its thread, which ends after the recorder.
    fn begin(directory: PathBuf) -> io::Result<(Self, JoinHandle<()>)> {
        if let Err(error) = fs::create_dir_all(&directory) {
            tracing::error!(directory = %directory.display(), %error, "the directory for recordings cannot be made");
        }
        let (recorder, entries) = Self::new();
        let writer = Writer::new(directory, FULL);
        let thread = thread::Builder::new()
            .name("recorder".into())
            .spawn(move || writer.run(&entries))?;
        Ok((recorder, thread))
    }

    fn new() -> (Self, Receiver<Entry>) {
        let (entries, written) = sync_channel(WAITING);
        let recorder = Self {
            entries,
            lacking: Mutex::default(),
        };
        (recorder, written)
    }

    /// Hands over what a fleet's decision was made from; `record` holds the memory before it.
    pub fn record(&self, namespace: &str, name: &str, uid: &str, record: Record) {
        // Names of Kubernetes have no slash and these two kinds no dot, so a file is a fleet's and lies in the directory.
        let file = format!("{namespace}.{name}.jsonl");
        let mut lacking = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Entry {
            gap: lacking.remove(&file),
            uid: uid.to_owned(),
            record,
            file,
        };
        if let Err(TrySendError::Full(entry) | TrySendError::Disconnected(entry)) = self.entries.try_send(entry) {
            if !entry.gap {
                tracing::warn!(
                    file = entry.file,
                    "a record is dropped: the disk does not keep up with the decisions"
                );
            }
            lacking.insert(entry.file);
        }
    }
}

/// What the writer knows of a file.
struct Known {
    /// Whose records are in it.
    uid: String,
    /// The last record could not be written, and that was told.
    failing: bool,
}

/// Writes the files.
struct Writer {
    directory: PathBuf,
    full: u64,
    known: HashMap<String, Known>,
}

impl Writer {
    fn new(directory: PathBuf, full: u64) -> Self {
        Self {
            directory,
            full,
            known: HashMap::new(),
        }
    }

    /// Writes until nobody records any more.
    fn run(mut self, entries: &Receiver<Entry>) {
        while let Ok(entry) = entries.recv() {
            self.write(entry);
        }
    }

    fn write(&mut self, entry: Entry) {
        let Entry { file, uid, gap, record } = entry;
        let known = self.known.get(&file);
        let follows = !gap && known.is_some_and(|known| known.uid == uid && !known.failing);
        let failed_before = known.is_some_and(|known| known.failing);
        let written = append(&self.directory.join(&file), self.full, record, follows);
        let failing = written.is_err();
        if let Err(error) = written
            && !failed_before
        {
            tracing::error!(file, %error, "a decision cannot be recorded; told once until it can be again");
        }
        self.known.insert(file, Known { uid, failing });
    }
}

/// Appends one line, or nothing. A full file is put aside first, over the one that was put aside before.
fn append(path: &Path, full: u64, record: Record, follows: bool) -> io::Result<()> {
    let mut file = open(path)?;
    let mut before = file.metadata()?.len();
    if before >= full {
        drop(file);
        let mut aside = path.as_os_str().to_owned();
        aside.push(".1");
        fs::rename(path, &aside)?;
        file = open(path)?;
        before = 0;
    }
    let first = before == 0;
    let record = Record {
        // What follows from the line before stands in that line.
        memory: record.memory.filter(|_| first || !follows),
        continues: first && follows,
        ..record
    };
    let mut line = serde_json::to_vec(&record)?;
    line.push(b'\n');
    let written = file.write_all(&line);
    if written.is_err() {
        // Half a line would spoil the next one.
        file.set_len(before)?;
    }
    written
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests;
