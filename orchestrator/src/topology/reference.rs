//! Tables of keys as Markdown, section by section.

use super::keys::{Form, Key, Need};

/// Every section that `keys` lead to, each once, in the order in which they are met.
pub(super) fn sections(keys: &'static [Key]) -> String {
    let mut sections = Vec::new();
    collect("top level", "", keys, &mut sections);
    sections.into_iter().map(|section| section.markdown()).collect()
}

struct Section {
    path: String,
    about: &'static str,
    keys: &'static [Key],
}

impl Section {
    fn markdown(&self) -> String {
        let about = if self.about.is_empty() { String::new() } else { format!("{}.\n\n", sentence(self.about)) };
        let title = if self.about.is_empty() { "Top level".to_owned() } else { format!("`{}`", self.path) };
        let mut text = format!("\n## {title}\n\n{about}| key | | value | meaning |\n|---|---|---|---|\n");
        for key in self.keys {
            let need = match key.need {
                Need::Required => "required",
                Need::Optional => "",
            };
            text.push_str(&format!("| `{}` | {need} | {} | {} |\n", key.name, value(&key.form), cell(key.about)));
        }
        text
    }
}

fn collect(path: &str, about: &'static str, keys: &'static [Key], sections: &mut Vec<Section>) {
    // Sections that are met again under another key are not repeated.
    let texts = |keys: &'static [Key]| keys.iter().map(|key| (key.name, key.about));
    if sections.iter().any(|known| texts(known.keys).eq(texts(keys))) {
        return;
    }
    sections.push(Section { path: path.to_owned(), about, keys });
    for key in keys {
        let path = if about.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        descend(&path, key.about, &key.form, sections);
    }
}

fn descend(path: &str, about: &'static str, form: &'static Form, sections: &mut Vec<Section>) {
    match form {
        Form::Section(keys) | Form::Limited(keys, _) => collect(path, about, keys, sections),
        Form::Table(form) => descend(&format!("{path}.NAME"), about, form, sections),
        Form::List(form) => descend(&format!("{path}[]"), about, form, sections),
        Form::Either(forms) => forms.iter().for_each(|form| descend(path, about, form, sections)),
        Form::Rate
        | Form::Span
        | Form::Size
        | Form::Share
        | Form::Boolean
        | Form::Integer { .. }
        | Form::Text
        | Form::Name
        | Form::Names
        | Form::Words(_)
        | Form::Pattern(..)
        | Form::Other(..) => {}
    }
}

/// What a value looks like, in a few words.
fn value(form: &Form) -> String {
    match form {
        Form::Rate => "rate".to_owned(),
        Form::Span => "time".to_owned(),
        Form::Size => "size".to_owned(),
        Form::Share => "share".to_owned(),
        Form::Boolean => "`true` or `false`".to_owned(),
        Form::Integer { min, max } if *max == u64::MAX => format!("whole number from {min}"),
        Form::Integer { min, max } if min == max => format!("{min}"),
        Form::Integer { min, max } => format!("whole number from {min} to {max}"),
        Form::Text => "text".to_owned(),
        Form::Name => "name".to_owned(),
        Form::Names => "name, or list of names".to_owned(),
        Form::Words(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Form::Pattern(about, _) => (*about).to_owned(),
        Form::Section(_) | Form::Limited(..) => "map, see below".to_owned(),
        Form::Table(form) => format!("map of names; {}", value(form)),
        Form::List(form) => format!("list; {}", value(form)),
        Form::Either(forms) => forms.iter().map(value).collect::<Vec<_>>().join(" or "),
        Form::Other(about, _) => (*about).to_owned(),
    }
}

fn cell(about: &str) -> String {
    sentence(about).replace('|', "\\|")
}

fn sentence(about: &str) -> String {
    let mut chars = about.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
