//! Colours of options.

/// `#rrggbb`; none where a text is something else.
pub(crate) fn parse(text: &str) -> Option<[u8; 3]> {
    let digits = text.trim().strip_prefix('#')?;
    let is_colour = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = Some(digits).filter(|_| is_colour)?;
    let [_, r, g, b] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([r, g, b])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_a_colour_and_nothing_else_is() {
        assert_eq!(parse("#ff8000"), Some([255, 128, 0]));
        for text in ["", "#", "#fff", "ff8000", "#ff800", "#gg0000", "#+f8000", "red"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
