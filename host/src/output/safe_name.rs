//! Text that is safe as a part of a file name, on every system.

/// The most characters one token of a pattern brings into a name (A1111 v1.10.1's default).
pub const MAX_PART_CHARS: usize = 128;

/// The most bytes a file name may have: the limit of the usual file systems.
pub const MAX_NAME_BYTES: usize = 255;

/// A piece of a file name, as A1111 v1.10.1 cleans it: characters that some file system forbids
/// (and control characters) become `_`, blanks before and blanks and dots behind are dropped, the
/// rest is cut to [`MAX_PART_CHARS`]. `replace_spaces` turns blanks into `_` first.
pub fn part(text: &str, replace_spaces: bool) -> String {
    let cleaned: String = text
        .chars()
        .map(|c| match c {
            ' ' if replace_spaces => '_',
            '#' => '_',
            c => allowed(c),
        })
        .collect();
    let cut: String = cleaned.trim_start_matches(' ').chars().take(MAX_PART_CHARS).collect();
    cut.trim_end_matches([' ', '.']).to_owned()
}

/// One whole component of a path: no separator, no drive, never `.` or `..`, no name that Windows
/// keeps for a device, at most `max_bytes` long. May be empty.
pub fn component(text: &str, max_bytes: usize) -> String {
    let mut name: String = text.chars().map(allowed).collect();
    if is_device(&name) {
        name.insert(0, '_');
    }
    let name = cut(name.trim_start_matches(' '), max_bytes);
    name.trim_end_matches([' ', '.']).to_owned()
}

fn allowed(c: char) -> char {
    if c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*') {
        '_'
    } else {
        c
    }
}

/// The longest start of `text` within `max_bytes`.
fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// Whether Windows takes this name for a device, whatever extension follows.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim().to_ascii_uppercase();
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || stem.strip_prefix("COM").or(stem.strip_prefix("LPT")).is_some_and(|number| {
            number.len() == 1 && number.chars().all(|digit| ('1'..='9').contains(&digit))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cleaned_as_a1111_cleans_them() {
        for (text, replace, cleaned) in [
            ("hello world", true, "hello_world"),
            ("hello world", false, "hello world"),
            ("a#b<c>d:e\"f/g\\h|i?j*k\nl\rm\tn", true, "a_b_c_d_e_f_g_h_i_j_k_l_m_n"),
            ("  lead and trail . .", false, "lead and trail"),
            ("..", true, ""),
            ("nul\0byte", true, "nul_byte"),
            ("猫", true, "猫"),
        ] {
            assert_eq!(part(text, replace), cleaned);
        }
        assert_eq!(part(&"猫".repeat(300), true).chars().count(), 128);
        assert_eq!(part(&format!("{} tail", "x".repeat(127)), false), "x".repeat(127));
    }

    #[test]
    fn components_never_name_another_place() {
        for (text, cleaned) in [
            ("..", ""),
            (". .", ""),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("C:\\x", "C__x"),
            ("con.txt", "_con.txt"),
            ("LPT9", "_LPT9"),
            ("COMA", "COMA"),
            ("a\0b", "a_b"),
        ] {
            assert_eq!(component(text, 255), cleaned);
        }
        assert_eq!(component("猫猫", 5), "猫");
    }
}
