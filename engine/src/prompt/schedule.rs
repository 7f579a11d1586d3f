//! Prompts that change while they are drawn: `[from:to:when]` and `[a|b]`.

/// Brackets within brackets are read to this depth; what goes deeper is text.
const DEEPEST: usize = 200;

/// The pass that a prompt is for. Steps are counted as A1111 v1.10.1 counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Steps of the first pass; in A1111 the model calls that the sampler plans for them
    /// ([`Sampler::calls_of`](crate::Sampler::calls_of)).
    pub steps: usize,
    /// Steps of the second pass ("hires fix"), if the prompt is for that one.
    pub second: Option<usize>,
    /// Numbers below 1 are shares of the steps and all others are steps, in both passes alike
    /// (`use_old_scheduling`).
    pub old: bool,
}

impl Pass {
    /// The steps that it makes itself.
    fn length(self) -> usize {
        self.second.unwrap_or(self.steps)
    }
}

/// What a prompt says up to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The last step that it holds for, from 1.
    pub until: usize,
    /// The prompt, with its attention still in it.
    pub text: String,
}

/// The texts of a prompt in their order, the last one until the end. What is no schedule stays as it is
/// written.
///
/// As `get_learned_conditioning_prompt_schedules` of A1111 v1.10.1.
pub fn schedules(prompt: &str, pass: Pass) -> Vec<Scheduled> {
    let Some(nodes) = Reader::new(prompt).top() else {
        return vec![Scheduled { until: pass.length(), text: prompt.to_owned() }];
    };
    let mut ends = vec![pass.length()];
    changes(&nodes, pass, &mut ends);
    ends.sort_unstable();
    ends.dedup();
    let at = |step| {
        let mut text = String::with_capacity(prompt.len());
        write_at(&nodes, step, pass, &mut text);
        Scheduled { until: step, text }
    };
    ends.into_iter().map(at).collect()
}

#[derive(Debug)]
enum Node<'a> {
    Text(&'a str),
    Change { before: Vec<Node<'a>>, after: Vec<Node<'a>>, when: &'a str },
    Turns(Vec<Vec<Node<'a>>>),
}

/// The step after which a change has come, 0 or less where it has come before the first.
fn last_step(when: &str, pass: Pass) -> i64 {
    let number: f64 = when.parse().unwrap_or(0.0);
    let steps = pass.length() as f64;
    let (before, passes) = match pass.second {
        Some(_) => (pass.steps as f64, 1.0),
        None => (0.0, 0.0),
    };
    let step = match (pass.old, when.contains('.')) {
        (true, _) if number < 1.0 => number * steps,
        (true, _) => number,
        (false, true) => (number - passes) * steps,
        (false, false) => number - before,
    };
    steps.min(step) as i64
}

/// The steps after which something changes.
fn changes(nodes: &[Node<'_>], pass: Pass, ends: &mut Vec<usize>) {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Change { before, after, when } => {
                ends.extend(usize::try_from(last_step(when, pass)).ok().filter(|step| *step > 0));
                changes(before, pass, ends);
                changes(after, pass, ends);
            }
            Node::Turns(turns) => {
                ends.extend(1..=pass.length());
                for turn in turns {
                    changes(turn, pass, ends);
                }
            }
        }
    }
}

