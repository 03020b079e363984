/** What a suite's `before` starts, ended after the suite: an `after` that is called inside `before` would end it with the hook. */
import { after } from "node:test";
import type { Cleanup } from "./temp-folder.ts";

/** Call it in the body of `describe` (or of the file). What was started last ends first. */
export function suiteCleanup(): Cleanup {
  const callbacks: (() => void | Promise<void>)[] = [];
  after(async () => {
    for (let callback = callbacks.pop(); callback !== undefined; callback = callbacks.pop()) await callback();
  });
  return { after: (callback) => void callbacks.push(callback) };
}
