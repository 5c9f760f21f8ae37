//! How long peers stay and stay away: laws of session lengths, and lengths drawn from them.
//!
//! Pure, and drawn while planning, so that a plan shows every coming and going before the run. Who goes when is in `churn`.

use std::time::Duration;

use peerbed_proto::Random;

/// Lengths of sessions, or of absences.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifetimes {
    law: Law,
    /// What the law's plain values are multiplied by, in seconds.
    scale: f64,
}

/// How lengths are spread about their middle.
#[derive(Clone, Debug, PartialEq)]
pub enum Law {
    /// However long a session has lasted, it ends in the next second as likely as any other.
    Exponential,
    /// With a shape below 1, as measured of file sharing, whoever has stayed long stays longer.
    Weibull {
        /// Above 0; 1 is exponential.
        shape: f64,
    },
    /// Heavy-tailed: a few stay for very long.
    Pareto {
        /// Above 0; above 1 there is a mean.
        shape: f64,
    },
    /// One of these lengths in seconds, each as likely as any other. At least one, all above zero.
    Observed(Vec<f64>),
}

/// The figure of a law that is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Middle {
    /// Their mean.
    Mean(Duration),
    /// Half are shorter.
    Median(Duration),
    /// As they were observed.
    AsObserved,
}

impl Lifetimes {
    /// A law scaled so that its middle is the given one; none where the law has no such middle.
    #[must_use]
    pub fn new(law: Law, middle: Middle) -> Option<Self> {
        let (wanted, plain) = match middle {
            Middle::Mean(mean) => (mean.as_secs_f64(), law.mean()?),
            Middle::Median(median) => (median.as_secs_f64(), law.median()),
            Middle::AsObserved => (1.0, 1.0),
        };
        (plain > 0.0 && wanted > 0.0).then(|| Self { scale: wanted / plain, law })
    }

    /// Draws a length, in seconds.
    pub fn draw(&self, random: &mut Random) -> f64 {
        self.scale * self.law.draw(random)
    }

    /// Draws what is left of a session that has lasted for `age` seconds: of those drawn that last longer. A law that has
    /// none after `DRAWS_MAX` tries gives a new session.
    pub fn draw_rest(&self, age: f64, random: &mut Random) -> f64 {
        (0..DRAWS_MAX)
            .map(|_| self.draw(random))
            .find(|length| *length > age)
            .map_or_else(|| self.draw(random), |length| length - age)
    }
}

impl Law {
    /// With a scale of 1.
    pub(super) fn draw(&self, random: &mut Random) -> f64 {
        // In (0, 1]: the logarithm of nothing is infinite.
        let left = 1.0 - random.fraction();
        match self {
            Self::Exponential => -left.ln(),
            Self::Weibull { shape } => (-left.ln()).powf(1.0 / shape),
            Self::Pareto { shape } => left.powf(-1.0 / shape),
            Self::Observed(lengths) => random.pick(lengths).copied().unwrap_or(1.0),
        }
    }

    /// None where there is none, or none that is finite.
    fn mean(&self) -> Option<f64> {
        match self {
            Self::Exponential => Some(1.0),
            Self::Weibull { shape } => Some(gamma(1.0 + 1.0 / shape)).filter(|mean| mean.is_finite()),
            Self::Pareto { shape } => (*shape > 1.0).then(|| shape / (shape - 1.0)),
            Self::Observed(lengths) => Some(lengths.iter().sum::<f64>() / lengths.len() as f64),
        }
    }

    fn median(&self) -> f64 {
        match self {
            Self::Exponential => std::f64::consts::LN_2,
            Self::Weibull { shape } => std::f64::consts::LN_2.powf(1.0 / shape),
            Self::Pareto { shape } => 2_f64.powf(1.0 / shape),
            Self::Observed(lengths) => {
                let mut sorted = lengths.clone();
                sorted.sort_by(f64::total_cmp);
                crate::results::percentile(&sorted, 0.5).unwrap_or(1.0)
            }
        }
    }
}

/// The gamma function of a number above 0.5, by Lanczos' approximation (g = 7, nine terms): right to 13 digits.
fn gamma(x: f64) -> f64 {
    let x = x - 1.0;
    let sum =
        LANCZOS[1..].iter().zip(1_u32..).fold(LANCZOS[0], |sum, (term, place)| sum + term / (x + f64::from(place)));
    let t = x + 7.5;
    std::f64::consts::TAU.sqrt() * t.powf(x + 0.5) * (-t).exp() * sum
}

