/** What the bench asks of a server that it compares. */
import type { Child } from "../child.ts";

export interface StartOptions {
  /** Empty; gone after the run. */
  readonly folder: string;
  /** Where it listens, on 127.0.0.1. */
  readonly port: number;
  /** The port of the next hop on 127.0.0.1, for every recipient. */
  readonly nextHop: number;
}

export interface Contender {
  readonly name: string;
  readonly version: string;
  /** How many of `count` messages it gets: a slow one gets fewer, so that a run takes seconds and not minutes. */
  readonly share: number;
  start(options: StartOptions): Child;
}

/** A peer that is not here, and why. */
export interface Missing {
  readonly name: string;
  readonly why: string;
}

export function isMissing(value: object): value is Missing {
  return "why" in value;
}
