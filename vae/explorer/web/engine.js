// Workers, so that the page stays fluid: one for the face, one for all that can wait.

/** Asks one worker, which answers in order. */
export class Engine {
  constructor(text, model) {
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    this.worker = new Worker(address);
    this.waiting = []; // requests that were not posted yet
    this.asked = null;
    this.worker.onmessage = ({ data }) => this.answer(data);
    this.worker.onerror = (event) => this.answer({ error: event.message });
    this.ask("begin", { model });
  }

  /** Resolves to the answer; to null if `isWanted` says no before it is its turn. */
  ask(job, values, isWanted = () => true) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ job, values, isWanted, resolve, reject });
      this.next();
    });
  }

  decode(code, zoom = 1, isWanted = undefined) {
    return this.ask("decode", { code, zoom }, isWanted);
  }

  next() {
    while (!this.asked && this.waiting.length) {
      const request = this.waiting.shift();
      if (!request.isWanted()) {
        request.resolve(null);
        continue;
      }
      this.asked = request;
      this.worker.postMessage({ job: request.job, ...request.values });
    }
  }

  answer({ result, error }) {
    const { resolve, reject } = this.asked ?? {};
    this.asked = null;
    if (error) reject?.(new Error(error));
    else resolve?.(result);
    this.next();
  }
}
