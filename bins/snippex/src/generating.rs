//! What to generate, as it was typed.

use cli_kit::Failure;
use snippex_blocks::generate::{GenerationRequest, Sequences};

use crate::args::FormArgs;
use crate::hints::OrUserError;

/// What was asked for, checked.
pub(crate) fn build_generation_request(args: &FormArgs, seed: u64) -> Result<GenerationRequest, Failure> {
    let lower = |names: &[String]| names.iter().map(|name| name.trim().to_lowercase()).collect();
    let sequences = match args.sequence {
        Some(length) => Sequences::Only(length),
        None if args.no_sequences => Sequences::None,
        None => Sequences::Short,
    };
    let request = GenerationRequest {
        isa: lower(&args.isa),
        mnemonics: lower(&args.instruction),
        per_form: args.per_form,
        sequences,
        seed,
    };
    request.check_validity().or_user_error()?;
    Ok(request)
}
