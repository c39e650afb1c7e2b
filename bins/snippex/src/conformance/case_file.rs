//! From a `.snip` file to a test.

use snippex_core::diff::Tolerance;
use snippex_exec::conformance_suite::{CaseTest, ConformanceTest, TestBody};
use snippex_exec::engine::feature_named;
use snippex_formats::snip::Snip;

use super::assemble::{Made, read_test_source};
use super::files::TestFile;

/// Reads `file`; `tolerance` is what the engine that is tested documents to do otherwise.
pub(crate) fn read_case_file(file: &TestFile, tolerance: &Tolerance) -> Made {
    let text = match read_test_source(&file.path) {
        Ok(text) => text,
        Err(problem) => return Made::Broken(problem),
    };
    let snip = match Snip::parse(&text) {
        Ok(snip) => snip,
        Err(error) => return Made::Broken(format!("{error} (docs/snip.md describes the form)")),
    };
    let Some(end) = snip.end else {
        return Made::Broken(
            "it does not say how the case ends; snippex repro FILE --as case finds out".into(),
        );
    };
    if let Some(name) = snip.needs.iter().find(|name| feature_named(name).is_none()) {
        return Made::Broken(format!("it needs {name}, and there is no feature called so"));
    }
    Made::Test(Box::new(ConformanceTest {
        name: file.name.clone(),
        environment: Vec::new(),
        features: Vec::new(),
        body: TestBody::Case(Box::new(CaseTest {
            case: snip.case,
            end,
            needs: snip.needs,
            tolerance: tolerance.clone(),
        })),
    }))
}
