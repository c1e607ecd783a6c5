// Formulas in x and y: read, differentiated, evaluated, and written out for people and for PyTorch. There is no eval: a link
// may bring any text.
//
// A node is a number, a name ("x", "y", "pi", "e"), or [operation, node, ...]: + - * / ^, "neg", and the functions below.
const CONSTANTS = { pi: Math.PI, e: Math.E };
const ALIASES = { ln: "log", x1: "x", x2: "y", "π": "pi", arcsin: "asin", arccos: "acos", arctan: "atan" };
const SIGNS = { "−": "-", "–": "-", "·": "*", "×": "*", "÷": "/", "²": "^2", "³": "^3" };

// What each function computes, and its slope as a node.
const CALLS = {
  sin: { at: Math.sin, slope: (u) => ["cos", u] },
  cos: { at: Math.cos, slope: (u) => negative(["sin", u]) },
  tan: { at: Math.tan, slope: (u) => over(1, power(["cos", u], 2)) },
  asin: { at: Math.asin, slope: (u) => over(1, ["sqrt", minus(1, power(u, 2))]) },
  acos: { at: Math.acos, slope: (u) => over(-1, ["sqrt", minus(1, power(u, 2))]) },
  atan: { at: Math.atan, slope: (u) => over(1, plus(1, power(u, 2))) },
  sinh: { at: Math.sinh, slope: (u) => ["cosh", u] },
  cosh: { at: Math.cosh, slope: (u) => ["sinh", u] },
  tanh: { at: Math.tanh, slope: (u) => minus(1, power(["tanh", u], 2)) },
  exp: { at: Math.exp, slope: (u) => ["exp", u] },
  log: { at: Math.log, slope: (u) => over(1, u) },
  sqrt: { at: Math.sqrt, slope: (u) => over(1, product(2, ["sqrt", u])) },
  abs: { at: Math.abs, slope: (u) => ["sign", u] },
  sign: { at: Math.sign, slope: () => 0 },
};
const OPERATIONS = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "^": (a, b) => a ** b,
};

// Nodes without the zeros and ones that the rules of differentiation leave behind.
const plus = (a, b) => (a === 0 ? b : b === 0 ? a : ["+", a, b]);
const minus = (a, b) => (b === 0 ? a : a === 0 ? negative(b) : [a, b].every(Number.isFinite) ? a - b : ["-", a, b]);
const negative = (a) => (typeof a === "number" ? -a : a[0] === "neg" ? a[1] : ["neg", a]);
const over = (a, b) => (a === 0 ? 0 : b === 1 ? a : ["/", a, b]);
const power = (a, b) => (b === 1 ? a : b === 0 ? 1 : ["^", a, b]);
function product(a, b) {
  if (a === 0 || b === 0) return 0;
  if (typeof a === "number" && typeof b === "number") return a * b;
  return a === 1 ? b : b === 1 ? a : a === -1 ? negative(b) : b === -1 ? negative(a) : ["*", a, b];
}

// --- reading --------------------------------------------------------------------------------------------------------

function lexed(text) {
  const tokens = [], pattern = /\s*(?:((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([A-Za-zπ][A-Za-z0-9]*)|(\*\*|[-+*/^()]))/y;
  let at = 0;
  while (text.slice(at).trim()) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) {
      const wrong = text.slice(at).trim()[0], place = text.indexOf(wrong, at);
      throw new Error(wrong === "," ? `character ${place + 1}: write decimals with a point, as in 1.5`
        : `character ${place + 1}: "${wrong}" is not understood`);
    }
    const [all, number, name, sign] = found;
    tokens.push({ at: at + all.length - all.trim().length, text: all.trim(),
      number: number === undefined ? null : Number(number), name: name && (ALIASES[name] ?? name), sign: sign === "**" ? "^" : sign });
    at = pattern.lastIndex;
  }
  return tokens;
}

