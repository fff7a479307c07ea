//! The shell commands of a Markdown page, as a reader would type them.

/// Longest run of a command that would never end by itself, in seconds.
const ENDLESS_SECONDS: u32 = 15;

/// The fenced blocks of one language, in order.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.trim() == language, String::new())),
            (Some((wanted, block)), Some(_)) => {
                if *wanted {
                    found.push(std::mem::take(block));
                }
                open = None;
            }
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
    fn an_endless_command_is_looked_at_for_a_while() {
        let script = script(&blocks(PAGE, "sh"));
        assert!(
            script.contains("make b \\\n  c\n") && script.ends_with("timeout 15 get -w || test $? = 124\n"),
            "{script}"
        );
    }
}
