// The playground's look. Every part has its height from the start, in pixels: the place that the page keeps for it is the
// place it takes, and nothing moves while numbers and texts change. Three widths: a phone, a column of text, and a wide
// figure.
export const LOOK = `
.sobolev-playground { color: var(--sl-ink, var(--pst-color-text-base, var(--jp-content-font-color1, var(--colab-primary-text-color, inherit))));
  --line: var(--sl-line, rgb(128 128 128 / .5)); --card: var(--sl-card, rgb(128 128 128 / .1));
  font: 14px/20px system-ui, sans-serif; max-width: 100%; container-type: inline-size; }
.sobolev-playground * { box-sizing: border-box; }
.sobolev-playground [hidden] { display: none !important; }
.sobolev-playground :is(button, select, input[type=text], input[type=number], textarea) { font: inherit; color: inherit;
  background: transparent;
  border: 1px solid var(--line); border-radius: 5px; padding: 0 .6rem; max-width: 100%; }
.sobolev-playground :is(button, select) { height: 34px; cursor: pointer; }
.sobolev-playground button:hover:not(:disabled) { background: var(--card); }
.sobolev-playground :is(button[aria-pressed=true], button[aria-expanded=true]) { background: rgb(128 128 128 / .25);
  box-shadow: inset 0 0 0 1px currentColor; }
.sobolev-playground :is(button, select, input):disabled { opacity: .5; cursor: default; }
.sobolev-playground select option { color: #222; background: #fff; }
.sobolev-playground :focus-visible { outline: 3px solid #3d9be0; outline-offset: 2px; }
.sobolev-playground figure { margin: 0; padding: 0; min-width: 0; }
.sobolev-playground p { margin: 0; }
.sobolev-playground label { display: flex; flex-direction: column; font-size: 13px; line-height: 18px; margin: 0;
  min-width: 0; }
.sobolev-playground label > span { display: flex; gap: .5rem; justify-content: space-between; white-space: nowrap; }
.sobolev-playground output { font-weight: 600; font-variant-numeric: tabular-nums; }
.sobolev-playground input[type=range] { width: 100%; height: 30px; margin: 0; accent-color: #0072b2; }
.sobolev-playground label > select { width: 100%; height: 30px; padding: 0 .3rem; }

.spg-cards { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 8px; }
.sobolev-playground .spg-card { display: flex; align-items: center; gap: 8px; height: 58px; padding: 4px 8px;
  text-align: left; line-height: 17px; }
.spg-card img { width: 112px; height: 48px; flex: none; border-radius: 3px; background: var(--card); }
.spg-stories { display: grid; font-size: 13px; line-height: 18px; margin: 6px 0; height: 36px; overflow: hidden; }
.spg-stories > p { grid-area: 1 / 1; }
.spg-unseen { visibility: hidden; }
.spg-tools { display: flex; gap: 8px; align-items: center; height: 34px; margin: 0 0 6px; }
.spg-tools button { flex: none; }
.spg-tools label > span { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.spg-tools label > select { height: 34px; }
.sobolev-playground .spg-tools .spg-play { width: 92px; padding: 0; white-space: nowrap; font-weight: 600;
  background: rgb(0 114 178 / .16); }
.spg-steps { margin-left: auto; min-width: 6rem; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }

.spg-pictures { display: grid; gap: 0 12px; grid-template-columns: repeat(3, minmax(0, 1fr)); }
.spg-pictures canvas { display: block; width: 100%; height: 250px; border-radius: 5px; touch-action: pan-y; }
.spg-pictures[data-turns=yes] canvas { cursor: grab; }
.spg-title { font-weight: 600; text-align: center; height: 20px; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.spg-charts .spg-title { font-size: 13px; font-weight: 400; line-height: 18px; height: 18px; }
.spg-caption { font: 12.5px/17px system-ui, sans-serif; color: inherit; padding: 0; margin: 0; text-align: center;
  height: 34px; overflow: hidden;
  font-variant-numeric: tabular-nums; display: flex; flex-wrap: wrap; gap: 0 .8em; justify-content: center;
  align-content: flex-start; }
.spg-bars { display: grid; gap: 0 12px; grid-template-columns: 1fr 2fr; height: 26px; }
.spg-bar { font-size: 12px; line-height: 17px; width: 100%; max-width: 26rem; margin: 0 auto; }
.spg-bar i { display: block; height: 8px; border-radius: 2px; }
.spg-bar div { display: flex; justify-content: space-between; }

.spg-lower { display: grid; gap: 0 20px; grid-template-columns: minmax(0, 1fr) 392px; margin-top: 6px; }
.spg-lower[data-controls=few] { grid-template-columns: minmax(0, 1fr); }
.spg-legend { display: flex; gap: 0 1rem; justify-content: center; font-size: 13px; line-height: 18px; height: 18px; }
.spg-legend span { display: inline-flex; gap: .3rem; align-items: center; }
.spg-charts { display: grid; gap: 0 12px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.spg-charts canvas { display: block; width: 100%; height: 120px; }
.spg-main { display: grid; gap: 4px 16px; grid-template-columns: repeat(2, minmax(0, 1fr)); align-content: start; }
.spg-sentence { font-weight: 600; height: 40px; overflow: hidden; margin-top: 6px; }
.spg-doors { display: flex; gap: 8px; align-items: center; height: 34px; }
.spg-message { font-size: 13px; line-height: 17px; height: 34px; overflow: auto; overflow-wrap: anywhere; flex: 1;
  display: flex; align-items: center; }

.spg-panel { border-top: 1px solid var(--line); margin-top: 8px; padding-top: 8px; }
.spg-row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
.spg-panel fieldset { border: 0; margin: 0 0 .6rem; padding: 0; min-width: 0; break-inside: avoid; }
.spg-panel legend { font: inherit; font-weight: 600; padding: 0 0 .2rem; float: none; width: 100%; }
.spg-controls { columns: 4 10.5rem; column-gap: 1.5rem; }
.spg-controls label { margin-bottom: 4px; }
.spg-controls button { width: 100%; }
.spg-own { display: grid; gap: 0 24px; grid-template-columns: 1fr 2fr; }
.spg-own :is(input[type=text], input[type=number]) { width: 100%; height: 32px; padding: 0 .4rem; }
.sobolev-playground .spg-formula { font-family: ui-monospace, monospace; }
.spg-limits { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 4px 8px; margin: 4px 0; }
.sobolev-playground textarea:is(.spg-csv, .spg-code) { width: 100%; font: 12px/17px ui-monospace, monospace;
  background: var(--card); padding: .4rem; }
.spg-roles { display: grid; grid-template-columns: repeat(auto-fit, minmax(6.8rem, 1fr)); gap: 4px 8px; margin: 6px 0;
  align-items: end; }
.spg-own[data-over=yes] .spg-csv { outline: 3px dashed #3d9be0; }
.spg-note { font-size: 13px; line-height: 18px; min-height: 36px; overflow-wrap: anywhere; }
.spg-note[data-wrong=yes] { font-weight: 600; }
.sobolev-playground .spg-help { font-size: 12.5px; line-height: 17px; margin: 4px 0; }
.spg-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@container (max-width: 899px) {
  .sobolev-playground .spg-card { font-size: 13px; padding: 4px; gap: 5px; }
  .spg-card img { width: 48px; height: 48px; object-fit: cover; object-position: left; }
  .spg-pictures canvas { height: 200px; }
  .spg-caption { height: 51px; }
  .spg-stories { height: 54px; }
  .spg-lower { grid-template-columns: minmax(0, 1fr); }
  .spg-main { grid-template-columns: repeat(3, minmax(0, 1fr)); margin-top: 8px; }
  .spg-own { grid-template-columns: minmax(0, 1fr); }
}
@container (max-width: 559px) {
  .spg-cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 6px; }
  .spg-stories { height: 90px; }
  .spg-tools { flex-wrap: wrap; height: 76px; }
  .spg-tools .spg-steps { order: 1; }
  .spg-tools > :is(label, .spg-map, .spg-difference) { order: 2; }
  .spg-pictures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .spg-pictures figure:first-child { grid-column: 1 / -1; }
  .spg-pictures canvas { height: 160px; }
  .spg-pictures figure:first-child canvas { height: 180px; }
  .spg-pictures figure:first-child .spg-caption { height: 34px; }
  .spg-bars { grid-template-columns: 1fr 1fr; }
  .spg-charts canvas { height: 110px; }
  .spg-charts .spg-title span { display: none; }
  .spg-main { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .spg-sentence { height: 80px; }
  .spg-doors { flex-wrap: wrap; height: auto; }
  .spg-doors > button { flex: 1 1 40%; }
  .spg-message { flex: 1 1 100%; height: 51px; }
}`;
