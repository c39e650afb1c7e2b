//! Where tracing starts: what the file says is code, and addresses that code takes.

use super::code::Position;
use super::plausible::plausible_function;
use super::trace::Tracer;
use snippex_core::block::Origin;

/// Starts everything the file itself calls code.
pub(super) fn trace_declared_code(tracer: &mut Tracer<'_, '_>) {
    let image = tracer.image;
    for range in image.data_in_code() {
        if let Some(position) = tracer.code.position_of(range.start) {
            tracer
                .code
                .mark_data(position, (range.end - range.start) as usize);
        }
    }
    for function in image.functions() {
        if let Some(position) = tracer.code.position_of(function.address) {
            tracer.queue_owned_block(position, function.origin);
        }
    }
    for &address in image.landing_pads() {
        if let Some(position) = tracer.code.position_of(address) {
            tracer.queue_owned_block(position, Origin::UnwindInfo);
        }
    }
    tracer.trace_queued();
    let mut pointers: Vec<Position> = image
        .code_pointers()
        .filter_map(|address| tracer.code.position_of(address))
        .collect();
    pointers.sort_unstable();
    pointers.dedup();
    for position in pointers {
        // Inside a known function it is a label (computed goto); outside it could point to data between code.
        let known = tracer
            .functions
            .find_owner(position)
            .is_some_and(|owner| tracer.functions.covers_position(owner, position));
        if known || plausible_function(&tracer.code, position) {
            tracer.queue_owned_block(position, Origin::Relocation);
        }
    }
}

/// Starts the addresses that code takes and that look like functions; whether there was a new one.
pub(super) fn address_taken(tracer: &mut Tracer<'_, '_>) -> bool {
    let mut any = false;
    while !tracer.taken.is_empty() {
        let mut taken = std::mem::take(&mut tracer.taken);
        taken.sort_unstable();
        taken.dedup();
        for position in taken {
            if tracer.code.is_covered(position) || !plausible_function(&tracer.code, position) {
                continue;
            }
            tracer.queue_owned_block(position, Origin::AddressTaken);
            // Each is followed before the next is judged: what one covers, the other cannot be.
            tracer.trace_queued();
            any = true;
        }
    }
    any
}
