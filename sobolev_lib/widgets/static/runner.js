// Training in a worker: asks for steps, one request at a time, and hands on what comes back.
import TRAINER from "./trainer.js" with { type: "text" };

// The address of the worker's code: a page opened from disk may load no worker from a file.
export function workerAddress() {
  return URL.createObjectURL(new Blob([TRAINER], { type: "text/javascript" }));
}

// `stage`: { settings(), problem, awake(), calm() (fewer pictures), weights() (whether Python wants the weights now),
// made(answer), seen(snapshot), failed(message), playing(yes), settled(weights or null) }.
export class Runner {
  constructor(stage) {
    Object.assign(this, { stage, worker: null, playing: false, ready: false });
    this.id = 0;
    this.busy = this.stale = false; // at work, and on something that is no longer wanted
    this.owed = this.timer = 0;     // steps that the reader has asked for one by one
    this.address = workerAddress();
  }

  // Throws Error where the page allows no workers.
  open() {
    this.worker = new Worker(this.address);
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.worker.onerror = (event) => this.stage.failed(event.message ?? "this page allows no workers");
  }

  close() {
    clearTimeout(this.timer);
    this.worker?.terminate();
    URL.revokeObjectURL(this.address);
  }

  // Begin again at step 0. While the worker is at work, only the last wish counts.
  make() {
    clearTimeout(this.timer);
    this.owed = 0;
    this.stale = this.busy;
    if (this.busy) return;
    this.busy = true;
    this.worker?.postMessage({ type: "make", id: ++this.id, settings: this.stage.settings(), problem: this.stage.problem });
  }

  ask(count, ms) {
    if (this.busy || !this.ready) return;
    this.busy = true;
    this.worker.postMessage({ type: "run", id: this.id, steps: count, ms, weights: this.stage.weights() });
  }

  receive(answer) {
    const { stage } = this;
    this.busy = false;
    if (this.stale) return this.make();
    if (answer.type === "failed") {
      this.pause();
      return stage.failed(answer.message);
    }
    if (answer.type === "made") {
      this.ready = true;
      stage.made(answer);
    }
    stage.seen(answer.snapshot);
    if (this.playing && answer.snapshot.stopped.every((one) => one !== null)) this.pause();
    this.next();
    this.pay();
    return stage.settled(answer.weights ?? null);
  }

  step() {
    this.pause();
    this.owed += 1;
    this.pay();
  }

  pay() {
    if (!this.owed || this.busy || !this.ready) return;
    this.ask(this.owed, Infinity);
    this.owed = 0;
  }

  next() {
    if (!this.playing || !this.stage.awake()) return undefined;
    const { speed } = this.stage.settings(), calm = this.stage.calm();
    if (speed === 0) return this.ask(1e9, calm ? 400 : 30);
    const apart = Math.max(1000 / speed, calm ? 400 : 50);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(Math.max(1, Math.round(speed * apart / 1000)), Infinity), apart);
    return undefined;
  }

  start() {
    this.playing = true;
    this.stage.playing(true);
    this.next();
  }

  pause() {
    clearTimeout(this.timer);
    if (!this.playing) return;
    this.playing = false;
    this.stage.playing(false);
  }
}
