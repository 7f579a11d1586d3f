use serde_json::json;

use super::*;

fn items(text: &str) -> Vec<Item> {
    split(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn texts(text: &str) -> Vec<String> {
    items(text).into_iter().map(|item| item.text).collect()
}

fn wholes(text: &str) -> Result<Vec<i64>, String> {
    split(text).and_then(|items| whole(&items, i64::MIN, 100)).map_err(|error| error.to_string())
}

fn reals(text: &str) -> Result<Vec<f64>, String> {
    split(text).and_then(|items| real(&items, 100)).map_err(|error| error.to_string())
}

#[test]
fn values_stand_between_commas_and_line_breaks() {
    assert_eq!(texts("a, b c ,d"), ["a", "b c", "d"]);
    assert_eq!(texts("a\n b\r\nc\n"), ["a", "b", "c"]);
    assert_eq!(texts("a,,"), ["a", "", ""]);
    assert_eq!(texts(" \n"), [""; 0]);
    assert_eq!(items("a,  bä, c").iter().map(|item| item.at).collect::<Vec<_>>(), [1, 5, 9]);
}

#[test]
fn quotes_keep_commas_and_quotes() {
    assert_eq!(texts(r#""a, b" , "say ""hi""",c"#), ["a, b", "say \"hi\"", "c"]);
    assert_eq!(texts("\"two\nlines\",\"\""), ["two\nlines", ""]);
    assert_eq!(texts(r#"a "b" c"#), [r#"a "b" c"#], "a quote within a value is itself");
}

#[test]
fn quotes_that_make_no_sense_are_errors_with_their_place() {
    let error = |text| split(text).expect_err(text);
    assert_eq!(error(r#"a, "b"#), ValueError { at: 4, problem: Problem::OpenQuote });
    let found = Problem::BehindQuote { found: 'x' };
    assert_eq!(error(r#""a" x, b"#), ValueError { at: 5, problem: found });
}

#[test]
fn whole_numbers_are_given_one_by_one_and_in_ranges() {
    for (text, expected) in [
        ("4, 8,-20", vec![4, 8, -20]),
        ("1-5", vec![1, 2, 3, 4, 5]),
        ("1 - 10 (+2)", vec![1, 3, 5, 7, 9]),
        ("1-5(2)", vec![1, 3, 5]),
        ("10-5 (-3)", vec![10, 7]),
        ("3-1", vec![3, 2, 1]),
        ("-2-2 (+2)", vec![-2, 0, 2]),
        ("-1--3", vec![-1, -2, -3]),
        ("7-7", vec![7]),
        ("1-10 [5]", vec![1, 3, 5, 7, 10]),
        ("10-1 [ 4 ]", vec![10, 7, 4, 1]),
        ("3-9 [1]", vec![3]),
        ("1-3, 10", vec![1, 2, 3, 10]),
        ("9223372036854775806-9223372036854775807", vec![i64::MAX - 1, i64::MAX]),
    ] {
        assert_eq!(wholes(text), Ok(expected), "{text}");
    }
}

#[test]
fn numbers_are_given_one_by_one_and_in_ranges() {
    for (text, expected) in [
        ("5, 0.5,-1e-3", vec![5.0, 0.5, -0.001]),
        ("0.5-2.0 (+0.5)", vec![0.5, 1.0, 1.5, 2.0]),
        ("0.1-0.3 (+0.1)", vec![0.1, 0.2, 0.3]),
        ("1-3 (+0.5)", vec![1.0, 1.5, 2.0, 2.5, 3.0]),
        ("0.5-2 [4]", vec![0.5, 1.0, 1.5, 2.0]),
        ("0.0-1.0 [6]", vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ("0.5-2", vec![0.5, 1.5]),
        ("2.5-1", vec![2.5, 1.5]),
        ("1-0 (-0.25)", vec![1.0, 0.75, 0.5, 0.25, 0.0]),
        ("0-1 [4]", vec![0.0, 0.333_333_33, 0.666_666_67, 1.0]),
        (".5-.5", vec![0.5]),
    ] {
        assert_eq!(reals(text), Ok(expected), "{text}");
    }
}

/// Every message names the place and what is there, and says what would do.
#[test]
fn what_is_no_number_is_an_error_with_place_and_remedy() {
    for (text, at, words) in [
        ("4, abc", 4, "“abc” is no whole number; write 4, 1-5"),
        ("4,5.5", 3, "“5.5” is no whole number"),
        ("4,,5", 3, "a value is missing"),
        ("4,", 3, "a value is missing"),
        ("1-", 1, "“1-” is no whole number"),
        ("1-5 (", 1, "no whole number"),
        ("1-5 (+1) 2", 1, "no whole number"),
        ("1-5 (+0.5)", 1, "no whole number"),
        ("1-5 [x]", 1, "no whole number"),
        ("1-5 [-1]", 1, "no whole number"),
        ("99999999999999999999", 1, "no whole number"),
        ("1-99999999999999999999", 1, "no whole number"),
        ("1-5 (-1)", 1, "turn its sign around"),
        ("5-1 (+1)", 1, "turn its sign around"),
        ("1-5 (0)", 1, "turn its sign around"),
        ("1-5 [0]", 1, "has no values"),
        ("1-101", 1, "more than 100 values"),
        ("-9223372036854775808-9223372036854775807", 1, "more than 100 values"),
        ("1-2 [99999999999999]", 1, "more than 100 values"),
    ] {
        let error = wholes(text).expect_err(text);
        assert!(error.starts_with(&format!("character {at}: ")), "{error}");
        assert!(error.contains(words), "{error}");
    }
    for (text, words) in [
        ("x", "“x” is no number; write 0.5, 1-3"),
        ("nan", "no number"),
        ("inf", "no number"),
        ("1e300", "no number"),
        ("1.2.3", "no number"),
        ("1.2.3-4", "no number"),
        ("0-1 (-0.1)", "turn its sign around"),
        ("0-1 (0)", "turn its sign around"),
        ("0-1 (+0.0000001)", "more than 100 values"),
        ("0-1 [101]", "more than 100 values"),
    ] {
        let error = reals(text).expect_err(text);
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    let pieces = ["1", "-", "+", ".", " ", "(", ")", "[", "]", "\"", ",", "\n", "x", "é", "9e9"];
    for a in pieces {
        for b in pieces {
            for c in pieces {
                for d in pieces {
                    let text = [a, b, c, d].concat();
                    let _ = (wholes(&text), reals(&text));
                    let _ = split(&text).and_then(|items| anything(&items, 100));
                    let _ = split(&text).and_then(|items| sizes(&items));
                }
            }
        }
    }
}

#[test]
fn a_number_below_the_least_is_an_error() {
    let error = whole(&items("4, 0"), 1, 100).expect_err("too small").to_string();
    assert_eq!(error, "character 4: 0 is less than 1, which is the least that makes sense");
}

#[test]
fn sizes_are_width_and_height() {
    assert_eq!(sizes(&items("64x96, 96 X 64,8×8")), Ok(vec![(64, 96), (96, 64), (8, 8)]));
    for text in ["64", "64x", "x", "-1x8", "64x64x64", "axb"] {
        let error = sizes(&items(text)).expect_err(text).to_string();
        assert!(error.contains("is no size"), "{error}");
    }
}

#[test]
fn values_of_an_unknown_type_are_texts_unless_they_are_ranges() {
    let found = anything(&items(r#"0.5, on, 1-3, 0-1 [3], "1-3", "#), 100);
    let expected =
        vec![json!("0.5"), json!("on"), json!(1), json!(2), json!(3), json!(0), json!(0), json!(1)];
    assert_eq!(found.map(|values| values[..8].to_vec()), Ok(expected));
    assert_eq!(anything(&items("\"1-3\","), 9), Ok(vec![json!("1-3"), json!("")]));
    assert_eq!(anything(&items("0-1 (+0.5)"), 9), Ok(vec![json!(0.0), json!(0.5), json!(1.0)]));
}

#[test]
fn json_is_read_where_an_option_holds_it() {
    assert_eq!(json(&items(r#"[], "[""a"", 1]""#)), Ok(vec![json!([]), json!(["a", 1])]));
    let error = json(&items("[a]")).expect_err("no JSON").to_string();
    assert!(error.contains("“[a]” is no JSON"), "{error}");
}
