// Products of matrices in flat Float64Arrays, row by row. Float64 on purpose: JavaScript computes in doubles, and turning
// each number into a float32 and back halves the speed.
//
// Both products work on tiles of 4 x 2 results, as many as fit into a processor's registers, and in an order in which what
// is read again is still in the nearest cache. What is left over at the edges is computed one number at a time.
const BLOCK = 64;                    // columns that addOuter takes at once
let strip = new Float64Array(2 * 256); // two columns, side by side

// out (m, n) = W A, with W (m, k) and A (k, n). With `turned`, W is stored as (k, m), that is, out = W^T A.
export function multiply(out, W, A, m, k, n, turned = false) {
  const row = turned ? 1 : k, step = turned ? m : 1;
  const rows = m - (m % 4), columns = n - (n % 2);
  if (strip.length < 2 * k) strip = new Float64Array(2 * k);
  const pair = strip;
  for (let t = 0; t < columns; t += 2) {
    for (let j = 0, s = t; j < k; j++, s += n) {
      pair[2 * j] = A[s];
      pair[2 * j + 1] = A[s + 1];
    }
    for (let i = 0; i < rows; i += 4) {
      let a0 = 0, a1 = 0, b0 = 0, b1 = 0, c0 = 0, c1 = 0, d0 = 0, d1 = 0;
      for (let j = 0, w = i * row; j < k; j++, w += step) {
        const x = pair[2 * j], y = pair[2 * j + 1], a = W[w], b = W[w + row], c = W[w + 2 * row], d = W[w + 3 * row];
        a0 += a * x; a1 += a * y; b0 += b * x; b1 += b * y;
        c0 += c * x; c1 += c * y; d0 += d * x; d1 += d * y;
      }
      const p = i * n + t;
      out[p] = a0; out[p + 1] = a1; out[p + n] = b0; out[p + n + 1] = b1;
      out[p + 2 * n] = c0; out[p + 2 * n + 1] = c1; out[p + 3 * n] = d0; out[p + 3 * n + 1] = d1;
    }
    for (let i = rows; i < m; i++) {
      let sum0 = 0, sum1 = 0;
      for (let j = 0, w = i * row; j < k; j++, w += step) { sum0 += W[w] * pair[2 * j]; sum1 += W[w] * pair[2 * j + 1]; }
      out[i * n + t] = sum0; out[i * n + t + 1] = sum1;
    }
  }
  for (let t = columns; t < n; t++) {
    for (let i = 0; i < m; i++) {
      let sum = 0;
      for (let j = 0; j < k; j++) sum += W[i * row + j * step] * A[j * n + t];
      out[i * n + t] = sum;
    }
  }
}

// out (m, k) += U A^T, with U (m, n) and A (k, n): every row of U times every row of A.
export function addOuter(out, U, A, m, k, n) {
  for (let from = 0; from < n; from += BLOCK) addBlock(out, U, A, m, k, n, from, Math.min(BLOCK, n - from));
}

function addBlock(out, U, A, m, k, n, from, count) {
  const rows = m - (m % 4), columns = k - (k % 2);
  for (let i = 0; i < rows; i += 4) {
    for (let j = 0; j < columns; j += 2) {
      let a0 = 0, a1 = 0, b0 = 0, b1 = 0, c0 = 0, c1 = 0, d0 = 0, d1 = 0;
      for (let t = 0, u = i * n + from, s = j * n + from; t < count; t++, u++, s++) {
        const x = A[s], y = A[s + n], a = U[u], b = U[u + n], c = U[u + 2 * n], d = U[u + 3 * n];
        a0 += a * x; a1 += a * y; b0 += b * x; b1 += b * y;
        c0 += c * x; c1 += c * y; d0 += d * x; d1 += d * y;
      }
      const p = i * k + j;
      out[p] += a0; out[p + 1] += a1; out[p + k] += b0; out[p + k + 1] += b1;
      out[p + 2 * k] += c0; out[p + 2 * k + 1] += c1; out[p + 3 * k] += d0; out[p + 3 * k + 1] += d1;
    }
  }
  const one = (i, j) => {
    let sum = 0;
    for (let t = from; t < from + count; t++) sum += U[i * n + t] * A[j * n + t];
    out[i * k + j] += sum;
  };
  for (let i = 0; i < rows; i++) for (let j = columns; j < k; j++) one(i, j);
  for (let i = rows; i < m; i++) for (let j = 0; j < k; j++) one(i, j);
}
