//! `pause` and `resume`: which annotations say what was asked, and what to tell about it. Pure.

use anyhow::bail;
use fleet_core::{
    Hold,
    pause::{self, MOST_REPLICAS},
};
use fleet_crds::{AutoscalingMode, TemporalWorker, names};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::args::Pause;

/// What the options ask for; what makes no sense together is refused.
pub(crate) fn wanted(options: &Pause) -> anyhow::Result<Hold> {
    match (options.at, options.scale_in, options.scale_out) {
        (Some(_), true, _) | (Some(_), _, true) => {
            bail!("--at fixes the size, so nothing is left for --scale-in or --scale-out to hold: give one of them")
        }
        (Some(pods), false, false) if pods > MOST_REPLICAS => {
            bail!("--at {pods}: a fleet has at most {MOST_REPLICAS} pods")
        }
        (Some(pods), false, false) => Ok(Hold::At(pods)),
        (None, true, true) => {
            bail!("--scale-in and --scale-out together hold the size as it is: that is `pause` without options")
        }
        (None, true, false) => Ok(Hold::ScaleIn),
        (None, false, true) => Ok(Hold::ScaleOut),
        (None, false, false) => Ok(Hold::Size),
    }
}

/// The annotations that say so, for a merge patch. All of them: what an earlier `pause` set would go on to hold beside it.
pub(crate) fn annotations(wanted: Hold) -> Value {
    let on = |is: bool| is.then_some("true");
    let pods = match wanted {
        Hold::At(pods) => Some(pods.to_string()),
        Hold::No | Hold::Size | Hold::ScaleIn | Hold::ScaleOut => None,
    };
    json!({
        names::ANNOTATION_PAUSED: on(wanted == Hold::Size),
        names::ANNOTATION_PAUSED_REPLICAS: pods,
        names::ANNOTATION_PAUSED_SCALE_IN: on(wanted == Hold::ScaleIn),
        names::ANNOTATION_PAUSED_SCALE_OUT: on(wanted == Hold::ScaleOut),
    })
}

/// What was done, in one line; `before` is the fleet as it was.
pub(crate) fn told(before: &TemporalWorker, wanted: Hold) -> String {
    let (namespace, name) = (before.namespace().unwrap_or_default(), before.name_any());
    let was = pause::read(before.annotations()).hold;
    let size = before.status.as_ref().and_then(|status| status.desired_replicas);
    let now = match (wanted, size) {
        (Hold::Size, Some(size)) => format!("paused: it stays at {}", pods(size.unsigned_abs())),
        (Hold::Size, None) => "paused: its size stays".to_owned(),
        (Hold::At(size), _) => format!("paused at {}", pods(size)),
        (Hold::ScaleIn, _) => "does not shrink; it still grows".to_owned(),
        (Hold::ScaleOut, _) => "does not grow; it still shrinks".to_owned(),
        (Hold::No, _) if was == Hold::No => "was not paused".to_owned(),
        (Hold::No, _) => format!("resumed: {}", who_decides(before)),
    };
    let was = if was == wanted { Hold::No } else { was };
    let earlier = match was {
        Hold::No => String::new(),
        Hold::Size => " (it was paused)".to_owned(),
        Hold::At(size) => format!(" (it was paused at {})", pods(size)),
        Hold::ScaleIn => " (it did not shrink)".to_owned(),
        Hold::ScaleOut => " (it did not grow)".to_owned(),
    };
    let back = if wanted == Hold::No {
        String::new()
    } else {
        format!("; back by: kubectl temporal-worker resume {name} -n {namespace}")
    };
    format!("{namespace}/{name} {now}{earlier}{back}")
}

fn who_decides(fleet: &TemporalWorker) -> String {
    let spec = &fleet.spec;
    match spec.autoscaling.as_ref().map(|scaling| scaling.mode) {
        Some(AutoscalingMode::Auto) => "the autoscaler decides its size".to_owned(),
        Some(AutoscalingMode::DryRun | AutoscalingMode::Off) | None => {
            format!("spec.replicas is its size, {}", pods(spec.replicas.unsigned_abs()))
        }
    }
}

