//! `behavior`: how fast an HPA may change a Deployment.

/// Which of several policies decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: no change in this direction.
    Disabled,
}

/// What the value of a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pods.
    Pods,
    /// Per cent of the replicas at the start of the period.
    Percent,
}

/// Most change within a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// What `value` counts.
    pub kind: Kind,
    /// Most change.
    pub value: u32,
    /// Length of the period [s].
    pub period_seconds: f64,
}

/// Rules of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Window over which the mildest recommendation is taken [s]: the smallest for up, the largest for down.
    pub stabilization_seconds: f64,
    /// Limits on the rate.
    pub policies: Vec<Policy>,
    /// Which policy decides.
    pub select: Select,
    /// Tolerance of the ratio in this direction, if not 0.1.
    pub tolerance: Option<f64>,
}

/// Rules of both directions.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// Scaling up.
    pub up: Rules,
    /// Scaling down.
    pub down: Rules,
}

impl Default for Behavior {
    /// What the API fills in where `behavior` is set and empty: up 4 pods or 100 % per 15 s, whichever is more; down 100 % per
    /// 15 s after 300 s.
    fn default() -> Self {
        let policy = |kind, value| Policy {
            kind,
            value,
            period_seconds: 15.0,
        };
        Self {
            up: Rules::new(0.0, vec![policy(Kind::Pods, 4), policy(Kind::Percent, 100)]),
            down: Rules::new(300.0, vec![policy(Kind::Percent, 100)]),
        }
    }
}

/// Replicas added and removed within a period that ends now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Added by the HPA.
    pub added: u32,
    /// Removed by the HPA.
    pub removed: u32,
}

impl Rules {
    /// Rules with the largest change selected and the common tolerance.
    pub fn new(stabilization_seconds: f64, policies: Vec<Policy>) -> Self {
        Self {
            stabilization_seconds,
            policies,
            select: Select::Max,
            tolerance: None,
        }
    }

    /// Most replicas that the rules allow from `current`, at least `current`; `changed` tells the past of a period.
    pub fn upper_limit(&self, current: u32, changed: impl Fn(f64) -> Changed) -> u32 {
        let limits = self.policies.iter().map(|policy| {
            let start = start(current, changed(policy.period_seconds));
            match policy.kind {
                Kind::Pods => start + f64::from(policy.value),
                // Up, or 10 % of one pod would never add one.
                Kind::Percent => (start * (1.0 + f64::from(policy.value) / 100.0)).ceil(),
            }
        });
        let limit = match self.select {
            Select::Disabled => None,
            Select::Max => limits.reduce(f64::max),
            Select::Min => limits.reduce(f64::min),
        };
        limit.map_or(current, |limit| (limit as u32).max(current))
    }

    /// Fewest replicas that the rules allow from `current`, at most `current`; `changed` tells the past of a period.
    pub fn lower_limit(&self, current: u32, changed: impl Fn(f64) -> Changed) -> u32 {
        let limits = self.policies.iter().map(|policy| {
            let start = start(current, changed(policy.period_seconds));
            match policy.kind {
                Kind::Pods => start - f64::from(policy.value),
                Kind::Percent => (start * (1.0 - f64::from(policy.value) / 100.0)).trunc(),
            }
        });
        let limit = match self.select {
            Select::Disabled => None,
            // The largest change leaves the fewest replicas.
            Select::Max => limits.reduce(f64::min),
            Select::Min => limits.reduce(f64::max),
        };
        limit.map_or(current, |limit| (limit as u32).min(current))
    }
}

/// Replicas at the start of a period, as the controller reckons: what it added since is taken off, what it removed put back.
fn start(current: u32, changed: Changed) -> f64 {
    f64::from(current) - f64::from(changed.added) + f64::from(changed.removed)
}
