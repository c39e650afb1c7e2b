//! Delta debugging over a list of independent items: which of them can be applied at the same time.
//!
//! First each half, quarter and so on is tried by itself, as far as larger parts are refused; then the parts that work
//! by themselves are put together, leaving out those that do not work with the ones before. What is proposed at a time
//! is independent of each other, so that it can be tried at once.

/// The search over one list.
#[derive(Debug)]
pub(super) struct Delta<T> {
    items: Vec<T>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Ranges to be tried by themselves, and those that work.
    Probe {
        open: Vec<(usize, usize)>,
        asked: Vec<(usize, usize)>,
        works: Vec<(usize, usize)>,
    },
    /// Ranges taken together so far, those still to be added, and how many of them each question adds.
    Combine {
        taken: Vec<(usize, usize)>,
        left: Vec<(usize, usize)>,
        asked: Vec<usize>,
    },
    Done(Vec<usize>),
}

impl<T> Delta<T> {
    pub(super) fn new(items: Vec<T>) -> Self {
        let open = if items.is_empty() {
            Vec::new()
        } else {
            vec![(0, items.len())]
        };
        Self {
            items,
            phase: Phase::Probe {
                open,
                asked: Vec::new(),
                works: Vec::new(),
            },
        }
    }

    pub(super) fn item(&self, index: usize) -> &T {
        &self.items[index]
    }

    /// Sets of items to try next, each by itself; none when the search has ended.
    pub(super) fn propose_sets(&mut self, most: usize) -> Vec<Vec<usize>> {
        match &mut self.phase {
            Phase::Probe { open, asked, .. } => {
                *asked = open.drain(..open.len().min(most)).collect();
                asked.iter().map(|&(start, end)| (start..end).collect()).collect()
            }
            Phase::Combine { taken, left, asked } => {
                // All at once, and shorter and shorter beginnings.
                *asked = lengths(left.len(), most);
                asked
                    .iter()
                    .map(|&count| members(taken.iter().chain(&left[..count])))
                    .collect()
            }
            Phase::Done(_) => Vec::new(),
        }
    }

    /// Takes which of the proposed sets work.
    pub(super) fn record_outcomes(&mut self, works: &[bool]) {
        match &mut self.phase {
            Phase::Probe {
                open,
                asked,
                works: found,
            } => {
                for (&(start, end), works) in asked.iter().zip(works) {
                    if *works {
                        found.push((start, end));
                    } else if end - start > 1 {
                        let middle = start + (end - start) / 2;
                        open.extend([(start, middle), (middle, end)]);
                    }
                }
                if open.is_empty() {
                    found.sort_unstable();
                    let left = std::mem::take(found);
                    self.phase = if left.len() < 2 {
                        Phase::Done(members(left.iter()))
                    } else {
                        Phase::Combine {
                            taken: Vec::new(),
                            left,
                            asked: Vec::new(),
                        }
                    };
                }
            }
            Phase::Combine { taken, left, asked } => {
                let best = asked
                    .iter()
                    .zip(works)
                    .filter(|(_, works)| **works)
                    .map(|(count, _)| *count)
                    .max()
                    .unwrap_or(0);
                taken.extend(left.drain(..best));
                // One more was tried and failed: a half of it may do, and a single item is left out.
                if asked.contains(&(best + 1)) && !left.is_empty() {
                    let (start, end) = left.remove(0);
                    if end - start > 1 {
                        let middle = start + (end - start) / 2;
                        left.splice(0..0, [(start, middle), (middle, end)]);
                    }
                }
                if left.is_empty() {
                    self.phase = Phase::Done(members(taken.iter()));
                }
            }
            Phase::Done(_) => {}
        }
    }

    /// The items that can be applied together; complete once nothing is proposed any more.
    pub(super) fn accepted_items(&self) -> Vec<usize> {
        match &self.phase {
            Phase::Probe { works, .. } if works.len() == 1 => members(works.iter()),
            Phase::Probe { .. } => Vec::new(),
            Phase::Combine { taken, .. } => members(taken.iter()),
            Phase::Done(items) => items.clone(),
        }
    }
}

fn members<'r>(ranges: impl Iterator<Item = &'r (usize, usize)>) -> Vec<usize> {
    ranges.flat_map(|&(start, end)| start..end).collect()
}

/// Lengths from 1 to `all`: every one if they are few, otherwise the short ones one by one and the others doubling.
fn lengths(all: usize, most: usize) -> Vec<usize> {
    if all <= most {
        return (1..=all).collect();
    }
    let mut lengths: Vec<usize> = (1..=most / 2).collect();
    let mut next = most / 2;
    while next < all {
        next = (next * 2).min(all);
        lengths.push(next);
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the search to its end with `works` as the test.
    fn search(count: usize, works: impl Fn(&[usize]) -> bool) -> (Vec<usize>, usize) {
        let mut delta = Delta::new((0..count).collect());
        let mut tried = 0;
        loop {
            let sets = delta.propose_sets(16);
            if sets.is_empty() {
                return (delta.accepted_items(), tried);
            }
            tried += sets.len();
            let verdicts: Vec<bool> = sets.iter().map(|set| works(set)).collect();
            delta.record_outcomes(&verdicts);
        }
    }

    #[test]
    fn everything_that_works_together_is_found() {
        assert_eq!(search(0, |_| true).0, Vec::<usize>::new());
        assert_eq!(search(1000, |_| true), ((0..1000).collect(), 1));
        assert_eq!(search(3, |_| false).0, Vec::<usize>::new());
        // All but two.
        let (found, tried) = search(1000, |set| !set.contains(&17) && !set.contains(&600));
        assert_eq!(found.len(), 998);
        assert!(tried < 100, "{tried}");
    }

    #[test]
    fn what_works_alone_only_is_not_taken_together() {
        // 3 and 90 exclude each other.
        let (found, _) = search(100, |set| !(set.contains(&3) && set.contains(&90)));
        assert!(found.contains(&3) != found.contains(&90), "{found:?}");
        assert_eq!(found.len(), 99, "{found:?}");
        // At most four of a hundred, and only some of them.
        let (found, _) = search(100, |set| set.len() <= 4 && set.iter().all(|item| item % 3 == 0));
        assert_eq!(found.len(), 4, "{found:?}");
    }
}
