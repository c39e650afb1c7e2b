//! What to generate, as it was typed.

use cli_kit::Failure;
use snippex_blocks::generate::GenerationRequest;

use crate::args::FormArgs;
use crate::hints::OrUserError;

/// What was asked for, checked.
pub(crate) fn build_generation_request(args: &FormArgs, seed: u64) -> Result<GenerationRequest, Failure> {
    let lower = |names: &[String]| names.iter().map(|name| name.trim().to_lowercase()).collect();
    let request = GenerationRequest {
        isa: lower(&args.isa),
        mnemonics: lower(&args.instruction),
        per_form: args.per_form,
        sequence: args.sequence,
        seed,
    };
    request.check_validity().or_user_error()?;
    Ok(request)
}
