/** Folders, made one by one. */
import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes the folder and those above it that are missing. Node's own `recursive` never returns where a parent cannot hold a folder at
 * all, such as /proc. Throws what `mkdir` throws.
 */
export function makeFolders(folder: string, mode: number): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return;
  const parent = dirname(folder);
  if (parent !== folder) makeFolders(parent, mode);
  mkdirSync(folder, { mode });
}
