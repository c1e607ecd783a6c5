// Optimisers in PyTorch's formulas and with PyTorch's defaults. Each takes parameters, a list of arrays, and returns a
// function of their gradients that makes one step in place. Adam's takes a share of the learning rate, too: rates decay.
const zeros = (parameters) => parameters.map((one) => new Float64Array(one.length));

export const OPTIMISERS = {
  adam(parameters, lr) {
    const means = zeros(parameters), squares = zeros(parameters);
    let first = 1, second = 1;
    return (gradients, share = 1) => {
      first *= 0.9;
      second *= 0.999;
      const rate = share * lr / (1 - first), scale = 1 / Math.sqrt(1 - second);
      parameters.forEach((parameter, k) => {
        const gradient = gradients[k], mean = means[k], square = squares[k];
        for (let i = 0; i < parameter.length; i++) {
          mean[i] += 0.1 * (gradient[i] - mean[i]);
          square[i] = 0.999 * square[i] + 0.001 * gradient[i] * gradient[i];
          parameter[i] -= rate * mean[i] / (Math.sqrt(square[i]) * scale + 1e-8);
        }
      });
    };
  },
  sgd(parameters, lr) {
    return (gradients) => parameters.forEach((parameter, k) => {
      for (let i = 0; i < parameter.length; i++) parameter[i] -= lr * gradients[k][i];
    });
  },
  momentum(parameters, lr) {
    const speeds = zeros(parameters);
    return (gradients) => parameters.forEach((parameter, k) => {
      for (let i = 0; i < parameter.length; i++) {
        speeds[k][i] = 0.9 * speeds[k][i] + gradients[k][i];
        parameter[i] -= lr * speeds[k][i];
      }
    });
  },
};
