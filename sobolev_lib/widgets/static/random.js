// PyTorch's CPU random numbers: the same seed gives the same points, weights and batches as torch.Generator does, so that
// an experiment made here can be repeated in Python. The generator is the Mersenne Twister of Matsumoto and Nishimura.
const N = 624, M = 397;

export class Generator {
  constructor(seed) {
    this.state = new Uint32Array(N);
    this.state[0] = seed;
    for (let i = 1; i < N; i++) {
      const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, last) + i;
    }
    this.next = N;
    this.spare = null; // normal numbers come in pairs
  }

  // 32 random bits
  bits() {
    if (this.next === N) {
      const s = this.state;
      for (let i = 0; i < N; i++) {
        const y = (s[i] & 0x80000000) | (s[(i + 1) % N] & 0x7fffffff);
        s[i] = s[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.next = 0;
    }
    let y = this.state[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  // torch.rand(n), float32
  uniform(n) {
    return Float64Array.from({ length: n }, () => (this.bits() & 0xffffff) / 0x1000000);
  }

  // A double in [0, 1) from 53 of 64 bits
  double() {
    const high = this.bits(), low = this.bits();
    return ((high & 0x1fffff) * 0x100000000 + low) / 2 ** 53;
  }

  // torch.randn(n), float32: one by one below 16 numbers, else in groups of 16
  normal(n) {
    if (n < 16) return Float64Array.from({ length: n }, () => this.oneNormal());
    const out = this.uniform(n);
    for (let i = 0; i + 16 <= n; i += 16) pairs(out, i);
    if (n % 16) { // the last group is drawn afresh and overlaps the one before
      out.set(this.uniform(16), n - 16);
      pairs(out, n - 16);
    }
    return out;
  }

  oneNormal() {
    if (this.spare !== null) {
      const spare = this.spare;
      this.spare = null;
      return spare;
    }
    const angle = 2 * Math.PI * this.double(), radius = Math.sqrt(-2 * Math.log1p(-this.double()));
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  // torch.randperm(n), for fewer than about 200,000 numbers
  permutation(n) {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = 0; i < n - 1; i++) {
      const j = i + (this.bits() % (n - i));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

function pairs(out, start) {
  for (let i = start; i < start + 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - out[i])), angle = 2 * Math.PI * out[i + 8];
    out[i] = radius * Math.cos(angle);
    out[i + 8] = radius * Math.sin(angle);
  }
}
