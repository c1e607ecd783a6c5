// Answers that are numbers: how they are read, and what is said to them.
const WRONG = "<b>No.</b> Try again.";
const UNREAD = "Expected a number, such as 3, 0.5 or 1/2.";

const PLAIN = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
const THOUSANDS = /^([-+]?[1-9]\d{0,2})([, \u00a0\u202f]\d{3})+(\.\d+)?$/;
const POWER = /^10(\^|\*\*)([-+]?\d+)$/;

// "3", "0,5", "1,000,000", "10^6" -> a number; anything else -> NaN
function single(text) {
  if (THOUSANDS.test(text)) return Number(text.replace(/[, \u00a0\u202f]/g, ""));
  if (POWER.test(text)) return 10 ** Number(text.match(POWER)[2]);
  const point = text.replace(",", ".");
  return PLAIN.test(point) ? Number(point) : NaN;
}

// The same, or a fraction of two of them: " 1/2 ".
export function numberFrom(text) {
  const numbers = text.trim().replaceAll("−", "-").split("/").map((part) => single(part.trim()));
  return numbers.length === 1 ? numbers[0] : numbers.length === 2 ? numbers[0] / numbers[1] : NaN;
}

// What is said to a typed number, and whether it is right.
export function judged(state, text) {
  const given = numberFrom(text);
  if (!Number.isFinite(given)) return [UNREAD, false];
  const near = (number) => Math.abs(given - number) <= state.tolerance + 1e-9 * Math.abs(number);
  if (near(state.number)) return [state.says[0], true];
  const hint = state.hints.findIndex(near);
  return [hint < 0 ? WRONG : state.says[1 + hint], false];
}
