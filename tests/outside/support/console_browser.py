"""Opens the console in headless Chromium: what an operator sees, and what pages of other sites cannot do.

console_browser.py DRIVER CONSOLE CROWD: the driver, a console with planted states, one with 10,000 callers."""

import http.server
import json
import socket
import sys
import tempfile
import threading
import time
import urllib.request

import report_browser
from report_browser import CONTRAST, ENTER, FOCUS, TAB, Browser, check

WIDTHS = {1360: 900, 640: 800, 390: 740, 320: 640}
report_browser.WIDTHS.update(WIDTHS)
HOSTILE = "</script><img src=x onerror=alert(1)>"

# What is on the page, and whether it goes beyond its sides.
PAGE = """
const page = document.documentElement;
const texts = id => [...document.querySelectorAll(`#${id} tbody tr`)].map(row => [...row.cells].map(cell => cell.textContent));
return {
  wide: page.scrollWidth, room: page.clientWidth,
  attention: texts('attention'), callers: texts('callers'), upstreams: texts('upstreams'),
  unanswered: texts('unanswered'), requests: texts('requests'), history: texts('history'),
  configuration: texts('configuration'), differences: document.querySelector('#differences').textContent,
  images: document.images.length, bold: document.querySelectorAll('b, i').length,
  scripts: document.scripts.length, sparks: document.querySelectorAll('svg polyline').length,
  back: light(parse(getComputedStyle(document.body).backgroundColor)),
  note: document.querySelector('#callers .note').textContent,
  length: page.outerHTML.length,
};
"""


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def is_up(url):
    try:
        return urllib.request.urlopen(url + "/readyz", timeout=5).status == 200
    except OSError:
        return False


def waits(what, look, seconds=20):
    """What `look` gives, once it gives something."""
    for _ in range(seconds * 10):
        found = look()
        if found:
            return found
        time.sleep(0.1)
    check(False, "not within", seconds, "s:", what)


def planted(browser, console):
    """Every state that was planted is there, worst first, and every name is text."""
    for width in WIDTHS:
        for scheme in ["light", "dark"]:
            here = f"{width} px, {scheme}:"
            browser.look(width, scheme)
            said, asked = browser.open(console + "/")
            check(said == [], here, "the console says", said)
            foreign = [url for url in asked if not url.startswith(console + "/") and url != "data:,"]
            check(foreign == [], here, "it asked for", foreign)
            page = browser.run(PAGE)
            check(page["wide"] <= page["room"], here, "the page is", page["wide"], "px wide")
            check((page["back"] > 0.5) == (scheme == "light"), here, "the background is", page["back"])
            text = browser.run(CONTRAST.replace("openAll();", ""))
            check(text["bad"] == [], here, "too little contrast", text["bad"])
            check(text["seen"] > 100, here, "only", text["seen"], "texts were seen")
    whats = [row[0] for row in page["attention"]]
    check(whats == ["key refused", "configuration refused", "paths not answered"], "attention", whats)
    check(HOSTILE in page["attention"][0][1] and "payroll" in page["attention"][0][1], page["attention"])
    # A name that is written as no setting may be a key.
    refusal = page["history"][0][2]
    check("limits.…: unknown field" in refusal and "script" not in refusal, "the refusal", page["history"])
    check(page["callers"][0][:4] == ["payroll", HOSTILE, "groups: \\u{202e}<b onclick=alert(2)>", "refused"], page["callers"])
    check(page["upstreams"][0][:3] == [HOSTILE, "voiso-v4", "asked"], page["upstreams"])
    check(page["unanswered"][0][:3] == ["/api/v2/cdr", "crm", "nothing answers it"], page["unanswered"])
    check(len(page["requests"]) == 3, "requests", page["requests"])
    check(["caller[0].upstream_key", "{file v4.key}"] in [row[:2] for row in page["configuration"]], "no key's place")
    check("cannot be used" in page["differences"] or "</script><i>" in page["differences"], page["differences"])
    made = (page["images"], page["bold"], page["scripts"])
    check(made == (0, 0, 1), "names made elements:", made)


def refreshes(browser, console):
    """The script draws again, sparklines and all, stops when told, and says when nothing answers."""
    browser.look(1360, "light")
    browser.open(console + "/")
    waits("sparklines", lambda: browser.run(PAGE)["sparks"] >= 4)
    callers = get(console + "/api/v1/callers")["callers"]
    page = browser.run(PAGE)
    for caller in callers:
        shown = next(row for row in page["callers"] if row[0] == caller["name"])
        check(shown[5] == str(sum(caller["answers"].values())), "answers of", caller, shown)
    browser.run("const f = document.getElementById('find'); f.value = 'CR'; f.dispatchEvent(new Event('input'))")
    waits("one caller", lambda: [row[0] for row in browser.run(PAGE)["callers"]] == ["crm"])
    browser.run("document.getElementById('pause').click()")
    check(browser.run("return document.getElementById('pause').textContent") == "Resume", "no pause")
    said = browser.post("/se/log", type="browser")
    check(said == [], "the console says", said)
    blocked = browser.run("""try { document.body.innerHTML = '<p>x</p>'; return 'taken' } catch (e) { return e.name }""")
    check(blocked == "TypeError", "markup from text is", blocked)


