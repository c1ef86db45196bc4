//! A stacked bar as parts of a drawing. The page always has the same numbers in words beside it.

use crate::FieldReport;

/// The least width of a part that is not empty, in percent: three of 40,000 must be visible.
const WIDTH_MIN: f64 = 2.5;

#[derive(Debug, PartialEq)]
pub(in crate::draw::html) struct Part {
    /// Its class in the style sheet.
    pub(in crate::draw::html) class: &'static str,
    /// Its left edge, in percent.
    pub(in crate::draw::html) x: String,
    /// Its width, in percent.
    pub(in crate::draw::html) width: String,
}

/// The parts from left to right; none where there is nothing to show.
#[derive(Debug, PartialEq)]
pub(in crate::draw::html) struct Bar {
    pub(in crate::draw::html) parts: Vec<Part>,
}

impl Bar {
    /// Equal values, the causes, and values that were left out.
    pub(super) fn of_field(field: &FieldReport) -> Bar {
        let mut parts = vec![("equal", field.matched)];
        parts.extend(field.causes.iter().map(|(cause, n)| (cause.as_str(), *n)));
        parts.push(("ignored", field.ignored));
        Bar::stacked(&parts)
    }

    /// One part of a whole.
    pub(super) fn of_one(class: &'static str, n: u64, whole: u64) -> Bar {
        Bar::stacked(&[(class, n), ("rest", whole.saturating_sub(n))])
    }

    fn stacked(counts: &[(&'static str, u64)]) -> Bar {
        let counts: Vec<_> = counts.iter().filter(|(_, n)| *n > 0).collect();
        let all: f64 = counts.iter().map(|(_, n)| *n as f64).sum();
        let widths: Vec<f64> =
            counts.iter().map(|(_, n)| (*n as f64 / all * 100.0).max(WIDTH_MIN)).collect();
        let too_wide = widths.iter().sum::<f64>() - 100.0;
        let widest = widths.iter().copied().fold(0.0, f64::max);
        let mut x = 0.0;
        let mut shrunk = false;
        let mut parts = Vec::new();
        for ((class, _), mut width) in counts.into_iter().zip(widths) {
            // The widest part shrinks by what the thin parts gain.
            if width >= widest && !shrunk {
                width -= too_wide;
                shrunk = true;
            }
            parts.push(Part { class, x: format!("{x:.2}"), width: format!("{width:.2}") });
            x += width;
        }
        Bar { parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    #[test]
    fn a_few_of_many_are_visible() {
        let field = FieldReport {
            compared: 40_000,
            matched: 39_997,
            causes: [(Cause::Bug, 2), (Cause::Race, 1)].into(),
            ..FieldReport::default()
        };
        let part =
            |class, x: &str, width: &str| Part { class, x: x.to_owned(), width: width.to_owned() };
        let expect = vec![
            part("equal", "0.00", "95.00"),
            part("bug", "95.00", "2.50"),
            part("race", "97.50", "2.50"),
        ];
        assert_eq!(Bar::of_field(&field).parts, expect);
    }

    #[test]
    fn an_empty_bar_has_no_parts() {
        assert_eq!(Bar::of_field(&FieldReport::default()).parts, []);
    }
}
