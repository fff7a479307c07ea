//! `Memory`: what `decide` must not forget between two calls. Placeholder fields follow with the law.
use serde::{Deserialize, Serialize};

/// What `decide` carries from call to call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {}
