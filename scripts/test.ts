/**
 * Runs the tests: `npm test`, `npm test -- src/queue`, `npm test -- src/net/resolver.test.ts --test-name-pattern=TTL`.
 *
 * Words without a dash are files or folders; the rest goes to `node --test` as it is. The exit code is the runner's.
 */
import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folders = ["src", "test", "scripts"];
/** For a test file as a whole, in milliseconds: what hangs is named, not waited for. */
const FILE_TIMEOUT = 300_000;
/** Two test files even on one core, since they wait more than they compute; not more than Node processes fit in a small machine. */
const concurrency = Math.min(4, Math.max(2, availableParallelism()));

const given = process.argv.slice(2);
const options = given.filter((word) => word.startsWith("-"));
const places = given.filter((word) => !word.startsWith("-"));
const patterns = (places.length > 0 ? places : folders).map((place) => {
  const isFolder = statSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isFolder ? `${place.replace(/\/$/, "")}/**/*.test.ts` : place;
});

const reporters = options.some((option) => option.startsWith("--test-reporter"))
  ? []
  : [`--test-reporter=${fileURLToPath(new URL("reporter.ts", import.meta.url))}`, "--test-reporter-destination=stdout"];

const child = spawn(
  process.execPath,
  ["--test", `--test-concurrency=${concurrency}`, `--test-timeout=${FILE_TIMEOUT}`, ...reporters, ...options, ...patterns],
  { cwd: root, stdio: "inherit" },
);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => {
  process.exitCode = code ?? (signal === "SIGINT" ? 130 : 1);
});
