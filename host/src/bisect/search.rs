//! The search by halves.

/// Finds the one among `candidates` that makes `bad` hold, in about log₂(n) tries; where no single one
/// does, a smallest set that does together.
///
/// `bad` has to hold for all of them, and not for none. Every set it is asked for is ordered as the
/// candidates are.
///
/// # Errors
/// The first error of `bad`.
pub(crate) fn culprits<E>(
    candidates: &[usize],
    bad: &mut impl FnMut(&[usize]) -> Result<bool, E>,
) -> Result<Vec<usize>, E> {
    let (mut left_over, mut seen) = (candidates, true);
    while left_over.len() > 1 {
        let (left, right) = left_over.split_at(left_over.len() / 2);
        // If it is not the left half it will be the right one: that is seen at the end.
        seen = bad(left)?;
        left_over = if seen { left } else { right };
    }
    if seen || bad(left_over)? {
        return Ok(left_over.to_vec());
    }
    explain(&[], false, candidates, bad)
}

/// `QuickXplain` (Junker, AAAI 2004): the culprits among `candidates`, with `given` there all the time.
/// `grown`: whether `given` has become more since it was tried.
fn explain<E>(
    given: &[usize],
    grown: bool,
    candidates: &[usize],
    bad: &mut impl FnMut(&[usize]) -> Result<bool, E>,
) -> Result<Vec<usize>, E> {
    if grown && bad(given)? {
        return Ok(Vec::new());
    }
    if candidates.len() <= 1 {
        return Ok(candidates.to_vec());
    }
    let (left, right) = candidates.split_at(candidates.len() / 2);
    let of_right = explain(&joined(given, left), true, right, bad)?;
    let of_left = explain(&joined(given, &of_right), !of_right.is_empty(), left, bad)?;
    Ok(joined(&of_left, &of_right))
}

fn joined(one: &[usize], two: &[usize]) -> Vec<usize> {
    let mut both = [one, two].concat();
    both.sort_unstable();
    both
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::convert::Infallible;

    use super::*;

    /// What is found, and after how many tries, where all of `guilty` together are bad.
    fn found(count: usize, guilty: &[usize]) -> (Vec<usize>, usize) {
        let all: Vec<usize> = (0..count).collect();
        let mut tries = 0;
        let found = culprits(&all, &mut |tried: &[usize]| {
            tries += 1;
            assert!(tried.is_sorted());
            Ok::<_, Infallible>(guilty.iter().all(|it| tried.contains(it)))
        });
        (found.unwrap(), tries)
    }

    #[test]
    fn the_one_is_found_wherever_it_is() {
        for count in [1, 2, 3, 8, 33] {
            for guilty in 0..count {
                let (found, tries) = found(count, &[guilty]);
                assert_eq!(found, [guilty], "of {count}");
                let most = (count as f64).log2().ceil() as usize + 1;
                assert!(tries <= most, "{tries} tries for {guilty} of {count}");
            }
        }
    }

    #[test]
    fn those_that_only_together_do_it_are_all_found() {
        assert_eq!(found(8, &[0, 7]).0, [0, 7]);
        assert_eq!(found(9, &[2, 3, 6]).0, [2, 3, 6]);
        assert_eq!(found(3, &[0, 1, 2]).0, [0, 1, 2]);
    }

    #[test]
    fn of_two_that_each_do_it_one_is_found() {
        let all: Vec<usize> = (0..8).collect();
        let either = |tried: &[usize]| tried.contains(&1) || tried.contains(&6);
        let found = culprits(&all, &mut |tried: &[usize]| Ok::<_, Infallible>(either(tried)));
        let found = found.unwrap();
        assert!(found == [1] || found == [6], "{found:?}");
    }

    #[test]
    fn an_error_ends_it() {
        let ended = culprits(&[0, 1, 2, 3], &mut |_: &[usize]| Err::<bool, _>("no more"));
        assert_eq!(ended, Err("no more"));
    }
}
