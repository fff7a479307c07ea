//! The SDK Workers in memory, by thread: one each, more while one hands over to the next.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::core::SdkHandle;

/// All SDK Workers of the process that are still in memory.
#[derive(Debug, Default)]
pub(crate) struct Workers(Mutex<Vec<(String, SdkHandle)>>);

impl Workers {
    /// An SDK Worker was made for this thread.
    pub(crate) fn add(&self, thread: &str, handle: SdkHandle) {
        self.living().push((thread.to_owned(), handle));
    }

    /// How many each thread has.
    pub(crate) fn per_thread(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for (thread, _) in self.living().iter() {
            *counts.entry(thread.clone()).or_default() += 1;
        }
        counts
    }

    fn living(&self) -> MutexGuard<'_, Vec<(String, SdkHandle)>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, handle)| handle.is_alive());
        all
    }
}
