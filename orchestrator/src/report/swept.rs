//! How the paths of swept values are named where there is little room.

/// Of each path the shortest end, cut at a point, that no other of them has: `count` of `groups.home.count` alone, and
/// `home.count` beside `far.count`.
pub(crate) fn short<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let tells_apart = |end: &str| paths.iter().filter(|path| ends_with(path, end)).count() <= 1;
    let of = |path: &'a str| {
        let points = path.rmatch_indices('.').map(|(point, _)| &path[point + 1..]);
        points.into_iter().find(|end| tells_apart(end)).unwrap_or(path)
    };
    paths.iter().copied().map(of).collect()
}

fn ends_with(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_as_short_as_the_others_allow() {
        assert_eq!(short(&["groups.home.count", "files.release.size"]), ["count", "size"]);
        assert_eq!(short(&["groups.home.count", "groups.far.count"]), ["home.count", "far.count"]);
        let steps = ["scenario.0.distribute.via", "scenario.1.distribute.via", "via"];
        assert_eq!(short(&steps), ["0.distribute.via", "1.distribute.via", "via"]);
        assert_eq!(short(&["links.home.up", "x.startup"]), ["up", "startup"]);
    }
}
