//! Choices that options have as text.

use atelier_plugin_api::PluginError;

/// A choice with its name in options and infotexts.
pub(crate) trait Named: Copy + PartialEq + 'static {
    /// All of them; the first is the default.
    const ALL: &'static [(Self, &'static str)];

    fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(_, name)| *name)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(choice, _)| *choice == self).map_or("", |(_, name)| name)
    }

    fn from_name(name: &str) -> Result<Self, PluginError> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(choice, _)| *choice).ok_or_else(|| {
            let known = Self::names().collect::<Vec<_>>().join(", ");
            PluginError::new(format!("“{name}” is not among {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        schedule::Schedule,
        threshold::{Measure, Startpoint},
    };

    fn are_found<T: Named + std::fmt::Debug>() {
        for (choice, name) in T::ALL {
            assert_eq!(choice.name(), *name);
            assert_eq!(T::from_name(name), Ok(*choice));
        }
    }

    #[test]
    fn choices_are_found_by_their_names() {
        are_found::<Schedule>();
        are_found::<Startpoint>();
        are_found::<Measure>();
        let Err(error) = Measure::from_name("MAD") else { panic!("no error") };
        assert_eq!(error.message(), "“MAD” is not among AD, STD");
    }
}
