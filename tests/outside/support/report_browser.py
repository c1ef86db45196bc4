"""Opens reports in headless Chromium and checks what a reader needs: nothing loaded, nothing run,
everything readable and reachable. Speaks WebDriver with the standard library alone.

report_browser.py DRIVER FOLDER SCREENSHOTS: FOLDER has rich.html, agreeing.html, empty.html,
crowded.html and hostile.html."""

import base64
import json
import pathlib
import re
import sys
import tempfile
import urllib.error
import urllib.request

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --disable-default-apps --disable-extensions
--disable-dev-shm-usage --hide-scrollbars""".split()
TAB, ENTER, SPACE, RIGHT = "\ue004", "\ue007", " ", "\ue014"
WIDTHS = {1280: 900, 360: 740, 320: 640}
TITLES = {
    "rich": "Do not switch yet",
    "agreeing": "You may switch",
    "empty": "Undecided",
    "crowded": "Do not switch yet",
    "hostile": "Do not switch yet",
}
checks = 0


def check(holds, *told):
    """Ends with what was told where something does not hold."""
    global checks
    checks += 1
    if not holds:
        sys.exit("FAILED: " + " ".join(str(one) for one in told))


class Browser:
    """One session; a profile of its own, removed with the folder."""

    def __init__(self, driver, profile):
        self.driver = driver
        options = {"args": FLAGS + [f"--user-data-dir={profile}"]}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base = f"/session/{session['sessionId']}"
        self.version = session["capabilities"]["browserVersion"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.driver + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            sys.exit(f"FAILED: {method} {path}: {error.read().decode(errors='replace')[:500]}")

    def post(self, path, **body):
        return self.call("POST", self.base + path, body)

    def cdp(self, command, **params):
        return self.post("/goog/cdp/execute", cmd=command, params=params)

    def run(self, script, *args):
        return self.post("/execute/sync", script=COMMON + script, args=list(args))

    def press(self, key):
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.post("/actions", actions=[{"type": "key", "id": "keys", "actions": keys}])

    def look(self, width, scheme, media=""):
        height = WIDTHS[width]
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", media=media, features=features)

    def open(self, url):
        """A fresh page, and what it asked for and complained about."""
        self.post("/url", url="about:blank")
        for kind in ["browser", "performance"]:
            self.post("/se/log", type=kind)
        self.post("/url", url=url)
        said = self.post("/se/log", type="browser")
        asked = []
        for entry in self.post("/se/log", type="performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                asked.append(event["params"]["request"]["url"])
        return said, asked

    def screenshot(self, file, whole=False):
        picture = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(picture["data"]))


# What every script below may use.
COMMON = """
const shown = e => e.checkVisibility({visibilityProperty: true});
const stops = () => [...document.querySelectorAll('a[href], summary, [tabindex="0"]')].filter(shown);
const openAll = () => document.querySelectorAll('details').forEach(d => d.open = true);
const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
const back = e => {
  const layers = [];
  for (; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
  return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
};
const light = c => {
  const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const contrast = (a, b) => {
  const [x, y] = [light(a), light(b)];
  return (Math.max(x, y) + .05) / (Math.min(x, y) + .05);
};
"""

# Every text that can be seen: its contrast with what is behind it.
CONTRAST = """
openAll();
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const bad = []; let seen = 0;
while (walk.nextNode()) {
  const text = walk.currentNode, e = text.parentElement;
  if (!text.data.trim() || !shown(e)) continue;
  seen++;
  const style = getComputedStyle(e), size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  const behind = back(e), ratio = contrast(over(parse(style.color), behind), behind);
  if (ratio < (large ? 3 : 4.5)) bad.push([ratio.toFixed(2), e.className || e.tagName, text.data.slice(0, 40)]);
}
return {seen, bad: bad.slice(0, 10)};
"""

# What a part of a bar looks like beside the panel, for those that stand for a cause.
BARS = """
const bad = []; let seen = 0;
for (const rect of document.querySelectorAll('.bar rect:not(.equal, .rest, .ignored)')) {
  seen++;
  const ratio = contrast(parse(getComputedStyle(rect).fill), back(rect.parentElement));
  if (ratio < 3 || rect.getBoundingClientRect().width < 1.5) bad.push([ratio.toFixed(2), rect.getAttribute('class')]);
}
return {seen, bad};
"""

LAYOUT = """
const page = document.documentElement;
const box = s => { const r = document.querySelector(s).getBoundingClientRect(); return [r.top, r.bottom]; };
return {
  wide: page.scrollWidth, room: page.clientWidth, high: innerHeight,
  verdict: box('#verdict'), because: box('.verdict .because'),
  back: light(parse(getComputedStyle(document.body).backgroundColor)),
  loaded: performance.getEntriesByType('resource').map(e => e.name),
};
"""

# Where the focus is, and whether one can see it.
FOCUS = """
const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
const around = e.parentElement ? back(e.parentElement) : [255, 255, 255, 1];
return {
  place: stops().indexOf(e), of: stops().length, body: e === document.body,
  what: e.outerHTML.slice(0, 120),
  outline: style.outlineStyle !== 'none' ? parseFloat(style.outlineWidth) : 0,
  contrast: contrast(parse(style.outlineColor), around),
  inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
};
"""

# What the document is made of; text from elsewhere can have made none of it.
MADE_OF = """
openAll();
const all = [...document.querySelectorAll('*')];
const hidden = /[\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u00a0\\u200b-\\u200f\\u2028-\\u202f\\u2066-\\u2069\\ufeff\\ufff0-\\uffff]/u;
const text = document.documentElement.textContent, found = text.search(hidden);
return {
  names: [...new Set(all.map(e => e.localName))].sort(),
  attributes: [...new Set(all.flatMap(e => e.getAttributeNames()))].sort(),
  links: all.filter(e => e.hasAttribute('href')).map(e => e.getAttribute('href')),
  ids: all.filter(e => e.id).map(e => e.id),
  labels: all.flatMap(e => (e.getAttribute('aria-labelledby') || '').split(' ')).filter(Boolean),
  styles: document.querySelectorAll('style').length, title: document.title,
  hidden: found < 0 ? '' : JSON.stringify(text.slice(found - 20, found + 20)),
  length: text.length,
};
"""
NAMES = set("""a body caption circle code dd details div dl dt em footer h1 h2 h3 head header html li
main mark meta nav ol p path pre rect section span strong style summary svg table tbody td th thead
title tr ul""".split())
ATTRIBUTES = set("""aria-hidden aria-label aria-labelledby charset class content cx cy d focusable height
href http-equiv id lang name open preserveAspectRatio r role scope tabindex viewBox width x y""".split())


def looks(browser, kind, url, screenshots):
    """At every width, light and dark: nothing asked for, no overflow, the verdict seen, text legible."""
    for width in WIDTHS:
        for scheme in ["light", "dark"]:
            here = f"{kind}, {width} px, {scheme}:"
            browser.look(width, scheme)
            said, asked = browser.open(url)
            check(said == [], here, "the console says", said)
            check(asked == [url], here, "it asked for", asked)
            page = browser.run(LAYOUT)
            check(page["loaded"] == [], here, "it loaded", page["loaded"])
            check(page["wide"] <= page["room"], here, "the page is", page["wide"], "px wide")
            check(page["verdict"][0] >= 0 and page["verdict"][1] <= page["high"], here, "no verdict", page)
            if kind != "hostile":
                check(page["because"][1] <= page["high"], here, "no reason on the first screen", page)
            check((page["back"] > 0.5) == (scheme == "light"), here, "the background is", page["back"])
            browser.screenshot(screenshots / f"{kind}_{width}_{scheme}.png")
            text = browser.run(CONTRAST)
            check(text["bad"] == [], here, "too little contrast", text["bad"])
            check(text["seen"] > 50, here, "only", text["seen"], "texts were seen")
            bars = browser.run(BARS)
            check(bars["bad"] == [], here, "bars that cannot be seen", bars["bad"])
            check(bars["seen"] > 0 or kind == "empty", here, "no bar was seen")
            page = browser.run(LAYOUT)
            check(page["wide"] <= page["room"], here, "opened, the page is", page["wide"], "px wide")


def keyboard(browser, kind, url, width, scheme):
    """Tab reaches everything in the order of the document, and one sees where one is."""
    here = f"{kind}, {width} px, {scheme}, by keyboard:"
    browser.look(width, scheme)
    browser.open(url)
    of = browser.run("return stops().length")
    check(of > 10, here, "only", of, "places to stop")
    for place in range(of):
        browser.press(TAB)
        at = browser.run(FOCUS)
        check(at["place"] == place, here, "stop", place, "of", of, "is", at)
        check(at["outline"] >= 2 and at["contrast"] >= 3, here, "no visible focus", at)
        check(at["inside"], here, "the focus is off the screen", at)
    browser.press(TAB)
    check(browser.run(FOCUS)["body"], here, "a stop too many", browser.run(FOCUS))
    return of


def unfolds(browser, kind, url):
    """Enter and Space open and close what is folded; the skip link skips; a wide table scrolls."""
    browser.look(320, "light")
    browser.open(url)
    browser.press(TAB)
    skip = browser.run("const r = document.activeElement.getBoundingClientRect(); return [r.top, r.bottom]")
    check(skip[0] >= 0 and skip[1] > skip[0], kind, "the skip link cannot be seen", skip)
    browser.press(ENTER)
    check(browser.run("return document.activeElement.id") == "main", kind, "the skip link does not skip")
    folded = browser.run("return [...document.querySelectorAll('summary')].findIndex(s => shown(s) && !s.parentElement.open)")
    check(folded >= 0, kind, "nothing is folded")
    state = "const s = document.querySelectorAll('summary')[arguments[0]];"
    browser.run(state + "s.focus()", folded)
    for key, name in [(ENTER, "Enter"), (SPACE, "Space")]:
        for wanted in [True, False]:
            browser.press(key)
            check(browser.run(state + "return s.parentElement.open", folded) is wanted,
                  kind, name, "does not", "open" if wanted else "close")
    wide = browser.run("""const all = [...document.querySelectorAll('.scroll')].filter(shown);
        const e = all.find(e => e.scrollWidth > e.clientWidth + 20); if (e) e.focus(); return !!e""")
    check(wide, kind, "no table is wider than 320 px")
    for _ in range(5):
        browser.press(RIGHT)
    moved = "return new Promise(done => setTimeout(() => done(document.activeElement.scrollLeft), 50))"
    for _ in range(40):
        if browser.run(moved) > 0:
            break
    check(browser.run(moved) > 0, kind, "a wide table does not scroll by keyboard")


def told(browser, kind, url):
    """What a screen reader is told: landmarks, headings in order, names."""
    browser.look(1280, "light")
    browser.open(url)
    browser.run("openAll()")
    browser.cdp("Accessibility.enable")
    nodes = browser.cdp("Accessibility.getFullAXTree")["nodes"]
    nodes = [node for node in nodes if not node.get("ignored")]
    name = lambda node: node.get("name", {}).get("value", "").strip()
    roles = {}
    for node in nodes:
        roles.setdefault(node["role"]["value"], []).append(node)
    for role in ["banner", "main", "navigation", "contentinfo"]:
        check(len(roles.get(role, [])) == 1, kind, "landmarks", role, len(roles.get(role, [])))
    check(name(roles["navigation"][0]) == "Contents", kind, "the navigation has no name")
    properties = lambda node: {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
    levels = [properties(node)["level"] for node in roles["heading"]]
    check(levels[0] == 1 and levels.count(1) == 1, kind, "headings", levels)
    check(all(b <= a + 1 for a, b in zip(levels, levels[1:])), kind, "a heading is skipped", levels)
    check(all(map(name, roles["heading"])), kind, "a heading without text")
    for role in ["region", "table", "link", "DisclosureTriangle", "columnheader", "rowheader"]:
        unnamed = [node for node in roles.get(role, []) if not name(node)]
        check(not unnamed, kind, "without a name:", role, unnamed[:1])
    regions = list(map(name, roles["region"]))
    check(len(set(regions)) == len(regions), kind, "two regions have one name", regions)
    tables = browser.run("return document.querySelectorAll('table').length")
    check(len(roles.get("table", [])) == tables, kind, "tables told", len(roles.get("table", [])), "of", tables)
    for scope in ["thead th:not([scope=col])", "tbody tr > :first-child:not(th[scope=row])"]:
        check(browser.run("return document.querySelectorAll(arguments[0]).length", scope) == 0, kind, scope)
    small = browser.run("""return [...document.querySelectorAll('nav a, summary')].filter(shown)
        .filter(e => e.getBoundingClientRect().height < 24).map(e => e.outerHTML.slice(0, 80))""")
    check(small == [], kind, "too small to hit", small)
    return len(nodes)


def made_of(browser, kind, url):
    """Elements, attributes and links are the template's, whatever the texts hold."""
    browser.look(1280, "light")
    browser.open(url)
    page = browser.run(MADE_OF)
    check(set(page["names"]) <= NAMES, kind, "elements", set(page["names"]) - NAMES)
    check(set(page["attributes"]) <= ATTRIBUTES, kind, "attributes", set(page["attributes"]) - ATTRIBUTES)
    check(all(re.fullmatch(r"#[a-z]+", link) for link in page["links"]), kind, "links", page["links"])
    check({link[1:] for link in page["links"]} <= set(page["ids"]), kind, "a link leads nowhere", page["links"])
    check(set(page["labels"]) <= set(page["ids"]), kind, "a label is missing", page["labels"])
    check(len(set(page["ids"])) == len(page["ids"]), kind, "an id stands twice", page["ids"])
    check(page["styles"] == 1, kind, page["styles"], "style sheets")
    check(page["title"] == f"{TITLES[kind]} · Tieline validation", kind, "the title is", page["title"])
    check(page["hidden"] == "", kind, "a hidden character", page["hidden"])
    check(page["length"] < 1_000_000, kind, "the page has", page["length"], "characters")


def prints(browser, kind, url):
    """On paper nothing is folded away."""
    browser.look(1280, "light", media="print")
    browser.open(url)
    hidden = browser.run("""return [...document.querySelectorAll('details > :not(summary)')]
        .filter(e => !shown(e) || e.getBoundingClientRect().height === 0).length""")
    check(hidden == 0, kind, hidden, "folded parts are not printed")


def guards(browser, folder):
    """The checks find what they look for: a page with every fault fails each of them."""
    page = (folder / "rich.html").read_text()
    page = page.replace("</main>", '<p style="width: 3000px">wide</p><img src="x.png"></main>')
    page = page.replace("</footer>", f'<table class="causes"><tr><td class="number">{"x" * 3000}</td></tr></table></footer>')
    page = page.replace("</body>", "<script>document.title = 'owned'</script></body>")
    (folder / "faulty.html").write_text(page)
    url = (folder / "faulty.html").as_uri()
    browser.look(1280, "light")
    said, asked = browser.open(url)
    stopped = [entry for entry in said if "Content Security Policy" in entry["message"]]
    check(len(stopped) >= 3, "the policy stopped too little:", said)
    check(len(asked) == 2, "a request is not noticed", asked)
    page = browser.run(LAYOUT)
    check(page["room"] < page["wide"], "a page that is too wide is not noticed", page)
    found = browser.run(MADE_OF)
    check({"img", "script"} <= set(found["names"]) - NAMES, "a foreign element is not found")
    check("style" in found["attributes"], "a foreign attribute is not found")
    check(found["title"] == "Do not switch yet · Tieline validation", "a script ran", found["title"])
    dim = "document.querySelector('.because').classList.add('none');" \
          "document.styleSheets[0].insertRule('.because { color: #999 !important }', 0);"
    check(browser.run(dim + CONTRAST)["bad"] != [], "pale text is not found")


def main(driver, folder, screenshots):
    folder, screenshots = pathlib.Path(folder).resolve(), pathlib.Path(screenshots)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(driver, profile)
        try:
            guards(browser, folder)
            for kind in TITLES:
                url = (folder / f"{kind}.html").as_uri()
                looks(browser, kind, url, screenshots)
                made_of(browser, kind, url)
                nodes = told(browser, kind, url)
                prints(browser, kind, url)
                print(f"{kind}: {nodes} nodes told, every width, light and dark", flush=True)
            for kind, width, scheme in [("rich", 1280, "light"), ("rich", 320, "dark"),
                                        ("rich", 360, "light"), ("crowded", 1280, "dark")]:
                url = (folder / f"{kind}.html").as_uri()
                stops = keyboard(browser, kind, url, width, scheme)
                print(f"{kind}, {width} px, {scheme}: {stops} stops by keyboard", flush=True)
            unfolds(browser, "rich", (folder / "rich.html").as_uri())
        finally:
            browser.call("DELETE", browser.base)
    print(f"report_browser: {checks} checks in Chromium {browser.version}")


if __name__ == "__main__":
    main(*sys.argv[1:])
