//! What a person sees while the demo runs: a few lines redrawn in place on a terminal, else plain lines. Drawing is pure;
//! [`Screen`] only writes.

use std::io::{IsTerminal, Write};

use super::record::{PhaseKind, Sample};
use crate::fleet::status::Decision;

/// Widest line drawn; longer ones are cut, so that redrawing counts lines right.
const WIDTH: usize = 118;
/// Cells of a bar.
const BAR: u32 = 24;

/// Everything on the screen at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame<'a> {
    /// The present phase.
    pub phase: PhaseKind,
    /// Its number from 1, and of how many.
    pub number: (usize, usize),
    /// Seconds since the scenario began.
    pub elapsed_seconds: u64,
    /// What was seen in this second.
    pub sample: &'a Sample,
    /// Decisions so far, in order of time.
    pub decisions: &'a [Decision],
    /// Largest size the fleet may have, for the bar.
    pub max_replicas: u32,
    /// The objective for schedule-to-start, in seconds.
    pub objective_seconds: f64,
}

/// The lines of a terminal view.
pub fn draw(frame: &Frame<'_>) -> Vec<String> {
    let sample = frame.sample;
    let mut lines = vec![
        format!(
            "Temporal Fleet demo · {}/{} {} · {} · {} workflows/s",
            frame.number.0,
            frame.number.1,
            frame.phase.name(),
            clock(frame.elapsed_seconds),
            decimal(sample.rate, 1),
        ),
        format!(
            "  workflows     {} started, {} completed",
            sample.started,
            number(sample.completed)
        ),
        format!(
            "  backlog       {} tasks, the oldest waits {} s",
            number(sample.backlog),
            decimal(sample.backlog_age_seconds, 1)
        ),
        format!(
            "  start p99     {} s from scheduling to a worker (objective {} s)",
            decimal(sample.schedule_to_start_p99_seconds, 2),
            frame.objective_seconds
        ),
        format!(
            "  slots         {} {} of {} busy",
            bar(sample.slots_used, sample.slots_limit),
            number(sample.slots_used),
            number(sample.slots_limit)
        ),
        format!(
            "  CPU           {} {} % of the limit",
            bar(sample.cpu_utilization.map(|share| (share * 100.0) as u32), Some(100)),
            decimal(sample.cpu_utilization.map(|share| share * 100.0), 0)
        ),
        format!(
            "  pods          {} {} ready of {} desired, {} finishing their tasks",
            bar(sample.ready, Some(frame.max_replicas)),
            number(sample.ready),
            number(sample.desired),
            number(sample.ending)
        ),
    ];
    let recent = frame.decisions.iter().rev().take(3);
    lines.push(if frame.decisions.is_empty() {
        "  no decision yet".to_owned()
    } else {
        "  last decisions".to_owned()
    });
    lines.extend(recent.map(|decision| format!("    {}", words(decision))));
    lines.iter().map(|line| cut(line)).collect()
}

/// One plain line.
pub fn line(frame: &Frame<'_>) -> String {
    let sample = frame.sample;
    format!(
        "{} {:<12} {:>5}/s  backlog {} age {} s  p99 {} s  slots {}/{}  cpu {} %  pods {}/{} (+{} ending)  done {}/{}",
        clock(frame.elapsed_seconds),
        frame.phase.name(),
        decimal(sample.rate, 1),
        number(sample.backlog),
        decimal(sample.backlog_age_seconds, 1),
        decimal(sample.schedule_to_start_p99_seconds, 2),
        number(sample.slots_used),
        number(sample.slots_limit),
        decimal(sample.cpu_utilization.map(|share| share * 100.0), 0),
        number(sample.ready),
        number(sample.desired),
        number(sample.ending),
        number(sample.completed),
        sample.started,
    )
}

/// A decision in words.
pub fn words(decision: &Decision) -> String {
    let Decision {
        time,
        from,
        to,
        reason,
        message,
    } = decision;
    let time = time.strftime("%H:%M:%S");
    let verb = match to.cmp(from) {
        std::cmp::Ordering::Greater => "out",
        std::cmp::Ordering::Less => "in",
        std::cmp::Ordering::Equal => "hold",
    };
    format!("{time} {verb} {from} -> {to} by {reason}: {message}")
}

fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn number(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
}

fn decimal(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.places$}"))
}

fn bar(value: Option<u32>, of: Option<u32>) -> String {
    let filled = match (value, of) {
        (Some(value), Some(of)) if of > 0 => (value * BAR).div_ceil(of).min(BAR),
        _ => 0,
    };
    let cells = |count: u32, cell: &str| cell.repeat(count as usize);
    format!("[{}{}]", cells(filled, "#"), cells(BAR - filled, "."))
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(WIDTH - 1).collect();
    short.push('…');
    short
}

