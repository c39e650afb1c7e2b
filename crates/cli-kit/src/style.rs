//! The colours, named for what they say. Use them inline; the printer strips them where colour is off.
//!
//! ```
//! use cli_kit::style::GOOD;
//! let text = format!("{GOOD}match{GOOD:#}");
//! assert_eq!(text, "\u{1b}[32mmatch\u{1b}[0m");
//! ```

use anstyle::{AnsiColor, Style};

/// The word `error`.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The word `warning`.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The word `hint`.
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Titles and column names.
pub const HEADING: Style = Style::new().bold();
/// As it should be: a match, an improvement.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Not as it should be: a divergence, a regression.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Not to be judged: inconclusive, not enough data.
pub const UNSURE: Style = AnsiColor::Yellow.on_default();
/// What matters less: units, addresses, origins.
pub const FAINT: Style = Style::new().dimmed();
