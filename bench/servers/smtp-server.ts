/** smtp-server, reading every message and keeping none: no disk at all. No reverse look-up of the client, no STARTTLS. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../child.ts";
import { installed } from "./npm.ts";
import type { Contender, Missing } from "./server.ts";

const VERSION = "3.21.6";

export function smtpServer(): Contender | Missing {
  const name = "smtp-server";
  const found = installed("smtp-server", VERSION);
  if ("why" in found) return { name, why: found.why };
  return {
    name,
    version: VERSION,
    share: 1,
    start: ({ folder, port }) => {
      const script = join(folder, "discard.cjs");
      writeFileSync(
        script,
        `"use strict";
const { SMTPServer } = require(${JSON.stringify(found.folder)});
new SMTPServer({
  logger: false,
  disabledCommands: ["AUTH", "STARTTLS"],
  disableReverseLookup: true,
  onData(stream, session, done) {
    stream.on("data", () => {});
    stream.on("end", done);
  },
}).listen(${port}, "127.0.0.1");
`,
      );
      return new Child({ file: process.execPath, args: [script], log: join(folder, "smtp-server.log") });
    },
  };
}