def tries(browser, console):
    """A request is tried with a good key, a wrong one, and from where it must not be."""
    browser.look(390, "light")
    browser.open(console + "/")
    put = """for (const [id, text] of Object.entries(arguments[0])) document.getElementById(id).value = text;
        document.getElementById('try-ask').click()"""
    for key, status in [("crm-key", 200), ("no-such-key-at-all", 401)]:
        browser.run(put, {"try-endpoint": "v1_users", "try-query": "sag=Agent", "try-key": key})
        said = waits("an answer", lambda: told_of(browser))
        check(said["status"] == status and said["endpoint"] == "v1_users", said)
        check(said["whole"] and (status != 200 or said["bytes"] > 1000), said)
        check(key not in json.dumps(said), "it repeats the key")
    foreign = """const done = arguments[0];
        fetch('/api/v1/try', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'})
          .then(answer => done(answer.status), () => done('failed'))"""
    refused = browser.post("/execute/async", script=foreign, args=[])
    check(refused == 403, "without the console's header it is", refused)
    # The browser tells of the refused one.
    browser.post("/se/log", type="browser")


def told_of(browser):
    text = browser.run("return document.getElementById('try-ask').disabled ? '' : document.getElementById('try-told').textContent")
    return json.loads(text) if text.startswith("{") else None


def keyboard(browser, console):
    """Tab reaches everything in order, and one sees where one is."""
    for width, scheme in [(1360, "light"), (320, "dark")]:
        browser.look(width, scheme)
        browser.open(console + "/")
        stops = """const all = 'a[href], button, input, select, [tabindex="0"]';
            return [...document.querySelectorAll(all)].filter(shown).length"""
        for place in range(browser.run(stops)):
            browser.press(TAB)
            at = browser.run(FOCUS)
            here = f"{width} px, {scheme}, stop {place}:"
            check(not at["body"], here, "nothing has the focus")
            check(at["outline"] >= 2 and at["contrast"] >= 3, here, "no visible focus", at)
            check(at["inside"], here, "the focus is off the screen", at)
    browser.open(console + "/")
    browser.press(TAB)
    browser.press(ENTER)
    check(browser.run("return document.activeElement.id") == "main", "the skip link does not skip")


