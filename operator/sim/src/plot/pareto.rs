//! Cost against violations, all workloads together: the lower left is better. Crosses are 95 % confidence intervals.

use super::axis::Panel;
use super::{colour, document, escaped};
use crate::compare::Runs;
use crate::report::{scalers, total};

/// The Pareto plot of all scalers.
pub fn pareto(runs: &[Runs]) -> String {
    let marks: Vec<_> = scalers(runs)
        .into_iter()
        .map(|name| {
            (
                name,
                total(runs, name, "pod_hours"),
                total(runs, name, "violation_minutes"),
            )
        })
        .collect();
    let most = |read: fn(&(_, _, _)) -> f64| marks.iter().map(read).fold(1.0, f64::max) * 1.08;
    let panel = Panel {
        left: 80.0,
        top: 60.0,
        width: 780.0,
        height: 460.0,
        most: (1.0, 1.0),
    }
    .spanning(most(|(_, hours, _)| hours.high), most(|(_, _, minutes)| minutes.high));
    let mut body = panel.frame("minutes in which the objective was violated", "pod-hours");
    for (number, (name, hours, minutes)) in marks.iter().enumerate() {
        let colour = colour(number);
        let (x, y) = (panel.x(hours.mean), panel.y(minutes.mean));
        let across = [(hours.low, minutes.mean), (hours.high, minutes.mean)];
        let up = [(hours.mean, minutes.low), (hours.mean, minutes.high)];
        for line in [across, up] {
            body.push_str(&panel.line(line.into_iter(), colour, "stroke-width=\"1\""));
        }
        body.push_str(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
            x + 7.0,
            y - 6.0,
            escaped(name)
        ));
    }
    body.push_str(
        "<text x=\"80\" y=\"28\" font-size=\"16\" font-weight=\"bold\">Simulated: all workloads together</text>\n",
    );
    document(900.0, 580.0, "Cost against violations", &body)
}
