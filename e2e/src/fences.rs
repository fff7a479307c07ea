//! The shell commands of a Markdown page, as a reader would type them, and the files that it tells the reader to write.

/// Longest run of a command that would never end by itself, in seconds.
const ENDLESS_SECONDS: u32 = 15;

/// The end of a file within a script; no file of a page has such a line.
const END_OF_FILE: &str = "END-OF-THE-FILE-OF-THE-PAGE";

/// The fenced blocks of one language, in order.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let found = fenced(page).into_iter();
    found
        .filter_map(|(info, block)| (info == language).then_some(block))
        .collect()
}

/// What a reader of the page does, in order: the commands (blocks `sh`), and writing the files (blocks with a language and a path,
/// such as `toml Cargo.toml`) as a command that does it.
pub fn steps(page: &str) -> Vec<String> {
    let found = fenced(page).into_iter();
    found
        .filter_map(|(info, block)| match info.split_once(' ') {
            None => (info == "sh").then_some(block),
            Some((_, path)) => Some(format!("cat > {path} <<'{END_OF_FILE}'\n{block}{END_OF_FILE}\n")),
        })
        .collect()
}

/// All fenced blocks, each after what stands behind its opening fence.
fn fenced(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// One bash script of several blocks: it echoes every command, stops at the first failure, and looks at an endless command
/// (`… -w`) for a while only.
pub fn script(blocks: &[String]) -> String {
    let mut script = String::from("set -euo pipefail\nset -x\n");
    for line in blocks.iter().flat_map(|block| block.lines()) {
        if line.ends_with(" -w") {
            // 124: it was still watching when its time was over, which is right.
            script.push_str(&format!("timeout {ENDLESS_SECONDS} {line} || test $? = 124\n"));
        } else {
            script.push_str(line);
            script.push('\n');
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "Text\n\n```sh\nmake a\nmake b \\\n  c\n```\n\n```\noutput\n```\n\n```yaml\nkind: X\n```\n```sh\nget -w\n```\n";

    #[test]
    fn blocks_of_the_language_are_found_in_order() {
        assert_eq!(blocks(PAGE, "sh"), ["make a\nmake b \\\n  c\n", "get -w\n"]);
        assert_eq!(blocks(PAGE, "yaml"), ["kind: X\n"]);
    }

    #[test]
    fn files_are_written_where_the_page_shows_them() {
        let page =
            "```sh\nmkdir a\n```\n```toml a/b.toml\n[x]\ny = \"$z\"\n```\n```json\n{}\n```\n```sh\ncat a/b.toml\n```\n";
        let steps = steps(page);
        assert_eq!(steps.len(), 3, "{steps:?}");
        assert!(
            steps[1].starts_with("cat > a/b.toml <<'") && steps[1].contains("y = \"$z\"\n"),
            "{steps:?}"
        );
    }

    #[test]
    fn an_endless_command_is_looked_at_for_a_while() {
        let script = script(&blocks(PAGE, "sh"));
        assert!(
            script.contains("make b \\\n  c\n") && script.ends_with("timeout 15 get -w || test $? = 124\n"),
            "{script}"
        );
    }
}
