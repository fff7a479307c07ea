//! The course of one run: backlog, age, pods and cost over time, several scalers on one picture. Dots are decisions; they show
//! their reason under the pointer.

use super::axis::Panel;
use super::{colour, document, escaped, legend};
use crate::scenario::Scenario;
use crate::series::{Point, Series};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 170.0;
const GAP: f64 = 34.0;

/// What a panel shows of a point.
type Read = fn(&Point) -> f64;

/// The course of the runs of several scalers.
pub fn course(scenario: &Scenario, runs: &[(String, Series)]) -> String {
    let minutes = scenario.duration_seconds / 60.0;
    let panels: [(&str, Read); 4] = [
        ("backlog [tasks]", |point| point.backlog as f64),
        ("age of the oldest task [s]", |point| point.age),
        ("pods: Ready (line), asked for (dashed), decisions (dots)", |point| {
            f64::from(point.ready)
        }),
        ("cost [pod-hours]", |point| point.pod_seconds / 3600.0),
    ];
    let mut body = legend(runs.iter().map(|(name, _)| name.as_str()), 60.0, 44.0);
    body.push_str(&format!(
        "<text x=\"60\" y=\"22\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
        escaped(&scenario.name)
    ));
    let last = panels.len() - 1;
    for (number, (title, read)) in panels.iter().enumerate() {
        let pods = number == 2;
        let most = runs.iter().flat_map(|(_, series)| &series.points).map(|point| {
            let wanted = if pods { f64::from(point.desired) } else { 0.0 };
            read(point).max(wanted)
        });
        let panel = Panel {
            left: 60.0,
            top: 74.0 + number as f64 * (HEIGHT + GAP),
            width: WIDTH - 80.0,
            height: HEIGHT,
            most: (1.0, 1.0),
        }
        .spanning(minutes, most.fold(1.0, f64::max));
        body.push_str(&panel.frame(title, if number == last { "minutes" } else { "" }));
        if number == 1 {
            let limit = scenario.objective.seconds;
            let ends = [(0.0, limit), (minutes, limit)];
            body.push_str(&panel.line(ends.into_iter(), "#888", "stroke-dasharray=\"2 3\""));
        }
        for (which, (_, series)) in runs.iter().enumerate() {
            let points = || series.points.iter();
            let colour = colour(which);
            let line = points().map(|point| (point.at / 60.0, read(point)));
            body.push_str(&panel.line(line, colour, "stroke-width=\"1.4\""));
            if pods {
                let wanted = points().map(|point| (point.at / 60.0, f64::from(point.desired)));
                body.push_str(&panel.line(wanted, colour, "stroke-width=\"0.8\" stroke-dasharray=\"4 3\""));
                body.push_str(&decisions(&panel, series, colour));
            }
        }
    }
    let height = 74.0 + panels.len() as f64 * (HEIGHT + GAP) + 20.0;
    document(WIDTH, height, &scenario.name, &body)
}

fn decisions(panel: &Panel, series: &Series, colour: &str) -> String {
    let dot = |change: &crate::series::Change| {
        let because = change.because.as_deref().unwrap_or("");
        format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.2\" fill=\"{colour}\"><title>{:.0} s: {} to {} {}</title></circle>\n",
            panel.x(change.at / 60.0),
            panel.y(f64::from(change.to)),
            change.at,
            change.from,
            change.to,
            escaped(because),
        )
    };
    series.changes.iter().map(dot).collect()
}
