// Colours for a difference: blue where it is negative, near white at zero, red where it is positive (ColorBrewer's RdBu,
// which colour-blind people can read).
const RED_BLUE = ["#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b"];
const PARTS = RED_BLUE.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));

// t in [0, 1], zero difference at 0.5 -> [r, g, b]
export function differenceColour(t) {
  const at = Math.min(Math.max(t, 0), 1) * (PARTS.length - 1), i = Math.min(Math.floor(at), PARTS.length - 2);
  return PARTS[i].map((part, k) => part + (at - i) * (PARTS[i + 1][k] - part));
}

export function differenceGradient() {
  return `linear-gradient(90deg, ${RED_BLUE.join(", ")})`;
}

// A round number not below the one given: a scale that does not flicker.
export function roundedUp(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((one) => one * power).find((one) => one >= number * (1 - 1e-9)) ?? number;
}
