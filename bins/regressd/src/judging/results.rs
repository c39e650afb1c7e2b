//! The values of a run in their stored form: `[[series, [value, ...]], ...]`, one value a process run.

use std::collections::BTreeMap;

use regress_core::stats::median;

/// The values of each series, one a process run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results(pub BTreeMap<i64, Vec<f64>>);

impl Results {
    /// Reads the stored form.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &str) -> serde_json::Result<Self> {
        let pairs: Vec<(i64, Vec<f64>)> = serde_json::from_str(text)?;
        Ok(Self(pairs.into_iter().collect()))
    }

    /// The stored form.
    #[must_use]
    pub fn write(&self) -> String {
        let pairs: Vec<(i64, &Vec<f64>)> = self.0.iter().map(|(series, values)| (*series, values)).collect();
        serde_json::to_string(&pairs).expect("numbers can be written as JSON")
    }

    /// The number that stands for the run in a history.
    #[must_use]
    pub fn median(&self, series: i64) -> Option<f64> {
        median(self.0.get(&series)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_exact() {
        let results = Results(BTreeMap::from([(7, vec![0.1 + 0.2, 1e300]), (9, vec![5.0])]));
        assert_eq!(Results::read(&results.write()).unwrap(), results);
        assert_eq!(Results::read("[[1,[2,3,10]]]").unwrap().median(1), Some(3.0));
        assert!(Results::read("{}").is_err());
    }
}
