//! A prompt, or a line of a wildcard file, taken apart.

/// Texts and choices, one behind the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Template(pub(crate) Vec<Part>);

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Text(String),
    /// The name between the underscores.
    Wildcard(String),
    Variant(Variant),
}

/// What stands between braces.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    pub(crate) picks: Picks,
    /// At least one.
    pub(crate) alternatives: Vec<Alternative>,
}

/// How many alternatives are taken, and what stands between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picks {
    pub(crate) least: usize,
    /// May be more than there are.
    pub(crate) most: usize,
    pub(crate) separator: String,
}

/// One alternative of a variant, or one line of a wildcard file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alternative {
    /// Above 0.
    pub(crate) weight: f64,
    pub(crate) template: Template,
}

impl Template {
    /// Whether it says what the text says that it was read from: nothing to choose, nothing escaped.
    pub(crate) fn is_verbatim(&self, text: &str) -> bool {
        match self.0.as_slice() {
            [] => text.is_empty(),
            [Part::Text(only)] => only == text,
            _ => false,
        }
    }

    /// The names of all wildcards in it, in their order, each as often as it is there.
    pub(crate) fn wildcards(&self) -> Vec<&str> {
        let names = self.0.iter().flat_map(|part| match part {
            Part::Text(_) => Vec::new(),
            Part::Wildcard(name) => vec![name.as_str()],
            Part::Variant(variant) => variant.wildcards(),
        });
        names.collect()
    }

    /// The name of the wildcard that it consists of, if it is one and nothing else but blanks.
    fn lone_wildcard(&self) -> Option<&str> {
        let is_blank = |part: &&Part| matches!(part, Part::Text(text) if text.trim().is_empty());
        let mut parts = self.0.iter().filter(|part| !is_blank(part));
        match (parts.next(), parts.next()) {
            (Some(Part::Wildcard(name)), None) => Some(name),
            _ => None,
        }
    }
}

impl Variant {
    fn wildcards(&self) -> Vec<&str> {
        self.alternatives.iter().flat_map(|one| one.template.wildcards()).collect()
    }

    /// The wildcard whose lines are the alternatives: in `{2$$__colours__}` two different colours
    /// are wanted, not the one alternative that stands there.
    pub(crate) fn lone_wildcard(&self) -> Option<&str> {
        match self.alternatives.as_slice() {
            [only] => only.template.lone_wildcard(),
            _ => None,
        }
    }
}
