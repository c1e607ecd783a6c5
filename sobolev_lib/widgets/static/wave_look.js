// The wave's look. The parts' heights depend on the width alone, so that the page can keep their place: see wave.py.
export const LOOK = `
.swv { --ink: var(--sl-ink, var(--pst-color-text-base,
    var(--jp-content-font-color1, var(--colab-primary-text-color, #222))));
  --ground: var(--sl-ground, var(--pst-color-background, var(--jp-layout-color0, #fff)));
  color: var(--ink); font: 14px/20px system-ui, sans-serif; container-type: inline-size; }
.swv * { box-sizing: border-box; }
.swv-row { display: grid; grid-template-columns: auto auto auto; justify-content: space-evenly; gap: 0 1rem; height: 48px; }
.swv-row > div { display: grid; grid-template-rows: 20px 28px; justify-items: center; white-space: nowrap; }
.swv-row > div > span { display: flex; align-items: center; gap: 6px; }
.swv-row b { font-size: 20px; line-height: 28px; font-variant-numeric: tabular-nums; }
.swv-row em { font-style: normal; line-height: 28px; opacity: .85; }
.swv-picture { display: block; width: 100%; height: clamp(260px, 46cqw, 300px); touch-action: pan-y; overflow: hidden; }
.swv-picture text { font-size: 12px; fill: var(--ink); opacity: .75; }
.swv-axis { stroke: var(--sl-line, rgb(128 128 128 / .35)); }
.swv-curve { fill: none; stroke-width: 2.75; stroke-linejoin: round; }
.swv-truth { stroke-width: 1.75; }
.swv-tangent { stroke-width: 2.5; stroke-linecap: round; }
.swv-dot { stroke: var(--ground); stroke-width: 1.5; }
.swv-end { fill: var(--ground); stroke-width: 2.5; }
.swv-grip { fill: transparent; stroke: none; cursor: grab; touch-action: none; }
.swv-grip:active { cursor: grabbing; }
.swv-ring { fill: none; stroke: none; }
.swv-point:focus { outline: none; }
.swv-point:focus-visible .swv-ring { stroke: #3d9be0; stroke-width: 3; }
.swv-untold .swv-tangent, .swv-untold .swv-end { opacity: .35; }
@media (prefers-reduced-motion: no-preference) { /* where to take hold, until the reader has */
  .swv-fresh .swv-ring { stroke: currentColor; animation: swv-call 1.6s 1.5s ease-out 3 both; } }
@keyframes swv-call { from { opacity: .7; r: 7px; } to { opacity: 0; r: 20px; } }
.swv-says { margin: 4px 0; height: 40px; display: flex; align-items: center; justify-content: center; text-align: center;
  font-weight: 600; }
.swv-buttons { display: flex; flex-wrap: wrap; gap: 8px; justify-content: center; height: 36px; }
.swv-buttons button { font: inherit; color: inherit; background: transparent; height: 36px; padding: 0 .8em; cursor: pointer;
  border: 1px solid currentColor; border-radius: 6px; }
.swv-buttons button[aria-pressed=true] { background: rgb(128 128 128 / .3); }
.swv-buttons :focus-visible { outline: 3px solid #3d9be0; outline-offset: 2px; }
.swv-pause { min-width: 6.6em; }
.swv-hint { margin: 8px 0 0; height: 40px; text-align: center; font-size: 13px; opacity: .85; }
.swv-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@container (max-width: 520px) { .swv-says, .swv-buttons, .swv-row { font-size: 13px; } .swv-keys { display: none; }
  .swv-row { gap: 0 .3rem; }
  .swv-row > div > span { gap: 4px; } .swv-row svg { width: 18px; }
  .swv-buttons { gap: 6px; } .swv-buttons button { padding: 0 .55em; } .swv-hint { height: 20px; } }`;
