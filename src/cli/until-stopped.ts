/**
 * The life of a server process, from its start to a signal.
 *
 * Rules
 * 1. The first SIGTERM or SIGINT drains, a second one ends at once. Whoever waits hears which signal it was.
 * 2. A store that is lost ends the process: nothing more could be accepted or settled.
 */
import { constants } from "node:os";
import type { Relay } from "../relay/index.ts";
import { exitCodes } from "./exit-codes.ts";

export type Ending = { readonly kind: "signal"; readonly signal: NodeJS.Signals } | { readonly kind: "fatal"; readonly error: Error };

/** Takes signals from now on, so that one that comes while it starts is not lost. */
export function watchForEnd(relay: Relay): Promise<Ending> {
  return new Promise((resolve) => {
    let stopping = false;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        if (stopping) process.exit(128 + constants.signals[signal]);
        stopping = true;
        resolve({ kind: "signal", signal });
      });
    }
    relay.onFatal((error) => resolve({ kind: "fatal", error }));
  });
}

export const endCode = (ending: Ending): number => (ending.kind === "signal" ? exitCodes.ok : exitCodes.software);