/// Where the view is written.
#[derive(Debug)]
pub struct Screen {
    terminal: bool,
    drawn: usize,
    said: usize,
    last_phase: Option<PhaseKind>,
}

impl Screen {
    /// Redraws in place on a terminal, unless `plain`.
    pub fn new(plain: bool) -> Self {
        Self {
            terminal: !plain && std::io::stdout().is_terminal(),
            drawn: 0,
            said: 0,
            last_phase: None,
        }
    }

    /// Shows a frame: on a terminal each, else one line every 5 s, at each new phase, and each decision once.
    pub fn show(&mut self, frame: &Frame<'_>) {
        let mut out = std::io::stdout().lock();
        // A reader that went away must not end the demo: the verdict is in a file as well.
        let _ = if self.terminal {
            self.redraw(&mut out, frame)
        } else {
            self.append(&mut out, frame)
        };
    }

    /// From now on the lines drawn stay where they are.
    pub fn leave(&mut self) {
        self.drawn = 0;
    }

    fn redraw(&mut self, out: &mut impl Write, frame: &Frame<'_>) -> std::io::Result<()> {
        if self.drawn > 0 {
            write!(out, "\x1b[{}A\x1b[J", self.drawn)?;
        }
        let lines = draw(frame);
        self.drawn = lines.len();
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }

    fn append(&mut self, out: &mut impl Write, frame: &Frame<'_>) -> std::io::Result<()> {
        for decision in frame.decisions.iter().skip(self.said) {
            writeln!(out, "{} decision {}", clock(frame.elapsed_seconds), words(decision))?;
        }
        self.said = frame.decisions.len();
        if self.last_phase != Some(frame.phase) || frame.elapsed_seconds.is_multiple_of(5) {
            writeln!(out, "{}", line(frame))?;
        }
        self.last_phase = Some(frame.phase);
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        Sample {
            desired: Some(6),
            ready: Some(5),
            pods: Some(7),
            ending: Some(2),
            rate: Some(10.04),
            backlog: Some(41),
            backlog_age_seconds: Some(3.0),
            schedule_to_start_p99_seconds: Some(1.4),
            slots_used: Some(18),
            slots_limit: Some(24),
            cpu_utilization: Some(0.42),
            started: 512,
            completed: Some(430),
            ..Sample::default()
        }
    }

    fn decision() -> Decision {
        Decision {
            time: "2026-11-22T12:04:31Z".parse().unwrap(),
            from: 4,
            to: 6,
            reason: "ScheduleToStart".to_owned(),
            message: format!("10.0/s x 2.0 s = 20 busy slots{} -> 6", " and so on".repeat(20)),
        }
    }

    fn frame<'a>(sample: &'a Sample, decisions: &'a [Decision]) -> Frame<'a> {
        Frame {
            phase: PhaseKind::Step,
            number: (2, 8),
            elapsed_seconds: 83,
            sample,
            decisions,
            max_replicas: 10,
            objective_seconds: 5.0,
        }
    }

    #[test]
    fn the_screen_shows_every_number_and_the_decision_in_words() {
        let (sample, decisions) = (sample(), [decision()]);
        let lines = draw(&frame(&sample, &decisions));
        let text = lines.join("\n");
        for part in [
            "2/8 step · 1:23 · 10.0 workflows/s",
            "512 started, 430 completed",
            "41 tasks, the oldest waits 3.0 s",
            "1.40 s",
            "18 of 24 busy",
            "42 % of the limit",
            "5 ready of 6 desired, 2 finishing",
            "12:04:31 out 4 -> 6 by ScheduleToStart",
        ] {
            assert!(text.contains(part), "\"{part}\" is missing in\n{text}");
        }
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn what_was_not_seen_is_a_question_mark() {
        let unseen = Sample::default();
        let text = draw(&frame(&unseen, &[])).join("\n");
        assert!(
            text.contains("? ready of ? desired") && text.contains("? tasks") && text.contains("? % of"),
            "{text}"
        );
        assert!(line(&frame(&unseen, &[])).contains("backlog ? age ? s"));
    }

    #[test]
    fn plain_output_says_each_decision_once_and_a_line_every_five_seconds() {
        let (sample, decisions) = (sample(), [decision()]);
        let mut screen = Screen {
            terminal: false,
            drawn: 0,
            said: 0,
            last_phase: None,
        };
        let mut out = Vec::new();
        for elapsed_seconds in 81..=90 {
            screen
                .append(
                    &mut out,
                    &Frame {
                        elapsed_seconds,
                        ..frame(&sample, &decisions)
                    },
                )
                .unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("decision 12:04:31").count(), 1, "{text}");
        assert_eq!(
            text.matches("backlog").count(),
            3,
            "at 1:21 for the phase, 1:25 and 1:30: {text}"
        );
    }
}
