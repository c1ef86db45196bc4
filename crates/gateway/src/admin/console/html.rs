//! The page for people, whole without its script. Must never contain markup that is not of its template.

use std::fmt::Write;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::View;
use super::panel::{Cell, Kind, Panel, Tone};

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Nothing but this style and this script; no text of the page can become code.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(settings::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

pub(super) fn policy() -> &'static str {
    &POLICY
}

/// The page: what is drawn again and again, then what is drawn once; `tries` adds the part that tries a request.
pub(super) fn page(view: &View, once: &[Panel], tries: bool) -> String {
    let mut page = String::new();
    // No text that is put in is looked at for further places.
    for (number, part) in TEMPLATE.split("{{").enumerate() {
        let (place, rest) = match (number, part.split_once("}}")) {
            (0, _) | (_, None) => ("", part),
            (_, Some(parts)) => parts,
        };
        match place {
            "style" => page.push_str(STYLE),
            "script" => page.push_str(SCRIPT),
            "head" => view.head.iter().for_each(|cell| item(&mut page, cell)),
            "contents" => contents(&mut page, view.panels.iter().chain(once)),
            "panels" => view.panels.iter().for_each(|panel| section(&mut page, panel, true)),
            "try" if tries => attempt(&mut page),
            "once" => once.iter().for_each(|panel| section(&mut page, panel, false)),
            _ => {}
        }
        page.push_str(rest);
    }
    page
}

fn contents<'a>(page: &mut String, panels: impl Iterator<Item = &'a Panel>) {
    for panel in panels {
        let _ = write!(page, "<li><a href=\"#{}\">{}</a></li>", panel.id, panel.title);
    }
}

/// Works by the script alone, which shows it.
fn attempt(page: &mut String) {
    page.push_str(
        "<section id=\"try\" aria-labelledby=\"try-title\" hidden><h2 id=\"try-title\">Try a request</h2>\
         <p class=\"note\">It goes the way of every client's, and is counted as one. Neither the key nor a value of \
         the answer is shown or kept.</p><form id=\"try-form\" class=\"ask\"><label>List <select id=\"try-endpoint\">",
    );
    for endpoint in super::attempt::endpoints() {
        let _ = write!(page, "<option>{}</option>", endpoint.name());
    }
    page.push_str(
        "</select></label> <label>Query <input id=\"try-query\" autocomplete=\"off\" spellcheck=\"false\" \
         placeholder=\"name=value\"></label> <label>Legacy key <input id=\"try-key\" type=\"password\" \
         autocomplete=\"off\"></label> <button id=\"try-ask\">Ask</button></form>\
         <pre id=\"try-told\" role=\"status\" tabindex=\"0\"></pre></section>\n",
    );
}

fn item(page: &mut String, cell: &Cell) {
    page.push_str("<li>");
    content(page, Kind::Text, cell);
    page.push_str("</li>");
}

fn section(page: &mut String, panel: &Panel, is_live: bool) {
    let Panel { id, title, .. } = panel;
    let live = match (is_live, *id) {
        (true, "attention") => " data-live aria-live=\"polite\"",
        (true, _) => " data-live",
        (false, _) => "",
    };
    let _ = write!(
        page,
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\"{live}><h2 id=\"{id}-title\">{title}</h2>\
         <p class=\"note\">"
    );
    escape(page, &panel.note);
    page.push_str("</p>");
    if *id == "callers" {
        page.push_str(
            "<p class=\"find\" hidden><label>A part of the name \
             <input id=\"find\" type=\"search\" autocomplete=\"off\"></label></p>",
        );
    }
    let (table, none) = match panel.rows.is_empty() {
        true => (" hidden", ""),
        false => ("", " hidden"),
    };
    let _ = write!(page, "<p class=\"none\"{none}>");
    escape(page, panel.empty);
    let _ = write!(
        page,
        "</p><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}, table\"{table}>\
         <table><thead><tr>"
    );
    for (name, kind) in panel.columns {
        let class = if *kind == Kind::Number { " class=\"number\"" } else { "" };
        let spark = if *kind == Kind::Spark { " class=\"spark\" hidden" } else { class };
        let _ = write!(page, "<th scope=\"col\"{spark}>{name}</th>");
    }
    page.push_str("</tr></thead><tbody>");
    for row in &panel.rows {
        page.push_str("<tr>");
        for (place, (cell, (_, kind))) in row.iter().zip(panel.columns).enumerate() {
            let class = match kind {
                Kind::Number => " class=\"number\"",
                Kind::Spark => " class=\"spark\" hidden",
                Kind::Text | Kind::Code => "",
            };
            let (begin, end) = match place {
                0 => ("th scope=\"row\"", "th"),
                _ => ("td", "td"),
            };
            let _ = write!(page, "<{begin}{class}>");
            content(page, *kind, cell);
            let _ = write!(page, "</{end}>");
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div></section>\n");
}

fn content(page: &mut String, kind: Kind, cell: &Cell) {
    let (begin, end) = match (kind, cell.tone) {
        (Kind::Code, _) if !cell.text.is_empty() => ("<pre>", "</pre>"),
        (_, Some(Tone::Good)) => ("<span class=\"good\">", "</span>"),
        (_, Some(Tone::Doubt)) => ("<span class=\"doubt\">", "</span>"),
        (_, Some(Tone::Bad)) => ("<span class=\"bad\">", "</span>"),
        _ => ("", ""),
    };
    page.push_str(begin);
    escape(page, &cell.text);
    page.push_str(end);
}

/// Text that is text wherever it stands.
fn escape(page: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            c => page.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_has_the_hashes_of_what_is_in_the_page() {
        let page = page(&View { head: Vec::new(), panels: Vec::new() }, &[], true);
        let between = |from: &str, to: &str| {
            page.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned()
        };
        for text in [between("<style>", "</style>"), between("<script>", "</script>")] {
            let hash = format!("'sha256-{}'", STANDARD.encode(settings::digest(&text)));
            assert!(policy().contains(&hash), "{hash}");
        }
        assert!(!page.contains("{{") && !page.contains("}}"));
    }

    /// A policy stops such code; here it does not come into being.
    #[test]
    fn the_script_makes_no_markup_of_text_and_loads_nothing() {
        for word in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "http:"]
        {
            assert!(!SCRIPT.replace("http://www.w3.org/2000/svg", "").contains(word), "{word}");
        }
        for part in [TEMPLATE, STYLE] {
            for word in ["http://", "https://", "url(", "@import", " src=", "style=", " on"] {
                assert!(
                    !part.contains(&format!("{word}=\""))
                        && (word == " on" || !part.contains(word)),
                    "{word}"
                );
            }
        }
    }

    #[test]
    fn text_stays_text() {
        let mut page = String::new();
        escape(&mut page, "<a href=\"x\" title='y'>&");
        assert_eq!(page, "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;");
    }
}