// Text -> node. Powers bind tighter than a sign in front, as on paper: -x^2 is -(x^2). Throws Error with the place.
export function parseFormula(text) {
  const tokens = lexed([...text].map((one) => SIGNS[one] ?? one).join(""));
  let next = 0;
  const peek = () => tokens[next] ?? { text: "the end", at: -1 };
  const take = (...signs) => (signs.includes(peek().sign) ? tokens[next++].sign : null);
  const fail = (what, token = peek()) => {
    throw new Error(token.at < 0 ? `at the end: ${what}` : `character ${token.at + 1}: ${what}`);
  };

  function sum() {
    let left = term();
    for (let sign = take("+", "-"); sign; sign = take("+", "-")) left = [sign, left, term()];
    return left;
  }
  function term() {
    let left = signed();
    for (let sign = take("*", "/"); sign; sign = take("*", "/")) left = [sign, left, signed()];
    const { number, name, sign, text: word } = peek();
    if ((number ?? null) !== null || name || sign === "(") {
      const before = tokens[next - 1].text;
      const cure = before === ")" || sign ? "put a * there" : `write ${before}*${word}`;
      fail(`an operator is missing between "${before}" and "${word}": ${cure}`);
    }
    return left;
  }
  function signed() {
    if (take("-")) {
      const node = signed();
      return typeof node === "number" ? -node : ["neg", node];
    }
    return take("+") ? signed() : raised();
  }
  function raised() {
    const base = atom();
    return take("^") ? ["^", base, signed()] : base;
  }
  function atom() {
    const token = peek();
    if ((token.number ?? null) !== null) { next++; return token.number; }
    if (take("(")) return inside();
    if (!token.name) return fail(`expected a number, x, y or "(", got ${token.at < 0 ? "nothing more" : `"${token.text}"`}`);
    next++;
    if (Object.hasOwn(CALLS, token.name)) {
      if (!take("(")) fail(`after ${token.text} expected "(": write ${token.text}(x)`);
      return [token.name, inside()];
    }
    if (token.name in { x: 1, y: 1 } || Object.hasOwn(CONSTANTS, token.name)) return token.name;
    return fail(`"${token.text}" is not known; known are x, y, pi, e and ${Object.keys(CALLS).join(", ")}`, token);
  }
  function inside() {
    const node = sum();
    if (!take(")")) fail('expected ")"');
    return node;
  }

  if (!tokens.length) throw new Error("expected a formula in x and y, such as sin(2*x)*y^2, got none");
  const node = sum();
  if (next < tokens.length) fail(`"${peek().text}" is one too many`);
  if (!uses(node, "x") && !uses(node, "y")) throw new Error("expected a formula in x, or in x and y; this one has neither");
  return node;
}

export function uses(node, name) {
  return node === name || (Array.isArray(node) && node.slice(1).some((part) => uses(part, name)));
}

// --- differentiating and evaluating -----------------------------------------------------------------------------------

// The partial derivative with respect to the name, as a node.
export function derivativeOf(node, name) {
  if (!uses(node, name)) return 0;
  if (node === name) return 1;
  const [operation, a, b] = node, da = derivativeOf(a, name);
  if (operation === "neg") return negative(da);
  if (Object.hasOwn(CALLS, operation)) return product(CALLS[operation].slope(a), da);
  const db = derivativeOf(b, name);
  if (operation === "+") return plus(da, db);
  if (operation === "-") return minus(da, db);
  if (operation === "*") return plus(product(da, b), product(a, db));
  if (operation === "/") return db === 0 ? over(da, b) : over(minus(product(da, b), product(a, db)), power(b, 2));
  if (db === 0) return product(product(b, power(a, typeof b === "number" ? b - 1 : minus(b, 1))), da);
  const ofExponent = product(product(node, ["log", a]), db); // d(a^b) = a^b log(a) db + b a^(b-1) da
  return da === 0 ? ofExponent : plus(ofExponent, product(product(b, power(a, minus(b, 1))), da));
}

// A function (x, y) -> number.
export function compiled(node) {
  if (typeof node === "number") return () => node;
  if (node === "x") return (x) => x;
  if (node === "y") return (x, y) => y;
  if (typeof node === "string") return () => CONSTANTS[node];
  const [operation, ...parts] = node, [a, b] = parts.map(compiled);
  if (operation === "neg") return (x, y) => -a(x, y);
  const act = CALLS[operation]?.at ?? OPERATIONS[operation];
  return b ? (x, y) => act(a(x, y), b(x, y)) : (x, y) => act(a(x, y));
}

// --- writing ------------------------------------------------------------------------------------------------------------

const RANKS = { "+": 1, "-": 1, "*": 2, "/": 2, neg: 3, "^": 4 };
const rankOf = (node) => (typeof node === "number" && node < 0 ? 3 : (Array.isArray(node) && RANKS[node[0]]) || 5);

// As a reader would write it; `torch` as Python code for points x of shape (N, inputs).
export function written(node, torch = false) {
  const part = (one, least) => (rankOf(one) < least ? `(${written(one, torch)})` : written(one, torch));
  if (typeof node === "number") return String(node);
  if (typeof node === "string") return !torch ? node : node === "x" ? "x[:, 0]" : node === "y" ? "x[:, 1]" : `torch.${node}`;
  const [operation, a, b] = node;
  if (operation === "neg") return `-${part(a, 3)}`;
  if (operation === "^") return `${part(a, 5)}${torch ? " ** " : "^"}${part(b, torch ? 3 : 4)}`;
  const rank = RANKS[operation], right = rank + ("-/".includes(operation) ? 1 : 0);
  if (b !== undefined) return `${part(a, rank)} ${operation} ${part(b, right)}`;
  if (!torch) return `${operation}(${written(a)})`;
  const varies = uses(a, "x") || uses(a, "y"); // torch.sin takes no number
  return varies ? `torch.${operation}(${written(a, true)})` : String(compiled(node)());
}
