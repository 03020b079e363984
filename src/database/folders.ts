/** Folders, made one by one, and kept. */
import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
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
  syncFolder(parent);
}

/**
 * Syncs the names in a folder, where this user may read it (one that may not cannot have made what is in it) and its file system knows how.
 * Done at each start, for who made the folders may have been killed before that.
 */
export function syncFolder(folder: string): void {
  let fd: number;
  try {
    fd = openSync(folder, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") return;
    throw error;
  }
  try {
    fsyncSync(fd);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EINVAL" && code !== "ENOTSUP" && code !== "EROFS") throw error;
  } finally {
    closeSync(fd);
  }
}
