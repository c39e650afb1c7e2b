//! Diagrams that GitHub and others draw from text.

/// A label in quotes, without what would end it or be markup to Mermaid.
pub(crate) fn mermaid_label(text: &str) -> String {
    let letter = |letter: char| match letter {
        '"' | '`' | '#' | '@' | ';' | '<' | '>' | '\\' | '%' | '{' | '}' => ' ',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    let label: String = text.chars().map(letter).take(60).collect();
    format!("\"{}\"", label.trim())
}
