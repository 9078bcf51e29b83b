// Writes to the retained value of one topic, in such an order that a condition which was checked still holds when the
// write is committed: one with a condition waits until those before it are done. It orders requests over HTTP only.

interface Topic {
  running: number;
  /** Those that wait are being let go: who leaves meanwhile does not begin that again, however many they are. */
  draining: boolean;
  readonly waiting: { readonly alone: boolean; readonly step: () => void }[];
}

export class Turns {
  private readonly topics = new Map<string, Topic>();

  /** Runs `step` now, or once those before it have left. Each step that has run ends with `leave`. */
  enter(name: string, alone: boolean, step: () => void): void {
    const topic = this.topics.get(name);
    if (topic === undefined) {
      this.topics.set(name, { running: 1, draining: false, waiting: [] });
      step();
    } else if (topic.waiting.length > 0 || alone) topic.waiting.push({ alone, step });
    else {
      topic.running++;
      step();
    }
  }

  leave(name: string): void {
    const topic = this.topics.get(name)!;
    topic.running--;
    if (topic.draining) return;
    topic.draining = true;
    while (topic.waiting.length > 0 && (topic.running === 0 || !topic.waiting[0]!.alone)) {
      topic.running++;
      topic.waiting.shift()!.step();
    }
    topic.draining = false;
    if (topic.running === 0 && topic.waiting.length === 0) this.topics.delete(name);
  }
}