fn pods(count: u32) -> String {
    format!("{count} pod{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Verb};

    fn parsed(options: &[&str]) -> anyhow::Result<Hold> {
        let line = ["x", "pause", "orders"].iter().chain(options);
        match Cli::parse_from(line).verb {
            Verb::Pause(pause) => wanted(&pause),
            other => panic!("{other:?}"),
        }
    }

    fn fleet(annotations: &Value) -> TemporalWorker {
        let mut annotations = annotations.clone();
        annotations
            .as_object_mut()
            .expect("an object")
            .retain(|_, value| !value.is_null());
        serde_json::from_value(json!({
            "apiVersion": "temporal-fleet.dev/v1alpha1", "kind": "TemporalWorker",
            "metadata": {"name": "orders", "namespace": "shop", "annotations": annotations},
            "spec": {
                "connectionRef": {"name": "prod"}, "taskQueues": [{"name": "orders"}], "image": "orders:1",
                "autoscaling": {"maxReplicas": 60}
            },
            "status": {"desiredReplicas": 6}
        }))
        .expect("a fleet")
    }

    #[test]
    fn options_say_what_is_held() {
        for (options, held) in [
            (&[][..], Hold::Size),
            (&["--at", "3"], Hold::At(3)),
            (&["--at", "0"], Hold::At(0)),
            (&["--scale-in"], Hold::ScaleIn),
            (&["--scale-out"], Hold::ScaleOut),
        ] {
            assert_eq!(parsed(options).expect("makes sense"), held, "{options:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_together_is_refused_with_the_way_out() {
        for (options, hint) in [
            (&["--at", "3", "--scale-in"][..], "give one of them"),
            (&["--at", "3", "--scale-out"], "give one of them"),
            (&["--scale-in", "--scale-out"], "`pause` without options"),
            (&["--at", "10001"], "at most 10000 pods"),
        ] {
            let refused = parsed(options).expect_err("makes no sense").to_string();
            assert!(refused.contains(hint), "{refused}");
        }
    }

    #[test]
    fn the_operator_reads_what_is_written_whatever_stood_there_before() {
        let all = [Hold::No, Hold::Size, Hold::At(3), Hold::ScaleIn, Hold::ScaleOut];
        for before in all {
            for wanted in all {
                // A merge patch: null takes away, the rest replaces.
                let mut merged = annotations(before);
                let patch = annotations(wanted);
                for (name, value) in patch.as_object().expect("an object") {
                    merged[name] = value.clone();
                }
                let read = pause::read(fleet(&merged).annotations());
                assert_eq!(read.hold, wanted, "after {before:?}");
                assert!(read.unreadable.is_empty());
            }
        }
    }

    #[test]
    fn it_says_what_it_did_and_what_was() {
        let told = |before: Hold, wanted: Hold| told(&fleet(&annotations(before)), wanted);
        let text = [
            told(Hold::No, Hold::Size),
            told(Hold::Size, Hold::At(1)),
            told(Hold::At(3), Hold::ScaleIn),
            told(Hold::ScaleIn, Hold::ScaleOut),
            told(Hold::ScaleOut, Hold::No),
            told(Hold::No, Hold::No),
        ];
        insta::assert_snapshot!(text.join("\n"), @r"
        shop/orders paused: it stays at 6 pods; back by: kubectl temporal-worker resume orders -n shop
        shop/orders paused at 1 pod (it was paused); back by: kubectl temporal-worker resume orders -n shop
        shop/orders does not shrink; it still grows (it was paused at 3 pods); back by: kubectl temporal-worker resume orders -n shop
        shop/orders does not grow; it still shrinks (it did not shrink); back by: kubectl temporal-worker resume orders -n shop
        shop/orders resumed: the autoscaler decides its size (it did not grow)
        shop/orders was not paused
        ");
    }
}
