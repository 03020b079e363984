/**
 * The shim (shim.c), compiled when it is needed: what it is told by the environment, and how a point of it is armed.
 *
 * Rules
 * 1. Nothing of it is in the product, and nothing compiled is kept.
 */
import { spawnSync } from "node:child_process";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram, skipFor } from "../support/programs.ts";

const source = fileURLToPath(new URL("./shim.c", import.meta.url));

export interface ShimSettings {
  /** The data folder, an absolute path. */
  readonly data: string;
  /** The journal's file, outside of it. */
  readonly journal: string;
  /** The file that arms a point once it is there. */
  readonly arm: string;
  readonly hopPort: number;
  /** Syncs are neither done nor noted. */
  readonly noSync?: boolean;
}

/** For node:test's `skip`. */
export function skipWithoutShim(): string | false {
  if (process.platform !== "linux") return skipFor(["LD_PRELOAD is Linux's"]);
  return skipFor(findProgram("cc") === undefined ? ["cc is not installed"] : []);
}

/** Compiles it into the folder; the path of the library. */
export function compileShim(folder: string): string {
  const library = join(folder, "shim.so");
  const { status, stderr } = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl", "-lpthread"], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`cc ended with ${status}:\n${stderr}`);
  return library;
}

export function shimEnvironment(library: string, { data, journal, arm, hopPort, noSync }: ShimSettings): Record<string, string> {
  return {
    LD_PRELOAD: library,
    UV_USE_IO_URING: "0", // what goes through a ring passes no function of libc
    CRASH_DATA: data,
    CRASH_JOURNAL: journal,
    CRASH_ARM: arm,
    CRASH_HOP: String(hopPort),
    ...(noSync === true ? { CRASH_NO_SYNC: "1" } : {}),
  };
}

/** From now on the process kills itself (or fails) at the `nth` passing of the point. */
export function arm(file: string, point: string, nth: number): void {
  writeFileSync(`${file}.new`, `${point} ${nth}\n`);
  renameSync(`${file}.new`, file);
}

export function disarm(file: string): void {
  rmSync(file, { force: true });
}
