//! Names with `*`.

/// Whether a name without `/` fits a pattern in which every `*` stands for any text.
///
/// Goes back to the last `*` only, so it takes no more than the product of both lengths.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Behind the last `*`, and where the name went on then.
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, n));
            }
            Some(byte) if *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((star, from)) = retry else { return false };
                (p, n) = (star, from + 1);
                retry = Some((p, n));
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in
            [("*", "cats"), ("*", ""), ("c*s", "cats"), ("c*s*", "cs"), ("*a*a*", "banana")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("c*s", "cat"), ("*x*", "cats"), ("cat", "cats"), ("", "a")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_end_soon() {
        assert!(!fits(&"*a".repeat(100), &format!("{}b", "a".repeat(10_000))));
    }
}
