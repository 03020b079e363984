/**
 * What the suite needs to know of a store: how to open one on a folder. A module beside this one exports `open`; it is named by URL, so that
 * a process that is to be killed can open the same store.
 */
import type { QueueStore } from "../../src/queue/index.ts";

export interface OpenOptions {
  /** Octets that must stay free; none unless said. */
  readonly minimumFree?: number;
  readonly onTrouble?: (why: string) => void;
}

export interface StoreOpener {
  open(folder: string, options?: OpenOptions): Promise<QueueStore>;
  /** Files of large bodies that lie in the folder, with their paths. */
  bodyFiles(folder: string): string[];
}
