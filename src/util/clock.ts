/** Time as a value that can be replaced in tests. Milliseconds since 1970 UTC throughout. */
export interface Clock {
  now(): number;
  /** Calls back once after `ms`; the returned function calls it off. Never keeps the process alive. */
  after(ms: number, callback: () => void): () => void;
}

/** Node fires a longer timer at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, LONGEST_TIMER));
    (timer as { unref?: () => void }).unref?.();
    return () => clearTimeout(timer);
  },
};

export const seconds = (n: number): number => n * 1000;
export const minutes = (n: number): number => n * 60_000;
export const hours = (n: number): number => n * 3_600_000;
export const days = (n: number): number => n * 86_400_000;
