/** `postrider config check`: what `serve` would find wrong with its configuration, and nothing else. */
import { loadConfig } from "./load-config.ts";
import { print } from "./terminal.ts";

export async function checkConfig(options: { readonly config?: string }): Promise<number> {
  const { path, config } = loadConfig(options.config);
  const tls = config.tls.kind === "files" ? config.tls.certificate : "self-signed (no [tls] table)";
  await print(`${path}: good\n  hostname     ${config.hostname}\n  data         ${config.data}\n  certificate  ${tls}\n`);
  for (const { kind, endpoint } of config.listen) {
    const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
    await print(`  ${kind.padEnd(11)}  ${host}:${endpoint.port}${endpoint.optional ? " (where the machine has IPv6)" : ""}\n`);
  }
  return 0;
}
