"""The content security policy: what it refuses, and that no page of the site needs what it refuses."""

import re
from html.parser import HTMLParser

import policy
import pytest
from pages import served
from visits import Visit, watch

pytestmark = pytest.mark.timeout(1200)


class Tags(HTMLParser):
    """The attributes of every tag that it is fed, in `found`; a tree of them would take longer."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(dict(attrs))


def site_pages(site):
    return sorted(site.rglob("*.html"))


@pytest.fixture(scope="module")
def tags(site):
    """The attributes of every tag, by page of the site, each read once."""
    read = {}
    for path in site_pages(site):
        reader = Tags()
        reader.feed(path.read_text())
        read[path] = reader.found
    return read


def refused(visit):
    return [message for message in visit.errors if "Content Security Policy" in message]


def test_every_page_has_the_policy_of_its_own_scripts(tags):
    assert len(tags) > 10
    for path, found in tags.items():
        text = path.read_text()
        found = [tag for tag in found if tag.get("http-equiv") == "Content-Security-Policy"]
        assert [tag["content"] for tag in found] == [policy.policy(text)], path.name
        before = text[:text.index("Content-Security-Policy")]
        assert not re.search(r"<(script|link|style|img)\b", before), "what stands before the policy is not bound by it"


def test_no_page_has_a_handler_in_an_attribute(tags):
    for path, found in tags.items():
        for tag in found:
            handlers = [name for name in tag if name.startswith("on")]
            assert not handlers and not (tag.get("href") or "").startswith("javascript:"), f"{path.name}: {str(tag)[:120]}"


def test_the_site_keeps_no_cookie_and_sends_nothing(site):
    """What it remembers stays in the browser's own storage; the policy knows no other host, and no page asks for one."""
    ours = [*site.rglob("_static/site.js"), *site.rglob("_static/widgets/*.js")]
    assert len(ours) > 5
    for path in ours:
        assert not re.search(r"document\.cookie|sendBeacon|XMLHttpRequest|\bfetch\(|WebSocket", path.read_text()), path.name
    for path in site_pages(site):
        hosts = re.findall(r"https?://[^\s;]+", policy.policy(path.read_text()))
        assert hosts == [], path.name


TRIAL = """<head><meta charset="utf-8"></head><body><script>document.title = "ran"</script>
<button onclick="document.title = 'handler'">press</button><script src="own.js"></script></body>"""
ADD = "const add = (name, has) => document.body.append(Object.assign(document.createElement(name), has));\n"
FOREIGN = {
    "a script of another host": "add('script', {src: 'https://example.org/a.js'})",
    "an inline script added later": "add('script', {textContent: 'document.title = 1'})",
    "an image of another host": "add('img', {src: 'https://example.org/a.png'})",
    "a frame": "add('iframe', {src: 'https://example.org/'})",
    "a request": "fetch('https://example.org/').catch(() => 0)",
    "a beacon": "navigator.sendBeacon('https://example.org/', 'x')",
    "text as code": "setTimeout(() => eval('1'))",
    "a worker of another kind": "try { new Worker('data:text/javascript,1') } catch {}",
}


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_policy_refuses_what_is_foreign(chromium, scheme, tmp_path):
    (tmp_path / "trial.html").write_text(policy.with_policy(TRIAL))
    # the page's own file may run, and what it does is stopped by the policy alone
    functions = [f"function f{n}() {{ {code} }}\n" for n, code in enumerate(FOREIGN.values())]
    (tmp_path / "own.js").write_text(ADD + "".join(functions))
    visit, tab = Visit(), chromium.new_page()
    watch(tab, visit)
    with served(tmp_path) as address:
        tab.goto(f"{address if scheme == 'http' else tmp_path.as_uri()}/trial.html")
        assert tab.title() == "ran", "its own scripts run"
        tab.get_by_role("button").click()
        found, = refused(visit)
        assert "event handler" in found
        for n, what in enumerate(FOREIGN):
            before = len(refused(visit))
            tab.evaluate(f"f{n}()")
            for _ in range(40):
                if len(refused(visit)) > before:
                    break
                tab.wait_for_timeout(50)
            assert len(refused(visit)) > before, what
        assert tab.title() == "ran"
        tab.close()


def test_no_page_needs_what_the_policy_refuses(visited, page):
    """From disk, where the policy's 'self' means least, with every button pressed once. test_site.py fails on any error,
    served too."""
    visit = visited(page, "file")
    assert (refused(visit), visit.foreign) == ([], [])
