// Answers that are numbers: how they are read, and what is said to them.
export const WRONG = "<b>Not so.</b> Try again.";
export const UNREAD = "Expected a number, as 3, 0.5 or 1/2.";

// "1/2", "0,5", " -3e-2 " -> a number; anything else -> NaN
export function numberFrom(text) {
  const parts = text.trim().replaceAll("−", "-").replaceAll(",", ".").split("/");
  const numbers = parts.map((part) => (/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(part) ? Number(part) : NaN));
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
