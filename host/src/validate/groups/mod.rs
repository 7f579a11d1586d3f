//! All checks, by what they are about.

mod file;
mod hooks;
mod hosts;
mod load;
mod manners;
mod options;
mod repeat;
mod stress;
mod upgrade;

use super::check::Check;

/// All checks, in the order in which they are run.
pub fn all() -> impl Iterator<Item = &'static Check> {
    let groups = [
        file::CHECKS,
        load::CHECKS,
        options::CHECKS,
        hooks::CHECKS,
        repeat::CHECKS,
        manners::CHECKS,
        hosts::CHECKS,
        upgrade::CHECKS,
        stress::CHECKS,
    ];
    groups.into_iter().flatten()
}

/// The check of that name.
pub fn find(id: &str) -> Option<&'static Check> {
    all().find(|check| check.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn checks_have_names_of_their_own_levels_and_sentences() {
        let mut ids = BTreeSet::new();
        for check in all() {
            assert!(ids.insert(check.id), "{} is there twice", check.id);
            assert!((1..=10).contains(&check.level), "{}", check.id);
            assert!(check.about.len() > 20, "{}", check.id);
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(check.id.chars().all(plain), "{}", check.id);
        }
        assert!(ids.len() >= 50, "{}", ids.len());
    }

    #[test]
    fn stricter_checks_come_later() {
        let levels: Vec<u8> = all().map(|check| check.level).collect();
        assert!(levels.is_sorted(), "{levels:?}");
    }
}
