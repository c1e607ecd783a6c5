// The playground's look. Every part keeps its place while numbers and texts change.
export const LOOK = `
.sobolev-playground { color: var(--pst-color-text-base, var(--jp-content-font-color1, var(--colab-primary-text-color, inherit)));
  font: 14px/1.4 system-ui, sans-serif; max-width: 100%; padding: .25rem; container-type: inline-size; }
.sobolev-playground * { box-sizing: border-box; }
.spg-row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin: .25rem 0 .5rem; }
.spg-row > :is(button, select) { flex: none; }
.sobolev-playground :is(button, select) { font: inherit; color: inherit; background: transparent; min-height: 2.25rem;
  border: 1px solid currentColor; border-radius: 5px; padding: .2rem .6rem; cursor: pointer; max-width: 100%; }
.sobolev-playground button[aria-pressed=true] { background: rgb(128 128 128 / .3); box-shadow: inset 0 0 0 1px currentColor; } /* bold would be wider */
.sobolev-playground :is(button, select, input):disabled { opacity: .5; cursor: default; }
.sobolev-playground select option, .sobolev-playground select optgroup { color: #222; background: #fff; }
.sobolev-playground :focus-visible { outline: 3px solid #3d9be0; outline-offset: 2px; }
.spg-play { min-width: 6.4em; font-weight: 600; }
.spg-steps { margin-left: auto; font-variant-numeric: tabular-nums; min-height: 2.25rem; display: flex; align-items: center; }
.spg-stories { display: grid; margin: 0 0 .25rem; }
.spg-stories > p { grid-area: 1 / 1; margin: 0; }
.spg-unseen { visibility: hidden; }
.spg-pictures, .spg-charts { display: grid; gap: .5rem .75rem; }
.spg-pictures { grid-template-columns: repeat(3, minmax(0, 1fr)); }
.spg-charts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
@container (max-width: 520px) {
  .spg-pictures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .spg-pictures figure:first-child { grid-column: 1 / -1; }
  .spg-pictures figure:first-child canvas { aspect-ratio: 5 / 4; }
  .spg-charts { grid-template-columns: minmax(0, 1fr); }
}
.spg-pictures figure, .spg-charts figure { margin: 0; min-width: 0; }
.spg-pictures canvas { display: block; width: 100%; aspect-ratio: 1; border-radius: 5px; touch-action: pan-y; }
.spg-pictures[data-turns=yes] canvas { cursor: grab; }
.spg-charts canvas { display: block; width: 100%; aspect-ratio: 2; }
.spg-title { font-weight: 600; text-align: center; }
.spg-caption { font: 12.5px/1.4 system-ui, sans-serif; color: inherit; padding: 0; text-align: center; min-height: 4.2em; font-variant-numeric: tabular-nums; }
.spg-bar { max-width: 26rem; margin: 0 auto; font-size: 12px; }
.spg-bar i { display: block; height: 8px; border-radius: 2px; }
.spg-bar div { display: flex; justify-content: space-between; min-height: 1.5em; }
.spg-legend { display: flex; flex-wrap: wrap; gap: 0 1rem; justify-content: center; font-size: 13px; }
.spg-legend span { display: inline-flex; gap: .3rem; align-items: center; }
.spg-sentence { min-height: 2.8em; margin: .4rem 0; font-weight: 600; }
@container (max-width: 520px) { .spg-sentence { min-height: 5.6em; }
  figure:not(:first-child) > .spg-caption { font-size: 11px; min-height: 7em; } }
.spg-message { min-height: 1.4em; margin: 0; font-size: 13px; overflow-wrap: anywhere; }
.spg-controls { columns: 3 10.5rem; column-gap: 1.5rem; margin-top: .5rem; }
.spg-controls fieldset { border: 0; margin: 0 0 .6rem; padding: 0; min-width: 0; break-inside: avoid; }
.spg-controls legend { font: inherit; font-weight: 600; padding: 0; float: none; width: 100%; border-bottom: 2px solid rgb(128 128 128 / .5);
  margin-bottom: .3rem; }
.sobolev-playground label { display: flex; flex-direction: column; gap: .1rem; font-size: 13px; margin-bottom: .3rem; }
.sobolev-playground label > span { display: flex; gap: .5rem; justify-content: space-between; }
.sobolev-playground output { font-weight: 600; font-variant-numeric: tabular-nums; }
.sobolev-playground input[type=range] { width: 100%; height: 1.9rem; margin: 0; accent-color: #0072b2; }
.spg-controls :is(select, button) { width: 100%; }
.spg-row label { margin: 0; flex-direction: row; align-items: center; gap: .4rem; }
.spg-code { width: 100%; font: 12px/1.4 ui-monospace, monospace; color: inherit; background: rgb(128 128 128 / .12);
  border: 1px solid rgb(128 128 128 / .5); border-radius: 5px; padding: .4rem; }
.spg-help { font-size: 12.5px; margin: .2rem 0; }
.spg-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }`;
