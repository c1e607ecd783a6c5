// An experiment as the end of an address: "#playground?points=20&lr=0.01". Only what differs from the defaults is written.
const START = "#playground?";

// Checks one value against its entry in the schema; returns what is wrong, or null.
export function complaint(entry, value) {
  if (entry.kind === "choice") {
    return entry.options.includes(value) ? null : `expected one of ${entry.options.join(", ")}, got ${value}`;
  }
  if (entry.kind === "text") {
    const fine = value === null ? entry.default === null
      : typeof value === "string" && value.length > 0 && value.length <= entry.longest;
    return fine ? null : `expected a text of at most ${entry.longest} characters`;
  }
  if (entry.kind === "list") {
    const fine = value === null || (Array.isArray(value) && value.length >= 1 && value.length <= entry.longest
      && value.every((one) => Number.isFinite(one) && one >= entry.low && one <= entry.high));
    return fine ? null : `expected at most ${entry.longest} numbers between ${entry.low} and ${entry.high}`;
  }
  const fine = Number.isFinite(value) && value >= entry.low && value <= entry.high
    && (!entry.integer || Number.isInteger(value));
  return fine ? null : `expected a ${entry.integer ? "whole number" : "number"} between ${entry.low} and ${entry.high}, got ${value}`;
}

// Text -> value. Lists are whole multiples of the entry's unit, joined by dots; or, without a unit, any numbers, joined by
// commas.
function parsed(entry, text) {
  if (entry.kind === "choice") return entry.options.find((option) => String(option) === text) ?? text;
  if (entry.kind === "number") return text.trim() === "" ? NaN : Number(text);
  if (entry.kind === "text") return text;
  if (!entry.unit) return text.split(",").map((one) => (one.trim() === "" ? NaN : Number(one)));
  return text.split(".").map((one) => (/^-?\d+$/.test(one) ? Number(one) * entry.unit : NaN));
}

function encoded(entry, value) {
  if (entry.kind === "text") return encodeURIComponent(value);
  if (entry.kind !== "list") return String(value);
  return entry.unit ? value.map((one) => Math.round(one / entry.unit)).join(".") : value.join(",");
}

// Settings -> the hash, "" if all are at their defaults. A setting that belongs to one function (`of`) is written with it
// only; one whose default has changed (`was`) stands in every link, so that older links, which lack it, mean what they
// meant.
export function toHash(schema, settings, defaults) {
  const parts = schema.filter(({ name, of }) => (!of || of === settings.function)
    && JSON.stringify(settings[name]) !== JSON.stringify(defaults[name])).map(({ name }) => name);
  if (!parts.length) return "";
  return START + schema.filter(({ name, was }) => parts.includes(name) || was !== undefined)
    .map((entry) => `${entry.name}=${settings[entry.name] === null ? "none" : encoded(entry, settings[entry.name])}`).join("&");
}

// The hash -> { settings, wrong }: what it sets, and a sentence for each part that is not understood. Null for other hashes.
export function fromHash(schema, hash, defaults) {
  if (!hash.startsWith(START)) return null;
  const wrong = [], settings = Object.fromEntries(schema
    .filter((entry) => entry.was !== undefined && defaults[entry.name] === entry.default).map(({ name, was }) => [name, was]));
  for (const part of hash.slice(START.length).split("&").filter(Boolean)) {
    const [name, text = ""] = part.split(/=(.*)/s);
    const entry = schema.find((one) => one.name === name);
    let value;
    try { value = entry && (text === "none" ? null : parsed(entry, decodeURIComponent(text))); } catch { value = NaN; }
    const why = entry ? complaint(entry, value) : "no such setting";
    if (why) wrong.push(`${name}: ${why}`);
    else settings[name] = value;
  }
  return { settings, wrong };
}