def told(browser, console):
    """Landmarks, headings and tables have names for a screen reader."""
    browser.look(1360, "light")
    browser.open(console + "/")
    browser.cdp("Accessibility.enable")
    nodes = [node for node in browser.cdp("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
    roles = {}
    for node in nodes:
        roles.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", "").strip())
    for role in ["banner", "main", "navigation", "contentinfo"]:
        check(len(roles.get(role, [])) == 1, "landmarks", role, roles.get(role))
    for role in ["heading", "region", "link", "columnheader", "button"]:
        check(roles.get(role) and all(roles[role]), "without a name:", role, roles.get(role))
    check(len(set(roles["region"])) == len(roles["region"]), "two regions have one name", roles["region"])
    check(browser.run("return document.querySelector('#attention').getAttribute('aria-live')") == "polite", "no live region")


def without_script(browser, console):
    """All is there without the script."""
    browser.look(390, "light")
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(console + "/")
    browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
    page = browser.run(PAGE)
    check(len(page["attention"]) == 3 and len(page["callers"]) == 2, "without the script", page)
    check(browser.run("return document.getElementById('watch').hidden"), "a button that does nothing")


# A page of another site tries everything by which a browser may ask for something.
ATTACK = """
const done = arguments[arguments.length - 1], to = arguments[0], found = {};
const tried = (name, promise) => promise.then(v => found[name] = v, e => found[name] = 'failed');
const frame = () => new Promise(ready => {
  const f = document.createElement('iframe');
  f.onload = () => { try { ready('read ' + f.contentDocument.body.innerText.length) } catch { ready('closed') } };
  f.src = to + '/'; document.body.append(f);
});
const script = () => new Promise((good, bad) => {
  const s = document.createElement('script'); s.onload = () => good('loaded'); s.onerror = bad;
  s.src = to + '/api/v1/overview'; document.body.append(s);
});
const image = () => new Promise((good, bad) => {
  const i = new Image(); i.onload = () => good('loaded'); i.onerror = bad; i.src = to + '/callers';
});
const socket = () => new Promise((good, bad) => {
  const w = new WebSocket(to.replace('http', 'ws') + '/'); w.onopen = () => good('open'); w.onerror = bad;
});
Promise.all([
  tried('fetch', fetch(to + '/api/v1/callers').then(a => a.text())),
  tried('metrics', fetch(to + '/metrics').then(a => a.text())),
  tried('credentials', fetch(to + '/callers', {credentials: 'include'}).then(a => a.text())),
  tried('post', fetch(to + '/api/v1/try', {method: 'POST', headers: {'x-tieline-console': '1'}}).then(a => a.text())),
  tried('opaque', fetch(to + '/callers', {mode: 'no-cors'}).then(a => a.type + a.status)),
  tried('frame', frame()), tried('script', script()), tried('image', image()), tried('socket', socket()),
]).then(() => done(found));
"""

REBOUND = """
const done = arguments[arguments.length - 1];
Promise.all(['/', '/callers', '/api/v1/callers', '/metrics'].map(path =>
  fetch(path).then(a => a.text().then(t => [path, a.status, t.length, t.includes('crm')]), e => [path, 0, 0, false])
)).then(done);
"""


class Evil(http.server.BaseHTTPRequestHandler):
    """A page of another site. Every other path it hands to `leads_to`, as a name does whose address was changed
    after its page was loaded: the browser sees one site, and the console a request from this machine."""

    leads_to = None

    def do_GET(self):
        if self.path == "/evil":
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>evil</title><body>")
            return
        with socket.create_connection(self.leads_to, timeout=10) as there:
            head = f"{self.requestline}\r\n{self.headers}".replace("keep-alive", "close")
            there.sendall(head.replace("\r\n", "\n").replace("\n", "\r\n").encode())
            while piece := there.recv(65536):
                self.wfile.write(piece)
        self.close_connection = True

    def log_message(self, *_):
        pass


def serves(address):
    """A server of that page."""
    server = http.server.ThreadingHTTPServer(address, Evil)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def attacks(browser, console):
    """No page of another site reads anything, not even under a name that leads to the console."""
    port = int(console.rsplit(":", 1)[1])
    Evil.leads_to = ("127.0.0.1", port)
    browser.post("/timeouts", script=20000)

    def attack(script, *args):
        return browser.post("/execute/async", script=script, args=list(args))

    near, far, rebound = serves(("127.0.0.1", 0)), serves(("127.0.0.2", 0)), serves(("127.0.0.2", port))
    for site in [f"127.0.0.1:{near.server_port}", f"evil.test:{far.server_port}"]:
        browser.open(f"http://{site}/evil")
        found = attack(ATTACK, console)
        opened = {name: value for name, value in found.items()
                  if value not in ("failed", "closed", "opaque0", "read 0")}
        check(opened == {}, "a page of", site, "has", opened)
        check(len(found) == 9, "not all was tried", found)
    browser.open(f"http://evil.test:{port}/evil")
    for path, status, length, leaks in attack(REBOUND):
        check(status == 421 and length < 200 and not leaks, "rebinding reads", path, status, length)
    # The same questions, asked from the console's own page, are answered.
    browser.open(console + "/")
    check(all(status == 200 and leaks for _, status, _, leaks in attack(REBOUND)), "the attack asks nothing")
    for server in [near, far, rebound]:
        server.shutdown()


def crowded(browser, crowd):
    """Ten thousand callers: the page stays small, a part of a name finds one."""
    waits("ten thousand callers", lambda: is_up(crowd), 60)
    browser.look(1360, "light")
    said, _ = browser.open(crowd + "/")
    check(said == [], "with 10,000 callers the console says", said)
    page = browser.run(PAGE)
    check(len(page["callers"]) == 100 and "100 of 10,000" in page["note"], page["note"])
    check(page["length"] < 400_000, "the page has", page["length"], "characters")
    browser.run("const f = document.getElementById('find'); f.value = 'caller-9999'; f.dispatchEvent(new Event('input'))")
    waits("one caller", lambda: [row[0] for row in browser.run(PAGE)["callers"]] == ["caller-9999"])
    last = get(crowd + "/api/v1/callers?offset=9990&limit=100")
    check(last["total"] == 10_000 and len(last["callers"]) == 10, "the last ten", last["total"])


def main(driver, console, crowd):
    report_browser.FLAGS.append("--host-resolver-rules=MAP evil.test 127.0.0.2")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(driver, profile)
        try:
            for step in [planted, refreshes, tries, keyboard, told, without_script, attacks]:
                began = time.monotonic()
                step(browser, console)
                print(f"{step.__name__}: {time.monotonic() - began:.1f} s", flush=True)
            crowded(browser, crowd)
        finally:
            browser.call("DELETE", browser.base)
    print(f"console_browser: {report_browser.checks} checks in Chromium {browser.version}")


if __name__ == "__main__":
    main(*sys.argv[1:])
