/**
 * Haraka, as a relay: every message goes into its outbound queue, which syncs a file for each before the 250.
 *
 * One process, its default: with `nodes` it is a cluster of several queues. Its only plugin lets the client relay and names the next hop.
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../child.ts";
import { installed } from "./npm.ts";
import type { Contender, Missing } from "./server.ts";

const VERSION = "3.3.4";

export function haraka(): Contender | Missing {
  const name = "Haraka";
  const found = installed("haraka", VERSION);
  if ("why" in found) return { name, why: found.why };
  return {
    name,
    version: VERSION,
    share: 0.25,
    start: ({ folder, port, nextHop }) => {
      for (const each of ["config", "plugins", "queue"]) mkdirSync(join(folder, each));
      const config = (file: string, text: string): void => writeFileSync(join(folder, "config", file), `${text}\n`);
      copyFileSync(join(found.folder, "config/connection.ini"), join(folder, "config/connection.ini")); // it does not greet without
      config("me", "mail.example.test");
      config("smtp.ini", `listen=127.0.0.1:${port}`);
      config("plugins", "bench");
      config("loglevel", "WARN");
      config("outbound.ini", `enable_tls=false\nlocal_mx_ok=true\nconcurrency_max=100`);
      writeFileSync(
        join(folder, "plugins/bench.js"),
        `"use strict";
exports.hook_connect = function (next, connection) { connection.relaying = true; next(); };
exports.hook_rcpt = (next) => next(OK);
exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: "127.0.0.1", port: ${nextHop} });
`,
      );
      const args = [join(found.folder, "bin/haraka"), "-c", folder];
      return new Child({ file: process.execPath, args, log: join(folder, "haraka.log") });
    },
  };
}
