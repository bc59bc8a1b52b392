//! Columns of text, and a figure of several rounds as its median and its ends.

/// Rows under a header, each column as wide as its widest cell; the first `left` columns begin alike, the rest end alike.
pub(crate) fn table(header: &[&str], left: usize, rows: &[Vec<String>]) -> String {
    let cells = |row: usize| -> Vec<&str> {
        row.checked_sub(1).map_or_else(|| header.to_vec(), |row| rows[row].iter().map(String::as_str).collect())
    };
    let width = |column: usize| {
        let widths = (0..=rows.len()).filter_map(|row| Some(cells(row).get(column)?.chars().count()));
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |row: usize| {
        let padded = cells(row).into_iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    (0..=rows.len()).map(line).collect()
}

/// The median of `values`, and after it the least and the most where there are several. Nothing to show is a dash.
pub(crate) fn figure(values: &[f64], decimals: usize) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
        return "-".to_owned();
    };
    let middle = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
    // A little below zero is shown as zero, not as -0.0.
    let shown = |value: f64| {
        let text = format!("{value:.decimals$}");
        let zero = text.strip_prefix('-').filter(|rest| rest.chars().all(|c| c == '0' || c == '.'));
        zero.map_or(text.clone(), str::to_owned)
    };
    if sorted.len() == 1 { shown(middle) } else { format!("{} ({}..{})", shown(middle), shown(*least), shown(*most)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_and_its_ends() {
        assert_eq!(figure(&[], 1), "-");
        assert_eq!(figure(&[2.0], 1), "2.0");
        assert_eq!(figure(&[9.0, 1.0, 2.0], 0), "2 (1..9)");
        assert_eq!(figure(&[-0.04, -0.06], 1), "-0.1 (-0.1..0.0)");
        assert_eq!(figure(&[4.0, 1.0, 2.0, 9.0], 1), "3.0 (1.0..9.0)");
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["ours".to_owned(), "7".to_owned()], vec!["x".to_owned(), "1,000".to_owned()]];
        assert_eq!(table(&["arm", "sent"], 1, &rows), "arm    sent\nours      7\nx     1,000\n");
    }
}
