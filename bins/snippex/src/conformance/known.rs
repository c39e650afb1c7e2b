//! Lists of known failures: a name a line, the reason behind a `#`.
//!
//! FEX-Emu's own lists can be given as they are: they put `Test_` before the name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cli_kit::{Failure, OrFail};

/// Known failures with their reasons.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownFailures {
    /// By name: the reason, which may be empty, and the list it is on.
    entries: BTreeMap<String, (String, String)>,
}

impl KnownFailures {
    /// Reads the lists.
    pub(crate) fn read_lists(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut known = Self::default();
        for path in paths {
            let text =
                std::fs::read_to_string(path).or_fail_with(|| format!("cannot read {}", path.display()))?;
            known.add(&path.display().to_string(), &text)?;
        }
        Ok(known)
    }

    fn add(&mut self, list: &str, text: &str) -> Result<(), Failure> {
        for (index, line) in text.lines().enumerate() {
            let (name, reason) = line.split_once('#').unwrap_or((line, ""));
            let name = name.trim();
            if name.is_empty() {
                continue;
            }
            if name.contains(char::is_whitespace) {
                let line = index + 1;
                return Err(Failure::new(format!("{list}:{line}: {name:?} is not one name"))
                    .hint("write one name a line, and the reason behind a #"));
            }
            let name = name.strip_prefix("Test_").unwrap_or(name);
            let entry = (reason.trim().to_owned(), list.to_owned());
            self.entries.insert(name.to_owned(), entry);
        }
        Ok(())
    }

    /// Why the test called `name` is known to fail; `None` when it is on no list.
    pub(crate) fn reason_for(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|(reason, _)| reason.as_str())
    }

    /// Names on lists that none of `names` is, each with its list.
    pub(crate) fn names_not_in<'k>(&'k self, names: &[&str]) -> Vec<(&'k str, &'k str)> {
        self.entries
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()))
            .map(|(name, (_, list))| (name.as_str(), list.as_str()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_their_reasons_and_with_the_prefix_of_fex() {
        let mut known = KnownFailures::default();
        known
            .add(
                "mine",
                "# all of them\n\nTest_X87/D9_F2.asm\n a.asm   # last bits \n",
            )
            .unwrap();
        assert_eq!(known.reason_for("X87/D9_F2.asm"), Some(""));
        assert_eq!(known.reason_for("a.asm"), Some("last bits"));
        assert_eq!(known.reason_for("b.asm"), None);
        assert_eq!(known.names_not_in(&["a.asm"]), [("X87/D9_F2.asm", "mine")]);
        let failure = known.add("mine", "a.asm\nb.asm c.asm").unwrap_err();
        assert!(failure.to_string().starts_with("mine:2: "), "{failure}");
    }
}
