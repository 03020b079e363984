/**
 * Runs a PostgreSQL server for a test process and ends it with that: `postgres-keeper.ts <postgres> <data> <root> <uid>`.
 *
 * Rules
 * 1. It says "ready" once the server takes connections; before that it passes on what the server says.
 * 2. "stop" on standard input ends the server as a crash would (SIGQUIT: no checkpoint, recovery at the next start) and keeps its files.
 * 3. The end of standard input means that the test process is gone: the server is ended, and `root` is removed.
 */
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const [postgres, data, root, uid] = process.argv.slice(2) as [string, string, string, string];
const settings = [
  "listen_addresses=",
  `unix_socket_directories=${data}`,
  "max_connections=60",
  "shared_buffers=128MB",
  "autovacuum_naptime=10s",
];
const user = uid === "" ? {} : { uid: Number(uid), gid: Number(uid) };
const server = spawn(postgres, ["-D", data, ...settings.flatMap((setting) => ["-c", setting])], {
  stdio: ["ignore", "ignore", "pipe"],
  cwd: "/",
  ...user,
});
let clear = false;
let isReady = false;

server.on("error", (error) => {
  console.log(String(error));
  process.exit(1);
});
server.on("exit", () => {
  if (clear) rmSync(root, { recursive: true, force: true });
  process.exit(0);
});
createInterface(server.stderr).on("line", (line) => {
  if (isReady) return;
  isReady = line.includes("database system is ready to accept connections");
  console.log(isReady ? "ready" : line);
});
createInterface(process.stdin)
  .on("line", (line) => {
    if (line === "stop") server.kill("SIGQUIT");
  })
  .on("close", () => {
    clear = true;
    server.kill("SIGQUIT");
  });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {}); // the test process decides
