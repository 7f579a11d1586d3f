//! The prompts of a run's pictures, before and after.

use std::collections::BTreeMap;

use crate::{
    chance::{Chance, Side},
    combinations::Combinations,
    fill::{Choice, TooMuch, Work, fill},
    grammar::{self, SyntaxError},
    library::Library,
    template::Template,
};

/// How the choices of a run are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By the seed of each picture, or that of the first one for all.
    Random { same_seed: bool },
    /// All combinations in order, picture by picture, and again behind so many.
    Combinatorial { most: u32 },
}

/// The two prompts of a picture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prompts {
    pub(crate) prompt: String,
    pub(crate) negative: String,
}

/// Why a prompt cannot be filled in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    #[error("the {side} cannot be read")]
    Syntax { side: Side, source: SyntaxError },
    #[error("the {side} cannot be filled in")]
    Fill { side: Side, source: TooMuch },
}

/// All pictures of a run, and what their prompts say.
#[derive(Debug)]
pub(crate) struct Pictures<'a> {
    pictures: &'a [Prompts],
    /// Each pair of prompts is read once, however many pictures have it.
    templates: BTreeMap<&'a Prompts, Templates>,
}

#[derive(Debug)]
struct Templates {
    prompt: Template,
    negative: Template,
}

impl<'a> Pictures<'a> {
    pub(crate) fn read(pictures: &'a [Prompts]) -> Result<Self, PromptError> {
        let mut templates = BTreeMap::new();
        for prompts in pictures {
            if !templates.contains_key(prompts) {
                templates.insert(prompts, Templates::read(prompts)?);
            }
        }
        Ok(Self { pictures, templates })
    }

    /// Whether nothing would change.
    pub(crate) fn are_verbatim(&self) -> bool {
        self.templates.iter().all(|(prompts, templates)| {
            templates.prompt.is_verbatim(&prompts.prompt)
                && templates.negative.is_verbatim(&prompts.negative)
        })
    }

    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.templates.values().flat_map(|both| [&both.prompt, &both.negative])
    }

    /// The prompts with all choices made, in the order of the pictures and their seeds.
    pub(crate) fn fill(
        &self,
        library: &Library,
        mode: Mode,
        seeds: &[i64],
    ) -> Result<Vec<Prompts>, PromptError> {
        let (mut combinations, mut work) = (BTreeMap::new(), Work::default());
        let first = seeds.first();
        let pictures = self.pictures.iter().zip(seeds).map(|(prompts, seed)| {
            let templates = &self.templates[prompts];
            match mode {
                Mode::Random { same_seed } => {
                    let seed = *first.filter(|_| same_seed).unwrap_or(seed);
                    templates.fill_by_chance(library, seed, &mut work)
                }
                Mode::Combinatorial { most } => {
                    let these =
                        combinations.entry(prompts).or_insert_with(|| Combinations::new(most));
                    let filled = templates.fill_in_order(library, these, &mut work);
                    these.advance();
                    filled
                }
            }
        });
        pictures.collect()
    }
}

impl Templates {
    fn read(prompts: &Prompts) -> Result<Self, PromptError> {
        let read = |text: &str, side| {
            grammar::prompt(text).map_err(|source| PromptError::Syntax { side, source })
        };
        Ok(Self {
            prompt: read(&prompts.prompt, Side::Prompt)?,
            negative: read(&prompts.negative, Side::Negative)?,
        })
    }

    fn fill_by_chance(
        &self,
        library: &Library,
        seed: i64,
        work: &mut Work,
    ) -> Result<Prompts, PromptError> {
        let mut by_chance = |side| self.fill(side, library, &mut Chance::new(seed, side), work);
        Ok(Prompts { prompt: by_chance(Side::Prompt)?, negative: by_chance(Side::Negative)? })
    }

    /// The negative prompt is filled in first, so that the prompt's choices change first.
    fn fill_in_order(
        &self,
        library: &Library,
        combinations: &mut Combinations,
        work: &mut Work,
    ) -> Result<Prompts, PromptError> {
        let negative = self.fill(Side::Negative, library, combinations, work)?;
        let prompt = self.fill(Side::Prompt, library, combinations, work)?;
        Ok(Prompts { prompt, negative })
    }

