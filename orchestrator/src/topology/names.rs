//! Names that the file gives to links, regions, groups, files and distributions.

use super::{
    reader::{Reader, Written},
    tree::Entry,
};
use crate::diagnose::Problem;

/// Longest name. Together with `-NUMBER` it stays a valid host name, and socket paths stay below their 108 bytes.
pub(crate) const LENGTH_MAX: usize = 40;

/// Takes an entry's key as a new name; reports one that cannot be used in host names, paths and conditions.
pub(super) fn check(reader: &mut Reader, entry: &Entry, what: &str) -> Written<String> {
    let name = Written { value: entry.key.clone(), place: entry.place };
    check_written(reader, &name, what);
    name
}

/// Reports a name that cannot be used in host names, paths and conditions.
pub(super) fn check_written(reader: &mut Reader, name: &Written<String>, what: &str) {
    if is_usable(&name.value) {
        return;
    }
    let message = format!("`{}` cannot be the name of a {what}", name.value);
    let suggestion = cleaned(&name.value);
    let hint = if name.value.len() > LENGTH_MAX {
        format!("a name has at most {LENGTH_MAX} characters")
    } else if suggestion.is_empty() || !name.value.is_ascii() {
        "use lower-case letters, digits and `-` between them".to_owned()
    } else {
        format!("use lower-case letters, digits and `-` between them, such as `{suggestion}`")
    };
    reader.problem(Problem::new(name.place, message).hint(hint));
}

fn is_usable(name: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= LENGTH_MAX
        && name.starts_with(is_end)
        && name.ends_with(is_end)
        && name.chars().all(|c| is_end(c) || c == '-')
}

/// The name with everything unusable replaced or left out.
fn cleaned(name: &str) -> String {
    let ascii: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    ascii.trim_matches('-').to_owned()
}
