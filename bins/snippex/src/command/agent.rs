//! `snippex agent`: the far side of an engine on another host. Standard input and output are the other host's.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use cli_kit::{ExitStatus, Failure, OrFail, paths};
use snippex_exec::remote::{AgentOptions, apply_patch, serve_host};

use crate::args::AgentArgs;

pub(crate) fn run(args: &AgentArgs) -> Result<ExitStatus, Failure> {
    if let Some(base) = &args.apply_patch {
        return patch(base);
    }
    let options = AgentOptions {
        blobs: paths::cache_folder("snippex", paths::environment_variable).map(|folder| folder.join("blobs")),
    };
    serve_host(&mut io::stdin(), Box::new(io::stdout()), &options)
        .or_fail("the connection to the host broke")?;
    Ok(ExitStatus::NothingFound)
}

/// Makes the agent of the version that is wanted out of the one that runs.
fn patch(base: &Path) -> Result<ExitStatus, Failure> {
    let base = fs::read(base).or_fail_with(|| format!("cannot read {}", base.display()))?;
    let mut patch = Vec::new();
    io::stdin()
        .read_to_end(&mut patch)
        .or_fail("cannot read the patch")?;
    let mut output = io::stdout();
    apply_patch(&base, &patch, &mut output).or_fail("the patch is of another program")?;
    output.flush().or_fail("cannot write the program")?;
    Ok(ExitStatus::NothingFound)
}
