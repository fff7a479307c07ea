//! What to do about a reason.

use super::Reason;
use Reason as R;

impl Reason {
    /// What a person should do about it, in one sentence; `None` where nothing has to be done.
    pub fn remedy(self) -> Option<&'static str> {
        Some(match self {
            R::NotObserved => "Wait; if it stays for a minute, look at the operator's log.",
            R::TooFewAvailable => "`kubectl describe pod`: they start, or fail their readiness probe.",
            R::NoPollers | R::QueueNotPolled => {
                "Compare `taskQueues` and `temporalNamespace` with what the worker's image registers; look at its log."
            }
            R::ConnectionFailed | R::SignalsUnknown | R::FallbackActive => {
                "Look at `ConnectionReady` and at `kubectl describe tcx`."
            }
            R::Stalled => "As for the reason in `Stalled`.",
            R::ConnectionNotFound => "Create the TemporalConnection, or correct `connectionRef.name`.",
            R::SecretNotFound => {
                "Create the Secret that the message names, in the Kubernetes namespace of the connection."
            }
            R::SecretInvalid => "Correct the key of the Secret that the message names.",
            R::CertificateExpired => {
                "Renew the certificate in its Secret; the operator takes the new one up by itself."
            }
            R::Unauthenticated => "Check the API key or certificate, and what it may do in the Temporal namespace.",
            R::TLSHandshakeFailed => "Check `tls.caSecretRef` and `tls.serverName` against the server's certificate.",
            R::AddressNotAllowed => {
                "Correct `address`; for a server beside the operator set the chart's `temporal.allowLoopback`."
            }
            R::TemporalNamespaceNotFound => "Create the Temporal namespace, or correct `temporalNamespace`.",
            R::PodTemplateInvalid => "Change the field of the template that the message names.",
            R::ImagePullFailed => "Correct `image`, or give the pods the pull secret of its registry.",
            R::CrashLooping => "`kubectl logs --previous POD`.",
            R::QuotaExceeded => "Raise the ResourceQuota, or change what the admission rule of the message objects to.",
            R::ProgressDeadlineExceeded => {
                "`kubectl describe pod` on the newest pods; correct the template, or apply the former one again."
            }
            R::NameTaken => "Delete the object that the message names, or rename the fleet.",
            R::Unschedulable => {
                "Make room: more nodes, smaller requests, or the node selector and tolerations that the message hints at."
            }
            R::Unreachable => "Check `address`, DNS, the NetworkPolicy and whether the server is up.",
            R::SignalsDegraded => {
                "Nothing where the image serves no `WorkerControl`; else check the pods' ports 9465 and 9464 and the NetworkPolicy."
            }
            R::PollBudgetStretched => "Raise the Temporal namespace's request limit, or `pollingIntervalSeconds`.",
            R::ReplicasOwnedByOther => {
                "Delete the other autoscaler or stop the writer that the message names; the operator takes over again by itself."
            }
            R::QueueClaimedByOther => "Give each fleet a queue of its own, or delete the older fleet.",
            R::AtMaxReplicas => "Raise `maxReplicas`, or accept the wait.",
            R::AtMinReplicas => "Lower `minReplicas` if you want fewer.",
            R::LimitedByBehavior => "Wait, or change `behavior.scaleDown`.",
            R::RateLimited => "Raise `workerOptions.maxTaskQueueActivitiesPerSecond`, or the limit set at Temporal.",
            R::PollerBound => "Give the workers more pollers: `workerOptions.activityTaskPollers: {autoscaling: {}}`.",
            R::DownstreamBound => "Look at what the activities call.",
            R::NewPodsFailing => "`kubectl describe pod` on the newest pods: image, probes, quota, nodes.",
            R::GhostBacklog => {
                "Nothing, if these tasks expired or were cancelled; else look at why the pods do not get them."
            }
            R::Paused | R::PausedAtReplicas | R::ScaleInPaused | R::ScaleOutPaused => {
                "`kubectl temporal-worker resume NAME`."
            }
            R::Available
            | R::ScaledToZero
            | R::Progressing
            | R::NewGeneration
            | R::RolloutRunning
            | R::CredentialRestart
            | R::UpToDate
            | R::NoError
            | R::Connected
            | R::Polling
            | R::SignalsValid
            | R::DryRun
            | R::TurnedOff
            | R::WithinBounds
            | R::NotPaused => return None,
        })
    }
}
