/** Folders that are gone when the test is. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What of node:test's context is needed; `{ after }` from node:test itself serves a whole file. */
export interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** A new empty folder, removed with all that is in it after the test. */
export function tempFolder(t: Cleanup, prefix = "postrider-"): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
