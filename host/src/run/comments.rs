//! Comments in prompts: from `#` to the end of the line.

/// A prompt without its comments, as A1111 v1.10.1's option `enable_prompt_comments` leaves it: a line that
/// is nothing else goes whole, and every other comment leaves the end of its line behind.
pub(super) fn without_comments(prompt: &str) -> String {
    remove(&remove(prompt, true), false)
}

fn remove(text: &str, whole_lines: bool) -> String {
    let mut left = String::with_capacity(text.len());
    let (mut rest, mut at_start) = (text, true);
    loop {
        let found = if !whole_lines {
            rest.find('#').map(|at| (at, at))
        } else if at_start && rest.starts_with('#') {
            Some((0, 0))
        } else {
            rest.find("\n#").map(|at| (at, at + 1))
        };
        at_start = false;
        let Some((end, comment)) = found else {
            left.push_str(rest);
            return left;
        };
        left.push_str(&rest[..end]);
        left.push('\n');
        let comment = &rest[comment..];
        rest = comment.find('\n').map_or("", |end| &comment[end + 1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the functions of v1.10.1 answer.
    #[test]
    fn comments_go_as_in_the_web_ui() {
        for (prompt, left) in [
            ("a cat", "a cat"),
            ("a # b", "a \n"),
            ("a\n# whole\nb", "a\nb"),
            ("# whole\nb", "\nb"),
            ("#", "\n"),
            ("", ""),
            ("a # b\nc", "a \nc"),
            ("ä#ö\n#ü", "ä\n"),
            // The end of the first comment is the beginning of no other.
            ("a\n# one\n# two\nb", "a\n\nb"),
        ] {
            assert_eq!(without_comments(prompt), left, "{prompt:?}");
        }
    }
}
