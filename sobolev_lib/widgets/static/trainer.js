// The worker's side: it makes one experiment after another and answers each message with one message.
//
//   { type: "make", id, settings, problem }   -> { type: "made", id, target on a grid, training data, a snapshot }
//   { type: "run", id, steps, ms, weights }   -> { type: "ran", id, snapshot, weights of both networks if asked for }
import { Experiment } from "./experiment.js";

let experiment = null;

function answer({ type, id, settings, problem, steps, ms, weights }) {
  if (type === "make") {
    experiment = new Experiment(settings, problem, weights);
    const { domain, grid, truth, data, test, drawing, table } = experiment;
    return { type: "made", id, settings, domain, grid, truth, data, test, drawing, local: Boolean(table?.local),
      snapshot: experiment.snapshot() };
  }
  const start = performance.now();
  for (let i = 0; i < steps && performance.now() - start < ms; i++) {
    if (experiment.stopped.every((step) => step !== null)) break;
    experiment.advance();
  }
  return { type: "ran", id, snapshot: experiment.snapshot(), weights: weights ? experiment.networks.map((network) =>
    network.parameters().map((list) => Float32Array.from(list))) : null };
}

self.onmessage = ({ data }) => {
  try {
    self.postMessage(answer(data));
  } catch (error) {
    self.postMessage({ type: "failed", id: data.id, message: error.message });
  }
};