/// Godfrey's coefficients for g = 7.
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

/// Sessions drawn for one that is older than a given age. At an age of five means one in 150 exponential ones is.
const DRAWS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(law: Law, middle: Middle) -> Vec<f64> {
        let lifetimes = Lifetimes::new(law, middle).unwrap();
        let mut random = Random::new(11, "lifetimes");
        let mut lengths: Vec<f64> = (0..200_000).map(|_| lifetimes.draw(&mut random)).collect();
        lengths.sort_by(f64::total_cmp);
        lengths
    }

    fn near(found: f64, wanted: f64, share: f64) {
        assert!((found / wanted - 1.0).abs() < share, "{found} is not {wanted}");
    }

    #[test]
    fn each_law_has_the_mean_it_is_given() {
        let mean = Middle::Mean(Duration::from_secs(100));
        for law in [
            Law::Exponential,
            Law::Weibull { shape: 0.6 },
            Law::Pareto { shape: 3.0 },
            Law::Observed(vec![1.0, 2.0, 9.0]),
        ] {
            let lengths = drawn(law, mean);
            near(lengths.iter().sum::<f64>() / lengths.len() as f64, 100.0, 0.02);
        }
    }

    #[test]
    fn each_law_has_the_median_it_is_given_also_where_it_has_no_mean() {
        let median = Middle::Median(Duration::from_secs(60));
        for law in [Law::Exponential, Law::Weibull { shape: 0.6 }, Law::Pareto { shape: 0.8 }] {
            near(drawn(law, median)[100_000], 60.0, 0.02);
        }
        assert_eq!(drawn(Law::Observed(vec![1.0, 2.0, 9.0]), median)[100_000], 60.0);
        assert_eq!(Lifetimes::new(Law::Pareto { shape: 1.0 }, Middle::Mean(Duration::from_secs(1))), None);
    }

    #[test]
    fn tails_are_those_of_the_laws() {
        let mean = Middle::Mean(Duration::from_secs(1));
        let above = |lengths: &[f64], limit: f64| {
            (lengths.len() - lengths.partition_point(|length| *length <= limit)) as f64 / lengths.len() as f64
        };
        near(above(&drawn(Law::Exponential, mean), 2.0), (-2.0_f64).exp(), 0.03);
        // Shape 2 and mean 1: no session is shorter than a half, and one in 16 is longer than two.
        let pareto = drawn(Law::Pareto { shape: 2.0 }, mean);
        assert!(pareto[0] >= 0.5);
        near(above(&pareto, 2.0), 1.0 / 16.0, 0.05);
        // Shape 1/2: mean 2, so that the scale is 1/2 and P(x > 2) is e^-2.
        near(above(&drawn(Law::Weibull { shape: 0.5 }, mean), 2.0), (-2.0_f64).exp(), 0.03);
    }

    #[test]
    fn lengths_are_drawn_as_they_were_observed() {
        let lengths = drawn(Law::Observed(vec![3.0, 5.0]), Middle::AsObserved);
        assert_eq!((lengths[0], lengths[199_999]), (3.0, 5.0));
        near(lengths.partition_point(|length| *length < 4.0) as f64, 100_000.0, 0.02);
    }

    #[test]
    fn what_is_left_of_an_exponential_session_is_as_long_as_a_whole_one_and_of_a_pareto_one_longer() {
        let rest = |law: Law| {
            let lifetimes = Lifetimes::new(law, Middle::Mean(Duration::from_secs(10))).unwrap();
            let mut random = Random::new(5, "rest");
            (0..20_000).map(|_| lifetimes.draw_rest(10.0, &mut random)).sum::<f64>() / 20_000.0
        };
        near(rest(Law::Exponential), 10.0, 0.03);
        // Given that it is longer than t, a Pareto session of shape a lasts t a/(a - 1) in the mean.
        near(rest(Law::Pareto { shape: 3.0 }), 5.0, 0.1);
        assert!(rest(Law::Weibull { shape: 0.6 }) > 10.0);
    }

    #[test]
    fn gamma_of_whole_numbers_and_halves_is_exact() {
        near(gamma(5.0), 24.0, 1e-12);
        near(gamma(1.5), std::f64::consts::PI.sqrt() / 2.0, 1e-12);
    }
}
