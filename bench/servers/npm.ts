/**
 * Peers from npm. They are no dependencies of the project: they are installed into a folder of their own, once.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The folder of a package of exactly this version, or what npm said. */
export function installed(name: string, version: string): { folder: string } | { why: string } {
  const cache = process.env.POSTRIDER_BENCH_CACHE ?? join(tmpdir(), "postrider-bench-peers");
  const home = join(cache, `${name}-${version}`);
  const folder = join(home, "node_modules", name);
  if (versionOf(folder) === version) return { folder };
  try {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "package.json"), '{ "private": true }\n');
    execFileSync("npm", ["install", "--prefix", home, "--no-audit", "--no-fund", "--ignore-scripts", `${name}@${version}`], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    return { folder };
  } catch (error) {
    return { why: `npm install ${name}@${version} failed: ${error instanceof Error ? error.message.split("\n", 2).join(" ") : error}` };
  }
}

function versionOf(folder: string): string | undefined {
  const file = join(folder, "package.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version : undefined;
}
