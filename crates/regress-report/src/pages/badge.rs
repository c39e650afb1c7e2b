//! The badge of a repository: a small drawing with two words, for a README.

use report_kit::escape::escape_html as escape;

/// What the badge says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Badge {
    /// The newest judgement of every component found no regression.
    Passing,
    /// So many benchmarks are slower.
    Regression(usize),
    /// None is known to be slower, and of at least one another run would decide.
    Suspected,
    /// There are runs, and none of their benchmarks could be judged.
    NotJudged,
    /// There are no judged runs.
    NoData,
    /// There is no such repository, or it is not for everybody to see.
    Unknown,
}

impl Badge {
    /// The words.
    #[must_use]
    pub fn status_text(self) -> String {
        match self {
            Self::Passing => "passing".to_owned(),
            Self::Regression(1) => "1 regression".to_owned(),
            Self::Regression(count) => format!("{count} regressions"),
            Self::Suspected => "suspected".to_owned(),
            Self::NotJudged => "not judged".to_owned(),
            Self::NoData => "no data".to_owned(),
            Self::Unknown => "unknown".to_owned(),
        }
    }

    /// Dark enough for white letters, on a light page and on a dark one.
    fn colour(self) -> &'static str {
        match self {
            Self::Passing => "#1a7f37",
            Self::Regression(_) => "#b4232c",
            Self::Suspected => "#8a5a00",
            Self::NotJudged | Self::NoData | Self::Unknown => "#6a737d",
        }
    }

    /// The drawing, with `label` on its left.
    #[must_use]
    pub fn render_svg(self, label: &str) -> String {
        let words = self.status_text();
        let (left, right) = (width(label) + 12.0, width(&words) + 12.0);
        let (label, words) = (escape(label), escape(&words));
        let (all, colour) = (left + right, self.colour());
        let (left_middle, right_middle) = (left / 2.0, left + right / 2.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all:.0}\" height=\"20\" viewBox=\"0 0 {all:.0} 20\" role=\"img\" aria-label=\"{label}: {words}\">\
             <title>{label}: {words}</title>\
             <clipPath id=\"r\"><rect width=\"{all:.0}\" height=\"20\" rx=\"4\"/></clipPath>\
             <g clip-path=\"url(#r)\"><rect width=\"{left:.1}\" height=\"20\" fill=\"#3b424b\"/><rect x=\"{left:.1}\" width=\"{right:.1}\" height=\"20\" fill=\"{colour}\"/></g>\
             <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\"><text x=\"{left_middle:.1}\" y=\"14\">{label}</text><text x=\"{right_middle:.1}\" y=\"14\">{words}</text></g></svg>\n"
        )
    }
}

/// About how wide a text is at 11 pixels; nobody notices a pixel or two.
fn width(text: &str) -> f64 {
    let one = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ' ' | ':' | '\'' | '|' | '!' => 3.6,
        'm' | 'w' | 'M' | 'W' => 10.2,
        'f' | 't' | 'r' => 4.8,
        c if c.is_uppercase() => 7.8,
        c if c.is_ascii() => 6.8,
        _ => 11.0,
    };
    text.chars().map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_words() {
        let words = [
            Badge::Passing,
            Badge::Regression(1),
            Badge::Regression(12),
            Badge::Suspected,
            Badge::NotJudged,
            Badge::NoData,
            Badge::Unknown,
        ]
        .map(Badge::status_text);
        assert_eq!(
            words,
            [
                "passing",
                "1 regression",
                "12 regressions",
                "suspected",
                "not judged",
                "no data",
                "unknown"
            ]
        );
    }

    #[test]
    fn a_label_stays_text() {
        let svg = Badge::Passing.render_svg("<script>\"&");
        assert!(
            !svg.contains("<script") && svg.contains("&lt;script&gt;&quot;&amp;"),
            "{svg}"
        );
    }
}
