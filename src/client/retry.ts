/**
 * When a message is tried again.
 *
 * Rules
 * 1. Only what is temporary and certain: a 4xx, or a connection lost before the end of the content.
 * 2. Delays double, with jitter, so that many who failed together do not come back together.
 */
export interface RetryOptions {
  /** Attempts in all, the first one included. */
  readonly attempts: number;
  /** Milliseconds before the second attempt. */
  readonly delay: number;
  /** Milliseconds that no delay exceeds. */
  readonly maxDelay: number;
}

export const defaultRetry: RetryOptions = { attempts: 3, delay: 1_000, maxDelay: 60_000 };
export const noRetry: RetryOptions = { attempts: 1, delay: 0, maxDelay: 0 };

/** Milliseconds to wait after so many attempts: between half and all of the doubled delay. */
export function retryDelay({ delay, maxDelay }: RetryOptions, attempts: number, random: number = Math.random()): number {
  const longest = Math.min(maxDelay, delay * 2 ** (attempts - 1));
  return longest * (0.5 + random / 2);
}
