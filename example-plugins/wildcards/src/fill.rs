//! From a template and choices to a prompt.

use crate::{
    library::Library,
    template::{Alternative, Part, Template, Variant},
};

/// How much work the prompts of a run may be.
const MOST_WORK: usize = 100_000_000;

/// Makes the choices of a template, one after another.
pub(crate) trait Choice {
    /// The index of one of these alternatives, by their weights. There are two or more, and all
    /// weights are above 0.
    fn choose(&mut self, weights: &[f64]) -> usize;
}

/// Prompts that have no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "wildcards and variants multiply to more than {MOST_WORK} letters and choices in this run: use \
     fewer of them in one another, or draw fewer pictures at a time"
)]
pub(crate) struct TooMuch;

/// What is left of the work that a run may be: bytes written and alternatives looked at. Wildcards in
/// wildcards multiply, so a few short files could ask for a prompt without end.
#[derive(Debug)]
pub(crate) struct Work(usize);

impl Default for Work {
    fn default() -> Self {
        Self(MOST_WORK)
    }
}

impl Work {
    fn spend(&mut self, steps: usize) -> Result<(), TooMuch> {
        self.0 = self.0.checked_sub(steps).ok_or(TooMuch)?;
        Ok(())
    }
}

/// Writes a template out.
pub(crate) fn fill(
    template: &Template,
    library: &Library,
    choice: &mut dyn Choice,
    work: &mut Work,
) -> Result<String, TooMuch> {
    let mut filling = Filling { library, choice, work, text: String::new() };
    filling.template(template)?;
    Ok(filling.text)
}

struct Filling<'a> {
    library: &'a Library,
    choice: &'a mut dyn Choice,
    work: &'a mut Work,
    text: String,
}

