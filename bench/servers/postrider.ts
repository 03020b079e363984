/** Postrider as it is run: `bin/postrider serve`, its log into a file, nothing tuned. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../child.ts";
import type { Contender } from "./server.ts";

/** `checkout`: a folder with this project, such as one with a change that is to be compared. */
export function postrider(checkout: string, name = "Postrider"): Contender {
  const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as { version: string };
  return {
    name,
    version,
    share: 1,
    start: ({ folder, port, nextHop }) => {
      const config = join(folder, "postrider.toml");
      writeFileSync(
        config,
        `hostname = "mail.example.test"
data = "data"
[listen]
smtp = ["127.0.0.1:${port}"]
[domains]
local = ["example.com"]
recipients = ["*@example.com"]
[[route]]
domain = "*"
to = "smtp://127.0.0.1:${nextHop}"
`,
      );
      const profile = process.env.POSTRIDER_BENCH_PROFILE;
      const args = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
      const command = [...args, join(checkout, "bin/postrider.js"), "serve", "--config", config];
      return new Child({ file: process.execPath, args: command, log: join(folder, "postrider.log") });
    },
  };
}
