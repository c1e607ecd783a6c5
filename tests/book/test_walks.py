"""The walk notices what it is to notice: else its empty lists would mean nothing."""

from walks import judge, tab, walk

BAD = """<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>A bad page</title>
<style>body { margin: 0; background: #fff } .wide { width: 2000px; height: 10px } .dot { width: 9px; height: 9px; animation: turn 1s infinite }
@keyframes turn { to { rotate: 1turn } } .tall { height: 1500px }
.sobolev-widget { height: 20px } .desk { color: #222 } @media (min-width: 900px) { .desk { color: #bbb } }</style></head>
<body><main class="bd-article">
<section id="first"><h1>First</h1><p style="color: #aaa">Pale</p><p class="desk">Pale on a desk</p><button type="button"></button><div class="wide"></div><div class="dot"></div>
<a href="#last">To the last</a><div class="sobolev-widget" data-widget="one" aria-label="One"><svg></svg></div><p class="tall">Below</p></section>
<section id="last"><h2>Last</h2><div class="tall"></div></section></main>
<script>
  const one = document.querySelector(".sobolev-widget");
  new IntersectionObserver(([{ isIntersecting }]) => setTimeout(() => {
    if (isIntersecting) { one.style.height = "300px"; one.dataset.ready = "yes"; }
  }, 400)).observe(one);
  addEventListener("hashchange", () => setTimeout(() => scrollBy(0, -200)));
</script></body></html>"""


def test_a_bad_page_passes_nothing(chromium, tmp_path):
    (tmp_path / "bad.html").write_text(BAD)
    page, address = tab(chromium), (tmp_path / "bad.html").as_uri()
    seen = walk(page, address, "phone")
    assert {fault.split(": ")[1] for fault in seen.faults} >= {"button-name", "color-contrast"}
    assert seen.shift > 0.05 and "Below" in str(seen.shifts)
    assert seen.grown == ["one from 20 to 300 px: One"]
    assert any("#last" in missed for missed in seen.missed)
    assert seen.sideways > 1000
    assert "an animation of <div class=\"dot\"></div>" in seen.moving
    assert 300 < seen.ready["one"] < 20_000

    found = judge(page, address)
    assert set(seen.faults) < set(found) and any(fault.startswith("dark") for fault in found)
    # each width is judged, and what looks as it did at the other but once
    for said, widths in (('<button type="button">', ["narrow", "wide"]), ('<p style="color: #aaa">', ["narrow"]), ('<p class="desk">', ["wide"])):
        assert [fault.split(", ")[1] for fault in found if fault.startswith("light") and said in fault] == widths