impl Filling<'_> {
    fn template(&mut self, template: &Template) -> Result<(), TooMuch> {
        for part in &template.0 {
            match part {
                Part::Text(text) => self.write(text)?,
                Part::Wildcard(name) => self.wildcard(name)?,
                Part::Variant(variant) => self.variant(variant)?,
            }
        }
        Ok(())
    }

    fn wildcard(&mut self, name: &str) -> Result<(), TooMuch> {
        let library = self.library;
        match library.lines(name) {
            None => self.write(&format!("__{name}__")),
            Some(lines) => {
                let weights: Vec<f64> = lines.iter().map(|line| line.weight).collect();
                let chosen = self.choose(&weights)?;
                self.template(&lines[chosen].template)
            }
        }
    }

    fn variant(&mut self, variant: &Variant) -> Result<(), TooMuch> {
        let library = self.library;
        let lines = variant.lone_wildcard().and_then(|name| library.lines(name));
        let mut left: Vec<&Alternative> = lines.unwrap_or(&variant.alternatives).iter().collect();
        let picks = &variant.picks;
        let (least, most) = (picks.least.min(left.len()), picks.most.min(left.len()));
        let count = least + self.choose(&vec![1.0; most - least + 1])?;
        for pick in 0..count {
            if pick > 0 {
                self.write(&picks.separator)?;
            }
            let weights: Vec<f64> = left.iter().map(|one| one.weight).collect();
            let chosen = left.remove(self.choose(&weights)?);
            self.template(&chosen.template)?;
        }
        Ok(())
    }

    /// One of several; where there is but one, nobody is asked.
    fn choose(&mut self, weights: &[f64]) -> Result<usize, TooMuch> {
        self.work.spend(weights.len())?;
        Ok(if weights.len() == 1 { 0 } else { self.choice.choose(weights) })
    }

    fn write(&mut self, text: &str) -> Result<(), TooMuch> {
        self.work.spend(text.len())?;
        self.text.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{folder::Folder, grammar};

    /// Chooses what it is told, and keeps among how many.
    #[derive(Default)]
    struct Told {
        answers: Vec<usize>,
        asked: Vec<usize>,
    }

    impl Choice for Told {
        fn choose(&mut self, weights: &[f64]) -> usize {
            self.asked.push(weights.len());
            self.answers.remove(0)
        }
    }

    fn gathered(files: &[(&str, &str)], prompt: &str) -> (Template, Library) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(format!("{name}.txt")), text).unwrap();
        }
        let template = grammar::prompt(prompt).unwrap();
        let library = Library::gather(&mut Folder::new(folder.path().into()), [&template]).unwrap();
        (template, library)
    }

    /// Fills a prompt in with these files and answers; also among how many each choice was.
    fn filled(files: &[(&str, &str)], prompt: &str, answers: &[usize]) -> (String, Vec<usize>) {
        let (template, library) = gathered(files, prompt);
        let mut told = Told { answers: answers.to_vec(), ..Told::default() };
        let text = fill(&template, &library, &mut told, &mut Work::default()).unwrap();
        assert!(told.answers.is_empty(), "{prompt}: not asked for {:?}", told.answers);
        (text, told.asked)
    }

    fn text(prompt: &str, answers: &[usize]) -> String {
        filled(&[], prompt, answers).0
    }

    #[test]
    fn a_variant_is_one_of_its_alternatives() {
        assert_eq!(text("a {red|blue|} heart", &[1]), "a blue heart");
        assert_eq!(text("a {red|blue|} heart", &[2]), "a  heart");
        assert_eq!(text("{red|{dark|light} {blue|green}}", &[1, 0, 1]), "dark green");
        assert_eq!(text("{one}{}", &[]), "one");
    }

    #[test]
    fn several_picks_are_different_ones_with_a_separator_between() {
        assert_eq!(text("{2$$a|b|c}", &[0, 0]), "a, b");
        assert_eq!(text("{2$$a|b|c}", &[2, 1]), "c, b");
        assert_eq!(text("{3$$ and $$a|b|c}", &[1, 1]), "b and c and a");
        assert_eq!(text("[{2$$|$$a|b|c}]", &[1, 1]), "[b|c]");
    }

    #[test]
    fn a_range_is_chosen_before_the_picks() {
        let (text, asked) = filled(&[], "{1-2$$a|b|c}", &[1, 0, 1]);
        assert_eq!((text.as_str(), asked), ("a, c", vec![2, 3, 2]));
        assert_eq!(filled(&[], "{0-1$$a|b}", &[0]).0, "");
        assert_eq!(filled(&[], "{-2$$a|b|c}", &[0, 2]).0, "c");
        assert_eq!(filled(&[], "{2-$$a|b|c}", &[1, 0, 0]).0, "a, b, c");
    }

    #[test]
    fn no_more_is_picked_than_there_is() {
        assert_eq!(filled(&[], "{5$$a|b}", &[1]), ("b, a".to_owned(), vec![2]));
        assert_eq!(filled(&[], "{4-9$$a}", &[]), ("a".to_owned(), vec![]));
    }

    #[test]
    fn a_wildcard_is_one_of_its_lines_filled_in() {
        let files = [("colours", "red\n{dark|light} __blues__"), ("blues", "navy\nsky")];
        assert_eq!(filled(&files, "a __colours__ heart", &[0]).0, "a red heart");
        assert_eq!(filled(&files, "a __colours__ heart", &[1, 1, 0]).0, "a light navy heart");
    }

    #[test]
    fn picks_of_a_lone_wildcard_are_different_lines() {
        let files = [("colours", "red\nblue\ngreen")];
        let expected = ("blue, red".to_owned(), vec![3, 2]);
        assert_eq!(filled(&files, "{2$$__colours__}", &[1, 0]), expected);
        assert_eq!(filled(&files, "{2$$ __colours__ }", &[1, 0]), expected);
        let (text, asked) = filled(&files, "{2$$__colours__|__colours__}", &[0, 1, 1]);
        assert_eq!((text.as_str(), asked), ("blue, blue", vec![2, 3, 3]));
    }

    #[test]
    fn a_missing_wildcard_stays_as_it_is() {
        assert_eq!(text("a __no/such*__ heart", &[]), "a __no/such*__ heart");
        assert_eq!(text("{2$$__no__}", &[]), "__no__");
    }

    #[test]
    fn a_prompt_without_end_is_an_error() {
        let each = |next: &str| format!("__{next}__").repeat(64);
        for end in ["x", "{}"] {
            let texts = [each("b"), each("c"), each("d"), each("e"), end.to_owned()];
            let files = ["a", "b", "c", "d", "e"].into_iter().zip(texts.iter().map(String::as_str));
            let (template, library) = gathered(&files.collect::<Vec<_>>(), "__a__");
            let outcome = fill(&template, &library, &mut Told::default(), &mut Work(1_000_000));
            assert_eq!(outcome, Err(TooMuch), "{end}");
        }
    }

    #[test]
    fn all_that_may_lie_in_one_another_fits_on_a_stack() {
        let names: Vec<String> = (0..16).map(|depth| format!("w{depth}")).collect();
        let line = |next: &str| format!("{}{next}{}", "{".repeat(32), "}".repeat(32));
        let mut texts: Vec<String> = names[1..].iter().map(|n| line(&format!("__{n}__"))).collect();
        texts.push(line("the end"));
        let files: Vec<_> =
            names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        assert_eq!(filled(&files, &line("__w0__"), &[]).0, "the end");
    }
}
