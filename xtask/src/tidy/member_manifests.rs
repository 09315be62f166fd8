//! A member of the workspace takes its lints and its dependencies from the workspace.
//!
//! So each dependency stands once, with its reason (see [`super::dependency_reasons`]), and no
//! crate escapes a lint.

use toml::{Table, Value};

use super::source_tree::{Problem, SourceFile, SourceTree};

/// Finds members that do not.
pub fn check(tree: &SourceTree) -> Vec<Problem> {
    let Some(root) = tree.file("Cargo.toml") else { return Vec::new() };
    let manifest: Table = match root.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![root.problem(1, error.to_string())],
    };
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members"));
    members
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter_map(|member| tree.file(&format!("{member}/Cargo.toml")))
        .flat_map(check_member)
        .collect()
}

fn check_member(file: &SourceFile) -> Vec<Problem> {
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![file.problem(1, error.to_string())],
    };
    let mut problems = Vec::new();
    if !manifest.get("lints").is_some_and(is_inherited) {
        problems.push(file.problem(1, "write `[lints] workspace = true`"));
    }
    for name in own_dependencies(&manifest) {
        let message = format!("declare `{name}` in the root's Cargo.toml, with its reason");
        problems.push(file.problem(1, message));
    }
    problems
}

fn own_dependencies(manifest: &Table) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            let own = table.iter().filter(|(_, dependency)| !is_inherited(dependency));
            names.extend(own.map(|(name, _)| name.clone()));
        } else if key == "target" {
            names.extend(table.values().filter_map(Value::as_table).flat_map(own_dependencies));
        }
    }
    names
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn problems(member: &str) -> usize {
        let root = "[workspace]\nmembers = [\"sim\"]\n";
        check(&SourceTree::of(&[("Cargo.toml", root), ("sim/Cargo.toml", member)])).len()
    }

    #[test]
    fn what_comes_from_the_workspace_passes() {
        let dependencies = "[dependencies]\na.workspace = true\nb = { workspace = true }\n";
        assert_eq!(problems(&format!("{LINTS}{dependencies}")), 0);
    }

    #[test]
    fn lints_and_dependencies_of_its_own_fail() {
        assert_eq!(problems("[package]\n"), 1);
        assert_eq!(problems(&format!("{LINTS}[dev-dependencies]\na = \"1\"\n")), 1);
        assert_eq!(problems(&format!("{LINTS}[target.x.dependencies]\na = \"1\"\n")), 1);
    }
}