    fn fill(
        &self,
        side: Side,
        library: &Library,
        choice: &mut dyn Choice,
        work: &mut Work,
    ) -> Result<String, PromptError> {
        let template = match side {
            Side::Prompt => &self.prompt,
            Side::Negative => &self.negative,
        };
        fill(template, library, choice, work).map_err(|source| PromptError::Fill { side, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: Mode = Mode::Random { same_seed: false };
    const COMBINATORIAL: Mode = Mode::Combinatorial { most: 1000 };

    fn pictures(prompt: &str, negative: &str, count: usize) -> Vec<Prompts> {
        vec![Prompts { prompt: prompt.to_owned(), negative: negative.to_owned() }; count]
    }

    fn filled(pictures: &[Prompts], mode: Mode, seeds: &[i64]) -> Vec<String> {
        let read = Pictures::read(pictures).unwrap();
        let filled = read.fill(&Library::default(), mode, seeds).unwrap();
        filled.into_iter().map(|both| format!("{} − {}", both.prompt, both.negative)).collect()
    }

    #[test]
    fn a_picture_has_the_prompt_of_its_seed_wherever_it_stands() {
        let eight = "{a|b|c|d|e|f|g|h}";
        let batch = filled(&pictures(eight, eight, 3), RANDOM, &[5, 6, 7]);
        let alone = filled(&pictures(eight, eight, 1), RANDOM, &[6]);
        assert_eq!(batch[1], alone[0]);
        assert!(batch[0] != batch[1] || batch[1] != batch[2], "{batch:?}");
    }

    #[test]
    fn the_same_seed_for_all_is_that_of_the_first_picture() {
        let pictures = pictures("{a|b|c|d|e|f|g|h}{1|2|3|4}", "", 4);
        let own = filled(&pictures, RANDOM, &[5, 6, 7, 8]);
        let same = filled(&pictures, Mode::Random { same_seed: true }, &[5, 6, 7, 8]);
        assert_eq!(same, [own[0].as_str(); 4]);
        assert_ne!(own, same);
    }

    #[test]
    fn combinations_come_in_order_and_the_negative_prompts_change_last() {
        let pictures = pictures("{a|b} {1|2}", "{x|y}", 10);
        let all = filled(&pictures, COMBINATORIAL, &[7; 10]);
        let first = ["a 1 − x", "a 2 − x", "b 1 − x", "b 2 − x"];
        let second = ["a 1 − y", "a 2 − y", "b 1 − y", "b 2 − y"];
        assert_eq!(all[..4], first);
        assert_eq!(all[4..8], second);
        assert_eq!(all[8..], first[..2]);
    }

    #[test]
    fn combinations_are_bounded() {
        let all = filled(&pictures("{a|b|c}", "", 5), Mode::Combinatorial { most: 2 }, &[7; 5]);
        assert_eq!(all, ["a − ", "b − ", "a − ", "b − ", "a − "]);
    }

    #[test]
    fn combinations_of_several_picks_are_all_their_orders() {
        let all = filled(&pictures("{1-2$$+$$a|b|c}", "", 9), COMBINATORIAL, &[7; 9]);
        let all: Vec<&str> = all.iter().map(|both| both.trim_end_matches(" − ")).collect();
        assert_eq!(all, ["a", "b", "c", "a+b", "a+c", "b+a", "b+c", "c+a", "c+b"]);
    }

    #[test]
    fn pictures_with_other_prompts_have_combinations_of_their_own() {
        let mut mixed = pictures("{a|b}", "", 2);
        mixed.extend(pictures("{1|2}", "", 1));
        mixed.extend(pictures("{a|b}", "", 1));
        mixed.extend(pictures("{1|2}", "", 1));
        let all = filled(&mixed, COMBINATORIAL, &[7; 5]);
        assert_eq!(all, ["a − ", "b − ", "1 − ", "a − ", "2 − "]);
    }

    #[test]
    fn prompts_without_a_sign_of_the_grammar_are_verbatim() {
        let verbatim = |prompt, negative| {
            Pictures::read(&pictures(prompt, negative, 2)).unwrap().are_verbatim()
        };
        assert!(verbatim("a (red:1.2) [heart|apple] \\(x\\)", ""));
        for (prompt, negative) in [("{a}", ""), ("", "__a__"), ("\\{", ""), ("a", "\\_")] {
            assert!(!verbatim(prompt, negative), "{prompt} {negative}");
        }
    }

    #[test]
    fn an_error_says_which_prompt_it_is_about() {
        let said = |prompt, negative| {
            Pictures::read(&pictures(prompt, negative, 1)).unwrap_err().to_string()
        };
        assert_eq!(said("{", "fine"), "the prompt cannot be read");
        assert_eq!(said("fine", "}"), "the negative prompt cannot be read");
    }
}
