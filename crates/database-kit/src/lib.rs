//! What the databases of this workspace share: where one is ([`Location`]), which of the two it is ([`Dialect`]),
//! which version its tables have ([`Schema`]), and the times that stand in them ([`UnixMillis`]).
//!
//! ```
//! use std::time::Duration;
//!
//! use database_kit::{ConnectionSetup, Location, Schema};
//!
//! static SCHEMA: Schema = Schema {
//!     program: "notes",
//!     application_id: 0x4e4f_5445,
//!     setup: ConnectionSetup {
//!         sqlite: "PRAGMA foreign_keys = ON",
//!         postgres: "SET application_name = 'notes'",
//!     },
//!     sqlite_types: &[("BYTEA", "BLOB")],
//!     migrations: &["CREATE TABLE notes (text BYTEA)"],
//! };
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("notes.db");
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let location = Location::Sqlite(path);
//! location.create_file(0o600)?;
//! let options = location.connect_options("")?;
//! let before = SCHEMA.bring_up_to_date(&location, &options, Duration::from_secs(5)).await?;
//! assert_eq!((before, SCHEMA.latest_version()), (0, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A password in a location is handed to the driver and to nobody else: neither `Display` nor `Debug` nor an error of
//! this crate shows it. Pools, transactions of a program's own and what its statements say stay with the program.

mod dialect;
mod error;
mod file;
mod location;
mod schema;
mod time;

pub use dialect::Dialect;
pub use error::{LocationError, MigrationError, is_busy};
pub use location::{Location, without_secrets};
pub use schema::{ConnectionSetup, Schema};
pub use time::UnixMillis;
