// Calls out of the store: what a callee throws is a bug of its own, reported as an uncaught error in a later turn, so that
// the records and settlements behind it are not lost.

export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}
