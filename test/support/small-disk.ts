/**
 * A disk of few octets: a tmpfs of its own, which can be filled and made read-only. Root writes through permissions, not through these.
 *
 * Rules
 * 1. It is unmounted after its test, whatever still has a file open there.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, skipFor } from "./programs.ts";
import type { Cleanup } from "./temp-folder.ts";

/** For node:test's `skip`. */
export function skipWithoutMount(): string | false {
  if (process.platform !== "linux" || findProgram("mount") === undefined) return skipFor(["mount is not there"]);
  const folder = mkdtempSync(join(tmpdir(), "postrider-mount-"));
  const { status } = mount(["-t", "tmpfs", "-o", "size=64k", "none", folder]);
  if (status === 0) unmount(folder);
  rmSync(folder, { recursive: true, force: true });
  return skipFor(status === 0 ? [] : ["this user may not mount a tmpfs"]);
}

export class SmallDisk {
  readonly folder: string;

  constructor(t: Cleanup, octets: number) {
    this.folder = mkdtempSync(join(tmpdir(), "postrider-disk-"));
    t.after(() => {
      unmount(this.folder);
      rmSync(this.folder, { recursive: true, force: true });
    });
    const { status, stderr } = mount(["-t", "tmpfs", "-o", `size=${octets},mode=700`, "none", this.folder]);
    if (status !== 0) throw new Error(`mount: ${stderr}`);
  }

  /** Others fill it to the last octet. */
  fill(): void {
    const fd = openSync(join(this.folder, "of-others"), "w");
    try {
      for (let size = 1024 * 1024; size >= 1; size = size >> 1) while (tryToWrite(fd, size)) {}
    } finally {
      closeSync(fd);
    }
  }

  /** Others give back what they took. */
  free(): void {
    rmSync(join(this.folder, "of-others"));
  }

  readOnly(): void {
    const { status, stderr } = mount(["-o", "remount,ro", this.folder]);
    if (status !== 0) throw new Error(`mount: ${stderr}`);
  }
}

function tryToWrite(fd: number, size: number): boolean {
  try {
    return writeSync(fd, Buffer.alloc(size, 1)) === size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") return false;
    throw error;
  }
}

function mount(args: readonly string[]): { readonly status: number | null; readonly stderr: string } {
  return spawnSync(findProgram("mount") ?? "mount", args, { encoding: "utf8" });
}

function unmount(folder: string): void {
  spawnSync(findProgram("umount") ?? "umount", ["-l", folder]);
}
