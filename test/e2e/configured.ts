/** A server as an operator sets it up: a configuration file, one account, and one next hop for all mail. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { tempFolder } from "../support/temp-folder.ts";
import { freePort, Running, run } from "./processes.ts";

const account = "ann@example.test";
const password = "long enough\n";

export interface Configured {
  /** Runs a command on this configuration. */
  command(...words: readonly string[]): ReturnType<typeof run>;
  /** Starts the server and waits until it is ready. */
  serve(): Promise<Running>;
  /** Submits a message as the account, its addresses being its subject too. */
  submit(addresses: string): ReturnType<typeof run>;
}

/** `tables`: TOML beside what every such server needs. */
export async function configured(t: TestContext, nextHop: number, tables = ""): Promise<Configured> {
  const folder = tempFolder(t);
  const [port, config] = [await freePort(), join(folder, "postrider.toml")];
  writeFileSync(
    config,
    `hostname = "mail.example.test"
[listen]
submission = ["127.0.0.1:${port}"]
[queue]
minimum_free = 0
${tables}
[[route]]
domain = "*"
to = "smtp://127.0.0.1:${nextHop}"
`,
  );
  await run(["user", "add", account, "--password-stdin", "--config", config], password);
  const server = ["--server", `localhost:${port}`, "--ca", join(folder, "data/certificate.pem")];
  const login = ["--user", account, "--password-stdin"];
  return {
    command: (...words) => run([...words, "--config", config]),
    async serve() {
      const running = new Running(t, ["serve", "--config", config]);
      await running.said(/"message":"ready"/);
      return running;
    },
    submit: (addresses) => run(["send", ...server, ...login, "--to", addresses, "--subject", addresses, "--body", "x"], password),
  };
}
