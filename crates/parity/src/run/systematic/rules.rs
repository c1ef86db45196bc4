//! Changes that programs often make to values. Each rule treats every record in the same way.

use corpus::node::Node;

pub(super) type Rule = Box<dyn Fn(&Node) -> Node>;

/// All rules. `shown` is a value that a rule should produce: its length is one of the cuts.
pub(super) fn rules(shown: &Node) -> Vec<Rule> {
    let mut all = vec![
        text(|text| text.trim().to_owned()),
        text(|text| text.trim_start().to_owned()),
        text(|text| text.trim_end().to_owned()),
        text(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
        text(str::to_lowercase),
        text(str::to_uppercase),
        text(unescaped),
        part(|parts| parts.first()),
        part(|parts| parts.last()),
    ];
    for quote in ["\"", "&quot;", "&#34;"] {
        for apostrophe in ["'", "&#39;", "&#x27;", "&apos;"] {
            for greater in [">", "&gt;"] {
                all.push(text(move |text| {
                    let text = text.replace('&', "&amp;").replace('<', "&lt;");
                    let text = text.replace('>', greater).replace('"', quote);
                    text.replace('\'', apostrophe)
                }));
            }
        }
    }
    if let Some(shown) = shown.text() {
        let length = shown.chars().count();
        all.push(text(move |text| text.chars().take(length).collect()));
    }
    all
}

fn text(rule: impl Fn(&str) -> String + 'static) -> Rule {
    Box::new(move |value| match value {
        Node::Text(text) => Node::Text(rule(text)),
        other => other.clone(),
    })
}

/// The rule that keeps one part of a list, joined or not.
fn part(which: fn(&[Node]) -> Option<&Node>) -> Rule {
    Box::new(move |value| match value {
        Node::List(list) => Node::List(which(list).cloned().into_iter().collect()),
        Node::Text(text) => {
            let parts: Vec<Node> = text.split(", ").map(Node::from).collect();
            which(&parts).cloned().unwrap_or_else(|| value.clone())
        }
        other => other.clone(),
    })
}

fn unescaped(text: &str) -> String {
    let quotes =
        ["&quot;", "&#34;"].iter().fold(text.to_owned(), |text, one| text.replace(one, "\""));
    let apostrophes = ["&#39;", "&#x27;", "&apos;"];
    let text = apostrophes.iter().fold(quotes, |text, one| text.replace(one, "'"));
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_changes_of_values_are_recognised() {
        for (candidate, control) in [
            (" Jane ", "Jane"),
            ("Jane  Doe", "Jane Doe"),
            ("O'Brien & <Sons>", "O&#39;Brien &amp; &lt;Sons&gt;"),
            ("a &lt; b", "a < b"),
            ("Jane", "JANE"),
            ("Jane Doe", "Jane D"),
            ("7, 8, 9", "7"),
            ("7, 8, 9", "9"),
        ] {
            let (candidate, control) = (Node::from(candidate), Node::from(control));
            let is_known = rules(&control).iter().any(|rule| rule(&candidate) == control);
            assert!(is_known, "{candidate:?} {control:?}");
        }
        let all = rules(&Node::from("Joan"));
        assert!(!all.iter().any(|rule| rule(&Node::from("Jane")) == Node::from("Joan")));
    }
}
