/**
 * Runs a server out of an unpacked package whose paths are compiled in, as if it were installed.
 *
 * Rules
 * 1. It is run in a mount namespace of its own (unshare -m, which takes root): the package's /usr lies over the system's, and what else it
 *    wants is mounted there. Nobody else sees any of it, and it is gone with the last process inside.
 * 2. Its users are lines of a copy of /etc/passwd and /etc/group that only it sees.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Child, findProgram, start, unpackedFolder } from "../support/programs.ts";
import type { Cleanup } from "../support/temp-folder.ts";

export interface InstalledOptions {
  /** Its folder below POSTRIDER_DEBS. */
  readonly package: string;
  /** An empty folder that is the test's. */
  readonly folder: string;
  /** Users to add, each with a group of that name. */
  readonly users: readonly { readonly name: string; readonly id: number }[];
  /** Shell commands that are run inside before it: further mounts. */
  readonly prepare?: readonly string[];
}

/** Why it cannot be run here, in words. */
export function missingInstalled(name: string, program: string): string[] {
  return [
    ...(findProgram("unshare") === undefined ? ["unshare is not installed"] : []),
    ...(process.getuid?.() === 0 ? [] : ["it takes root to run a mail server in a mount namespace"]),
    ...(findProgram(program) === undefined ? [`${name} is not installed`] : []),
  ];
}

export function startInstalled(t: Cleanup, options: InstalledOptions, program: string, args: readonly string[]): Child {
  const { folder, users } = options;
  const add = (kind: "passwd" | "group", lines: readonly string[]): string => {
    const path = join(folder, kind);
    writeFileSync(path, `${readFileSync(`/etc/${kind}`, "utf8").trimEnd()}\n${lines.map((line) => `${line}\n`).join("")}`);
    return `mount --bind ${path} /etc/${kind}`;
  };
  const script = [
    "set -e",
    `mount -t overlay overlay -o lowerdir=${join(unpackedFolder, options.package, "usr")}:/usr /usr`,
    add(
      "passwd",
      users.map(({ name, id }) => `${name}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin`),
    ),
    add(
      "group",
      users.map(({ name, id }) => `${name}:x:${id}:`),
    ),
    ...(options.prepare ?? []),
    'exec "$@"',
  ];
  return start(t, "unshare", ["--mount", "sh", "-c", script.join("\n"), "sh", program, ...args]);
}
