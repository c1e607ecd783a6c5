// The curves of a training, one point a report.
const MOST = 400; // points of a curve before every other one is dropped

// Adds a snapshot to the curves; of a long training, every other point is dropped now and then.
export function record(history, { step, networks }) {
  const { steps, errors } = history;
  if (steps.length && step - steps.at(-1) < history.every) return;
  steps.push(step);
  networks.forEach((network, k) => network.errors.forEach((error, i) => errors[k][i].push(error)));
  if (steps.length <= MOST) return;
  const thin = (list) => list.filter((_, i) => i % 2 === 0);
  history.steps = thin(steps);
  history.errors = errors.map((lists) => lists.map(thin));
  history.every = Math.ceil(step / MOST * 2);
}
