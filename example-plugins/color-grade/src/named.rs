//! Choices that options have as text.

use atelier_plugin_api::PluginError;

/// A choice with its name in options and infotexts.
pub(crate) trait Named: Copy + PartialEq + 'static {
    /// All of them.
    const ALL: &'static [(Self, &'static str)];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(choice, _)| *choice == self).map_or("", |(_, name)| name)
    }

    fn from_name(name: &str) -> Result<Self, PluginError> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(choice, _)| *choice).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
            PluginError::new(format!("“{name}” is not among {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{method::Method, scaling::Scaling, space::Choice};

    fn are_found<T: Named + std::fmt::Debug>() {
        for (choice, name) in T::ALL {
            assert_eq!(choice.name(), *name);
            assert_eq!(T::from_name(name), Ok(*choice));
        }
    }

    #[test]
    fn choices_are_found_by_their_names() {
        are_found::<Method>();
        are_found::<Scaling>();
        are_found::<Choice>();
        let Err(error) = Choice::from_name("sdxl") else { panic!("no error") };
        assert_eq!(error.message(), "“sdxl” is not among auto, sd1, atelier-emoji");
    }
}
