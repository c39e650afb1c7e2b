//! The program as users run it: whole processes, real engines, real databases.

mod bad_input;
mod checks;
mod interrupted;
mod sandbox;
mod stored_blocks;
