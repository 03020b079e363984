/**
 * What the suite needs to know of a store. A module beside this one exports these; it is named by URL, so that a process that is to be killed
 * can open the same store.
 */
import type { QueueStore } from "../../src/queue/index.ts";

export interface OpenOptions {
  /** Octets that must stay free; none unless said. Of stores that keep their own files. */
  readonly minimumFree?: number;
  readonly onTrouble?: (why: string) => void;
}

/** Where a store is: a folder, a schema of a database. */
export interface Place {
  readonly at: string;
  remove(): Promise<void>;
}

export interface StoreOpener {
  /** Why there can be no such store here: its tests are then skipped. */
  whyNot(): Promise<false | string>;
  /** A place with nothing in it. */
  newPlace(): Promise<Place>;
  open(at: string, options?: OpenOptions): Promise<QueueStore>;
  /** Large bodies that lie there, with a message or without one. */
  largeBodies(at: string): Promise<number>;
  /** Harms all of them, as a failing disk or a careless hand would. */
  harmLargeBodies(at: string, how: "missing" | "cut short"): Promise<void>;
  /** Lets so much time pass that the leases of a process that was killed have run out, where they are held by time. */
  leasesRunOut(at: string): Promise<void>;
}