fn write_at(nodes: &[Node<'_>], step: usize, pass: Pass, text: &mut String) {
    for node in nodes {
        match node {
            Node::Text(part) => text.push_str(part),
            Node::Change { before, after, when } => {
                let due = i64::try_from(step).unwrap_or(i64::MAX) <= last_step(when, pass);
                write_at(if due { before } else { after }, step, pass, text);
            }
            Node::Turns(turns) => {
                let turn = step.saturating_sub(1) % turns.len().max(1);
                turns.get(turn).into_iter().for_each(|nodes| write_at(nodes, step, pass, text));
            }
        }
    }
}

/// Reads by A1111's grammar; a method that answers `None` has found that its construct is none.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn eat(&mut self, sign: char) -> Option<()> {
        self.rest().starts_with(sign).then(|| self.at += sign.len_utf8())
    }

    /// The whole prompt: here alone brackets and colons may stand for themselves.
    fn top(mut self) -> Option<Vec<Node<'a>>> {
        let mut nodes = Vec::new();
        while let Some(sign) = self.rest().chars().next() {
            let (from, read) = (self.at, nodes.len());
            if self.item(&mut nodes).is_none() {
                nodes.truncate(read);
                self.at = from;
                if !"[]():".contains(sign) {
                    return None;
                }
                self.at += sign.len_utf8();
                nodes.push(Node::Text(&self.text[from..self.at]));
            }
        }
        Some(nodes)
    }

    /// Items up to a sign that ends them.
    fn items(&mut self) -> Option<Vec<Node<'a>>> {
        let mut nodes = Vec::new();
        while !self.rest().is_empty() && !self.rest().starts_with([']', ')', ':', '|']) {
            self.item(&mut nodes)?;
        }
        Some(nodes)
    }

    fn item(&mut self, nodes: &mut Vec<Node<'a>>) -> Option<()> {
        match self.rest().chars().next()? {
            '[' => self.deeper(|it| it.square(nodes)),
            '(' => self.deeper(|it| it.round(nodes)),
            _ => {
                nodes.push(Node::Text(self.plain()?));
                Some(())
            }
        }
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        let read = if self.depth > DEEPEST { None } else { read(self) };
        self.depth -= 1;
        read
    }

    /// Text without signs, in which a backslash takes the next sign with it.
    fn plain(&mut self) -> Option<&'a str> {
        let from = self.at;
        let mut signs = self.rest().char_indices();
        let mut length = self.rest().len();
        while let Some((at, sign)) = signs.next() {
            let ends = match sign {
                '\\' => signs.next().is_none_or(|(_, escaped)| escaped == '\n'),
                sign => "[]():|".contains(sign),
            };
            if ends {
                length = at;
                break;
            }
        }
        self.at += length;
        (length > 0).then(|| &self.text[from..self.at])
    }

    /// `(text)` and `(text:weight)`, which stay as they are.
    fn round(&mut self, nodes: &mut Vec<Node<'a>>) -> Option<()> {
        self.eat('(')?;
        nodes.push(Node::Text("("));
        nodes.extend(self.items()?);
        if self.eat(':').is_some() {
            nodes.push(Node::Text(":"));
            nodes.extend(self.items()?);
        }
        self.eat(')')?;
        nodes.push(Node::Text(")"));
        Some(())
    }

    /// `[text]`, which stays as it is, `[to:when]`, `[from:to:when]` and `[a|b]`.
    fn square(&mut self, nodes: &mut Vec<Node<'a>>) -> Option<()> {
        self.eat('[')?;
        let first = self.items()?;
        if self.eat('|').is_some() {
            let mut turns = vec![first, self.items()?];
            while self.eat('|').is_some() {
                turns.push(self.items()?);
            }
            self.eat(']')?;
            nodes.push(Node::Turns(turns));
        } else if self.eat(':').is_some() {
            let change = if let Some(when) = self.when() {
                Node::Change { before: Vec::new(), after: first, when }
            } else {
                let after = self.items()?;
                self.eat(':')?;
                Node::Change { before: first, after, when: self.when()? }
            };
            nodes.push(change);
        } else {
            self.eat(']')?;
            nodes.push(Node::Text("["));
            nodes.extend(first);
            nodes.push(Node::Text("]"));
        }
        Some(())
    }

    /// A number and the end of the bracket; without both nothing is read.
    fn when(&mut self) -> Option<&'a str> {
        let (number, _) = self.rest().split_once(']')?;
        let trimmed = number.trim();
        let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
        let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && !trimmed.ends_with(['e', 'E'])
            && trimmed.parse::<f64>().is_ok();
        is_number.then(|| self.at += number.len() + 1)?;
        Some(trimmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(prompt: &str, pass: Pass) -> Vec<(usize, String)> {
        schedules(prompt, pass).into_iter().map(|it| (it.until, it.text)).collect()
    }

    fn first(steps: usize) -> Pass {
        Pass { steps, second: None, old: false }
    }

    fn second(steps: usize, second: usize) -> Pass {
        Pass { steps, second: Some(second), old: false }
    }

    #[track_caller]
    fn expect(prompt: &str, pass: Pass, expected: &[(usize, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(until, text)| (*until, (*text).to_owned())).collect();
        assert_eq!(at(prompt, pass), expected, "{prompt:?}");
    }

    /// What the parser of v1.10.1 answers.
    #[test]
    fn changes_come_after_their_step() {
        expect("a cat", first(10), &[(10, "a cat")]);
        expect("a [b:3]", first(10), &[(3, "a "), (10, "a b")]);
        expect("a [[[b]]:2]", first(10), &[(2, "a "), (10, "a [[b]]")]);
        expect("a[b:[c:d:2]:1]e", first(10), &[(1, "abe"), (2, "ace"), (10, "ade")]);
        expect("((a][:b:c [d:3]", first(10), &[(3, "((a][:b:c "), (10, "((a][:b:c d")]);
        expect("[a:b:1.0]", first(10), &[(10, "a")]);
        expect("[a:b:1]", first(3), &[(1, "a"), (3, "b")]);
        expect("[a:b:-1]", first(10), &[(10, "b")]);
        expect("[:b:0]", first(10), &[(10, "b")]);
        expect("[a:b:1e1]", first(20), &[(10, "a"), (20, "b")]);
        expect("[b:11]", first(10), &[(10, "")]);
        expect("[b:0.04]", first(10), &[(10, "b")]);
        expect("[a::2]", first(4), &[(2, "a"), (4, "")]);
        expect("a [b : c : 1] d", first(2), &[(1, "a b  d"), (2, "a  c  d")]);
    }

    #[test]
    fn alternatives_take_turns() {
        let turns = [(1, "a"), (2, "(b:1.1)"), (3, "a"), (4, "(b:1.1)")];
        expect("[a|(b:1.1)]", first(4), &turns);
        let turns = [(1, "female"), (2, "male"), (3, "female"), (4, "male")];
        expect("[fe|]male", first(4), &turns);
        expect("[a:b:0.5][c|d]", first(4), &[(1, "ac"), (2, "ad"), (3, "bc"), (4, "bd")]);
        expect("[|a|b]", first(3), &[(1, ""), (2, "a"), (3, "b")]);
    }

    #[test]
    fn the_second_pass_goes_on_counting() {
        expect("a [b:.5] c", first(10), &[(5, "a  c"), (10, "a b c")]);
        expect("a [b:.5] c", second(10, 10), &[(10, "a b c")]);
        expect("[b:1.5]", second(10, 10), &[(5, ""), (10, "b")]);
        expect("[b:15]", second(10, 10), &[(5, ""), (10, "b")]);
        let old = Pass { old: true, ..second(10, 8) };
        expect("[b:.5]", old, &[(4, ""), (8, "b")]);
        expect("[b:1.5]", old, &[(1, ""), (8, "b")]);
    }

    #[test]
    fn what_is_no_schedule_is_text() {
        for text in [
            "[a:b:x]",
            "\\[a:b:3\\]",
            "[a",
            "a]",
            "[a:3",
            "a | b",
            "a [b:c] d",
            "(a:1.2)",
            "a\\",
            "[[a]:c:d:3",
            "[a:b:inf]",
            "[a:b:1e]",
            "((((",
            "ö: ü",
        ] {
            assert_eq!(at(text, first(1)), [(1, text.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn brackets_without_end_are_read_in_no_time_and_no_depth() {
        for text in ["[".repeat(20_000), "(".repeat(20_000), "[a|".repeat(5_000)] {
            assert!(schedules(&text, first(20)).len() <= 20);
        }
        let deep = format!("{}a{}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(at(&deep, first(1)), [(1, deep)]);
        assert_eq!(at("[b:1e999]", first(4)), [(4, String::new())]);
    }
}
