// Products of matrices in flat Float32Arrays, row by row: four numbers at a time in WebAssembly (see matrices.wat), or, in
// a browser or on a page that allows none, one at a time.
import { unpack8 } from "./base64.js";
import { MATRICES } from "./matrices_wasm.js";

const upTo = (n, multiple) => Math.ceil(n / multiple) * multiple;

// out (m, n) = W A, with W (m, k) and A (k, n). With `turned`, W is stored as (k, m), that is, out = W^T A.
export const plain = {
  multiply(out, W, A, m, k, n, turned = false) {
    const row = turned ? 1 : k, step = turned ? m : 1;
    out.fill(0);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < k; j++) {
        const w = W[i * row + j * step];
        for (let t = i * n, s = j * n; s < (j + 1) * n; t++, s++) out[t] += w * A[s];
      }
    }
  },

  // out (m, k) = U A^T, with U (m, n) and A (k, n): every row of U times every row of A.
  outer(out, U, A, m, k, n) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < k; j++) {
        let sum = 0;
        for (let t = i * n, s = j * n; s < (j + 1) * n; t++, s++) sum += U[t] * A[s];
        out[i * k + j] = sum;
      }
    }
  },
};

// The same two; null where WebAssembly is not to be had. Matrices are copied into its memory and back, which costs little
// beside the product. Tiles may read beyond a matrix's end and write beyond its edges, so each has some room behind it.
function inWebAssembly() {
  let module;
  try {
    module = new WebAssembly.Instance(new WebAssembly.Module(unpack8(MATRICES))).exports;
  } catch {
    return null;
  }
  let numbers = new Float32Array(module.memory.buffer);

  // Where parts of these sizes lie, one behind the other; the memory grows as needed.
  function places(...sizes) {
    let end = 0;
    const starts = sizes.map((size) => { const start = end; end += upTo(size, 4) + 8; return start; });
    if (end > numbers.length) {
      module.memory.grow(Math.ceil((end - numbers.length) / 16384)); // pages of 64 KiB
      numbers = new Float32Array(module.memory.buffer);
    }
    return starts;
  }

  // out (rows, width) from a matrix whose rows are `apart` numbers apart.
  function copyBack(out, start, rows, width, apart) {
    if (apart === width) return out.set(numbers.subarray(start, start + rows * width));
    for (let i = 0; i < rows; i++) out.set(numbers.subarray(start + i * apart, start + i * apart + width), i * width);
    return undefined;
  }

  return {
    multiply(out, W, A, m, k, n, turned = false) {
      const rows = upTo(m, 4), columns = upTo(n, 8);
      const [w, a, strip, c] = places(rows * k, k * n, 8 * k, rows * columns);
      numbers.set(W, w);
      numbers.set(A, a);
      module.multiply(4 * c, 4 * w, 4 * a, 4 * strip, rows, k, columns, 4 * (turned ? 1 : k), 4 * (turned ? m : 1), 4 * n);
      copyBack(out, c, m, n, columns);
    },

    outer(out, U, A, m, k, n) {
      const rows = upTo(m, 4), columns = upTo(k, 2), inner = upTo(n, 4);
      const [u, a, g] = places(rows * inner, columns * inner, rows * columns);
      for (const [matrix, count, start] of [[U, m, u], [A, k, a]]) {
        if (inner === n) { numbers.set(matrix, start); continue; }
        for (let i = 0; i < count; i++) { // zeros behind each row, for they are added up
          numbers.set(matrix.subarray(i * n, (i + 1) * n), start + i * inner);
          numbers.fill(0, start + i * inner + n, start + (i + 1) * inner);
        }
      }
      module.outer(4 * g, 4 * u, 4 * a, rows, columns, inner);
      copyBack(out, g, m, k, columns);
    },
  };
}

export const { multiply, outer } = inWebAssembly() ?? plain;
