//! Text for a terminal.

/// Files and tokens hold what anyone wrote: no control character of theirs reaches the terminal, nor one that turns text around.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

fn is_harmless(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_the_cursor_or_turn_text_around_is_written_out() {
        assert_eq!(one_line("a\u{1b}[2J\nb\u{9b}\u{202e}c é"), "a\\u{1b}[2J\\nb\\u{9b}\\u{202e}c é");
    }
}
