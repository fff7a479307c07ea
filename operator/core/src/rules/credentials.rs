//! Credentials that changed: restart the pods, unless they re-read their files.

use crate::autoscale::Seen;
use crate::world::{PodView, Source};

/// Checksum to render into the pod template.
///
/// Written at creation (`on_template` is `None`), moved only when the content changed, restarts are wanted and a Ready pod is
/// known not to reload its files. Unknown keeps what stands: a restart that nobody needs costs work.
pub fn checksum<'a>(
    content: &'a str,
    on_template: Option<&'a str>,
    restart: bool,
    pods: &Seen<Vec<PodView>>,
) -> &'a str {
    let Some(present) = on_template else { return content };
    if present == content || !restart {
        return present;
    }
    let Seen::Known(pods) = pods else { return present };
    let ready: Vec<_> = pods.iter().filter(|pod| pod.serves() && pod.ready.is_some()).collect();
    // A pod that serves no WorkerControl at all is another SDK's image: it cannot reload. One that does and cannot be read
    // just now is unknown.
    let stale = ready.iter().any(|pod| match &pod.report {
        Seen::Known(report) if report.source == Source::WorkerControl => !report.reloads_credentials,
        Seen::Known(_) | Seen::Unknown { .. } => pod.never_reported,
    });
    if stale { content } else { present }
}
