// Installed before the page's own scripts: what moves, when each widget was ready, how high its place was before, and what
// walks.py asks for.
(() => {
  const walk = window.walk = { shifts: [], ready: {}, placed: new Map() };
  const name = (node) => (node?.nodeType === 1 ? node : node?.parentElement)?.outerHTML.slice(0, 80) ?? "gone";
  new PerformanceObserver((list) => {
    for (const { value, sources } of list.getEntries()) {
      walk.shifts.push({ value, moved: sources.map(({ node, previousRect, currentRect }) =>
        `${name(node)} from ${previousRect.y.toFixed()} to ${currentRect.y.toFixed()}`) });
    }
  }).observe({ type: "layout-shift", buffered: true });
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const shown = (el) => el.getClientRects().length > 0; // not inside a closed <details>
  document.addEventListener("DOMContentLoaded", () => {
    for (const el of all(".sobolev-widget").filter(shown)) walk.placed.set(el, el.getBoundingClientRect().height);
  });
  new MutationObserver((list) => {
    for (const { target } of list) walk.ready[target.dataset.widget] ??= performance.now();
  }).observe(document, { subtree: true, attributeFilter: ["data-ready"] });

  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  // A browser that paints no more, seldom as that is, must not hold up all tests after this one.
  walk.frame = () => Promise.race([new Promise(requestAnimationFrame), wait(1000)]);
  const mounting = () => all(".sobolev-widget:not([data-ready])").some((el) => {
    const { top, bottom, height } = el.getBoundingClientRect();
    return height && bottom > -400 && top < innerHeight + 400;
  });
  // Until the widgets in sight are there and nothing moves any more.
  walk.settled = async () => {
    const start = performance.now(), now = () => `${scrollY} ${document.documentElement.scrollHeight}`;
    for (let before = "", same = 0; same < 2 && performance.now() - start < 20000; before = now()) {
      await walk.frame();
      same = now() === before && !mounting() ? same + 1 : 0;
    }
  };
  walk.typeset = async () => { await window.MathJax?.startup?.promise; await walk.settled(); };

  // The places that the contents list and links lead to: sections with a heading.
  walk.places = () => all(".bd-article section[id]").filter((el) => el.querySelector(":scope > :is(h1, h2, h3)") && shown(el)).map((el) => el.id);
  // How far the heading, with the line above a title, is from where it is to land: below what sticks to the top. The end of the
  // page cannot rise further.
  walk.miss = (id) => {
    const { scrollHeight } = document.documentElement, end = scrollY + innerHeight >= scrollHeight - 2;
    const { top } = document.getElementById(id).querySelector(":scope > :is(.sl-kicker, h1, h2, h3)").getBoundingClientRect();
    const off = top - (parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0);
    return end && off > 0 && top < innerHeight ? 0 : Math.round(off);
  };
  // After the page's own listeners, and what they put off.
  const changed = () => Promise.race([new Promise((done) => addEventListener("hashchange", () => setTimeout(done), { once: true })), wait(5000)]);
  // By the contents list, or else by the address. Before all widgets have mounted, those that come into sight are waited for.
  walk.jumps = async (ids, mounted) => {
    document.documentElement.style.scrollBehavior = "auto"; // the theme glides there, which is only slower
    const missed = [];
    for (const id of ids) {
      const link = document.querySelector(`a[href="#${CSS.escape(id)}"]:not(.headerlink)`), before = location.href;
      if (link) link.click(); else location.hash = id;
      if (!mounted && location.href !== before) await changed();
      if (!mounted && mounting()) await walk.settled();
      const off = walk.miss(id);
      if (Math.abs(off) > 20) missed.push(`#${id} lands ${off} px off`);
    }
    return missed;
  };
  // Opened by a link to its last heading. Then upwards, so that nothing above a heading has mounted yet, and down again.
  walk.arrived = async () => {
    const ids = walk.places(), last = ids.at(-1), off = walk.miss(last), arrived = location.hash === `#${last}` && Math.abs(off) <= 20;
    return [...(arrived ? [] : [`a link to ${location.hash} from outside lands ${off} px off #${last}`]),
      ...await walk.jumps([...ids.slice(0, -1).reverse(), last], false)];
  };
  walk.down = async () => {
    for (let y = 0; y < document.documentElement.scrollHeight; y += 0.8 * innerHeight) {
      scrollTo({ top: y, behavior: "instant" });
      await walk.settled();
    }
    return walk.shifts;
  };
  walk.grown = () => [...walk.placed].map(([el, height]) => [el, height, el.getBoundingClientRect().height])
    .filter(([, before, after]) => Math.abs(after - before) > 4)
    .map(([el, before, after]) => `${el.dataset.widget} from ${before.toFixed()} to ${after.toFixed()} px: ${el.ariaLabel.slice(0, 60)}`);
  walk.sideways = () => document.documentElement.scrollWidth - innerWidth;
  walk.theme = async (theme) => {
    for (const key of ["theme", "mode"]) document.documentElement.dataset[key] = theme;
    finish();
    await walk.frame();
  };
  // Fades to their end; what never ends goes on.
  const finish = () => document.getAnimations().filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime)).forEach((one) => one.finish());
  // Takes out what axe would look at in vain, as it takes most of the time: the shapes of drawings and formulas, and of coloured
  // code all words but the first of each colour. What is folded is opened, so that it is judged too.
  walk.thin = () => {
    for (const fold of all(".bd-article details")) fold.open = true;
    finish();
    const shapes = all(".bd-article svg :is(path, use, rect, line, circle, ellipse, polygon, polyline, image, defs)");
    for (const el of shapes) if (!el.closest(".sobolev-widget")) el.remove();
    for (const el of all("mjx-container > *")) el.replaceChildren();
    const seen = new Set();
    for (const word of all(".highlight span:not(:has(span))").filter(shown)) {
      const look = `${word.className} ${word.style.color} ${word.closest("details")?.className} ${word.closest(".output") !== null}`;
      if (seen.has(look)) word.replaceWith(word.textContent);
      seen.add(look);
    }
  };
  // What the colours of an element are judged by; large text may be paler.
  const look = (el) => {
    const { color, fill, backgroundColor, backgroundImage, opacity, filter, fontSize, fontWeight, textShadow, textDecorationLine, position } = getComputedStyle(el);
    const large = parseFloat(fontSize) >= (fontWeight >= 700 ? 18.66 : 24);
    return [color, fill, backgroundColor, backgroundImage, opacity, filter, large, fontWeight, textShadow, textDecorationLine, position, el.disabled].join();
  };
  const COLOURS = ["color-contrast", "link-in-text-block"]; // rules whose answer depends on the theme
  const looks = {};
  // What axe calls serious or critical in a theme. Once the page was judged at another width, colours are judged of what was out of
  // sight there, looks otherwise now, or lies in such: it takes axe most of its time.
  walk.axe = async (where, theme, again) => {
    await walk.theme(theme);
    const known = (looks[`${theme} ${where}`] ??= new Map()), others = new Set();
    for (const el of all(`${where}, ${where} *`).filter((el) => shown(el) && el.checkVisibility({ visibilityProperty: true }))) {
      if (known.get(el) !== look(el) || others.has(el.parentElement)) others.add(el);
      known.set(el, look(el));
    }
    const colours = { runOnly: COLOURS }, rest = { rules: Object.fromEntries(COLOURS.map((id) => [id, { enabled: false }])) };
    const runs = !again ? [[[where], theme === "light" ? {} : colours]] : [[[...others], colours], [theme === "light" ? [where] : [], rest]];
    const faults = [];
    for (const [include, options] of runs.filter(([{ length }]) => length)) {
      const { violations } = await axe.run({ include }, { resultTypes: ["violations"], preload: false, ...options });
      faults.push(...violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).flatMap(({ id, nodes }) =>
        nodes.map(({ html, any, all, none }) => `${id}: ${html.slice(0, 120)}: ${[...any, ...all, ...none][0]?.message}`)));
    }
    return faults;
  };
  // Every widget's other state: all its buttons pressed once, all that is folded open.
  walk.press = async () => {
    for (const el of all(".sobolev-widget").filter(shown)) {
      for (const fold of all("details", el)) fold.open = true;
      for (const button of all("button:not(:disabled)", el).filter(shown)) button.click();
    }
    await walk.settled();
  };
  // What moves by itself although the reader wants less motion: pictures that have changed since they were looked at (at least
  // 0.7 s before), animations, films.
  const picture = (el) => (el.tagName === "CANVAS" ? el.toDataURL() : el.outerHTML);
  walk.look = async () => {
    const pictures = all(".sobolev-widget :is(canvas, svg)").filter((el) => shown(el) && !el.closest("[data-widget=plotly]"));
    // A playground draws once its worker has answered, on a busy machine late: what it begins with is no motion.
    const playgrounds = all(".sobolev-playground").filter(shown), start = performance.now();
    for (let before = []; playgrounds.length && performance.now() - start < 20000; await wait(300)) {
      const now = pictures.map(picture), drawn = playgrounds.every((el) => el.dataset.step);
      if (drawn && now.every((one, k) => one === before[k])) break;
      before = now;
    }
    walk.looked = { pictures: pictures.map((el) => [el, picture(el)]), until: performance.now() + 700 };
  };
  walk.moving = async () => {
    const { pictures, until } = walk.looked;
    if (pictures.length) await wait(until - performance.now());
    return [
      ...pictures.filter(([el, before]) => picture(el) !== before).map(([el]) => `a picture of ${el.closest(".sobolev-widget").ariaLabel.slice(0, 60)}`),
      ...document.getAnimations().filter((one) => one.playState === "running").map((one) => `an animation of ${name(one.effect.target)}`),
      ...all("video").filter((film) => !film.paused).map((film) => `a film: ${name(film)}`),
    ];
  };
})();
