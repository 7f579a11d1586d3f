use super::*;

fn legend(title: &str, values: &[&str]) -> Legend {
    Legend {
        title: title.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    }
}

/// Right and bottom, exclusive.
fn ends(area: Area) -> (usize, usize) {
    (area.left + area.width, area.top + area.height)
}

#[test]
fn without_legends_there_are_cells_and_margins() {
    let layout = Layout::new((3, 2), (64, 48), 5, None, None);
    assert_eq!(layout.size(), (3 * 64 + 2 * 5, 2 * 48 + 5));
    assert_eq!(layout.cell(0, 0), Area { left: 0, top: 0, width: 64, height: 48 });
    assert_eq!(layout.cell(2, 1), Area { left: 138, top: 53, width: 64, height: 48 });
    assert!(layout.texts().is_empty());
}

#[test]
fn legends_are_above_the_columns_and_beside_the_rows() {
    let (x, y) = (legend("Steps", &["4", "20"]), legend("CFG Scale", &["1", "5", "9"]));
    let layout = Layout::new((2, 3), (64, 64), 0, Some(&x), Some(&y));
    let (first, texts) = (layout.cell(0, 0), layout.texts());
    assert_eq!(texts.len(), 2 + 1 + 3 + 1);
    let (above, beside) = texts.split_at(3);
    for (block, area) in above {
        assert!(ends(*area).1 < first.top && area.left >= first.left, "{block:?}");
        assert!(block.width() <= area.width && block.height() <= area.height, "{block:?}");
    }
    for (block, area) in beside {
        assert!(ends(*area).0 <= first.left, "{block:?}");
        assert!(block.width() < area.width && block.height() <= area.height, "{block:?}");
    }
    // Values stand above and beside their own cells.
    assert_eq!(above[2].1.left, layout.cell(1, 0).left);
    assert_eq!(beside[3].1.top, layout.cell(0, 2).top);
    assert_eq!(layout.size(), ends(layout.cell(1, 2)));
}

#[test]
fn an_axis_alone_has_its_legend_alone() {
    let x = legend("Steps", &["4", "20"]);
    let layout = Layout::new((2, 1), (64, 64), 0, Some(&x), None);
    assert_eq!(layout.cell(0, 0).left, 0);
    let layout = Layout::new((1, 2), (64, 64), 0, None, Some(&x));
    let (title, area) = layout.texts()[0];
    assert!(title.height() <= area.height && ends(area).1 < layout.cell(0, 0).top);
}

#[test]
fn letters_grow_with_the_cells() {
    for (cell, letters) in [((64, 64), 1), ((256, 256), 2), ((512, 768), 5), ((8, 8), 1)] {
        assert_eq!(scale(cell), letters, "{cell:?}");
    }
}

#[test]
fn long_texts_stay_within_their_places() {
    let long =
        "a photograph of a red heart in the snow, with a very_long_word_and_another ".repeat(9);
    let legend = legend(&long, &[&long, "4"]);
    for side in [8, 64, 100, 512] {
        let layout = Layout::new((2, 2), (side, side), 0, Some(&legend), Some(&legend));
        let (width, height) = layout.size();
        for (block, area) in layout.texts() {
            assert!(block.height() <= area.height.max(line_height(1)), "{side}");
            assert!(ends(area).0 <= width && ends(area).1 <= height, "{side}");
            assert!(side < 64 || block.width() <= area.width, "{side}");
        }
    }
}
