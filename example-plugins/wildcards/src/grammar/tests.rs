//! What the grammar takes, and what it refuses.

use super::*;

/// A template in words: text as it is, `<wildcards>`, and variants with all that is known of them.
fn told(template: &Template) -> String {
    let parts = template.0.iter().map(|part| match part {
        Part::Text(text) => text.clone(),
        Part::Wildcard(name) => format!("<{name}>"),
        Part::Variant(Variant { picks, alternatives }) => {
            let alternatives: Vec<_> = alternatives.iter().map(told_alternative).collect();
            let most =
                if picks.most == usize::MAX { "∞".to_owned() } else { picks.most.to_string() };
            let head = match (picks.least, most.as_str()) {
                (1, "1") => String::new(),
                (least, most) => format!("{least} to {most} by “{}”: ", picks.separator),
            };
            format!("{{{head}{}}}", alternatives.join("; "))
        }
    });
    parts.collect()
}

fn told_alternative(alternative: &Alternative) -> String {
    let text = told(&alternative.template);
    let weight = alternative.weight;
    if (weight - 1.0).abs() < f64::EPSILON { text } else { format!("{weight}×{text}") }
}

#[track_caller]
fn reads(text: &str, expected: &str) {
    let template = prompt(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(told(&template), expected, "{text}");
}

#[track_caller]
fn refuses(text: &str, expected: &str) {
    let error = prompt(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn variants_have_alternatives_and_may_lie_in_one_another() {
    reads("a {red|blue} heart", "a {red; blue} heart");
    reads("{a|{b|{c|d} e}|f}", "{a; {b; {c; d} e}; f}");
    reads("{a|}{|}{}", "{a; }{; }{}");
    reads("{ a | b }", "{ a ;  b }");
    reads("{a\n|b}", "{a\n; b}");
    reads("a | b", "a | b");
}

#[test]
fn alternatives_have_weights() {
    reads("{2::a|1::b|c}", "{2×a; b; c}");
    reads("{ 0.5::a|.25:: b|+3.::c}", "{0.5×a; 0.25× b; 3×c}");
    reads("{a 2::b|c::d|2:e}", "{a 2::b; c::d; 2:e}");
    reads("2::a", "2::a");
}

#[test]
fn an_alternative_of_weight_0_is_never_chosen() {
    reads("{0::a|b|0.0::c|-0::d}", "{b}");
    refuses("x {0::a|0::b}", "nothing is left to choose in the “{” at character 3");
}

#[test]
fn variants_have_counts_and_separators() {
    reads("{2$$a|b}", "{2 to 2 by “, ”: a; b}");
    reads("{1-2$$a|b}{0-1$$a}", "{1 to 2 by “, ”: a; b}{0 to 1 by “, ”: a}");
    reads("{2-$$a|b}{-2$$a|b}", "{2 to ∞ by “, ”: a; b}{1 to 2 by “, ”: a; b}");
    reads("{ 1 - 2 $$a|b}", "{1 to 2 by “, ”: a; b}");
    reads("{2$$ and $$a|b}{2$$$$a|b}", "{2 to 2 by “ and ”: a; b}{2 to 2 by “”: a; b}");
    reads("{2$$|$$a|b}", "{2 to 2 by “|”: a; b}");
    reads("{2$$\\}\\$$$a|b}", "{2 to 2 by “}$”: a; b}");
    reads("{2$$3::a|b}", "{2 to 2 by “, ”: 3×a; b}");
    reads("{2$$a|{3$$;$$b|c}}", "{2 to 2 by “, ”: a; {3 to 3 by “;”: b; c}}");
    reads("{2$$a|b} $$", "{2 to 2 by “, ”: a; b} $$");
}

#[test]
fn signs_of_a_count_elsewhere_are_text() {
    reads("{a$$b|c}", "{a$$b; c}");
    reads("{2\\$$ a|b}", "{2$$ a; b}");
    reads("2$$a", "2$$a");
    reads("{2$|3}", "{2$; 3}");
}

#[test]
fn wildcards_are_names_between_underscores() {
    reads("a __colours__ heart", "a <colours> heart");
    reads(
        "__animals/cats__, __animals/*__ __**/a-b c.d__",
        "<animals/cats>, <animals/*> <**/a-b c.d>",
    );
    reads("{2::__a__|__b_c__}", "{2×<a>; <b_c>}");
    reads("__a____b__", "<a><b>");
    reads("__größe__", "<größe>");
}

#[test]
fn underscores_that_enclose_no_name_are_text() {
    for text in [
        "____", "__", "_a_", "__a", "__ a __", "__a b __", "__a, b__", "__a\nb__", "__{a}", "a__b_",
    ] {
        assert!(prompt(text).is_ok_and(|template| template.wildcards().is_empty()), "{text}");
    }
    reads("a__b and c__d", "a<b and c>d");
    reads("__a, __b__", "__a, <b>");
    let long = format!("__{}__", "a".repeat(LONGEST_NAME + 2));
    reads(&long, &long);
}

#[test]
fn a_backslash_makes_a_sign_text() {
    reads(r"\{a\|b\}", r"{a\|b}");
    reads(r"{a\|b\}|c}", "{a|b}; c}");
    reads(r"\__a__ \_\_b__", "__a__ __b__");
    reads(r"\__a__ and __b__", "__a__ and <b>");
}

#[test]
fn other_backslashes_are_a1111s() {
    reads(r"\(a\) \[b\] \\ \é \", r"\(a\) \[b\] \\ \é \");
    reads(r"\\{a|b}", r"\\{a; b}");
}

#[test]
fn a1111s_own_syntax_is_text() {
    for text in [
        "(a:1.2) ((b)) [c] (d",
        "[a:b:0.5] [a::5] [a|b|c] [d",
        "<lora:name_of:0.8> a AND b:0.5 BREAK",
        "a # b",
    ] {
        reads(text, text);
    }
    reads("{(a:1.2)|[b:c:3]|[d::5]}", "{(a:1.2); [b:c:3]; [d::5]}");
    reads("[{a|b}:{c|d}:0.5]", "[{a; b}:{c; d}:0.5]");
}

#[test]
fn bars_in_square_brackets_are_a1111s() {
    reads("{[a|b]|c}", "{[a|b]; c}");
    reads("{[a|[b|c]|{d|e}]|f]}", "{[a|[b|c]|{d; e}]; f]}");
    reads(r"{\[a|b}", r"{\[a; b}");
    refuses("x {a|[b|c}", "the “[” at character 6 is not closed");
    refuses("{[{a|[b}]|c}", "the “[” at character 6 is not closed");
}

#[test]
fn braces_without_their_other_half_are_refused() {
    refuses("a {red|blue", "the “{” at character 3 is not closed");
    refuses("é{a|{b}", "the “{” at character 2 is not closed");
    refuses("{a [b", "the “{” at character 1 is not closed");
    refuses("a} b", "the “}” at character 2 closes nothing");
    refuses(r"{a\}", "the “{” at character 1 is not closed");
}

#[test]
fn numbers_that_are_none_are_refused() {
    refuses("{-1::a|b}", "“-1” at character 2 is no weight");
    refuses("{a| 1.2.3::b}", "“1.2.3” at character 5 is no weight");
    refuses("{1000001::a}", "from 0 to 1000000");
    refuses("{2-1$$a|b}", "“2-1$$” at character 2 does not say how many");
    refuses("{1-2-3$$a|b}", "“1-2-3$$” at character 2");
    refuses("{$$a}", "“$$” at character 2");
    refuses("{-$$a}", "“-$$” at character 2");
    refuses("{99999999999$$a}", "does not say how many");
    refuses(&format!("{{{}::a}}", "9".repeat(1000)), &format!("“{}…” at", "9".repeat(20)));
}

#[test]
fn lines_have_weights_too() {
    let read = |text| line(text).unwrap().map(|line| told_alternative(&line));
    assert_eq!(read("0.5::a {b|c}").as_deref(), Some("0.5×a {b; c}"));
    assert_eq!(read("a|b").as_deref(), Some("a|b"));
    assert_eq!(read("0::a"), None);
    assert!(line("x::a}").is_err());
    assert!(line("-1::a").is_err());
}

#[test]
fn braces_lie_only_so_deep_in_one_another() {
    let nested = |depth: usize| "{".repeat(depth) + "a" + &"}".repeat(depth);
    assert!(prompt(&nested(MOST_NESTED)).is_ok());
    refuses(&nested(MOST_NESTED + 1), "the “{” at character 33 lies in 32 others");
    refuses(&"{".repeat(100_000), "lies in 32 others");
}

#[test]
fn long_prompts_end_soon() {
    let signs = ["{", "}", "[", "|", "_", "__a ", "\\", "$$", "{2$$", "{1", "{a|", "é", "{ "];
    for sign in signs {
        // Only that it ends, and how: any of these may be refused.
        let _ = prompt(&sign.repeat(100_000 / sign.len()));
    }
    let long = "{a|b} __c__ [d|e] ".repeat(6_000);
    assert!(prompt(&long).is_ok_and(|template| template.wildcards().len() == 6_000));
}

#[test]
fn any_mixture_of_signs_is_read_or_refused() {
    let signs =
        ["{", "}", "|", "[", "]", "__", "_", "a", "\\", "$$", "2", "-", "::", ".", " ", "é", "/"];
    let mut state = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(signs[(state >> 33) as usize % signs.len()]);
        }
        let _ = (prompt(&text), line(&text));
    }
}
