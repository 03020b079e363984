/**
 * Runs one check so that whatever happens to it becomes a value: a check that crashes or does not end is never a silent pass.
 *
 * Rules
 * 1. Never rejects, and takes no longer than its limit; what the check does after that is nobody's concern.
 */
import type { Clock } from "../../util/clock.ts";
import type { Checked } from "./verdict.ts";

/** `limit` in milliseconds. */
export async function settle<T>(check: () => Promise<T>, limit: number, clock: Clock): Promise<Checked<T>> {
  let stop = (): void => {};
  const late = new Promise<Checked<T>>((resolve) => {
    stop = clock.after(limit, () => resolve({ kind: "crashed", why: `it took longer than ${limit / 1000} s` }));
  });
  try {
    return await Promise.race([run(check), late]);
  } finally {
    stop();
  }
}

async function run<T>(check: () => Promise<T>): Promise<Checked<T>> {
  try {
    return { kind: "done", value: await check() };
  } catch (error) {
    return { kind: "crashed", why: error instanceof Error ? error.message : String(error) };
  }
}
