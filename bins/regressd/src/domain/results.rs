//! The values of a run in their stored form: `[[series, [value, ...]], ...]`, one value a process run.

use std::collections::BTreeMap;

use regress_core::stats::median;

use super::SeriesId;

/// The values of each series, one a process run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results(pub BTreeMap<SeriesId, Vec<f64>>);

impl Results {
    /// Reads the stored form.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        let pairs: Vec<(SeriesId, Vec<f64>)> = serde_json::from_str(text)?;
        Ok(Self(pairs.into_iter().collect()))
    }

    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> String {
        let pairs: Vec<(SeriesId, &Vec<f64>)> =
            self.0.iter().map(|(series, values)| (*series, values)).collect();
        serde_json::to_string(&pairs).expect("numbers can be written as JSON")
    }

    /// Adds the values of other process runs.
    pub fn add_values(&mut self, other: &Self) {
        for (series, values) in &other.0 {
            self.0.entry(*series).or_default().extend(values);
        }
    }

    /// The number that stands for the run in a history.
    #[must_use]
    pub fn median(&self, series: SeriesId) -> Option<f64> {
        median(self.0.get(&series)?)
    }
}

/// What a history needs of a run: one number a series, by the series' numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Medians(Box<[(SeriesId, f64)]>);

impl Medians {
    /// The medians of a run.
    #[must_use]
    pub fn from_results(results: &Results) -> Self {
        let medians = results.0.iter();
        Self(
            medians
                .filter_map(|(series, values)| Some((*series, median(values)?)))
                .collect(),
        )
    }

    /// The median of a series.
    #[must_use]
    pub fn get(&self, series: SeriesId) -> Option<f64> {
        let place = self.0.binary_search_by_key(&series, |(series, _)| *series).ok()?;
        self.0.get(place).map(|(_, value)| *value)
    }

    /// The series that there are medians of.
    pub fn series(&self) -> impl Iterator<Item = SeriesId> {
        self.0.iter().map(|(series, _)| *series)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_exact() {
        let results = Results(BTreeMap::from([
            (SeriesId(7), vec![0.1 + 0.2, 1e300]),
            (SeriesId(9), vec![5.0]),
        ]));
        assert_eq!(Results::from_json(&results.to_json()).unwrap(), results);
        let odd = Results::from_json("[[1,[2,3,10]],[4,[]]]").unwrap();
        assert_eq!(odd.median(SeriesId(1)), Some(3.0));
        let medians = Medians::from_results(&odd);
        assert_eq!(
            (
                medians.get(SeriesId(1)),
                medians.get(SeriesId(4)),
                medians.get(SeriesId(2))
            ),
            (Some(3.0), None, None)
        );
        assert!(Results::from_json("{}").is_err());
    }
}
